"""Light that crossed the ends of slices: the best linear guess of it in each row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def _solve(matrix: Floats, right: Floats) -> None:
    """Replace ``right`` (m, k) by the solution for a symmetric positive ``matrix`` (m, m): Cholesky's, in place."""
    size = matrix.shape[0]
    for i in range(size):
        for j in range(i + 1):
            value = matrix[i, j]
            for n in range(j):
                value -= matrix[i, n] * matrix[j, n]
            matrix[i, j] = np.sqrt(value) if i == j else value / matrix[j, j]
    for k in range(right.shape[1]):
        for i in range(size):
            value = right[i, k]
            for n in range(i):
                value -= matrix[i, n] * right[n, k]
            right[i, k] = value / matrix[i, i]
        for i in range(size - 1, -1, -1):
            value = right[i, k]
            for n in range(i + 1, size):
                value -= matrix[n, i] * right[n, k]
            right[i, k] = value / matrix[i, i]


@njit(nogil=True, cache=True)
def power(data: Floats, noise: Floats, unknown: float, windows: tuple[int, ...], sure: float) -> NDArray[np.float64]:
    """Return the mean square (n,) of the light in pixels (n, m), as far as it is surely more than noise.

    The light is the mean of several rows, the variance of ``noise`` goes down with them: the largest of several
    ``windows`` (odd) counts, that of few rows where lines are bright, that of many where a continuum is faint. Pixels
    with the variance ``unknown`` do not count; light is what is above the noise by ``sure`` of its own scatter.
    """
    rows, size = data.shape
    sums = np.zeros((rows + 1, size, 3))
    for y in range(rows):
        for k in range(size):
            sums[y + 1, k] = sums[y, k]
            if noise[y, k] < unknown:
                sums[y + 1, k, 0] += data[y, k]
                sums[y + 1, k, 1] += noise[y, k]
                sums[y + 1, k, 2] += 1.0
    out = np.zeros(rows)
    more = 1.0 + sure * np.sqrt(2.0 / size)
    for window in windows:
        for y in range(rows):
            low, high = max(y - window // 2, 0), min(y + window // 2 + 1, rows)
            light = 0.0
            for k in range(size):
                count = sums[high, k, 2] - sums[low, k, 2]
                if count > 0.0:
                    mean = (sums[high, k, 0] - sums[low, k, 0]) / count
                    light += mean * mean - more * (sums[high, k, 1] - sums[low, k, 1]) / count**2
            out[y] = max(out[y], light / size)
    return out


@njit(nogil=True, cache=True)
def restored(
    data: Floats,
    noise: Floats,
    power: Floats,
    between: Floats,
    even: Floats,
    crossed: Floats,
    crossed_even: Floats,
    last: int,
    known: float,
    free: float,
) -> tuple[Floats, Floats]:
    """Return the light (n, k) of the last k pixels of a slice, the last first, as if nothing crossed its end.

    ``data`` (n, m) are pixels across the end, that at ``last`` the slice's last, with the variance ``noise``; also
    returns that of the result. The light on either side of the end is taken to be random, of the ``power`` (n, 2),
    below 0 where there is none: times ``between`` (2, m, m) it is the covariance of pixels, times ``crossed`` (2, k, m)
    that with what crosses. To that comes light that is the same in all pixels, which are then ``even`` (2, m) and what
    crosses ``crossed_even`` (2, k); its variance is ``free`` times as large. The guess is the linear one of least
    variance, if the data had ``known`` times less variance than they have.
    """
    rows, size = data.shape
    count = crossed.shape[1]
    out, variance = np.empty((rows, count)), np.empty((rows, count))
    matrix, right = np.empty((size, size)), np.empty((size, count))
    for y in range(rows):
        level = noise[y].min() / known
        matrix[:], right[:] = 0.0, 0.0
        for side in range(2):
            own = power[y, side]
            if own < 0.0:
                continue
            same = free * (own + level)
            for i in range(size):
                for j in range(i + 1):
                    matrix[i, j] += own * between[side, i, j] + same * even[side, i] * even[side, j]
                for k in range(count):
                    right[i, k] += own * crossed[side, k, i] + same * crossed_even[side, k] * even[side, i]
        for i in range(size):
            matrix[i, i] += noise[y, i] / known
        _solve(matrix, right)
        for k in range(count):
            right[last - k, k] += 1.0
            out[y, k], variance[y, k] = 0.0, 0.0
            for i in range(size):
                out[y, k] += right[i, k] * data[y, i]
                variance[y, k] += right[i, k] ** 2 * noise[y, i]
    return out, variance
