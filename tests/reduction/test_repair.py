"""Holes that no other exposure sees are filled from their neighbours."""

import numpy as np
import pytest

from elvis_cli.reduction import repair
from elvis_cli.reduction.frame import HOT, SATURATED, Frame
from elvis_cli.reduction.grid import PixelMap


def star(fwhm, size=41):
    rows, columns = np.indices((size, size)) - size // 2
    return np.exp(-4 * np.log(2) * (rows**2 + columns**2) / fwhm**2).astype(np.float32)


def filled(fwhm, flag=HOT, well_sampled=True, beside=0):
    """Return the frame of a star with a hole in its core, filled, and the mask; ``beside``: flag of the next pixel."""
    sci = star(fwhm)
    dq = np.zeros(sci.shape, np.uint32)
    dq[20, 20], dq[20, 21] = flag, beside
    sci[20, 20] = 50.0
    frame = Frame(sci, np.ones_like(sci), dq, None)
    ends = np.array([0.0, 40.0])
    place = PixelMap(ends, ends, np.stack(np.meshgrid(ends, ends), axis=-1), np.ones((2, 2, 1)), sci.shape)
    mask = repair.fill([frame], [place], well_sampled)[0]
    return frame, mask


@pytest.mark.parametrize(("fwhm", "error"), [(8.6, 3e-4), (5.0, 5e-3), (3.0, 0.06)])
def test_the_core_of_a_star_is_interpolated(fwhm, error):
    frame, mask = filled(fwhm)
    assert frame.sci[20, 20] == pytest.approx(1.0, abs=error)
    assert mask.sum() == 1
    assert frame.dq[20, 20] == HOT
    assert 0.2 < frame.var[20, 20] < 2.0


def test_saturated_and_undersampled_cores_are_not():
    assert not filled(5.0, SATURATED)[1].any()
    assert not filled(5.0, well_sampled=False)[1].any()


def test_hot_pixels_that_the_sky_saturates_are():
    """METIS N: the dark of 3 % of the pixels and the sky are above the levels that are believed."""
    frame, mask = filled(8.6, HOT | SATURATED)
    assert mask.sum() == 1
    assert frame.sci[20, 20] == pytest.approx(1.0, abs=3e-4)
    assert not filled(8.6, HOT | SATURATED, beside=SATURATED)[1].any()
