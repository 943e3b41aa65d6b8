"""Sersic profiles on a grid: their middles as points of light, the rest as samples."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
TABLE = 1024
"""Most intervals in which a profile is linear."""
AT_ONCE = 512
"""Points drawn at a time: they stay in the processor's first cache."""

_0, _1, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_SIXTH, _THIRDS = np.float32(1 / 6), np.float32(2 / 3)
# sin(pi u) from -1/2 to 1/2
_S1, _S3, _S5 = np.float32(3.1415925), np.float32(-5.167707), np.float32(2.5500314)
_S7, _S9 = np.float32(-0.5980452), np.float32(0.077220127)


@njit(cache=True, nogil=True)
def _rise(t):  # type: ignore[no-untyped-def]
    """Return 0 below t = 0, 1 above t = 1, a cosine between."""
    if t <= 0.0:
        return 0.0
    return 1.0 if t >= 1.0 else 0.5 - 0.5 * math.cos(math.pi * t)


@njit(cache=True, nogil=True, error_model="numpy")
def _points(out, first, radii, square):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the radii of the points from ``first`` on, v^2 = (k + 1/2) ``square``; the table has r / v.

    A loop of its own, which the processor does for several points at once.
    """
    last = radii.size - 1
    for k in range(out.size):
        v = math.sqrt((np.int32(first + k) + 0.5) * square)
        at = (1.0 - math.sqrt(max(1.0 - v, 0.0))) * last
        i = min(np.int32(at), np.int32(last - 1))
        out[k] = v * (radii[i] + (at - i) * (radii[i + 1] - radii[i]))


@njit(cache=True, nogil=True, error_model="numpy")
def _share(r, turn_cos, turn_sin, place, axes, limits, flux, cubic, first, shares):  # type: ignore[no-untyped-def]
    """Fill in where points at elliptical radii ``r`` (n,) are, and how each is shared between 4 x 4 elements.

    ``turn_cos`` and ``turn_sin`` (n,) are their directions. ``first`` (2, n or more) is the column and the row of the
    element at or before a point, ``shares`` (8, n or more) the weights of the columns from the one before that, then
    those of the rows times the light. A loop of its own, as `_points`.
    """
    x, y = place
    ratio, cos, sin = axes
    inner, outer = limits
    fall = np.float32(1.0 / (outer - inner) if outer > inner else 0.0)
    for k in range(r.size):
        major, minor = r[k] * turn_cos[k], r[k] * turn_sin[k] * ratio
        across, up = x + major * cos - minor * sin, y + major * sin + minor * cos
        left, below = np.floor(across), np.floor(up)
        first[0, k], first[1, k] = np.int32(left), np.int32(below)
        # (1 + cos(pi t)) / 2 by a polynomial, which several points at once can have; within 2e-7
        u = min(max(np.float32(r[k] - inner) * fall, _0), _1) - _HALF
        square = u * u
        sine = u * (_S1 + square * (_S3 + square * (_S5 + square * (_S7 + square * _S9))))
        light = np.float32(flux) * (_HALF - _HALF * sine)
        t, s = np.float32(across - left), np.float32(up - below)
        if cubic:
            shares[0, k], shares[1, k], shares[2, k], shares[3, k] = _cubic(t)
            a, b, c, d = _cubic(s)
            shares[4, k], shares[5, k], shares[6, k], shares[7, k] = light * a, light * b, light * c, light * d
        else:
            shares[0, k], shares[1, k], shares[2, k], shares[3, k] = _0, _1 - t, t, _0
            shares[4, k], shares[5, k], shares[6, k], shares[7, k] = _0, light * (_1 - s), light * s, _0


@njit(cache=True, nogil=True)
def _cubic(t):  # type: ignore[no-untyped-def]
    """Return the shares of four elements in a point at fraction ``t`` from the second to the third: the B-spline."""
    u = _1 - t
    a, d = u * u * u * _SIXTH, t * t * t * _SIXTH
    return a, _THIRDS - t * t * (_1 - _HALF * t), _THIRDS - u * u * (_1 - _HALF * u), d


@njit(cache=True, nogil=True)
def _deposit(image, count, first, shares):  # type: ignore[no-untyped-def]
    """Add ``count`` points, shared as `_share` says, to ``image`` (ny, nx)."""
    ny, nx = image.shape
    for k in range(count):
        ix, iy = first[0, k], first[1, k]
        if ix < -2 or iy < -2 or ix > nx or iy > ny:
            continue
        a0, a1, a2, a3 = shares[0, k], shares[1, k], shares[2, k], shares[3, k]
        inside = ix >= 1 and ix + 2 < nx
        for b in range(4):
            j = iy + b - 1
            if j < 0 or j >= ny:
                continue
            share = shares[4 + b, k]
            if inside:
                line = image[j, ix - 1 : ix + 3]
                line[0] += share * a0
                line[1] += share * a1
                line[2] += share * a2
                line[3] += share * a3
            else:
                for a, part in enumerate((a0, a1, a2, a3)):
                    if 0 <= ix + a - 1 < nx:
                        image[j, ix + a - 1] += share * part


@njit(cache=True, nogil=True, error_model="numpy")
def add_points(
    image: Image,
    place: Floats,
    shape: Floats,
    limits: Floats,
    count: NDArray[np.int64],
    table: Floats,
    first: float,
    step: float,
    spiral: Floats,
    cubic: bool,
) -> None:
    """Add the light of the middle of each profile to ``image`` (ny, nx) as points of equal light.

    ``place`` (n, 3) is x, y in elements and the flux within the outer limit; ``shape`` (n, 6) the half-light radius in
    elements, ln of the index, axis ratio, cos and sin of the major axis, and the square root of the fraction of
    all light that is within the outer limit. The points' weight falls from 1 at the elliptical radius ``limits`` (n, 2)
    [0] to 0 at [1]; ``count`` (n,) is their number. ``table`` (indices, samples) holds r / (R_e v), v^2 being the
    fraction of the light within r: against ln of the index, from ``first`` on every ``step``, and 1 - sqrt(1 - v) from
    0 to 1. ``spiral`` (2, p) is the cos and sin of each point's direction. A point is shared between the elements
    around it by the cubic B-spline, or else bilinearly.
    """
    last = table.shape[1] - 1
    radii, r = np.empty(last + 1), np.empty(AT_ONCE)
    elements, shares = np.empty((2, AT_ONCE), np.int32), np.empty((8, AT_ONCE), np.float32)
    for n in range(place.shape[0]):
        row = min(max((shape[n, 1] - first) / step, 0.0), table.shape[0] - 1.000001)
        low = int(row)
        for i in range(last + 1):
            radii[i] = shape[n, 0] * (table[low, i] + (row - low) * (table[low + 1, i] - table[low, i]))
        square = shape[n, 5] * shape[n, 5] / count[n]
        for k in range(0, count[n], AT_ONCE):
            size = min(AT_ONCE, count[n] - k)
            _points(r[:size], k, radii, square)
            _share(
                r[:size], spiral[0, k : k + size], spiral[1, k : k + size], (place[n, 0], place[n, 1]),
                (shape[n, 2], shape[n, 3], shape[n, 4]), (limits[n, 0], limits[n, 1]), place[n, 2] / count[n],
                cubic, elements, shares,
            )  # fmt: skip
            _deposit(image, size, elements, shares)


@njit(cache=True, nogil=True)
def add_samples(image: Image, place: Floats, shape: Floats, limits: Floats) -> None:
    """Add samples of each profile between its limits to ``image`` (ny, nx).

    ``place`` (n, 3) is x, y in elements and the intensity at the half-light radius, per element; ``shape`` (n, 6) the
    half-light radius in elements, 1 / index, b, axis ratio, cos and sin of the major axis. The weight rises from 0
    to 1 between the elliptical radii ``limits`` (n, 4) [0] and [1], and falls back to 0 between [2] and [3].
    """
    ny, nx = image.shape
    table = np.empty(TABLE + 2)
    for n in range(place.shape[0]):
        x, y, intensity = place[n]
        radius, power, b, ratio, cos, sin = shape[n]
        r0, r1, r2, r3 = limits[n]
        half_x = math.sqrt((r3 * cos) ** 2 + (r3 * ratio * sin) ** 2)
        half_y = math.sqrt((r3 * sin) ** 2 + (r3 * ratio * cos) ** 2)
        left, right = max(math.ceil(x - half_x), 0), min(math.floor(x + half_x) + 1, nx)
        low, high = max(math.ceil(y - half_y), 0), min(math.floor(y + half_y) + 1, ny)
        if r3 <= r0 or left >= right or low >= high:
            continue
        parts = min(64 + int(32.0 * math.sqrt(r3)), TABLE)
        scale = parts / math.sqrt(r3)  # even in the root of the radius, as the profile is steep
        for k in range(parts + 2):
            r = (k / scale) ** 2
            weight = _rise((r - r0) / (r1 - r0)) if r < r1 else 1.0
            if r > r2 and r3 > r2:
                weight *= 1.0 - _rise((r - r2) / (r3 - r2))
            table[k] = weight * intensity * math.exp(-b * ((r / radius) ** power - 1.0)) if weight > 0.0 else 0.0
        for j in range(low, high):
            dy = j - y
            for i in range(left, right):
                dx = i - x
                major = dx * cos + dy * sin
                minor = (dy * cos - dx * sin) / ratio
                square = major * major + minor * minor
                if square > r0 * r0 and square < r3 * r3:
                    at = scale * math.sqrt(math.sqrt(square))
                    k = int(at)
                    image[j, i] += np.float32(table[k] + (at - k) * (table[k + 1] - table[k]))
