import numpy as np
import pytest

STAGES = {"dead_pixels": {"fraction": 0.01}, "hot_pixels": {"fraction": 0.01, "low": 2, "high": 200}}


def frame(expose, shape, *names, **more):
    return expose(np.full(shape, 8), dit=1, stages=STAGES, elvis_block={"stages": ("dead_pixels", *names)}, **more)


def test_fraction_is_dead_and_the_rest_untouched(expose):
    image = frame(expose, (1024, 1024))
    assert set(np.unique(image)) == {0, 8}
    expected = 0.01 * image.size
    assert np.count_nonzero(image == 0) == pytest.approx(expected, abs=4 * expected**0.5)


def test_dead_pixels_have_no_dark_current(expose):
    dead = frame(expose, (256, 256)) == 0
    assert not frame(expose, (256, 256), "dark")[dead].any()


def test_dead_and_hot_pixels_are_different_ones(expose):
    dead = frame(expose, (512, 512)) == 0
    hot = expose(np.zeros((512, 512)), stages=STAGES, elvis_block={"stages": ("hot_pixels",)}) > 0
    assert np.count_nonzero(dead & hot) < 60  # 26 by chance


def test_binned_pixel_loses_the_share_of_its_dead_physical_pixels(expose):
    fine = frame(expose, (256, 128))
    binned = frame(expose, (128, 64), binning=2, nx=1024, ny=1024)
    np.testing.assert_allclose(binned, fine.reshape(128, 2, 64, 2).mean(axis=(1, 3)))
