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


@njit(cache=True, nogil=True)
def _rise(t):  # type: ignore[no-untyped-def]
    """Return 0 below t = 0, 1 above t = 1, a cosine between."""
    if t <= 0.0:
        return 0.0
    return 1.0 if t >= 1.0 else 0.5 - 0.5 * math.cos(math.pi * t)


@njit(cache=True, nogil=True)
def _weights(t, cubic):  # type: ignore[no-untyped-def]
    """Return the shares of four elements in a point at fraction ``t`` from the second to the third."""
    if not cubic:
        return 0.0, 1.0 - t, t, 0.0
    u = 1.0 - t
    a, d = u * u * u / 6.0, t * t * t / 6.0
    return a, 2.0 / 3.0 - t * t * (1.0 - 0.5 * t), 2.0 / 3.0 - u * u * (1.0 - 0.5 * u), d


@njit(cache=True, nogil=True, error_model="numpy")
def _points(out, radii, square):  # type: ignore[no-untyped-def]
    """Fill ``out`` with the radii of the points, v^2 = (k + 1/2) ``square``, from the table of r / v.

    A loop of its own, which the processor does for several points at once.
    """
    last = radii.size - 1
    for k in range(out.size):
        v = math.sqrt((np.int32(k) + 0.5) * square)
        at = (1.0 - math.sqrt(max(1.0 - v, 0.0))) * last
        i = min(np.int32(at), np.int32(last - 1))
        out[k] = v * (radii[i] + (at - i) * (radii[i + 1] - radii[i]))


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
    ny, nx = image.shape
    last = table.shape[1] - 1
    radii, space = np.empty(last + 1), np.empty((3, spiral.shape[1]))
    for n in range(place.shape[0]):
        row = min(max((shape[n, 1] - first) / step, 0.0), table.shape[0] - 1.000001)
        low = int(row)
        for i in range(last + 1):
            radii[i] = shape[n, 0] * (table[low, i] + (row - low) * (table[low + 1, i] - table[low, i]))
        ratio, cos, sin = shape[n, 2], shape[n, 3], shape[n, 4]
        inner, outer = limits[n]
        flux = place[n, 2] / count[n]
        r = space[0, : count[n]]
        _points(r, radii, shape[n, 5] * shape[n, 5] / count[n])
        for k in range(r.size):
            major, minor = r[k] * spiral[0, k], r[k] * spiral[1, k] * ratio
            space[1, k] = place[n, 0] + major * cos - minor * sin
            space[2, k] = place[n, 1] + major * sin + minor * cos
        for k in range(r.size):
            weight = flux
            if r[k] > inner and outer > inner:
                weight *= 1.0 - _rise((r[k] - inner) / (outer - inner))
            x, y = space[1, k], space[2, k]
            ix, iy = math.floor(x), math.floor(y)
            if ix < -2 or iy < -2 or ix > nx or iy > ny:
                continue
            a0, a1, a2, a3 = _weights(x - ix, cubic)
            shares = _weights(y - iy, cubic)
            inside = ix >= 1 and ix + 2 < nx
            for b in range(4):
                j = iy + b - 1
                if j < 0 or j >= ny:
                    continue
                share = weight * shares[b]
                if inside:
                    line = image[j, ix - 1 : ix + 3]
                    line[0] += np.float32(share * a0)
                    line[1] += np.float32(share * a1)
                    line[2] += np.float32(share * a2)
                    line[3] += np.float32(share * a3)
                else:
                    for a, part in enumerate((a0, a1, a2, a3)):
                        if 0 <= ix + a - 1 < nx:
                            image[j, ix + a - 1] += np.float32(share * part)


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
