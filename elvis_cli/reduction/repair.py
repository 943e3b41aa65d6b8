"""Flagged pixels of an exposure, filled from the other exposures, or else from their neighbours.

A hole in one exposure makes the kernel of the resampling lopsided around it, which costs a star whose core has the
hole half a percent of its light. Filled with what the others see there, the combination is that of the others. Where
none sees it, as between nods by the throw of the chopper, a star with a hole in its core would be 0.05 pixels off.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from elvis_cli.base.arrays import Floats
from elvis_cli.reduction.frame import DEAD, HOT, NO_LIGHT, SATURATED, Frame
from elvis_cli.reduction.grid import PixelMap

MIN_SEEN = 0.5
"""Part of the interpolation's kernel that must be good pixels."""
REACH = 3
"""Pixels to either side of a hole that a surface is fitted to."""
DEGREE = 4
"""Of the surface: it misses the peak of a Gaussian of FWHM 3, 5, 8.6 pixels by 5 %, 0.4 %, 0.02 %."""
MIN_GOOD = 30
"""Good pixels of the 48 about a hole that it takes."""
CHUNK = 4096
"""Holes that are filled at once."""


def fill(frames: Sequence[Frame], maps: Sequence[PixelMap], well_sampled: bool) -> list[NDArray[np.bool_]]:
    """Fill flagged pixels of frames without sky in place, flags stay; return which pixels of each were filled.

    The value is the mean of the m other exposures that see the place. The variance is (2 m + 1) / m of a pixel's, which
    gives the mean of all m + 1 the variance of the mean of m. What no other exposure sees is filled from its neighbours
    if the image is ``well_sampled``, but for pixels that light saturates, and those beside them. Pixels without light
    are not filled.
    """
    from elvis_cli.kernels.blot import lanczos

    good = [frame.good for frame in frames]
    repaired = []
    values: list[Floats] = []
    for a, (frame, place) in enumerate(zip(frames, maps, strict=True)):
        y, x = np.nonzero(~good[a] & ((frame.dq & np.uint32(NO_LIGHT)) == 0))
        on_grid, area = place.at(x, y), place.area_at(x, y)
        total, var, count = np.zeros(x.size), np.zeros(x.size), np.zeros(x.size)
        for b, (other, there) in enumerate(zip(frames, maps, strict=True)):
            if a == b:
                continue
            at = inverse(there, on_grid)
            value, seen = lanczos(other.sci, good[b], at[:, 0], at[:, 1]).T
            use = seen > MIN_SEEN
            scale = area / there.area_at(at[:, 0], at[:, 1])
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
    if well_sampled:
        for frame, fine, mask in zip(frames, good, repaired, strict=True):
            _fill_from_neighbours(frame, fine, mask)
    return repaired


def _fill_from_neighbours(frame: Frame, good: NDArray[np.bool_], mask: NDArray[np.bool_]) -> None:
    """Fill flagged pixels that are not in ``mask``, which is added to, by a polynomial through the pixels around.

    The value is linear in those pixels, so that its variance is the sum of theirs.
    """
    ny, nx = frame.sci.shape
    burnt = (frame.dq & np.uint32(SATURATED | HOT | DEAD)) == SATURATED  # a hot pixel's own dark may saturate it
    burnt = ndimage.binary_dilation(burnt, np.ones((3, 3), np.bool_))
    hole = ~good & ~mask & ~burnt & ((frame.dq & np.uint32(NO_LIGHT)) == 0)
    hole[:REACH], hole[ny - REACH :], hole[:, :REACH], hole[:, nx - REACH :] = False, False, False, False
    v, u = (each.ravel() for each in np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1])
    powers = [(a, b) for a in range(DEGREE + 1) for b in range(DEGREE + 1 - a)]
    design = np.stack([u**a * v**b for a, b in powers], axis=1).astype(float)
    near = np.exp(-(u**2.0 + v**2.0))
    rows, columns = np.nonzero(hole)
    for start in range(0, rows.size, CHUNK):
        y, x = rows[start : start + CHUNK], columns[start : start + CHUNK]
        around = y[:, None] + v, x[:, None] + u
        weight = good[around] * near
        enough = good[around].sum(axis=1) >= MIN_GOOD
        y, x, weight, around = y[enough], x[enough], weight[enough], (around[0][enough], around[1][enough])
        normal = np.einsum("ni,ij,ik->njk", weight, design, design)
        first = np.linalg.solve(normal, np.broadcast_to(np.eye(len(powers))[:, :1], (y.size, len(powers), 1)))
        share = weight * (first[:, :, 0] @ design.T)
        frame.sci[y, x] = np.sum(share * frame.sci[around], axis=1)
        frame.var[y, x] = np.sum(np.square(share) * frame.var[around], axis=1)
        mask[y, x] = True


def inverse(place: PixelMap, on_grid: Floats) -> Floats:
    """Return the pixels (n, 2) of an exposure that fall on places (n, 2) of the grid: Newton's method on its map."""
    middle = np.array([[place.shape[1] // 2, place.shape[0] // 2]], float)
    base = place.at(*middle.T)
    slope = np.concatenate([place.at(*(middle + step).T) - base for step in ((1.0, 0.0), (0.0, 1.0))]).T
    back = np.linalg.inv(slope).T
    at = middle + (on_grid - base) @ back
    for _ in range(3):
        at = at + (on_grid - place.at(*at.T)) @ back
    return np.asarray(at)


def _sample(image: NDArray[np.float32], at: Floats) -> Floats:
    """Return the values of the pixels nearest to places (n, 2)."""
    i = np.clip(np.rint(at[:, 0]).astype(np.int64), 0, image.shape[1] - 1)
    j = np.clip(np.rint(at[:, 1]).astype(np.int64), 0, image.shape[0] - 1)
    return np.asarray(image[j, i], np.float64)
