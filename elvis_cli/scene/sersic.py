"""The Sersic profile, I(r) = I_e exp(-b ((r/R_e)^(1/n) - 1)), of flux 1 to infinity.

b solves gamma(2n, b) = Gamma(2n)/2, so that the elliptical radius R_e, along the major axis, holds half of the light
(Ciotti & Bertin 1999, A&A 352, 447; Graham & Driver 2005, PASA 22, 118, eq. 1-4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats


@dataclass(frozen=True, slots=True)
class Sersic:
    """The parameters of one profile."""

    index: float
    radius: float
    """R_e along the major axis."""
    ellipticity: float = 0.0
    angle: float = 0.0
    """Direction of the major axis from the x axis towards the y axis, rad."""


def half_light_constant(index: Floats) -> Floats:
    """Return the constant b of each index (n,)."""
    from scipy.special import gammaincinv

    return np.asarray(gammaincinv(2.0 * index, 0.5))


def intensity(index: Floats, radius: Floats, ratio: Floats) -> Floats:
    """Return I_e, the intensity at R_e = ``radius``, per unit of area; ``ratio`` is minor over major axis (eq. 4)."""
    from scipy.special import gammaln

    b = half_light_constant(index)
    log = np.log(2.0 * math.pi * index * ratio) + 2.0 * np.log(radius)
    return np.asarray(np.exp(2.0 * index * np.log(b) - b - log - gammaln(2.0 * index)))


def enclosed(index: Floats, radius: Floats) -> Floats:
    """Return the fraction of the light inside the elliptical radius ``radius``, in units of R_e (eq. 2)."""
    from scipy.special import gammainc

    return np.asarray(gammainc(2.0 * index, half_light_constant(index) * radius ** (1.0 / index)))


def radius_of(index: Floats, fraction: Floats | float) -> Floats:
    """Return the elliptical radius that holds a ``fraction`` of the light, in units of R_e: inverse of `enclosed`."""
    from scipy.special import gammaincinv

    return np.asarray((gammaincinv(2.0 * index, fraction) / half_light_constant(index)) ** index)
