import numpy as np
import pytest

ONLY = {"stages": ("flat_field",)}


def test_response_has_its_rms_and_mean_one(expose):
    flat = expose(np.full((512, 512), 100), elvis_block=ONLY) / 1000
    assert flat.std(dtype=float) == pytest.approx(0.02, rel=0.01)
    assert flat.mean(dtype=float) == pytest.approx(1, abs=2e-4)


def test_fixed_on_the_chip(expose):
    rate = np.full((100, 80), 50)
    flat = expose(rate, elvis_block=ONLY)
    np.testing.assert_array_equal(flat, expose(rate, elvis_block=ONLY | {"seed": 5, "exposure": 9}))
    assert abs(np.corrcoef(flat.ravel(), expose(rate, chip=2, elvis_block=ONLY).ravel())[0, 1]) < 0.05
    assert abs(np.corrcoef(flat.ravel(), expose(rate, name="other", elvis_block=ONLY).ravel())[0, 1]) < 0.05


def test_window_is_the_cut_of_the_full_frame(expose):
    full = expose(np.full((300, 200), 10), elvis_block=ONLY)
    np.testing.assert_array_equal(expose(np.full((150, 90), 10), x0=17, y0=99, elvis_block=ONLY), full[99:249, 17:107])
