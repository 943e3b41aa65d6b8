"""A picture on the pixels of a chip."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def sample(
    image: NDArray[np.float32],
    row: int,
    picture: NDArray[np.float32],
    x0: float,
    y0: float,
    ux: float,
    uy: float,
    parts: int,
) -> None:
    """Set ``image`` (ny, nx), which begins at row ``row``, to the mean of ``picture`` (my, mx) over each pixel.

    The element of the picture under pixel (x, y) is (x0 + ux x - uy y, y0 + uy x + ux y), bilinear between elements,
    0 outside; each pixel is the mean of ``parts``^2 samples.
    """
    ny, nx = image.shape
    my, mx = picture.shape
    for j in range(ny):
        for i in range(nx):
            total = 0.0
            for b in range(parts):
                y = row + j + (b + 0.5) / parts - 0.5
                for a in range(parts):
                    x = i + (a + 0.5) / parts - 0.5
                    u, v = x0 + ux * x - uy * y, y0 + uy * x + ux * y
                    if -1.0 < u < mx and -1.0 < v < my:
                        iu, iv = math.floor(u), math.floor(v)
                        tu, tv = u - iu, v - iv
                        for q in range(2):
                            for p in range(2):
                                m, n = iu + p, iv + q
                                if 0 <= m < mx and 0 <= n < my:
                                    w = (tu if p else 1.0 - tu) * (tv if q else 1.0 - tv)
                                    total += w * picture[n, m]
            image[j, i] = np.float32(total / (parts * parts))
