"""Pixels of image slices to the voxels of a cube: each pixel is a box in wavelength and on the sky."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Values = NDArray[Any]
"""Of 32 or 64 bits."""
Boxes = NDArray[np.float32]
"""(n, 6): centre of each box along the cube's axes (wavelength, y, x), in voxels, and half of its sides."""


@njit(nogil=True, cache=True)
def boxes(
    wave: NDArray[np.float64],
    along: NDArray[np.float64],
    thick: NDArray[np.float64],
    inside: NDArray[np.bool_],
    middle: NDArray[np.float64],
    ends: tuple[float, float],
    slope: tuple[float, float],
    first: float,
    step: float,
    half: tuple[float, float],
) -> Boxes:
    """Return the boxes of the pixels (n, m) of a slice that are ``inside``.

    ``wave`` (um) is that of their middle, ``thick`` their length; planes begin at ``first`` and are a ``step`` apart.
    ``middle`` (k, 2) has the place of the slice's middle on the cube (y, x), in voxels, at wavelengths evenly between
    ``ends``; from there it goes by ``slope`` (y, x) an arcsec ``along`` the slice. ``half`` are half of the sides in y
    and x.
    """
    out = np.empty((np.count_nonzero(inside), 6), np.float32)
    scale = (middle.shape[0] - 1) / (ends[1] - ends[0])
    p = 0
    for row in range(wave.shape[0]):
        for k in range(wave.shape[1]):
            if not inside[row, k]:
                continue
            node = (wave[row, k] - ends[0]) * scale
            below = min(max(int(node), 0), middle.shape[0] - 2)
            part = node - below
            out[p, 0] = (wave[row, k] - first) / step
            out[p, 3] = thick[row, k] / 2.0 / step
            for axis in range(2):
                at = (1.0 - part) * middle[below, axis] + part * middle[below + 1, axis]
                out[p, 1 + axis] = at + slope[axis] * along[row, k]
                out[p, 4 + axis] = half[axis]
            p += 1
    return out


@njit(nogil=True, cache=True)
def densities(
    own: Boxes,
    sci: Values,
    var: Values,
    sky: NDArray[np.float64],
    good: NDArray[np.bool_],
    flags: NDArray[np.uint32],
    inside: NDArray[np.bool_],
    seconds: float,
    missing: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint32]]:
    """Return value, variance and flags (k,) of the boxes of the pixels (n, m) that are ``inside``.

    The value is ``sci`` without ``sky`` over the volume. The variance has the light of ``sci``, unclipped, so that
    the errors of sums are right where a pixel has few photons. Flags are 0 of pixels that are ``good``, of others
    theirs, or ``missing``.
    """
    size = own.shape[0]
    value, variance, dq = np.empty(size, np.float32), np.empty(size, np.float32), np.zeros(size, np.uint32)
    p = 0
    for row in range(sci.shape[0]):
        for k in range(sci.shape[1]):
            if not inside[row, k]:
                continue
            volume = 8.0 * own[p, 3] * own[p, 4] * own[p, 5]
            dark = var[row, k]
            value[p] = (sci[row, k] - sky[row, k]) / volume
            variance[p] = max(dark + sci[row, k] / seconds, dark / 4.0) / volume**2
            if not good[row, k]:
                dq[p] = flags[row, k] if flags[row, k] != 0 else missing
            p += 1
    return value, variance, dq


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
    bad: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """Add pixels to the planes from ``first`` to before ``last`` of a cube, in place.

    The weight of a pixel in a voxel is the part of the voxel that it covers, times its ``exposure``. ``total`` gets
    the weighted values, ``weight`` the weights and ``square`` the variances by the squares of the weights, each
    (wavelength, y, x); ``shared`` the variances by the weight and by the sum of the pixel's weights in all voxels, so
    that the sum of ``shared`` over ``weight`` squared is the variance of a sum of many voxels, whatever they share.
    Pixels with flags add theirs to ``bad``, and nothing else.
    """
    _, ny, nx = total.shape
    for p in range(value.size):
        z, dz = boxes[p, 0], boxes[p, 3]
        if z + dz < first - 0.5 or z - dz > last - 0.5:
            continue
        y, x, dy, dx = boxes[p, 1], boxes[p, 2], boxes[p, 4], boxes[p, 5]
        whole = 8.0 * dz * dy * dx * exposure * variance[p]
        for k in range(max(int(np.floor(z - dz + 0.5)), first), min(int(np.ceil(z + dz + 0.5)), last)):
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


@njit(nogil=True, cache=True)
def plane_sums(
    wave: NDArray[np.float64],
    thick: NDArray[np.float64],
    inside: NDArray[np.bool_],
    value: Values,
    variance: Values,
    good: NDArray[np.bool_],
    share: float,
    first: float,
    step: float,
    flux: NDArray[np.float64],
    noise: NDArray[np.float64],
    covered: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> None:
    """Add a ``share`` of the pixels (n, m) that are ``inside`` a slice to planes (k,), in place.

    ``wave`` (um) is that of their middle, ``thick`` their length; planes begin at ``first`` and are a ``step`` apart.
    ``flux`` gets the parts of ``value`` that are in each plane, ``noise`` those of ``variance``, by the square of the
    share, ``covered`` the parts of planes that pixels cover, ``seen`` those of ``good`` ones.
    """
    for row in range(wave.shape[0]):
        for k in range(wave.shape[1]):
            if not inside[row, k]:
                continue
            z, half = (wave[row, k] - first) / step, thick[row, k] / 2.0 / step
            for plane in range(max(int(np.floor(z - half + 0.5)), 0), min(int(np.ceil(z + half + 0.5)), flux.size)):
                part = min(z + half, plane + 0.5) - max(z - half, plane - 0.5)
                if part <= 0.0:
                    continue
                flux[plane] += share * value[row, k] * part / (2.0 * half)
                covered[plane] += share * part
                if good[row, k]:
                    noise[plane] += share**2 * variance[row, k] * part / (2.0 * half)
                    seen[plane] += share * part


@njit(nogil=True, cache=True)
def means(
    sci: NDArray[np.float32], err: NDArray[np.float32], dq: NDArray[Any], bad: int, mean: Values, error: Values
) -> None:
    """Fill the mean (y, x) of planes (k, y, x) without a flag of ``bad``, and its error; NaN where there is none."""
    planes, ny, nx = sci.shape
    total, square, count = np.zeros((ny, nx)), np.zeros((ny, nx)), np.zeros((ny, nx))
    for k in range(planes):
        for j in range(ny):
            for i in range(nx):
                if dq[k, j, i] & bad == 0:
                    total[j, i] += sci[k, j, i]
                    square[j, i] += err[k, j, i] ** 2
                    count[j, i] += 1.0
    for j in range(ny):
        for i in range(nx):
            some = count[j, i] > 0.0
            mean[j, i] = total[j, i] / count[j, i] if some else np.nan
            error[j, i] = np.sqrt(square[j, i]) / count[j, i] if some else np.nan
