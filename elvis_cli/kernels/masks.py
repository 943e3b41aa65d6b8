"""Pixels without objects: masks, samples of the sky and sums of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]


@njit(nogil=True, cache=True)
def without_specks(image: Image, limit: float, grow: int) -> Mask:
    """Return the pixels within ``grow`` steps along rows and columns of pluses whose five pixels are above ``limit``.

    That is a binary opening by the plus, followed by ``grow`` dilations.
    """
    ny, nx = image.shape
    least = np.float32(limit)
    steps = np.full((ny, nx), np.uint8(255))
    for j in range(1, ny - 1):
        low, here, high = image[j - 1], image[j], image[j + 1]
        for i in range(1, nx - 1):
            if here[i] > least and min(low[i], high[i], here[i - 1], here[i + 1]) > least:
                steps[j, i] = 0
    far, one = np.uint8(254), np.uint8(1)
    for j in range(ny):
        row = steps[j]
        if j > 0:
            before = steps[j - 1]
            for i in range(nx):
                row[i] = min(row[i], min(before[i], far) + one)
        for i in range(1, nx):
            row[i] = min(row[i], min(row[i - 1], far) + one)
    found = np.empty((ny, nx), np.bool_)
    for j in range(ny - 1, -1, -1):
        row = steps[j]
        if j < ny - 1:
            after = steps[j + 1]
            for i in range(nx):
                row[i] = min(row[i], min(after[i], far) + one)
        for i in range(nx - 2, -1, -1):
            row[i] = min(row[i], min(row[i + 1], far) + one)
        for i in range(nx):
            found[j, i] = row[i] <= grow + 1
    return found


@njit(nogil=True, cache=True)
def block_means(image: Image, good: Mask, middle: float, limit: float, side: int) -> Image:
    """Return the means of blocks of ``side`` x ``side`` pixels of an image less its ``middle``, within +-``limit``.

    Pixels that are not good count 0, as those beyond the border do.
    """
    ny, nx = image.shape
    means = np.zeros((-(-ny // side), -(-nx // side)), np.float32)
    part = np.float32(1.0 / (side * side))
    low, high, level = np.float32(-limit), np.float32(limit), np.float32(middle)
    for j in range(ny):
        row = means[j // side]
        for i in range(nx):
            if good[j, i]:
                row[i // side] += part * min(max(image[j, i] - level, low), high)
    return means


@njit(nogil=True, cache=True)
def every(image: Image, good: Mask, outside: Mask, step: int, out: Image) -> None:
    """Fill ``out`` with every ``step``-th good pixel that is not in the mask ``outside``, which may be empty (0, 0)."""
    at, count = 0, 0
    free = outside.size == 0
    for j in range(image.shape[0]):
        for i in range(image.shape[1]):
            if good[j, i] and (free or not outside[j, i]):
                if at % step == 0:
                    out[count] = image[j, i]
                    count += 1
                at += 1


@njit(nogil=True, cache=True)
def box_sums(
    image: Image, good: Mask, mask: Mask, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return sums and numbers of the good pixels outside a mask in boxes that begin at ``rows`` and ``columns``."""
    ny, nx = image.shape
    total, count = np.zeros((rows.size, columns.size)), np.zeros((rows.size, columns.size))
    for m in range(rows.size):
        for j in range(rows[m], rows[m + 1] if m + 1 < rows.size else ny):
            for n in range(columns.size):
                here, number = 0.0, 0
                for i in range(columns[n], columns[n + 1] if n + 1 < columns.size else nx):
                    if good[j, i] and not mask[j, i]:
                        here += image[j, i]
                        number += 1
                total[m, n] += here
                count[m, n] += number
    return total, count


@njit(nogil=True, cache=True)
def subtract_surface(image: Image, surface: NDArray[np.float64]) -> None:
    """Subtract a surface through the middles of boxes (rows, columns) from an image in place, bilinear."""
    ny, nx = image.shape
    rows, columns = surface.shape
    line, place, part = np.empty(columns), np.empty(nx, np.int64), np.empty(nx)
    for i in range(nx):
        u = min(max((i + 0.5) / nx * columns - 0.5, 0.0), columns - 1.0)
        place[i] = max(min(int(u), columns - 2), 0)
        part[i] = u - place[i]
    for j in range(ny):
        v = min(max((j + 0.5) / ny * rows - 0.5, 0.0), rows - 1.0)
        m = max(min(int(v), rows - 2), 0)
        for n in range(columns):
            line[n] = surface[m, n] + (surface[min(m + 1, rows - 1), n] - surface[m, n]) * (v - m)
        for i in range(nx):
            n = place[i]
            image[j, i] -= np.float32(line[n] + (line[min(n + 1, columns - 1)] - line[n]) * part[i])


@njit(nogil=True, cache=True)
def clear_places(
    good: Mask, mask: Mask, reach: int, x0: int, y0: int, step: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return columns and rows, every ``step`` from x0, y0, about which all within ``reach`` is good and no object's."""
    ny, nx = good.shape
    most, count = (ny // step + 1) * (nx // step + 1), 0
    x, y = np.empty(most, np.int64), np.empty(most, np.int64)
    for j in range(y0, ny - reach, step):
        for i in range(x0, nx - reach, step):
            if j < reach or i < reach:
                continue
            if np.all(good[j - reach : j + reach + 1, i - reach : i + reach + 1]) and not np.any(
                mask[j - reach : j + reach + 1, i - reach : i + reach + 1]
            ):
                x[count], y[count] = i, j
                count += 1
    return x[:count], y[:count]
