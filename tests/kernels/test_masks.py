"""Masks, samples and smoothing of images, beside SciPy's filters and NumPy's slices."""

import numpy as np
import pytest
from scipy import ndimage

from elvis_cli.detection import sources
from elvis_cli.kernels import masks
from elvis_cli.reduction.frame import sample

SHAPES = [(90, 130), (7, 200), (5, 5)]


def noise(shape, seed=1):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 0.7).astype("f4")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sigma", [0.6, 1.5, 4.0])
def test_an_image_is_smoothed_by_a_gaussian(shape, sigma):
    image = noise(shape)
    np.testing.assert_allclose(sources.smoothed(image, sigma), ndimage.gaussian_filter(image, sigma), atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_objects_are_opened_and_grown(shape):
    image = noise(shape)
    above = ndimage.binary_opening(image > 0.1)
    grown = ndimage.binary_dilation(above, iterations=3)
    np.testing.assert_array_equal(masks.without_specks(image, 0.1, 3), grown)


def test_samples_are_every_nth_good_pixel():
    image, good, mask = noise((60, 70)), noise((60, 70), 2) > -0.5, noise((60, 70), 3) > 0.3
    np.testing.assert_array_equal(sample(image, good, 100), image[good][:: good.sum() // 100])
    both = good & ~mask
    np.testing.assert_array_equal(sample(image, good, 100, mask), image[both][:: both.sum() // 100])
    assert sample(image, np.zeros_like(good), 100).size == 0


def test_empty_places_have_no_object_near():
    good, mask = noise((80, 90), 2) > -1.2, noise((80, 90), 3) > 1.0
    free = ndimage.minimum_filter(good & ~mask, size=5, mode="constant", cval=0)
    y, x = np.nonzero(free[3::4, 2::4])
    found = masks.clear_places(good, mask, 2, 2, 3, 4)
    np.testing.assert_array_equal(found, (4 * x + 2, 4 * y + 3))
    assert x.size > 20


def test_a_surface_through_boxes_is_subtracted():
    """A slope is the surface through its own means, but for the outer halves of the boxes at the border."""
    slope = np.add.outer(np.arange(120.0), 2 * np.arange(160.0)).astype("f4")
    rows, columns = np.arange(0, 120, 30), np.arange(0, 160, 40)
    good, mask = np.ones(slope.shape, bool), np.zeros(slope.shape, bool)
    good[7, 9], mask[50, 60] = False, True
    total, count = masks.box_sums(slope, good, mask, rows, columns)
    assert count.sum() == slope.size - 2
    left = slope.copy()
    masks.subtract_surface(left, total / count)
    assert np.abs(left[15:105, 20:140]).max() < 0.1


def test_blocks_have_the_means_of_their_clipped_pixels():
    image, good = noise((10, 9)), noise((10, 9), 2) > -0.5
    padded = np.zeros((12, 12))
    padded[:10, :9] = np.where(good, np.clip(image - 0.1, -0.5, 0.5), 0.0)
    means = masks.block_means(image, good, 0.1, 0.5, 4)
    np.testing.assert_allclose(means, padded.reshape(3, 4, 3, 4).mean(axis=(1, 3)), atol=1e-6)
