"""Moonlight scattered by the atmosphere, relative to another geometry: phase, distance, altitudes.

The geometry is that of Krisciunas & Schaefer (1991, PASP 103, 1033; "KS"), with the two parts of their scattering
function weighted by the shares of Rayleigh and Mie scattering at each wavelength; the phase law is the spectral one of
Kieffer & Stone (2005, AJ 129, 2887; ROLO), as in Jones et al. (2013, A&A 560, A91), with the opposition surge.
"""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats

NEAREST = 0.25
"""deg: closer than its radius, the line of sight hits the Moon itself."""
YOUNGEST = 0.01
"""FLI below which the phase law, fitted to 1.5-97 deg and good to about 160 deg, is led to zero at new Moon."""

# Kieffer & Stone (2005), table 4 (every second or third band) and eq. 10: um, a1, a2, a3, d1, d2, d3. The other
# coefficients cancel in a ratio of two phases, or say how the two quarters differ.
_ROLO = np.array(
    [
        (0.3500, -1.78539, 0.50612, -0.25578, 0.34185, 0.01441, -0.01602),
        (0.4144, -1.72184, 0.43600, -0.22675, 0.35558, -0.03247, -0.00503),
        (0.4750, -1.63180, 0.36193, -0.20381, 0.33024, -0.03131, 0.00222),
        (0.5491, -1.66736, 0.41697, -0.22026, 0.36814, -0.09815, -0.00000),
        (0.6651, -1.58096, 0.30477, -0.17908, 0.37141, -0.13514, 0.01248),
        (0.7748, -1.59357, 0.36351, -0.20326, 0.36908, -0.16182, 0.00830),
        (0.8653, -1.58482, 0.35009, -0.19569, 0.39200, -0.18837, 0.00978),
        (1.0595, -1.71358, 0.50599, -0.25178, 0.48160, -0.29486, 0.00116),
        (1.2432, -1.55214, 0.31479, -0.18178, 0.49040, -0.30970, 0.01237),
        (1.6336, -1.46057, 0.23813, -0.15494, 0.54393, -0.37182, 0.01845),
        (2.2509, -1.46809, 0.43817, -0.24632, 0.38154, -0.28937, -0.01110),
        (2.3836, -1.31032, 0.20323, -0.15863, 0.36134, -0.28408, 0.01010),
    ]
).T
_P1, _P2, _P3, _P4 = 4.06054, 12.8802, -30.5858, 16.7498


def phase_angle(fli: float) -> float:
    """Return the Moon's phase angle (deg, 0 = full) for a fractional lunar illumination, (1 + cos angle) / 2."""
    return math.degrees(math.acos(2.0 * fli - 1.0))


def brightness(fli: float, wave: Floats) -> Floats:
    """Return the Moon's light at each wavelength (um) over that of the half Moon (phase angle 90 deg)."""
    half = _log_albedo(90.0)
    log = np.interp(wave, _ROLO[0], _log_albedo(phase_angle(fli)) - half)
    return np.exp(log) * min(1.0, fli / YOUNGEST)


def optical_path(zenith_distance: float) -> float:
    """Return the airmass of KS eq. 3 at ``zenith_distance`` (deg): finite at the horizon."""
    return float((1.0 - 0.96 * math.sin(math.radians(zenith_distance)) ** 2) ** -0.5)


def scattered(
    separation: float,
    path: float,
    moon_path: float,
    depth: Floats | float,
    rayleigh: Floats | float = 1.0,
    mie: Floats | float = 1.0,
) -> Floats:
    """Return the scattered light per unit of the Moon's (KS eq. 15 without I*; nL if that is in footcandles).

    Parameters
    ----------
    separation
        Moon - target, deg.
    path, moon_path
        Airmass of the target and of the Moon.
    depth
        Vertical optical depth of the scattering.
    rayleigh, mie
        The shares of Rayleigh and Mie scattering in the depth, over those in V, where KS hold.
    """
    rho = max(separation, NEAREST)
    near = 10.0 ** (6.15 - rho / 40.0)
    if rho < 10.0:  # KS step down by 22 % at 10 deg; the greater of their two branches is continuous.
        near = max(near, 6.2e7 / rho**2)
    wide = 10.0**5.36 * (1.06 + math.cos(math.radians(rho)) ** 2)
    return np.asarray((rayleigh * wide + mie * near) * np.exp(-depth * moon_path) * -np.expm1(-depth * path))


def _log_albedo(angle: float) -> Floats:
    """Return ln of the disk's albedo up to a constant, for each of the _ROLO bands (Kieffer & Stone 2005, eq. 10)."""
    g = math.radians(angle)
    _, a1, a2, a3, d1, d2, d3 = _ROLO
    return np.asarray(
        a1 * g
        + a2 * g**2
        + a3 * g**3
        + d1 * math.exp(-angle / _P1)
        + d2 * math.exp(-angle / _P2)
        + d3 * math.cos((angle - _P3) / _P4)
    )
