"""Flagged pixels of an exposure, filled from the other exposures.

A hole in one exposure makes the kernel of the resampling lopsided around it, which costs a star whose core has the
hole half a percent of its light. Filled with what the others see there, the combination is that of the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.reduction.frame import NO_LIGHT, Frame
from elvis_cli.reduction.grid import PixelMap

MIN_SEEN = 0.5
"""Part of the interpolation's kernel that must be good pixels."""


def fill(frames: Sequence[Frame], maps: Sequence[PixelMap]) -> list[NDArray[np.bool_]]:
    """Fill flagged pixels of frames without sky in place, flags stay; return which pixels of each were filled.

    The value is the mean of the m other exposures that see the place. The variance is (2 m + 1) / m of a pixel's, which
    gives the mean of all m + 1 the variance of the mean of m. Pixels without light, and those that no other exposure
    sees, are not filled.
    """
    from elvis_cli.kernels.blot import lanczos

    good = [frame.good for frame in frames]
    repaired = []
    values: list[Floats] = []
    for a, (frame, place) in enumerate(zip(frames, maps, strict=True)):
        y, x = np.nonzero(~good[a] & ((frame.dq & np.uint32(NO_LIGHT)) == 0))
        on_grid = place.pixels[y, x]
        total, var, count = np.zeros(x.size), np.zeros(x.size), np.zeros(x.size)
        for b, (other, there) in enumerate(zip(frames, maps, strict=True)):
            if a == b:
                continue
            at = inverse(there, on_grid)
            value, seen = lanczos(other.sci, good[b], at[:, 0], at[:, 1]).T
            use = seen > MIN_SEEN
            scale = 1.0 if there.area is None or place.area is None else place.area[y, x] / _sample(there.area, at)
            total += np.where(use, value * scale, 0.0)
            var += np.where(use, _sample(other.var, at) * scale**2, 0.0)
            count += use
        filled = count > 0
        mask = np.zeros(frame.sci.shape, np.bool_)
        mask[y[filled], x[filled]] = True
        repaired.append(mask)
        m = count[filled]
        values.append(np.stack([total[filled] / m, var[filled] / m * (2 * m + 1) / m]))
    for frame, mask, (value, variance) in zip(frames, repaired, values, strict=True):
        frame.sci[mask] = value
        frame.var[mask] = variance
    return repaired


def inverse(place: PixelMap, on_grid: Floats) -> Floats:
    """Return the pixels (n, 2) of an exposure that fall on places (n, 2) of the grid: Newton's method on its map."""
    ny, nx = place.pixels.shape[:2]
    j, i = ny // 2, nx // 2
    slope = np.stack([place.pixels[j, i] - place.pixels[j, i - 1], place.pixels[j, i] - place.pixels[j - 1, i]], axis=1)
    back = np.linalg.inv(slope)
    at = (on_grid - place.pixels[j, i]) @ back.T + np.array([i, j])
    for _ in range(2):
        column = np.clip(np.floor(at[:, 0]).astype(np.int64), 0, nx - 2)
        row = np.clip(np.floor(at[:, 1]).astype(np.int64), 0, ny - 2)
        base = place.pixels[row, column]
        part = at - np.stack([column, row], axis=1)
        right, up = place.pixels[row, column + 1] - base, place.pixels[row + 1, column] - base
        at = at + (on_grid - base - part[:, :1] * right - part[:, 1:] * up) @ back.T
    return np.asarray(at)


def _sample(image: NDArray[np.float32], at: Floats) -> Floats:
    """Return the values of the pixels nearest to places (n, 2)."""
    i = np.clip(np.rint(at[:, 0]).astype(np.int64), 0, image.shape[1] - 1)
    j = np.clip(np.rint(at[:, 1]).astype(np.int64), 0, image.shape[0] - 1)
    return np.asarray(image[j, i], np.float64)
