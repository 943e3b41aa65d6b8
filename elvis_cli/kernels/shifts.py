"""Drizzling of an exposure that is shifted against the grid, without scale and rotation, and back: `drizzle`, faster.

Within a tile the shift is one, so that the weights of a kernel are the same for all pixels: rows and columns are
summed one after another. Arguments are those of `drizzle`; pixels have the same area on the grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit
from elvis_cli.kernels.drizzle import ORDER, between, weight_at

TILE = 64
"""Pixels along the side of a tile."""
TAPS = 2 * ORDER
"""Pixels of an exposure, along an axis, of which a pixel of the grid is the sum."""


@njit(nogil=True, cache=True)
def _shift(
    places: NDArray[np.float64], origin: NDArray[np.float64], step: NDArray[np.float64], x: float, y: float, back: bool
) -> tuple[float, float]:
    """Return the shift (x, y) from the exposure to the grid at a pixel of the exposure, or ``back`` of the grid."""
    dx, dy = 0.0, 0.0
    for _ in range(3 if back else 1):
        i, j = (x - dx, y - dy) if back else (x, y)
        u, v = (i - origin[0]) / step[0], (j - origin[1]) / step[1]
        dx, dy = between(places, 0, u, v) - i, between(places, 1, u, v) - j
    return dx, dy


@njit(nogil=True, cache=True)
def _taps(kernel: NDArray[np.float32], fraction: float) -> NDArray[np.float32]:
    """Return the kernel at the six pixels about a place that is a ``fraction`` behind the third of them."""
    taps = np.empty(TAPS, np.float32)
    for k in range(TAPS):
        taps[k] = weight_at(kernel, abs(fraction + ORDER - 1 - k))
    return taps


@njit(nogil=True, cache=True)
def _line(values: NDArray[np.float32], good: NDArray[np.bool_], first: int, line: NDArray[np.float32]) -> None:
    """Fill a ``line`` with the good values of a row from ``first`` on, 0 where there are none."""
    low, high = max(-first, 0), min(values.size - first, line.size)
    line[:low] = 0.0
    line[max(high, low) :] = 0.0
    for a in range(low, high):
        value = values[first + a]
        line[a] = value if good[first + a] else np.float32(0.0)


@njit(nogil=True, cache=True)
def _along(line: NDArray[np.float32], w: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Fill ``out`` (n,) with the weighted sums of six neighbours of a ``line`` (n + 5,)."""
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    for a in range(out.size):
        out[a] = (
            w0 * line[a] + w1 * line[a + 1] + w2 * line[a + 2] + w3 * line[a + 3] + w4 * line[a + 4] + w5 * line[a + 5]
        )


@njit(nogil=True, cache=True)
def _across(lines: NDArray[np.float32], w: NDArray[np.float32], scale: np.float32, out: NDArray[np.float32]) -> None:
    """Add the weighted sums of six ``lines`` (6, n) times ``scale`` to ``out`` (n,)."""
    w0, w1, w2, w3, w4, w5 = w[0], w[1], w[2], w[3], w[4], w[5]
    l0, l1, l2, l3, l4, l5 = lines[0], lines[1], lines[2], lines[3], lines[4], lines[5]
    for a in range(out.size):
        out[a] += scale * (w0 * l0[a] + w1 * l1[a] + w2 * l2[a] + w3 * l3[a] + w4 * l4[a] + w5 * l5[a])


@njit(nogil=True, cache=True)
def lanczos(
    sci: NDArray[np.float32],
    var: NDArray[np.float32],
    good: NDArray[np.bool_],
    weight: float,
    places: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    kernel: NDArray[np.float32],
    first: int,
    last: int,
    sums: NDArray[np.float32],
) -> None:
    """Add an exposure to the rows ``first`` to ``last`` of ``sums`` (3, ny, nx): w f, w2 var, w, in place."""
    ny, nx = sci.shape
    length = TILE + TAPS - 1
    one, one2 = np.float32(weight), np.float32(weight**2)
    ones = np.ones(nx, np.float32)
    line, rows = np.empty(length, np.float32), np.empty((3, length, TILE), np.float32)
    for top in range(first, last, TILE):
        high = min(TILE, last - top)
        for left in range(0, sums.shape[2], TILE):
            wide = min(TILE, sums.shape[2] - left)
            dx, dy = _shift(places, origin, step, left + wide / 2.0, top + high / 2.0, True)
            i0, j0 = int(np.floor(left - dx)) - ORDER + 1, int(np.floor(top - dy)) - ORDER + 1
            if j0 >= ny or j0 + high + TAPS - 1 <= 0 or i0 >= nx or i0 + wide + TAPS - 1 <= 0:
                continue
            wx, wy = _taps(kernel, left - dx - np.floor(left - dx)), _taps(kernel, top - dy - np.floor(top - dy))
            part = line[: wide + TAPS - 1]
            for r in range(high + TAPS - 1):
                j = j0 + r
                if not 0 <= j < ny:
                    rows[:, r, :wide] = 0.0
                    continue
                _line(sci[j], good[j], i0, part)
                _along(part, wx, rows[0, r, :wide])
                _line(var[j], good[j], i0, part)
                _along(part, wx * wx, rows[1, r, :wide])
                _line(ones, good[j], i0, part)
                _along(part, wx, rows[2, r, :wide])
            for b in range(high):
                own = rows[:, b : b + TAPS]
                _across(own[0], wy, one, sums[0, top + b, left : left + wide])
                _across(own[1], wy * wy, one2, sums[1, top + b, left : left + wide])
                _across(own[2], wy, one, sums[2, top + b, left : left + wide])


@njit(nogil=True, cache=True)
def squares(
    sci: NDArray[np.float32],
    good: NDArray[np.bool_],
    places: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out`` (ny, nx) with an exposure on the grid, w f / w of `drizzle.squares`; NaN where it sees nothing."""
    ny, nx = sci.shape
    ones = np.ones(nx, np.float32)
    lines = np.empty((4, TILE + 1), np.float32)
    unit = np.float32(1.0)
    for top in range(0, out.shape[0], TILE):
        high = min(TILE, out.shape[0] - top)
        for left in range(0, out.shape[1], TILE):
            wide = min(TILE, out.shape[1] - left)
            dx, dy = _shift(places, origin, step, left + wide / 2.0, top + high / 2.0, True)
            x, y = int(np.floor(dx)), int(np.floor(dy))
            s, t = np.float32(dx - x), np.float32(dy - y)
            for b in range(top, top + high):
                for n in range(2):
                    j = b - y - 1 + n
                    if 0 <= j < ny:
                        _line(sci[j], good[j], left - x - 1, lines[2 * n, : wide + 1])
                        _line(ones, good[j], left - x - 1, lines[2 * n + 1, : wide + 1])
                    else:
                        lines[2 * n : 2 * n + 2] = 0.0
                light, total = t * lines[0] + (unit - t) * lines[2], t * lines[1] + (unit - t) * lines[3]
                row = out[b, left : left + wide]
                for a in range(wide):
                    w = s * total[a] + (unit - s) * total[a + 1]
                    f = s * light[a] + (unit - s) * light[a + 1]
                    row[a] = f / w if w > np.float32(0.0) else np.float32(np.nan)


@njit(nogil=True, cache=True)
def blot(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out``, an exposure's pixels, with the grid's ``image`` there, linear between its pixels, 0 outside."""
    ny, nx = image.shape
    every = np.ones(nx, np.bool_)
    lines = np.empty((2, TILE + 1), np.float32)
    unit = np.float32(1.0)
    for top in range(0, out.shape[0], TILE):
        high = min(TILE, out.shape[0] - top)
        for left in range(0, out.shape[1], TILE):
            wide = min(TILE, out.shape[1] - left)
            dx, dy = _shift(places, origin, step, left + wide / 2.0, top + high / 2.0, False)
            x, y = int(np.floor(dx)), int(np.floor(dy))
            s, t = np.float32(dx - x), np.float32(dy - y)
            for j in range(top, top + high):
                row, b = out[j, left : left + wide], j + y
                if b < 0 or j + dy > ny - 1:
                    row[:] = 0.0
                    continue
                _line(image[b], every, left + x, lines[0, : wide + 1])
                _line(image[min(b + 1, ny - 1)], every, left + x, lines[1, : wide + 1])
                value = (unit - t) * lines[0] + t * lines[1]
                for a in range(wide):
                    row[a] = (unit - s) * value[a] + s * value[a + 1]
                for a in range(max(min(-left - x, wide), 0)):
                    row[a] = 0.0
                for a in range(max(int(np.floor(nx - 1 - dx)) - left + 1, 0), wide):
                    row[a] = 0.0
