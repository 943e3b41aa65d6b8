"""Surface-brightness templates on pixels."""

import math

import numpy as np
import pytest

from elvis_cli.scene import image_template
from tests.each import each


@pytest.mark.parametrize("factor", [1.7, 3.0, 12.34])
def test_coarsening_keeps_every_photon_and_the_middle(factor):
    image = np.random.default_rng(1).random((57, 80)).astype(np.float32)
    coarse = image_template.coarsen(image, factor)
    assert coarse.sum(dtype=float) == pytest.approx(image.sum(dtype=float), rel=1e-5)
    for axis in (0, 1):
        fine = (image.sum(axis=1 - axis) * (np.arange(image.shape[axis]) - (image.shape[axis] - 1) / 2)).sum()
        wide = (coarse.sum(axis=1 - axis) * (np.arange(coarse.shape[axis]) - (coarse.shape[axis] - 1) / 2)).sum()
        assert wide * factor / image.sum() == pytest.approx(fine / image.sum(), abs=0.03 * factor)


@each("scale", [0.03, 0.3, 0.5, 0.7, 1.0, 2.3])
@each("angle", [0.0, 0.3, 2.0])
def test_no_light_is_lost(scale, angle):
    image = np.random.default_rng(2).random((20, 14)).astype(np.float32)
    result = image_template.on_pixels(image, scale, 40.3, 39.6, angle, (80, 80))
    assert result.sum(dtype=float) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_a_uniform_picture_stays_uniform(scale):
    size = round(200 / scale)
    result = image_template.on_pixels(np.ones((size, size), np.float32), scale, 20.2, 19.9, 0.4, (40, 40))
    np.testing.assert_allclose(result, 1 / (size * scale) ** 2, rtol=2e-6)


def test_a_point_lands_where_it_should():
    """An element 10 right and 4 above the middle, turned by 30 deg about pixel (40.25, 39.5), scale 2."""
    image = np.zeros((21, 31), np.float32)
    image[14, 25] = 1.0
    result = image_template.on_pixels(image, 2.0, 40.25, 39.5, math.radians(30), (90, 90)).astype(float)
    y, x = np.indices(result.shape)
    cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))
    assert (result * x).sum() / result.sum() == pytest.approx(40.25 + 2 * (10 * cos - 4 * sin), abs=0.02)
    assert (result * y).sum() / result.sum() == pytest.approx(39.5 + 2 * (10 * sin + 4 * cos), abs=0.02)
