"""Atmospheric refraction: how far light of one wavelength stands from that of another."""

from __future__ import annotations

import math

from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.atmosphere import Site

TORR = 760.0 / 1013.25
"""mm of mercury in a hPa."""


def refractivity(wave: float, site: Site) -> float:
    """Return n - 1 of the air above a site at ``wave`` (um, vacuum).

    Filippenko 1982, PASP 94, 715, eqs. 1-3 (Edlen 1953; Coleman, Bozman & Meggers 1960); beyond 2 um it leaves out
    the absorption bands of water.
    """
    if site.space:
        return 0.0
    square = wave**-2
    celsius, pressure = site.temperature - 273.15, site.pressure * TORR
    warm = 1.0 + 0.003661 * celsius
    standard = 64.328 + 29498.1 / (146.0 - square) + 255.4 / (41.0 - square)
    dry = standard * pressure * (1.0 + (1.049 - 0.0157 * celsius) * 1e-6 * pressure) / (720.883 * warm)
    # saturation over water, hPa (Magnus's law; WMO 2008, annex 4.B)
    vapour = site.humidity * 6.112 * math.exp(17.62 * celsius / (243.12 + celsius)) * TORR
    return (dry - (0.0624 - 0.000680 * square) / warm * vapour) * 1e-6


def shift(wave: float, reference: float, airmass: float, site: Site) -> float:
    """Return how far (arcsec, towards the zenith) light of ``wave`` stands from that of ``reference`` (um).

    R(l) - R(l0) = (n(l) - n(l0)) tan z (Filippenko 1982, eq. 4), X = 1 / cos z.
    """
    difference = refractivity(wave, site) - refractivity(reference, site)
    return 1.0 / ARCSEC * difference * math.sqrt(max(airmass**2 - 1.0, 0.0))
