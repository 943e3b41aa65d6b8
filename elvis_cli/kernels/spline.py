"""Cubic splines through millions of points: uniform B-splines with a knot a unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]


@njit(nogil=True, cache=True)
def normal_equations(x: Floats, y: Floats, weight: Floats, use: NDArray[np.bool_], count: int) -> tuple[Floats, Floats]:
    """Return the banded matrix (4, count), upper form of LAPACK, and the right side (count,) of a least-squares fit.

    ``x`` (n,) is from 0, in knots; points that are not in ``use`` count nothing.
    """
    band = np.zeros((4, count))
    right = np.zeros(count)
    b = np.empty(4)
    for p in range(x.size):
        if not use[p]:
            continue
        knot = _basis(x[p], b)
        for i in range(4):
            right[knot + i] += weight[p] * b[i] * y[p]
            for j in range(i, 4):
                band[3 - (j - i), knot + j] += weight[p] * b[i] * b[j]
    return band, right


@njit(nogil=True, cache=True)
def solve(band: Floats, right: Floats) -> Floats:
    """Return the solution (n,) of `normal_equations`, by a Cholesky factorisation of the banded matrix.

    `scipy.linalg.solveh_banded` does the same; to import it takes longer than all of a spectrum.

    Raises
    ------
    ValueError
        The matrix is not positive definite.
    """
    n = right.size
    root, out = np.empty((4, n)), np.empty(n)  # root[3 - d, j] is the element (j - d, j) of the triangle
    for j in range(n):
        for d in range(min(j, 3), -1, -1):
            rest = band[3 - d, j]
            for k in range(d + 1, min(j, 3) + 1):
                rest -= root[3 - k + d, j - d] * root[3 - k, j]
            if d > 0:
                root[3 - d, j] = rest / root[3, j - d]
            elif rest > 0.0:
                root[3, j] = np.sqrt(rest)
            else:
                raise ValueError("the matrix is not positive definite")
    for j in range(n):
        rest = right[j]
        for d in range(1, min(j, 3) + 1):
            rest -= root[3 - d, j] * out[j - d]
        out[j] = rest / root[3, j]
    for j in range(n - 1, -1, -1):
        rest = out[j]
        for d in range(1, min(n - 1 - j, 3) + 1):
            rest -= root[3 - d, j + d] * out[j + d]
        out[j] = rest / root[3, j]
    return out


@njit(nogil=True, cache=True)
def monotone(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return the cubic (n, m) through points ``x``, ``y`` (k,) that has no extremum but theirs, at ``at`` (n, m).

    ``x`` ascends, two points or more; outside them the value is that of the end. PCHIP (Fritsch & Butland 1984, SIAM J.
    Sci. Stat. Comput. 5, 300; slopes at the ends by three points: Moler 2004), as `scipy.interpolate` has it.
    """
    step = x[1:] - x[:-1]
    rise = (y[1:] - y[:-1]) / step
    slope = np.full(x.size, rise[0])
    for n in range(1, x.size - 1):
        before, after = rise[n - 1], rise[n]
        slope[n] = 0.0
        if before * after > 0.0:
            a, b = 2 * step[n] + step[n - 1], step[n] + 2 * step[n - 1]
            slope[n] = (a + b) / (a / before + b / after)
    if x.size > 2:
        slope[0] = _end_slope(step[0], step[1], rise[0], rise[1])
        slope[-1] = _end_slope(step[-1], step[-2], rise[-1], rise[-2])
    out = np.empty(at.shape)
    for row in range(at.shape[0]):
        for k in range(at.shape[1]):
            place = min(max(at[row, k], x[0]), x[-1])
            n = min(np.searchsorted(x, place, side="right") - 1, x.size - 2)
            t, h = place - x[n], step[n]
            c = (3 * rise[n] - 2 * slope[n] - slope[n + 1]) / h
            d = (slope[n] + slope[n + 1] - 2 * rise[n]) / h**2
            out[row, k] = y[n] + t * (slope[n] + t * (c + t * d))
    return out


@njit(nogil=True, cache=True)
def _end_slope(near: float, next_: float, first: float, second: float) -> float:
    """Return the slope at an end from the two steps there and the slopes in them; it keeps the curve monotone."""
    slope = ((2 * near + next_) * first - near * second) / (near + next_)
    if slope * first <= 0.0:
        return 0.0
    if first * second <= 0.0 and abs(slope) > 3 * abs(first):
        return 3.0 * first
    return slope


@njit(nogil=True, cache=True)
def evaluate(x: Floats, coefficients: Floats) -> Floats:
    """Return the spline (n,) at ``x``."""
    out = np.empty(x.size)
    b = np.empty(4)
    for p in range(x.size):
        out[p] = _value(x[p], coefficients, b)
    return out


@njit(nogil=True, cache=True)
def refine(
    x: Floats,
    y: Floats,
    dark: Floats,
    seconds: float,
    coefficients: Floats,
    usable: NDArray[np.bool_],
    clip: float,
    tolerance: float,
    weight: Floats,
    keep: NDArray[np.bool_],
    out: Floats,
) -> None:
    """Fill ``out`` with the spline (n,) at ``x``, ``weight`` with the inverse variance that it tells, ``keep`` with
    what is near it.

    The variance of a value is ``dark`` and that of its light, a rate over ``seconds``. Near is within ``clip`` times
    the noise and ``tolerance`` times the spline.
    """
    b = np.empty(4)
    for p in range(x.size):
        out[p] = _value(x[p], coefficients, b)
        light = abs(out[p])
        variance = dark[p] + light / seconds
        weight[p] = 1.0 / (variance + 1e-30)
        keep[p] = usable[p] and abs(y[p] - out[p]) <= clip * np.sqrt(variance) + tolerance * light


@njit(nogil=True, cache=True)
def bend_equations(
    x: Floats, y: Floats, weight: Floats, use: NDArray[np.bool_], coefficients: Floats, place: Floats
) -> tuple[Floats, Floats]:
    """Return the normal equations (4, 4) and (4,) of what a spline leaves of ``y`` (n,) at ``x``.

    The first three unknowns are how much further on the light is, a parabola in the ``place``; the fourth is the
    light's relative growth with the place.
    """
    matrix, right = np.zeros((4, 4)), np.zeros(4)
    b, row = np.empty(4), np.empty(4)
    for p in range(x.size):
        if not use[p]:
            continue
        knot = _basis(x[p], b)
        model = 0.0
        for i in range(4):
            model += b[i] * coefficients[knot + i]
        t = x[p] - knot
        row[0] = 0.0
        for i, slope in enumerate((-((1 - t) ** 2) / 2, 1.5 * t**2 - 2 * t, -1.5 * t**2 + t + 0.5, t**2 / 2)):
            row[0] += slope * coefficients[knot + i]
        row[1], row[2], row[3] = row[0] * place[p], row[0] * place[p] ** 2, model * place[p]
        for i in range(4):
            right[i] += weight[p] * row[i] * (y[p] - model)
            for j in range(4):
                matrix[i, j] += weight[p] * row[i] * row[j]
    return matrix, right


@njit(nogil=True, cache=True)
def near_median(
    y: Floats,
    dark: Floats,
    seconds: float,
    group: NDArray[np.int64],
    middle: Floats,
    spread: Floats,
    usable: NDArray[np.bool_],
    clip: float,
    tolerance: float,
) -> NDArray[np.bool_]:
    """Return which usable values ``y`` (n,) are near the ``middle`` of their ``group``, as `refine` has it.

    ``spread`` is what the light changes by within each group.
    """
    keep = np.zeros(y.size, np.bool_)
    for p in range(y.size):
        if usable[p]:
            level = middle[group[p]]
            near = clip * np.sqrt(dark[p] + max(level, 0.0) / seconds) + spread[group[p]] + tolerance * abs(level)
            keep[p] = abs(y[p] - level) <= near
    return keep


@njit(nogil=True, cache=True)
def _basis(x: float, b: Floats) -> int:
    """Return the first knot of the four functions that are not 0 at ``x``; ``b`` (4,) gets their values."""
    knot = int(np.floor(x))
    t = x - knot
    b[0] = (1 - t) ** 3 / 6
    b[1] = (3 * t**3 - 6 * t**2 + 4) / 6
    b[2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    b[3] = t**3 / 6
    return knot


@njit(nogil=True, cache=True)
def _value(x: float, coefficients: Floats, b: Floats) -> float:
    """Return the spline at ``x``; ``b`` (4,) is overwritten."""
    knot = _basis(x, b)
    return float(
        b[0] * coefficients[knot]
        + b[1] * coefficients[knot + 1]
        + b[2] * coefficients[knot + 2]
        + b[3] * coefficients[knot + 3]
    )
