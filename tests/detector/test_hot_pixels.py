import numpy as np
import pytest

from elvis_cli.errors import ResourceError

ONLY = {"stages": ("hot_pixels",)}
STAGES = {"hot_pixels": {"fraction": 0.01, "low": 2, "high": 200}}


def frame(expose, shape=(1024, 1024), **more):
    return expose(np.zeros(shape), stages=STAGES, elvis_block=ONLY | more.pop("elvis_block", {}), **more)


def test_fraction_and_currents(expose):
    hot = frame(expose, dit=10)
    currents = hot[hot > 0] / 10
    assert len(currents) == pytest.approx(0.01 * hot.size, abs=4 * (0.01 * hot.size) ** 0.5)
    assert currents.min() >= 2 * 0.999
    assert currents.max() <= 200 * 1.001
    assert np.median(currents) == pytest.approx(20, rel=0.06)  # the logarithm is uniform


def test_evenly_spread_over_the_chip(expose):
    hot = frame(expose) > 0
    expected = 0.01 * 256 * 256
    for part in hot.reshape(4, 256, 4, 256).sum(axis=(1, 3)).ravel():
        assert part == pytest.approx(expected, abs=4.5 * expected**0.5)


def test_fixed_on_the_chip_and_window_is_a_cut(expose):
    full = frame(expose, shape=(400, 300))
    np.testing.assert_array_equal(full, frame(expose, shape=(400, 300), elvis_block={"seed": 3, "exposure": 2}))
    np.testing.assert_array_equal(frame(expose, shape=(200, 100), x0=31, y0=70), full[70:270, 31:131])
    other = frame(expose, shape=(400, 300), chip=2)
    both = np.count_nonzero((full > 0) & (other > 0))
    assert both < 40  # 12 by chance


def test_binned_frame_shows_the_same_pixels(expose):
    fine = frame(expose, shape=(256, 128))
    binned = frame(expose, shape=(128, 64), binning=2, nx=1024, ny=1024)
    np.testing.assert_allclose(binned, fine.reshape(128, 2, 64, 2).sum(axis=(1, 3)), rtol=1e-6)


def test_window_at_the_end_of_a_chip_with_an_odd_number_of_rows(expose):
    full = frame(expose, shape=(100, 200), nx=200, ny=100)
    np.testing.assert_array_equal(frame(expose, shape=(10, 200), y0=90, nx=200, ny=100), full[90:])


def test_range_must_not_be_reversed(expose):
    with pytest.raises(ResourceError, match=r"stages\.hot_pixels: low = 5 is above high = 2"):
        expose(np.zeros((4, 4)), stages={"hot_pixels": {"fraction": 0.1, "low": 5, "high": 2}})
