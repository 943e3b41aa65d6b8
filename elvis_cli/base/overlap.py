"""The exact area that a circle and pixels share."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats


def circle_below(x: Floats, y: Floats, radius: float) -> Floats:
    """Return the area of the circle about the origin that is left of each ``x`` (n,) and below each ``y`` (m,): (m, n).

    Left of x, columns of the circle reach from -s to min(y, s), with s(t) = sqrt(radius^2 - t^2) at abscissa t; y cuts
    them between -c and c, c = s(y).
    """
    u, v = np.clip(x / radius, -1.0, 1.0), np.clip(y / radius, -1.0, 1.0)[:, None]
    c, sign = np.sqrt(1.0 - v * v), np.sign(v)
    cut = v * (np.clip(u, -c, c) + c)
    whole = _half(np.minimum(u, -c)) + math.pi / 4 + _half(np.maximum(u, c)) - _half(c)
    return np.asarray(radius**2 * (cut + sign * whole + _half(u) + math.pi / 4))


def _half(t: Floats) -> Floats:
    """Return the area of the upper half of the unit circle between abscissae 0 and ``t``."""
    return 0.5 * (t * np.sqrt(1.0 - t * t) + np.arcsin(t))


def circle_on_pixels(shape: tuple[int, int], x: float, y: float, radius: float) -> Floats:
    """Return the area (ny, nx) that each pixel shares with the circle about (x, y); pixels are centred at integers."""
    columns, rows = (np.arange(n + 1, dtype=float) - 0.5 - at for n, at in ((shape[1], x), (shape[0], y)))
    return np.asarray(np.diff(np.diff(circle_below(columns, rows, radius), axis=0), axis=1))


def aperture_sum(image: NDArray[np.floating], x: float, y: float, radius: float) -> float:
    """Return the sum of ``image`` (ny, nx) inside the circle about (x, y), pixels at its border shared by area."""
    ny, nx = image.shape
    left, low = max(math.floor(x - radius), 0), max(math.floor(y - radius), 0)
    part = image[low : min(math.ceil(y + radius), ny - 1) + 1, left : min(math.ceil(x + radius), nx - 1) + 1]
    return float(np.sum(part * circle_on_pixels((part.shape[0], part.shape[1]), x - left, y - low, radius)))
