"""A picture on the pixels of a chip."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


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
    """Set ``image`` (ny, nx), which begins at row ``row``, to ``picture`` (my, mx), shared bilinearly between pixels.

    The element of the picture under pixel (x, y) is (x0 + ux x - uy y, y0 + uy x + ux y), bilinear between elements,
    0 outside; each pixel is the mean of samples, ``parts`` a pixel and axis, weighted by 1 - |distance| on each axis.
    """
    ny, nx = image.shape
    my, mx = picture.shape
    far = abs(ux) + abs(uy)  # of the farthest sample of a pixel
    for j in range(ny):
        for i in range(nx):
            total = 0.0
            u, v = x0 + ux * i - uy * (row + j), y0 + uy * i + ux * (row + j)
            if not (-1.0 - far < u < mx + far and -1.0 - far < v < my + far):
                image[j, i] = 0.0
                continue
            for b in range(2 * parts):
                dy = (b + 0.5) / parts - 1.0
                y = row + j + dy
                for a in range(2 * parts):
                    dx = (a + 0.5) / parts - 1.0
                    x = i + dx
                    share = (1.0 - abs(dx)) * (1.0 - abs(dy))
                    u, v = x0 + ux * x - uy * y, y0 + uy * x + ux * y
                    if -1.0 < u < mx and -1.0 < v < my:
                        iu, iv = math.floor(u), math.floor(v)
                        tu, tv = u - iu, v - iv
                        for q in range(2):
                            for p in range(2):
                                m, n = iu + p, iv + q
                                if 0 <= m < mx and 0 <= n < my:
                                    w = (tu if p else 1.0 - tu) * (tv if q else 1.0 - tv)
                                    total += share * w * picture[n, m]
            image[j, i] = np.float32(total / (parts * parts))
