"""Spectra of many stars: the nearest template for each temperature and gravity, and the templates' colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.model.request import Brightness, Sed, Target
from elvis_cli.scene import bands, spectrum, stars, templates

LN_TEMPERATURE_STEP = 0.01
"""Step of ln(T) to which temperatures are rounded; the templates are several steps apart."""
MIN_DWARF_TEMPERATURE = 2700.0
"""K: below the coolest of Pickles' dwarfs come the model atmospheres."""


def seds(base: Sed, temperature: Floats, gravity: Floats | float = 4.5) -> tuple[tuple[Sed, ...], NDArray[np.int64]]:
    """Return spectra for stars of ``temperature`` (K, (n,)) and log g (cgs), and the index (n,) of each star's.

    The nearest star of Pickles (1998), below 2700 K the nearest model atmosphere, and a black body where it is cooler
    or hotter than either. Extinction, redshift and velocity are those of ``base``.
    """
    step = np.rint(np.log(temperature) / LN_TEMPERATURE_STEP).astype(np.int64)
    tenth = np.rint(10.0 * np.broadcast_to(gravity, step.shape)).astype(np.int64)
    key, which = np.unique(step * 1024 + tenth, return_inverse=True)
    positions: dict[Sed, int] = {}
    index = np.empty(key.size, np.int64)
    for n, (t, g) in enumerate(zip(np.exp(key // 1024 * LN_TEMPERATURE_STEP), key % 1024 / 10.0, strict=True)):
        index[n] = positions.setdefault(_sed(base, float(t), float(g)), len(positions))
    return tuple(positions), index[which]


def colours(seds: tuple[Sed, ...], brightness: Brightness) -> Floats:
    """Return, for each spectrum, its magnitude in the band and system of ``brightness`` less that in V (Vega).

    Intrinsic colours: without dust and at rest.
    """
    band = bands.load(brightness.band)
    wave = np.linspace(band.wave[0], band.wave[-1], 512)
    zero = band.zero_point(brightness.system)
    result = np.empty(len(seds))
    for n, sed in enumerate(seds):
        bare = replace(sed, extinction_av=0.0, redshift=0.0, velocity=0.0)
        flux, _ = spectrum.flux(Target(sed=bare, brightness=Brightness("mag", 0.0, "V")), wave)
        result[n] = -2.5 * np.log10(band.integral(wave, flux) / zero)
    return result


def _sed(base: Sed, temperature: float, gravity: float) -> Sed:
    if not templates.MIN_TEMPERATURE <= temperature <= 45000.0:
        return replace(base, kind="blackbody", temperature=float(f"{temperature:.2g}"), uploaded=None)
    if temperature < MIN_DWARF_TEMPERATURE:
        catalog, name = "PHOENIX", f"{round(temperature / 100) * 100}:4.5"
    else:
        catalog, name = "Pickles", stars.nearest(temperature, gravity)
    return replace(base, kind="template", catalog=catalog, id=name, uploaded=None)
