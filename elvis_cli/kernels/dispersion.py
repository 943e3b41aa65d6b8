"""Spectra onto pixels: sums of products, read through the inverse of a trace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def outer(out: Image, profiles: Image, spectra: Image) -> None:
    """Add sum_r profiles[r, i] spectra[r, j] to ``out`` (ns, np)."""
    for i in range(out.shape[0]):
        line = out[i]
        for r in range(profiles.shape[0]):
            a = profiles[r, i]
            if a != 0.0:
                row = spectra[r]
                for j in range(line.size):
                    line[j] += a * row[j]


@njit(cache=True, nogil=True)
def between(out: Image, spectra: Image, below: NDArray[np.int64], low: Image, high: Image) -> None:
    """Write low[j] spectra[i, below[j]] + high[j] spectra[i, below[j] + 1] to out[i, j]."""
    for i in range(out.shape[0]):
        row, line = spectra[i], out[i]
        for j in range(line.size):
            k = below[j]
            line[j] = row[k] * low[j] + row[k + 1] * high[j]


@njit(cache=True, nogil=True)
def sums_up_to(values: NDArray[Any], low: NDArray[np.int64], part: Floats) -> Floats:
    """Return the sums (a, b, k) of ``values`` (a, b, n) before places low + part of the last axis, linear between."""
    out, sums = np.empty((values.shape[0], values.shape[1], low.size)), np.zeros(values.shape[2] + 1)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            line = values[i, j]
            for m in range(line.size):
                sums[m + 1] = sums[m] + line[m]
            for k in range(low.size):
                out[i, j, k] = sums[low[k]] * (1.0 - part[k]) + sums[low[k] + 1] * part[k]
    return out


@njit(cache=True, nogil=True)
def moved(
    out: Image,
    spectra: Image,
    which: NDArray[np.int64],
    hats: Image,
    hat: NDArray[np.int64],
    shift: Floats,
    at: Floats,
) -> None:
    """Write spectra[which[r]] times hats[hat[r]], moved by ``shift[r]`` samples, at ``at`` (samples), to out[r].

    Linear between samples, 0 outside.
    """
    count = spectra.shape[1]
    for r in range(out.shape[0]):
        row, weight, line = spectra[which[r]], hats[hat[r]], out[r]
        for j in range(at.size):
            place = at[j] - shift[r]
            k = math.floor(place)
            if 0 <= k < count - 1:
                t = np.float32(place - k)
                value = (np.float32(1.0) - t) * row[k] + t * row[k + 1]
                line[j] = value * ((np.float32(1.0) - t) * weight[k] + t * weight[k + 1])


# As in `stamp`: a kernel kept on disk does not notice when one that it imports from elsewhere changes.
@njit(cache=True, nogil=True)
def _cubic(t):  # type: ignore[no-untyped-def]
    """Return the four Catmull-Rom weights at fraction ``t`` between the second and third sample."""
    return (
        t * (-0.5 + t * (1.0 - 0.5 * t)),
        1.0 + t * t * (-2.5 + 1.5 * t),
        t * (0.5 + t * (2.0 - 1.5 * t)),
        t * t * (-0.5 + 0.5 * t),
    )


@njit(cache=True, nogil=True)
def _places(
    s: Floats, p: Floats, density: Floats, y: int, x: int, step: int, nodes: tuple[Floats, Floats, Floats]
) -> None:
    """Write s, p and density of a row of pixels, the first at (x, y), from ``nodes`` at pixels (step i, step j)."""
    inverse = 1.0 / step
    j, i, k = y // step, x // step, x % step
    tj = (y - j * step) * inverse
    ps, ss, ds = nodes
    p0, p1, s0, s1, d0, d1 = ps[j], ps[j + 1], ss[j], ss[j + 1], ds[j], ds[j + 1]
    for n in range(s.size):
        ti = k * inverse
        a, b, c, d = (1.0 - tj) * (1.0 - ti), (1.0 - tj) * ti, tj * (1.0 - ti), tj * ti
        s[n] = a * s0[i] + b * s0[i + 1] + c * s1[i] + d * s1[i + 1]
        p[n] = a * p0[i] + b * p0[i + 1] + c * p1[i] + d * p1[i + 1]
        density[n] = a * d0[i] + b * d0[i + 1] + c * d1[i] + d * d1[i + 1]
        k += 1
        if k == step:
            i, k = i + 1, 0


@njit(cache=True, nogil=True)
def resample(
    image: Image,
    row: int,
    column: int,
    box: tuple[int, int, int, int],
    step: int,
    nodes: tuple[Floats, Floats, Floats],
    rectified: Image,
    first: tuple[float, float],
    pitch: tuple[float, float],
) -> None:
    """Add ``rectified`` to pixels of ``image``, whose pixel [0, 0] is pixel (column, row) of the chip.

    ``box`` = (x0, y0, x1, y1) bounds the pixels that are touched; ``nodes`` (p, s, density) stand at pixels
    (x0 + step i, y0 + step j), bilinear between. ``rectified`` (ns, np) is given per unit of p and s, sample [0, 0] at
    ``first`` = (s, p), one every ``pitch``; cubic between, 0 outside.
    """
    x0, y0, x1, y1 = box
    count_s, count_p = rectified.shape
    ny, nx = image.shape
    low, high = max(x0, column), min(x1, column + nx)
    v, u, density = np.empty(max(high - low, 0)), np.empty(max(high - low, 0)), np.empty(max(high - low, 0))
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)  # unsigned: Numba looks for no negative index
    for y in range(max(y0, row), min(y1, row + ny)):
        _places(v, u, density, y - y0, low - x0, step, nodes)
        out = image[y - row]
        for n in range(v.size):
            vn, un = (v[n] - first[0]) / pitch[0], (u[n] - first[1]) / pitch[1]
            if not (1.0 <= vn < count_s - 2.0 and 1.0 <= un < count_p - 2.0):
                continue
            iv, iu = int(vn), int(un)
            w0, w1, w2, w3 = _cubic(un - iu)
            q = _cubic(vn - iv)
            m = np.uint64(iu - 1)
            total = 0.0
            for k in range(4):
                line = rectified[iv - 1 + k]
                total += q[k] * (w0 * line[m] + w1 * line[m + one] + w2 * line[m + two] + w3 * line[m + three])
            if total > 0.0:
                out[low - column + n] += np.float32(total * density[n])


@njit(cache=True, nogil=True)
def locate(
    p_map: Floats,
    s_map: Floats,
    row: int,
    column: int,
    box: tuple[int, int, int, int],
    step: int,
    nodes: tuple[Floats, Floats, Floats],
    limits: tuple[float, float, float, float],
) -> None:
    """Write p and s into the pixels of a window that see p and s within ``limits`` = (p0, p1, s0, s1)."""
    x0, y0, x1, y1 = box
    ps, ss, _ = nodes
    ny, nx = p_map.shape
    for y in range(max(y0, row), min(y1, row + ny)):
        j = (y - y0) // step
        tj = (y - y0 - j * step) / step
        for x in range(max(x0, column), min(x1, column + nx)):
            i = (x - x0) // step
            ti = (x - x0 - i * step) / step
            a, b, c, d = (1.0 - tj) * (1.0 - ti), (1.0 - tj) * ti, tj * (1.0 - ti), tj * ti
            p = a * ps[j, i] + b * ps[j, i + 1] + c * ps[j + 1, i] + d * ps[j + 1, i + 1]
            s = a * ss[j, i] + b * ss[j, i + 1] + c * ss[j + 1, i] + d * ss[j + 1, i + 1]
            if not math.isnan(p) and limits[0] <= p <= limits[1] and limits[2] <= s <= limits[3]:
                p_map[y - row, x - column] = p
                s_map[y - row, x - column] = s
