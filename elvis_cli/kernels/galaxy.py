"""Many Sersic profiles on one grid: the cusps as points of light, the rest as samples."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]
Floats = NDArray[np.float64]
TABLE = 1024
"""Intervals in which a profile is linear."""


@njit(cache=True, nogil=True)
def _rise(t):  # type: ignore[no-untyped-def]
    """Return 0 below t = 0, 1 above t = 1, a cosine between."""
    if t <= 0.0:
        return 0.0
    return 1.0 if t >= 1.0 else 0.5 - 0.5 * math.cos(math.pi * t)


@njit(cache=True, nogil=True)
def add_points(
    image: Image, place: Floats, shape: Floats, limits: Floats, table: Floats, first: float, step: float, spiral: Floats
) -> None:
    """Add the light of the middle of each profile to ``image`` (ny, nx) as points, shared bilinearly.

    ``place`` (n, 3) is x, y in elements and the flux within the outer limit; ``shape`` (n, 6) the half-light radius in
    elements, ln of the index, axis ratio, cos and sin of the major axis, and the square root of the fraction of
    all light that is within the outer limit. The points' weight falls from 1 at the elliptical radius ``limits`` (n, 2)
    [0] to 0 at [1]. ``table`` (indices, samples) holds r / (R_e sqrt(u)), u being the light within r: against ln of the
    index, from ``first`` on every ``step``, and sqrt(u) from 0 to 1. ``spiral`` (3, p) is the cos, sin, and sqrt of the
    fraction of light of each point.
    """
    ny, nx = image.shape
    last = table.shape[1] - 1
    for n in range(place.shape[0]):
        row = min(max((shape[n, 1] - first) / step, 0.0), table.shape[0] - 1.000001)
        low = int(row)
        part = row - low
        radius, ratio, cos, sin = shape[n, 0], shape[n, 2], shape[n, 3], shape[n, 4]
        inner, outer = limits[n]
        flux = place[n, 2] / spiral.shape[1]
        for k in range(spiral.shape[1]):
            v = spiral[2, k] * shape[n, 5]
            at = v * last
            i = min(int(at), last - 1)
            t = at - i
            scale = (1 - part) * ((1 - t) * table[low, i] + t * table[low, i + 1])
            scale += part * ((1 - t) * table[low + 1, i] + t * table[low + 1, i + 1])
            r = radius * v * scale
            weight = flux if outer <= inner else flux * (1.0 - _rise((r - inner) / (outer - inner)))
            if weight == 0.0:
                continue
            major, minor = r * spiral[0, k], r * spiral[1, k] * ratio
            x = place[n, 0] + major * cos - minor * sin
            y = place[n, 1] + major * sin + minor * cos
            ix, iy = math.floor(x), math.floor(y)
            if ix < -1 or iy < -1 or ix >= nx or iy >= ny:
                continue
            tx, ty = x - ix, y - iy
            for b in range(2):
                for a in range(2):
                    px, py = ix + a, iy + b
                    if 0 <= px < nx and 0 <= py < ny:
                        image[py, px] += np.float32(weight * (tx if a else 1.0 - tx) * (ty if b else 1.0 - ty))


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
        scale = TABLE / math.sqrt(r3)  # even in the root of the radius, as the profile is steep
        for k in range(TABLE + 2):
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
