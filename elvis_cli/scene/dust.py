"""Interstellar extinction of the Milky Way, as the ETC applies it."""

from __future__ import annotations

import numpy as np

from elvis_cli.base.arrays import Floats

R_V = 3.1
TRANSITION = 2.7
"""um: the curve is Fitzpatrick's up to here and Gordon's beyond, as in the ETC."""

_ANCHORS = ((0.0, 0.0), (0.377, 0.265), (0.820, 0.829), (1.667, 2.688), (1.828, 3.055), (2.141, 3.806), (2.433, 4.315))
"""1/um, A / E(B-V) for R_V = 3.1 (Fitzpatrick 1999, Table 3)."""
_UV = (1 / 0.27, 1 / 0.26)
"""1/um: beyond the first the ultraviolet formula holds; both are anchors of the spline too."""


def curve(wave: Floats) -> Floats:
    """Return A(lambda) / A(V) at ``wave`` (um): Fitzpatrick (1999, PASP 111, 63), R_V = 3.1, up to 2.7 um,
    the average of Gordon et al. (2021, ApJ 916, 33) beyond. Held constant outside 0.0912-40 um.
    """
    wave = np.clip(np.asarray(wave, dtype=float), 0.0912, 40.0)
    return np.where(wave <= TRANSITION, _fitzpatrick(1 / wave), _gordon(wave))


def _fitzpatrick(x: Floats) -> Floats:
    """Return A / A(V) at ``x`` 1/um: a natural cubic spline below 3.7, Fitzpatrick & Massa (1990) above."""
    anchors = np.array([*_ANCHORS, *((u, _ultraviolet(np.array(u))) for u in _UV)])
    return np.where(x < _UV[0], _natural_spline(anchors[:, 0], anchors[:, 1], x), _ultraviolet(x)) / R_V


def _ultraviolet(x: Floats) -> Floats:
    """Return A / E(B-V) in the ultraviolet (Fitzpatrick 1999, Appendix)."""
    c2 = -0.824 + 4.717 / R_V
    c1 = 2.030 - 3.007 * c2
    bump = x**2 / ((x**2 - 4.596**2) ** 2 + (0.99 * x) ** 2)
    far = np.maximum(x - 5.9, 0.0)
    return R_V + c1 + c2 * x + 3.23 * bump + 0.41 * (0.5392 * far**2 + 0.05644 * far**3)


def _natural_spline(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return the cubic spline through (x, y) with no curvature at its ends."""
    h, slope = np.diff(x), np.diff(y) / np.diff(x)
    matrix = np.eye(len(x))
    right = np.zeros(len(x))
    for i in range(1, len(x) - 1):
        matrix[i, i - 1 : i + 2] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        right[i] = 6 * (slope[i] - slope[i - 1])
    bend = np.linalg.solve(matrix, right)
    k = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(h) - 1)
    left, rest = at - x[k], x[k + 1] - at
    return (
        (bend[k] * rest**3 + bend[k + 1] * left**3) / (6 * h[k])
        + (y[k] / h[k] - bend[k] * h[k] / 6) * rest
        + (y[k + 1] / h[k] - bend[k + 1] * h[k] / 6) * left
    )


def _gordon(wave: Floats) -> Floats:
    """Return A / A(V): a power law and the two silicate bands (Gordon et al. 2021, eq. 4, the diffuse average)."""
    return (
        0.366 * wave**-1.480
        + _silicate(wave, 0.06893, 9.865, 2.507, -0.232)
        + _silicate(wave, 0.02684, 19.973, 16.989, -0.273)
    )


def _silicate(wave: Floats, peak: float, centre: float, width: float, asymmetry: float) -> Floats:
    """Return a Drude profile whose width changes across it."""
    gamma = 2 * width / (1 + np.exp(asymmetry * (wave - centre))) / centre
    return peak * gamma**2 / ((wave / centre - centre / wave) ** 2 + gamma**2)
