import numpy as np
import pytest

FULL = {"bleeding": {"full_well": 1000}}


def bled(expose, rate, **changes):
    frame = expose(rate, kind="ccd", dit=1, stages=FULL, elvis_block={"stages": ("bleeding",)}, **changes)
    return frame.astype(float)


def test_half_goes_up_and_half_goes_down(expose):
    rate = np.zeros((21, 3))
    rate[10, 1] = 5200
    frame = bled(expose, rate)
    np.testing.assert_array_equal(frame[8:13, 1], 1000)
    np.testing.assert_array_equal(frame[[7, 13], 1], 100)
    assert frame.sum() == 5200


def test_charge_is_conserved_and_only_columns_change(expose):
    rate = np.random.default_rng(1).gamma(0.05, 2000, (400, 200))
    frame = bled(expose, rate)
    rate = rate.astype(np.float32).astype(float)
    assert frame.max() <= 1000
    inside = (frame[0] < 1000) & (frame[-1] < 1000)
    np.testing.assert_allclose(frame.sum(axis=0)[inside], rate.sum(axis=0)[inside], rtol=1e-5)
    calm = rate.max(axis=0) <= 1000
    np.testing.assert_array_equal(frame[:, calm], rate[:, calm])


def test_what_runs_over_the_edge_is_lost(expose):
    rate = np.zeros((4, 1))
    rate[1] = 1e5
    np.testing.assert_array_equal(bled(expose, rate), 1000)


@pytest.mark.parametrize("level", [0, 999, 1000])
def test_below_the_full_well_nothing_happens(expose, level):
    np.testing.assert_array_equal(bled(expose, np.full((40, 40), level)), level)
