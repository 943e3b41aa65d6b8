"""Pixels of image slices to the voxels of a cube: each pixel is a box in wavelength and on the sky."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Boxes = NDArray[np.float32]
"""(n, 6): centre of each box along the cube's axes (wavelength, y, x), in voxels, and half of its sides."""


@njit(nogil=True, cache=True)
def deposit(
    boxes: Boxes,
    value: NDArray[np.float32],
    variance: NDArray[np.float32],
    flags: NDArray[np.uint32],
    exposure: float,
    total: NDArray[np.float32],
    weight: NDArray[np.float32],
    square: NDArray[np.float32],
    shared: NDArray[np.float32],
    bad: NDArray[np.uint32],
) -> None:
    """Add pixels to a cube in place.

    The weight of a pixel in a voxel is the part of the voxel that it covers, times its ``exposure``. ``total`` gets
    the weighted values, ``weight`` the weights and ``square`` the variances by the squares of the weights, each
    (wavelength, y, x); ``shared`` the variances by the weight and by the sum of the pixel's weights in all voxels, so
    that the sum of ``shared`` over ``weight`` squared is the variance of a sum of many voxels, whatever they share.
    Pixels with flags add theirs to ``bad``, and nothing else.
    """
    nz, ny, nx = total.shape
    for p in range(value.size):
        z, y, x = boxes[p, 0], boxes[p, 1], boxes[p, 2]
        dz, dy, dx = boxes[p, 3], boxes[p, 4], boxes[p, 5]
        whole = 8.0 * dz * dy * dx * exposure * variance[p]
        for k in range(max(int(np.floor(z - dz + 0.5)), 0), min(int(np.ceil(z + dz + 0.5)), nz)):
            a = min(z + dz, k + 0.5) - max(z - dz, k - 0.5)
            if a <= 0.0:
                continue
            for j in range(max(int(np.floor(y - dy + 0.5)), 0), min(int(np.ceil(y + dy + 0.5)), ny)):
                b = min(y + dy, j + 0.5) - max(y - dy, j - 0.5)
                if b <= 0.0:
                    continue
                for i in range(max(int(np.floor(x - dx + 0.5)), 0), min(int(np.ceil(x + dx + 0.5)), nx)):
                    c = min(x + dx, i + 0.5) - max(x - dx, i - 0.5)
                    if c <= 0.0:
                        continue
                    if flags[p] != 0:
                        bad[k, j, i] |= flags[p]
                        continue
                    w = a * b * c * exposure
                    total[k, j, i] += w * value[p]
                    weight[k, j, i] += w
                    square[k, j, i] += w * w * variance[p]
                    shared[k, j, i] += w * whole
