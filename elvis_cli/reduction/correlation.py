"""Correlation of a product's noise: what resampling does to the errors of sums.

Drizzling leaves neighbouring pixels with noise in common, so that a sum of pixels has another error than the root of
the sum of their variances (Fruchter & Hook 2002, PASP 114, 144, section 7; Casertano et al. 2000, AJ 120, 2747,
appendix A). Both follow from the exposures' places and weights alone: the covariance of two pixels of the product is
the sum over the exposures' pixels of the products of their responses. Neither sources nor their haloes enter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.detection.apertures import SAMPLES, Correlation
from elvis_cli.reduction.combine import Drizzled, drizzle
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.grid import Grid, PixelMap
from elvis_cli.reduction.repair import inverse

LAG = 7
"""Pixels up to which two pixels of a product share noise: the reach of the widest kernel, and one."""
SPACING = 2 * LAG + 4
"""Pixels between single lit pixels, such that no two of them are within a lag of each other."""
CELLS = 3
"""Lit pixels of each exposure along a side: enough for the phases of a distorted field."""
RADII = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 16.0)
"""Radii of apertures (pixels) whose factors a product tells."""


def of_resampling(
    frames: Sequence[Frame], maps: Sequence[PixelMap], grid: Grid, kernel: str, pixfrac: float
) -> Correlation:
    """Return the correlation of a combination about the middle of what all exposures see.

    Single pixels of each exposure, apart from each other, are lit by the noise of their exposure's sky and combined as
    the exposures were: the autocorrelation of the result is the covariance.
    """
    covariance = _covariance(frames, maps, grid, kernel, pixfrac)
    factors = []
    for radius in RADII:
        overlap = _autocorrelation(_disc(radius))
        full = float(np.sum(overlap * covariance) / (overlap[LAG, LAG] * covariance[LAG, LAG]))
        factors.append(max(full, 0.0) ** 0.5)
    return Correlation(np.array(RADII), np.array(factors))


def _autocorrelation(image: Image) -> Image:
    """Return the autocorrelation of an image at lags of -LAG to LAG, (2 LAG + 1, 2 LAG + 1)."""
    shape = tuple(size + LAG for size in image.shape)
    full = np.fft.irfft2(np.abs(np.fft.rfft2(image, shape)) ** 2, shape)
    lags = np.arange(-LAG, LAG + 1)
    return np.asarray(full[np.ix_(lags, lags)])


def _disc(radius: float) -> Image:
    """Return an aperture, its rim by fractions of pixels."""
    side = 2 * math.ceil(radius) + 1
    fine = (np.arange(side * SAMPLES) + 0.5) / SAMPLES - side / 2
    inside = np.hypot(fine[:, None], fine) <= radius
    return np.asarray(inside.reshape(side, SAMPLES, side, SAMPLES).mean(axis=(1, 3)))


def _covariance(frames: Sequence[Frame], maps: Sequence[PixelMap], grid: Grid, kernel: str, pixfrac: float) -> Image:
    """Return the covariance of a pixel of the grid with its neighbours at lags of -LAG to LAG, any unit."""
    along = math.ceil(len(frames) ** 0.5)
    low, high = _common(maps, grid)
    cells = int(np.clip(np.min(high - low) // (along * SPACING), 1, CELLS))
    side = cells * along * SPACING
    corner = np.rint((low + high - side) / 2).astype(int)
    steps = np.arange(cells) * along * SPACING + SPACING // 2
    parts = []
    for n, (frame, place) in enumerate(zip(frames, maps, strict=True)):
        at = np.array([(x, y) for y in steps + n // along * SPACING for x in steps + n % along * SPACING], float)
        parts.append(_lit(frame, place, corner, at, side))
    return _autocorrelation(drizzle([part for part in parts if part is not None], (side, side), kernel, pixfrac)[0])


def _common(maps: Sequence[PixelMap], grid: Grid) -> tuple[Floats, Floats]:
    """Return two corners (x, y) of what all exposures see of a grid; of the whole grid if that is nothing."""
    corners = [place.places[[0, 0, -1, -1], [0, -1, 0, -1]] for place in maps]
    low = np.max([each.min(axis=0) for each in corners], axis=0)
    high = np.min([each.max(axis=0) for each in corners], axis=0)
    return (low, high) if np.all(high - low > SPACING) else (np.zeros(2), np.array(grid.shape[::-1], float))


def _lit(frame: Frame, place: PixelMap, corner: Floats, at: Floats, side: int) -> Drizzled | None:
    """Return the part of an exposure about a square of the grid, single pixels lit near places (n, 2) of the square."""
    ny, nx = frame.sci.shape
    corners = np.array([(x, y) for y in (-LAG, side + LAG) for x in (-LAG, side + LAG)], float)
    box = inverse(place, corners + corner)
    x0, y0 = np.clip(np.floor(box.min(axis=0)), 0, (nx, ny)).astype(int)
    x1, y1 = np.clip(np.ceil(box.max(axis=0)) + 1, 0, (nx, ny)).astype(int)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    sci = np.zeros((y1 - y0, x1 - x0), np.float32)
    column, row = np.rint(inverse(place, at + corner) - (x0, y0)).astype(int).T
    inside = (column >= 0) & (row >= 0) & (column < x1 - x0) & (row < y1 - y0)
    sci[row[inside], column[inside]] = frame.weight**-0.5
    place = place.cut(x0, y0, sci.shape, corner)
    return Drizzled(sci, np.ones_like(sci), np.ones(sci.shape, bool), frame.weight, place)
