"""Angular scale in a flat universe of matter, radiation and a cosmological constant."""

from __future__ import annotations

import numpy as np

HUBBLE = 67.66
"""km/s/Mpc (Planck 2018 VI, A&A 641, A6, Table 2, last column, as the next)."""
MATTER = 0.3111
"""With the massive neutrino."""
RADIATION = 7.9e-5
"""Photons of 2.7255 K and two massless neutrinos."""
LIGHT = 299792.458


def kpc_per_arcsec(redshift: float) -> float:
    """Return the proper length that one arcsec spans (Hogg 1999, eq. 14-18)."""
    z = np.linspace(0.0, redshift, 2001)
    expansion = np.sqrt(MATTER * (1 + z) ** 3 + RADIATION * (1 + z) ** 4 + 1 - MATTER - RADIATION)
    distance = LIGHT / HUBBLE * float(np.trapezoid(1.0 / expansion, z)) / (1 + redshift)
    return distance * 1000.0 * np.pi / 180.0 / 3600.0
