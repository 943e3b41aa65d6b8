"""Strips of a chip, one order of one aperture each: coordinates of their pixels (n, m)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def newton(a: Floats, b: Floats, low: Floats, first: Floats, second: Floats, at: NDArray[np.int64], m: int) -> Floats:
    """Return the parabolas (n, m) in Newton's form: low + (x - a) (first + (x - b) second), x = at, at + 1, ..."""
    out = np.empty((a.size, m))
    for row in range(a.size):
        for k in range(m):
            x = at[row] + k
            out[row, k] = (first[row] + (x - b[row]) * second[row]) * (x - a[row]) + low[row]
    return out


@njit(nogil=True, cache=True)
def cut(image: NDArray[Any], rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[Any]:
    """Return the pixels (n, m) of an image at ``rows`` (n,) and ``columns`` (n, m).

    Columns of a row follow each other, but that those beyond a border are the nearest to it.
    """
    m = columns.shape[1]
    out = np.empty(columns.shape, image.dtype)
    for n in range(rows.size):
        first, row = columns[n, 0], image[rows[n]]
        if columns[n, m - 1] - first == m - 1:
            out[n] = row[first : first + m]
            continue
        for k in range(m):
            out[n, k] = row[columns[n, k]]
    return out


@njit(nogil=True, cache=True)
def dispersion(wave: Floats, s: Floats) -> Floats:
    """Return the change of ``wave`` (n, m) from row to row where ``s`` stays: central differences, two rows or more.

    What changes along the columns by the tilt of the lines is taken away.
    """
    n, m = wave.shape
    out = np.empty((n, m))
    for row in range(n):
        before, after = max(row - 1, 0), min(row + 1, n - 1)
        for k in range(m):
            left, right = max(k - 1, 0), min(k + 1, m - 1)
            across = s[row, right] - s[row, left]
            down = wave[after, k] - wave[before, k]
            if across != 0.0:
                down -= (wave[row, right] - wave[row, left]) / across * (s[after, k] - s[before, k])
            out[row, k] = down / (after - before)
    return out


@njit(nogil=True, cache=True)
def surface(u: Floats, w: Floats, coefficients: Floats) -> Floats:
    """Return the polynomial (n, m) of ``u`` (n,) and ``w`` (n, m): c[a, b] u^a w^b."""
    n, m = w.shape
    terms, powers = coefficients.shape
    out = np.empty((n, m))
    along = np.empty(powers)
    for row in range(n):
        for b in range(powers):
            along[b] = 0.0
            for a in range(terms - 1, -1, -1):
                along[b] = along[b] * u[row] + coefficients[a, b]
        for k in range(m):
            value = 0.0
            for b in range(powers - 1, -1, -1):
                value = value * w[row, k] + along[b]
            out[row, k] = value
    return out
