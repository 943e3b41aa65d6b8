"""Planck's law."""

from __future__ import annotations

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import BOLTZMANN, FIRST_RADIATION, LIGHT, PLANCK, SECOND_RADIATION


def radiance(wave: Floats, temperature: float) -> Floats:
    """Return the radiance in W/m2/um/sr at ``wave`` (um), ``temperature`` (K)."""
    x = SECOND_RADIATION / (wave * temperature)
    # exp(-x) goes to zero quietly where exp(x) would overflow
    return FIRST_RADIATION * wave**-5.0 * np.exp(-x) / -np.expm1(-x)


def photon_radiance(wave: Floats, temperature: float) -> Floats:
    """Return the radiance in photon/s/m2/um/sr at ``wave`` (um), ``temperature`` (K)."""
    metres = wave * 1e-6
    with np.errstate(over="ignore"):
        occupation = 1.0 / np.expm1(PLANCK * LIGHT / (metres * BOLTZMANN * temperature))
    return 2.0 * LIGHT / metres**4 * occupation * 1e-6
