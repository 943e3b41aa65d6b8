import numpy as np
import pytest


def shut(expose, rate, table, **changes):
    frame = expose(rate, dit=565, stages={"shutter": table}, elvis_block={"stages": ("shutter",)}, **changes)
    return frame.astype(float) / 565


def test_trail_has_the_share_of_the_readout_in_the_exposure(expose, ccd):
    rate = np.zeros((80, 64))
    rate[20, 7], rate[60, 9] = 100.0, 40.0
    changes = ccd(ny=40)
    changes.pop("stages")
    frame = shut(expose, rate, {"open": 78}, **changes)
    assert frame.sum() - rate.sum() == pytest.approx(140 * 78 / 565, rel=1e-5)
    np.testing.assert_allclose(frame[:40, 7] - rate[:40, 7], 100 * 78 / 565 / 40, rtol=1e-4)
    assert not frame[40:, 7].any()
    assert not frame[:, 8].any()


def test_gradient_keeps_the_mean(expose):
    frame = shut(expose, np.full((100, 8), 10.0), {"gradient": 5.65}, nx=8, ny=100)
    assert frame.mean() == pytest.approx(10, rel=1e-6)
    assert frame[-1, 0] - frame[0, 0] == pytest.approx(10 * 5.65 / 565 * 99 / 100, rel=1e-4)


def test_closed_shutter_changes_nothing(expose):
    rate = np.random.default_rng(1).uniform(0, 9, (50, 40))
    np.testing.assert_allclose(shut(expose, rate, {}), rate, rtol=1e-6)
