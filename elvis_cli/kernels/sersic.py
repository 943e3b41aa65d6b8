"""The Sersic profile on pixels."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def add_sersic(
    image: NDArray[np.float32],
    x: float,
    y: float,
    intensity: float,
    radius: float,
    exponent: float,
    b: float,
    ratio: float,
    cos: float,
    sin: float,
    core: float,
) -> None:
    """Add ``intensity`` * exp(-b ((r / radius)**exponent - 1)) to ``image`` (ny, nx), averaged over each pixel.

    r is the elliptical radius in pixels about (x, y): major axis along (cos, sin), minor axis shorter by ``ratio``.
    Nothing is added inside r < ``core``, whose light the caller places itself (the cusp cannot be sampled).
    """
    ny, nx = image.shape
    for j in range(ny):
        for i in range(nx):
            dx, dy = i - x, j - y
            near = max(abs(dx), abs(dy))
            parts = 1 if near > 48.0 else (3 if near > 16.0 else 9)
            total = 0.0
            for v in range(parts):
                sy = dy + (v + 0.5) / parts - 0.5
                for u in range(parts):
                    sx = dx + (u + 0.5) / parts - 0.5
                    major = sx * cos + sy * sin
                    minor = (sy * cos - sx * sin) / ratio
                    r = math.sqrt(major * major + minor * minor)
                    if r >= core:
                        total += math.exp(-b * ((r / radius) ** exponent - 1.0))
            image[j, i] += np.float32(intensity * total / (parts * parts))
