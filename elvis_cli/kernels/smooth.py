"""Images smoothed by a Gaussian, and their peaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

BAND = 64
"""Rows that are smoothed along x before they are along y."""


def gaussian_taps(sigma: float) -> NDArray[np.float32]:
    """Return a Gaussian at 0, 1, ... pixels from its middle, to 4 sigma; with its mirror image its sum is 1."""
    taps = np.exp(-0.5 * np.square(np.arange(int(4.0 * sigma + 0.5) + 1) / sigma))
    return np.asarray(taps / (2.0 * taps.sum() - 1.0), np.float32)


@njit(nogil=True, cache=True)
def mirrored(i: int, n: int) -> int:
    """Return the pixel of a line of ``n`` that stands at place ``i``, which may be outside: d c b a | a b c d | d c."""
    i %= 2 * n
    return i if i < n else 2 * n - 1 - i


@njit(nogil=True, cache=True)
def gaussian(
    image: NDArray[np.float32],
    good: NDArray[np.bool_],
    level: float,
    taps: NDArray[np.float32],
    first: int,
    last: int,
    out: NDArray[np.float32],
) -> None:
    """Fill the rows ``first`` to ``last`` of ``out`` with an image less a ``level``, convolved with ``taps``.

    The image is mirrored at its borders; pixels that are not good count 0; all are if ``good`` is empty (0, 0).
    """
    ny, nx = image.shape
    reach, base, every = taps.size - 1, np.float32(level), good.size == 0
    source = np.empty(nx, np.float32)
    line, rows = np.empty(nx + 2 * reach, np.float32), np.empty((BAND + 2 * reach, nx), np.float32)
    for top in range(first, last, BAND):
        high = min(BAND, last - top)
        for r in range(high + 2 * reach):
            j = mirrored(top - reach + r, ny)
            for a in range(nx):
                source[a] = image[j, a] - base
            if not every:
                for a in range(nx):
                    value = source[a]
                    source[a] = value if good[j, a] else np.float32(0.0)
            line[reach : reach + nx] = source
            for a in range(reach):
                line[a] = source[mirrored(a - reach, nx)]
                line[nx + reach + a] = source[mirrored(nx + a, nx)]
            row, middle = rows[r], line[reach : reach + nx]
            for a in range(nx):
                row[a] = taps[0] * middle[a]
            for k in range(1, reach + 1):
                _add_pair(row, taps[k], line[reach - k : reach - k + nx], line[reach + k : reach + k + nx])
        for b in range(high):
            row, middle = out[top + b], rows[b + reach]
            for a in range(nx):
                row[a] = taps[0] * middle[a]
            for k in range(1, reach + 1):
                _add_pair(row, taps[k], rows[b + reach - k], rows[b + reach + k])


@njit(nogil=True, cache=True)
def _add_pair(row: NDArray[np.float32], tap: np.float32, low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
    for a in range(row.size):
        row[a] += tap * (low[a] + high[a])


@njit(nogil=True, cache=True)
def peaks(
    smooth: NDArray[np.float32],
    err: NDArray[np.float32],
    good: NDArray[np.bool_],
    taps: NDArray[np.float32],
    scale: float,
    threshold: float,
    half: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return columns and rows of the peaks of a smoothed image that are ``threshold`` above its noise, and how much.

    A peak is the highest within ``half`` pixels along both axes. The noise is ``scale`` times the root of the variance
    smoothed by ``taps``; less than half of the taps may fall on pixels that are not ``good``, which have none.
    """
    ny, nx = smooth.shape
    least = np.float32(np.inf)
    for j in range(ny):
        for i in range(nx):
            if good[j, i] and err[j, i] < least:
                least = err[j, i]
    lowest = np.float32(threshold * scale * least * 0.7)  # the root of a half
    x, y, ratio = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.float32)
    count = 0
    for j in range(ny):
        for i in range(nx):
            here = smooth[j, i]
            if not here > 0.0 or here < lowest or not _highest(smooth, i, j, half):
                continue
            var, weight = _smoothed(err, good, taps, i, j)
            noise = np.sqrt(var) * scale
            if weight <= 0.5 or noise <= 0.0 or here < threshold * noise:
                continue
            if count == x.size:
                x, y, ratio = np.append(x, x), np.append(y, y), np.append(ratio, ratio)
            x[count], y[count], ratio[count] = i, j, here / noise
            count += 1
    return x[:count], y[:count], ratio[:count]


@njit(nogil=True, cache=True)
def _highest(image: NDArray[np.float32], i: int, j: int, half: int) -> bool:
    """Return whether no pixel within ``half`` of one is higher."""
    ny, nx = image.shape
    for b in range(max(j - half, 0), min(j + half, ny - 1) + 1):
        for a in range(max(i - half, 0), min(i + half, nx - 1) + 1):
            if image[b, a] > image[j, i]:
                return False
    return True


@njit(nogil=True, cache=True)
def _smoothed(
    err: NDArray[np.float32], good: NDArray[np.bool_], taps: NDArray[np.float32], i: int, j: int
) -> tuple[float, float]:
    """Return the smoothed variance at a pixel, and the part of the taps that is on good pixels."""
    ny, nx = err.shape
    var, weight = 0.0, 0.0
    for v in range(1 - taps.size, taps.size):
        b = mirrored(j + v, ny)
        for u in range(1 - taps.size, taps.size):
            a = mirrored(i + u, nx)
            if good[b, a]:
                w = float(taps[abs(v)]) * float(taps[abs(u)])
                var += w * float(err[b, a]) ** 2
                weight += w
    return var, weight
