"""A grism in the parallel beam of an imager: each slit has a spectrum about the place of its own image."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.spectrograph import Aperture, Trace

_DEGREE = 7
"""Of the polynomial x(wavelength), which inverts the table's wavelength(x)."""
_PLACES = 129
_EDGE = 1.02
"""How far traces go, in half widths of the detector: beyond its edge, so that no line ends on it."""


def traces(
    facts: SourcedTable, apertures: tuple[Aperture, ...], plate_scale: float, place: tuple[float, float]
) -> tuple[Trace, ...]:
    """Return the first-order trace of each aperture, as far as it falls on the detector.

    ``facts`` is the table ``spectrograph.grism``, ``plate_scale`` in arcsec/mm. ``place`` (arcsec) is where the focal
    plane has the image of the field's middle. An aperture whose spectrum misses the detector has no trace.

    Raises
    ------
    ResourceError
        A figure is missing.
    """
    polynomial = np.polynomial.Polynomial(np.array(facts.value("wavelength", "nm"), float) * 1e-3)
    half = facts.number("half", "mm")
    shift = facts.number("shift", "mm") if "shift" in facts else 0.0
    low, high = (float(um) * 1e-3 for um in facts.value("range", "nm"))
    efficiency = facts.curve("efficiency")
    result = []
    for number, aperture in enumerate(apertures):
        x, y = ((p + q) / plate_scale for p, q in zip((aperture.x, aperture.y), place, strict=True))
        at = np.linspace(-_EDGE, _EDGE, _PLACES) - x / half
        wave = np.asarray(polynomial(at), float)
        lit = (wave >= low) & (wave <= high) & (np.asarray(polynomial.deriv()(at)) > 0)
        if np.count_nonzero(lit) < 2:
            continue
        ends = float(wave[lit][0]), float(wave[lit][-1])
        middle, step = sum(ends) / 2, (ends[1] - ends[0]) / 2
        along = np.polynomial.polynomial.polyfit((wave[lit] - middle) / step, at[lit] * half + x, _DEGREE)
        turn = math.radians(aperture.angle)
        result.append(
            Trace(
                order=1,
                aperture=number,
                wave=ends,
                l0=middle,
                lw=step,
                s0=aperture.offset,
                sw=1.0,
                x=_linear(np.asarray(along, float), (math.sin(turn) + aperture.slope) / plate_scale),
                y=_linear(np.array([y + shift]), math.cos(turn) / plate_scale),
                efficiency=efficiency,
            )
        )
    return tuple(result)


def _linear(along: Floats, across: float) -> Floats:
    """Return coefficients (i, j) of a polynomial ``along`` the dispersion plus ``across`` mm for each arcsec."""
    coefficients = np.zeros((along.size, 2))
    coefficients[:, 0] = along
    coefficients[0, 1] = across
    return coefficients
