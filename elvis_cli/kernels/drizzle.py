"""Drizzling of an exposure onto a grid, and the grid's image on an exposure's pixels (Fruchter & Hook 2002).

Where pixels fall is bilinear between nodes: `places` (rows, columns, 2), x and y on the grid, of nodes at
``origin`` + k ``step`` (x, y) pixels of the exposure; `area` is that of a pixel on the grid at the nodes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

ORDER = 3
"""Of the Lanczos kernel: pixels from its middle to its end."""
ENTRIES = 2048
"""Of the table of the kernel a pixel; linear between them, 3e-7 of its peak off."""


def table() -> NDArray[np.float32]:
    """Return the Lanczos kernel of order 3 at distances of 0, 1, ... / ENTRIES pixels, with zeros after its end."""
    distance = np.arange(ORDER * ENTRIES) / ENTRIES
    return np.append(np.sinc(distance) * np.sinc(distance / ORDER), np.zeros(2 * ENTRIES)).astype(np.float32)


@njit(nogil=True, cache=True)
def between(nodes: NDArray[np.float64], axis: int, u: float, v: float) -> float:
    """Return the value of ``nodes`` (rows, columns, axes) at the fractional column ``u`` and row ``v``."""
    k = min(max(int(u), 0), nodes.shape[1] - 2)
    m = min(max(int(v), 0), nodes.shape[0] - 2)
    s, t = u - k, v - m
    low = nodes[m, k, axis] * (1.0 - s) + nodes[m, k + 1, axis] * s
    high = nodes[m + 1, k, axis] * (1.0 - s) + nodes[m + 1, k + 1, axis] * s
    return float(low * (1.0 - t) + high * t)


@njit(nogil=True, cache=True)
def lanczos(
    sci: NDArray[np.float32],
    var: NDArray[np.float32],
    good: NDArray[np.bool_],
    weight: float,
    places: NDArray[np.float64],
    area: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    rows: NDArray[np.float64],
    stretch: float,
    kernel: NDArray[np.float32],
    first: int,
    last: int,
    sums: NDArray[np.float32],
) -> None:
    """Add an exposure to the rows ``first`` to ``last`` of ``sums`` (3, ny, nx): w f, w2 var, w, in place.

    w is ``weight`` times the kernel at the distances along x and y times ``stretch``; f is surface brightness, ``sci``
    over the pixel's area on the grid. ``rows`` (n, 2) are the lowest and highest y of each row of the exposure.
    """
    nx = sums.shape[2]
    reach = ORDER / stretch
    wx, wx2 = np.empty(64, np.float32), np.empty(64, np.float32)
    for j in range(sci.shape[0]):
        if rows[j, 1] + reach < first or rows[j, 0] - reach > last - 1:
            continue
        v = (j - origin[1]) / step[1]
        for i in range(sci.shape[1]):
            if not good[j, i]:
                continue
            u = (i - origin[0]) / step[0]
            y = between(places, 1, u, v)
            b0, b1 = max(int(np.ceil(y - reach)), first), min(int(np.floor(y + reach)), last - 1)
            if b1 < b0:
                continue
            x = between(places, 0, u, v)
            a0, a1 = max(int(np.ceil(x - reach)), 0), min(int(np.floor(x + reach)), nx - 1)
            for a in range(a0, a1 + 1):
                wx[a - a0] = weight_at(kernel, abs(a - x) * stretch)
                wx2[a - a0] = wx[a - a0] * wx[a - a0]
            scale = 1.0 / between(area, 0, u, v)
            for b in range(b0, b1 + 1):
                w = weight * weight_at(kernel, abs(b - y) * stretch)
                one = np.float32(w)
                value, variance = np.float32(w * sci[j, i] * scale), np.float32(w * w * var[j, i] * scale * scale)
                light, noise, total = sums[0, b], sums[1, b], sums[2, b]
                for a in range(a1 - a0 + 1):
                    light[a0 + a] += wx[a] * value
                    noise[a0 + a] += wx2[a] * variance
                    total[a0 + a] += wx[a] * one


@njit(nogil=True, cache=True)
def weight_at(kernel: NDArray[np.float32], distance: float) -> float:
    """Return the kernel at a distance, pixels."""
    at = distance * ENTRIES
    k = int(at)
    return float(kernel[k] + (kernel[k + 1] - kernel[k]) * (at - k))


@njit(nogil=True, cache=True)
def squares(
    sci: NDArray[np.float32],
    good: NDArray[np.bool_],
    places: NDArray[np.float64],
    area: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    side: float,
    sums: NDArray[np.float32],
) -> None:
    """Add an exposure to ``sums`` (2, ny, nx), w f and w, in place: the kernel turbo, whose pixels stay upright.

    w is what a square of ``side`` pixels of the grid about a pixel's place covers of each pixel of the grid.
    """
    ny, nx = sums.shape[1:]
    for j in range(sci.shape[0]):
        v = (j - origin[1]) / step[1]
        for i in range(sci.shape[1]):
            if not good[j, i]:
                continue
            u = (i - origin[0]) / step[0]
            x, y = between(places, 0, u, v) + 0.5, between(places, 1, u, v) + 0.5
            value = sci[j, i] / between(area, 0, u, v)
            x0, x1, y0, y1 = x - side / 2, x + side / 2, y - side / 2, y + side / 2
            for b in range(max(int(np.floor(y0)), 0), min(int(np.floor(y1)), ny - 1) + 1):
                high = min(y1, b + 1.0) - max(y0, float(b))
                for a in range(max(int(np.floor(x0)), 0), min(int(np.floor(x1)), nx - 1) + 1):
                    w = high * (min(x1, a + 1.0) - max(x0, float(a)))
                    if w > 0.0:
                        sums[0, b, a] += w * value
                        sums[1, b, a] += w


@njit(nogil=True, cache=True)
def blot(
    image: NDArray[np.float32],
    places: NDArray[np.float64],
    area: NDArray[np.float64],
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    out: NDArray[np.float32],
) -> None:
    """Fill ``out``, an exposure's pixels, with the flux of the grid's ``image`` there, linear between its pixels."""
    ny, nx = image.shape
    for j in range(out.shape[0]):
        v = (j - origin[1]) / step[1]
        for i in range(out.shape[1]):
            u = (i - origin[0]) / step[0]
            x, y = between(places, 0, u, v), between(places, 1, u, v)
            out[j, i] = 0.0
            if x < 0.0 or y < 0.0 or x > nx - 1 or y > ny - 1:
                continue
            a, b = min(int(x), nx - 2), min(int(y), ny - 2)
            s, t = x - a, y - b
            low = image[b, a] * (1.0 - s) + image[b, a + 1] * s
            high = image[b + 1, a] * (1.0 - s) + image[b + 1, a + 1] * s
            out[j, i] = (low * (1.0 - t) + high * t) * between(area, 0, u, v)
