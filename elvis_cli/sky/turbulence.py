"""The atmosphere's turbulence on the line of sight: its spectrum and structure functions, nm2 of path difference.

Path differences do not depend on the wavelength. Spatial frequencies f in 1/m, shifts in m.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.atmosphere import Atmosphere, Turbulence

Real = NDArray[np.floating[Any]]
"""Single or double precision."""
REFERENCE = 500.0
"""Wavelength of seeing and r0, nm."""
KOLMOGOROV = 0.0229
"""Of the phase spectrum in rad2 m2, KOLMOGOROV r0^(-5/3) f^(-11/3) (Roddier 1981, Progress in Optics 19, 281)."""


@dataclass(frozen=True, slots=True, eq=False)
class Air:
    """The turbulence along the line of sight."""

    r0: float
    """Fried's parameter at REFERENCE, m."""
    outer_scale: float
    """m."""
    height: Floats
    """Distance of each layer, m."""
    weight: Floats
    wind: Floats
    """m/s."""

    def spectrum(self, f: Real) -> Floats:
        """Return the von Karman spectrum W(f) of the path difference, nm2 m2."""
        scale = KOLMOGOROV * self.r0 ** (-5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
        return np.asarray(scale * (f * f + self.outer_scale**-2) ** (-11 / 6))


NO_AIR = Air(math.inf, math.inf, *np.zeros((3, 0)))
"""No turbulence."""


def air(atmosphere: Atmosphere) -> Air:
    """Return the turbulence on the line of sight: r0 = 0.976 lambda / seeing X^(-3/5), layers X times as far."""
    turbulence, airmass = atmosphere.turbulence, atmosphere.airmass
    r0 = fried(atmosphere.seeing) * airmass**-0.6
    height = np.array(turbulence.height) * airmass
    return Air(r0, turbulence.outer_scale, height, np.array(turbulence.weight), np.array(turbulence.wind))


def fried(seeing: float) -> float:
    """Return r0 (m) at REFERENCE for the seeing, arcsec."""
    return 0.976 * REFERENCE * 1e-9 / (seeing * ARCSEC)


def coherence_time(profile: Turbulence, r0: float) -> float:
    """Return tau0 = 0.314 r0 / v, s, v the mean of the wind's 5/3rd power over the layers (Roddier 1981)."""
    mean = sum(w * v ** (5 / 3) for w, v in zip(profile.weight, profile.wind, strict=True))
    return 0.314 * r0 / math.pow(mean, 0.6)


def von_karman(shift: Floats, atmosphere: Air) -> Floats:
    """Return the von Karman structure function at ``shift`` m, nm2 (Conan 2000; 6.88 (rho/r0)^(5/3) for L0 = inf)."""
    scale = (atmosphere.outer_scale / atmosphere.r0) ** (5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
    constant = math.gamma(11 / 6) * 2 ** (1 / 6) / math.pi ** (8 / 3) * (24 / 5 * math.gamma(6 / 5)) ** (5 / 6)
    x = 2 * math.pi * np.asarray(shift) / atmosphere.outer_scale
    # x^(5/6) K_5/6(x): the difference of two power series near 0, asymptotic beyond
    nu = 5 / 6
    at_zero = 2 ** (nu - 1) * math.gamma(nu)
    near = np.minimum(x, 9.0)
    quarter = near * near / 4
    first, second = np.ones_like(x) / math.gamma(1 - nu), np.ones_like(x) / math.gamma(1 + nu)
    lower, upper = np.zeros_like(x), np.zeros_like(x)
    for k in range(1, 60):  # without the first term of the lower series: it is the value at 0
        upper += second
        first, second = first * quarter / (k * (k - nu)), second * quarter / (k * (k + nu))
        lower += first
    factor = math.pi / (2 * math.sin(nu * math.pi))
    fall = factor * (2**nu * lower - near ** (2 * nu) * 2**-nu * upper)
    far = np.maximum(x, 9.0)
    tail = np.ones_like(x)
    term = np.ones_like(x)
    for k in range(1, 7):
        term = term * (4 * nu * nu - (2 * k - 1) ** 2) / (8 * k * far)
        tail += term
    tail *= np.sqrt(math.pi / 2) * far ** (nu - 0.5) * np.exp(-far)
    return np.asarray(scale * constant * np.where(x < 9.0, -fall, at_zero - tail))


@lru_cache(maxsize=2)
def _uncorrected(limit: float) -> tuple[Floats, Floats]:
    """Return x in [0, limit] and u(x) = x^(5/3) int_x^inf t^(-8/3) (1 - J0(t)) dt, of which `fitting` is made."""
    # t = s^3 takes the cusp t^(-2/3) at the origin away: t^(-8/3) (1 - J0(t)) dt = 3 s^(-6) (1 - J0(s^3)) ds
    points = int(max(2000.0, 10.0 * limit))
    s = np.linspace(0.0, limit ** (1 / 3), points)
    t = s**3
    fall = one_minus_bessel(t[1:])
    density = np.concatenate(([0.75], 3.0 * fall / s[1:] ** 6))
    rest = np.concatenate((np.cumsum((density[1:] + density[:-1])[::-1])[::-1] * (s[1] / 2), [0.0]))
    return t, t ** (5 / 3) * (rest + 0.6 * limit ** (-5 / 3))


def one_minus_bessel(x: Floats) -> Floats:
    """Return 1 - J0(x), x > 0, to 1e-7 (Abramowitz & Stegun 1964, 9.4.1 and 9.4.3)."""
    u = np.minimum(x / 3.0, 1.0) ** 2
    small = u * (2.2499997 - u * (1.2656208 - u * (0.3163866 - u * (0.0444479 - u * (0.0039444 - u * 0.0002100)))))
    v = np.minimum(3.0 / x, 1.0)
    amplitude = np.polyval([0.00014476, -0.00072805, 0.00137237, -0.00009512, -0.00552740, -0.00000077, 0.79788456], v)
    angle = np.polyval([0.00013558, -0.00029333, -0.00054125, 0.00262573, -0.00003954, -0.04166397, -0.78539816], v)
    return np.where(x < 3.0, small, 1.0 - amplitude * np.cos(x + angle) / np.sqrt(x))


def fitting(cutoff: float, atmosphere: Air, longest: float) -> tuple[Floats, Floats]:
    """Return shifts (m) up to ``longest`` and the structure function (nm2) of all turbulence with f > cutoff (1/m).

    Kolmogorov's law: the outer scale has no part in it. Its limit is twice 0.2741 (1 / (2 cutoff r0))^(5/3) rad2.
    """
    x, u = _uncorrected(round(2 * math.pi * cutoff * longest, 3))
    scale = KOLMOGOROV * atmosphere.r0 ** (-5 / 3) * (REFERENCE / (2 * math.pi)) ** 2
    return x / (2 * math.pi * cutoff), 4 * math.pi * scale * cutoff ** (-5 / 3) * u
