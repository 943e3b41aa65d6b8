"""Sources of an image that are near each other: neighbours, and diffraction of brighter ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Indices = NDArray[np.int64]


@njit(nogil=True, cache=True)
def _cells(
    x: NDArray[np.float64], y: NDArray[np.float64], side: float
) -> tuple[Indices, Indices, Indices, Indices, int, int]:
    """Return places by square cells: column and row of each place's cell, places in the cells' order, their starts.

    The cells of column c and row r are r * columns + c; the numbers of columns and rows follow.
    """
    column, row = ((x - x.min()) / side).astype(np.int64), ((y - y.min()) / side).astype(np.int64)
    columns, rows = column.max() + 1, row.max() + 1
    start = np.zeros(columns * rows + 1, np.int64)
    for k in range(x.size):
        start[row[k] * columns + column[k] + 1] += 1
    start = np.cumsum(start)
    order, filled = np.empty(x.size, np.int64), start[:-1].copy()
    for k in range(x.size):
        cell = row[k] * columns + column[k]
        order[filled[cell]] = k
        filled[cell] += 1
    return column, row, order, start, columns, rows


@njit(nogil=True, cache=True)
def neighbours(x: NDArray[np.float64], y: NDArray[np.float64], radius: float) -> Indices:
    """Return the pairs i, j (2, n), i not j, of places within ``radius`` of each other; i rises."""
    column, row, order, start, columns, rows = _cells(x, y, radius)
    pairs = np.empty((2, 0), np.int64)
    for counted in range(2):
        count = 0
        for i in range(x.size):
            for r in range(max(row[i] - 1, 0), min(row[i] + 1, rows - 1) + 1):
                low, high = max(column[i] - 1, 0), min(column[i] + 1, columns - 1)
                for at in range(start[r * columns + low], start[r * columns + high + 1]):
                    j = order[at]
                    if j != i and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 <= radius * radius:
                        if counted:
                            pairs[0, count], pairs[1, count] = i, j
                        count += 1
        if not counted:
            pairs = np.empty((2, count), np.int64)
    return pairs


@njit(nogil=True, cache=True)
def diffraction(
    smooth: NDArray[np.float32],
    x: Indices,
    y: Indices,
    significance: NDArray[np.float32],
    fwhm: float,
    reach: float,
    envelope: float,
    least: float,
) -> NDArray[np.bool_]:
    """Return which peaks (n,), the brightest first, are diffraction of a brighter one within ``reach`` FWHM.

    Diffraction is fainter than a tenth and than ``envelope`` times the third power of the FWHM over the distance; its
    reflection in the source is brighter than half of it and than ``least`` sigma.
    """
    ny, nx = smooth.shape
    fake, half = np.zeros(x.size, np.bool_), max(int(np.rint(fwhm / 2)), 1)
    column, row, order, start, columns, rows = _cells(x.astype(np.float64), y.astype(np.float64), reach * fwhm)
    for i in range(x.size):
        if fake[i]:
            continue
        for r in range(max(row[i] - 1, 0), min(row[i] + 1, rows - 1) + 1):
            low, high = max(column[i] - 1, 0), min(column[i] + 1, columns - 1)
            for at in range(start[r * columns + low], start[r * columns + high + 1]):
                j = order[at]
                distance = max(np.hypot(float(x[i] - x[j]), float(y[i] - y[j])) / fwhm, 0.1)
                brightest = min(0.1, envelope * distance**-3) * significance[i]
                if fake[j] or distance > reach or significance[j] > brightest:
                    continue
                u, v = 2 * x[i] - x[j], 2 * y[i] - y[j]
                if u >= nx or v >= ny:
                    continue
                limit = max(0.5, least / significance[j]) * smooth[y[j], x[j]]
                for b in range(max(v - half, 0), min(v + half, ny - 1) + 1):
                    for a in range(max(u - half, 0), min(u + half, nx - 1) + 1):
                        if smooth[b, a] > limit:
                            fake[j] = True
    return fake
