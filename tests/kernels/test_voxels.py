"""Pixels that tile a cube keep their light in its voxels."""

import numpy as np
import pytest

from elvis_cli.kernels import voxels


def tiles(shape, offset, size):
    """Boxes of ``size`` (wavelength, y, x) that tile a cube of ``shape`` voxels, from ``offset`` on."""
    axes = [np.arange(o, n - 1.5 - d, d) + d / 2 for n, o, d in zip(shape, offset, size, strict=True)]
    centres = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    return np.concatenate([centres, np.full_like(centres, 0.5) * size], axis=1).astype(np.float32)


def empty(shape):
    return (*(np.zeros(shape, np.float32) for _ in range(4)), np.zeros(shape, np.uint32))


def test_the_light_of_tiles_is_kept():
    """Whole voxels hold the mean of the densities that cover them: the sum over the inside is that of the pixels."""
    shape, size = (12, 9, 8), (0.9, 0.8, 1.1)
    boxes = tiles(shape, (1.7, 1.6, 1.8), size)
    density = np.random.default_rng(1).normal(10.0, 1.0, len(boxes)).astype(np.float32)
    total, weight, square, shared, bad = empty(shape)
    none = np.zeros(len(boxes), np.uint32)
    voxels.deposit(
        boxes, density, np.ones_like(density), none, 3.0, total, weight, square, shared, bad, 0, total.shape[0]
    )
    assert total.sum() == pytest.approx(3.0 * np.prod(size) * density.sum(dtype=float), rel=1e-5)
    inside = weight[3:9, 3:6, 3:5]
    assert inside == pytest.approx(3.0, rel=1e-5)
    # the sum of all voxels is that of all pixels, whose noise is their own; voxels alone have less
    assert (shared / 9.0).sum() == pytest.approx(len(boxes) * np.prod(size) ** 2, rel=1e-5)
    assert (square / 9.0).sum() < 0.7 * (shared / 9.0).sum()


def test_errors_count_each_pixel_by_its_share():
    """Two pixels with a half of a voxel each: the variance of their mean is half of one's."""
    shape = (3, 3, 3)
    boxes = np.array([[1, 1, 0.75, 0.5, 0.5, 0.25], [1, 1, 1.25, 0.5, 0.5, 0.25]], np.float32)
    total, weight, square, shared, bad = empty(shape)
    values, variance = np.array([4.0, 8.0], np.float32), np.full(2, 6.0, np.float32)
    voxels.deposit(
        boxes, values, variance, np.zeros(2, np.uint32), 1.0, total, weight, square, shared, bad, 0, total.shape[0]
    )
    assert total[1, 1, 1] / weight[1, 1, 1] == pytest.approx(6.0)
    assert square[1, 1, 1] / weight[1, 1, 1] ** 2 == pytest.approx(3.0)
    assert np.count_nonzero(weight) == 1
    assert shared[1, 1, 1] == pytest.approx(3.0)


def test_flagged_pixels_leave_their_flags_alone():
    shape = (3, 3, 3)
    boxes = np.array([[1, 1, 1, 0.5, 0.5, 0.5]], np.float32)
    total, weight, square, shared, bad = empty(shape)
    one = np.ones(1, np.float32)
    voxels.deposit(
        boxes, one, one, np.array([2], np.uint32), 1.0, total, weight, square, shared, bad, 0, total.shape[0]
    )
    assert not weight.any()
    assert not total.any()
    assert bad[1, 1, 1] == 2
    assert np.count_nonzero(bad) == 1
