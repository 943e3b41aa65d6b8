import numpy as np
import pytest

STAGES = {"reference_pixels": {"border": 64}}


def frame(expose, shape, *names, **more):
    return expose(np.full(shape, 8), dit=1, stages=STAGES, elvis_block={"stages": ("reference_pixels", *names)}, **more)


def test_border_is_dark_and_the_rest_untouched(expose):
    image = frame(expose, (2048, 2048))
    assert (image[64:-64, 64:-64] == 8).all()
    assert np.count_nonzero(image) == (2048 - 128) ** 2


def test_border_has_dark_current(expose):
    assert frame(expose, (64, 64), "dark", dark=3.0) == pytest.approx(3.0)


@pytest.mark.parametrize(("x0", "y0"), [(0, 0), (40, 1900), (1000, 1000), (1900, 30)])
def test_window_shows_its_part_of_the_border(expose, x0, y0):
    part = np.s_[y0 : y0 + 100, x0 : x0 + 100]
    np.testing.assert_array_equal(frame(expose, (100, 100), x0=x0, y0=y0), frame(expose, (2048, 2048))[part])


def test_binned_border(expose):
    fine = frame(expose, (256, 128))
    binned = frame(expose, (128, 64), binning=2, nx=1024, ny=1024)
    np.testing.assert_allclose(binned, fine.reshape(128, 2, 64, 2).mean(axis=(1, 3)))
