"""Response that varies within a pixel, on an image that is sampled by pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def respond(
    image: NDArray[np.float32],
    out: NDArray[np.float32],
    first: int,
    last: int,
    key: np.uint64,
    rms: float,
    centre: float,
    x0: int,
    y0: int,
) -> None:
    """Write rows ``first``..``last`` of what pixels detect of ``image`` (y, x) to ``out``.

    Within a pixel (-1/2 < u, v < 1/2) the response is
    1 + a sqrt(12) u + b sqrt(12) v + centre (1 - 6 (u^2 + v^2)),
    with a and b deviates (the sum of two even ones each) of standard deviation rms / sqrt(2), fixed by ``key`` and the
    pixel's place (x0 + x, y0 + y) on the chip: its mean is 1, ``rms`` the standard deviation of its slopes' part,
    ``centre`` what the middle gains on the mean. The light within a pixel is the quadratic through its neighbours: the
    integral of both is S + (a dS/du + b dS/dv) / sqrt(12) - centre / 60 (d2S/du2 + d2S/dv2).
    """
    ny, nx = image.shape
    scale = rms / np.sqrt(2.0) / np.sqrt((65536.0**2 - 1) / 6.0) / np.sqrt(12.0)
    word, mean = np.uint64(0xFFFF), np.int64(65535)
    for j in range(first, last):
        up, down = min(j + 1, ny - 1), max(j - 1, 0)
        for i in range(nx):
            right, left = min(i + 1, nx - 1), max(i - 1, 0)
            z = key + ((np.uint64(y0 + j) << np.uint64(32)) | np.uint64(x0 + i)) * np.uint64(0x9E3779B97F4A7C15)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z = z ^ (z >> np.uint64(31))
            a = np.int64((z & word) + ((z >> np.uint64(16)) & word)) - mean
            b = np.int64(((z >> np.uint64(32)) & word) + (z >> np.uint64(48))) - mean
            middle = image[j, i]
            slope = a * (image[j, right] - image[j, left]) + b * (image[up, i] - image[down, i])
            curve = image[j, right] + image[j, left] + image[up, i] + image[down, i] - 4.0 * middle
            out[j, i] = middle + scale / 2.0 * slope - centre / 60.0 * curve
