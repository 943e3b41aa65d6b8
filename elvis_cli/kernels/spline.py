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
def evaluate(x: Floats, coefficients: Floats) -> Floats:
    """Return the spline (n,) at ``x``."""
    out = np.empty(x.size)
    b = np.empty(4)
    for p in range(x.size):
        knot = _basis(x[p], b)
        out[p] = (
            b[0] * coefficients[knot]
            + b[1] * coefficients[knot + 1]
            + b[2] * coefficients[knot + 2]
            + b[3] * coefficients[knot + 3]
        )
    return out


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
