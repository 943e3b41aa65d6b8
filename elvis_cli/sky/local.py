"""The night sky over the telescope: transmission and emission, from a shipped table of ESO's SkyCalc.

The table holds SkyCalc's components for Paranal at airmass 1 with 2.5 mm of water and a half Moon (Noll et al. 2012,
A&A 543, A92, "N12"; Jones et al. 2013, A&A 560, A91). Each component is carried to other conditions by its own law:

- transmission: prod T_k^X; Rayleigh scattering goes with the air pressure, that is the site's elevation; the part of
  the molecular absorption that is water follows the column X * PWV along curves of growth from line-resolved spectra;
- moonlight: elvis_cli.sky.moon;
- airglow: van Rhijn's layer at 90 km, the extinction of a wide source (N12 eqs. 21-24), absorption;
- zodiacal light: absorption only, and starlight: constant, since a wide source gains by scattering what it loses;
- thermal: (1 - T) of the molecules, times Planck's function at the site's over the table's ground temperature.

SkyCalc's own table for X = 1.2 at 3060 m is met within 2 % in emission (means over bands, U to N); in transmission
within 0.002 in the windows and 0.013 in the worst water band (1.4 um).

The ETC's key airglowEnabled = false is not documented. Its FORS2 answers (v and g, airmass 1 to 2) are met within 5 %
if the airglow's continuum is left out and its lines are kept: without both, v is 45 % too dark; with a
common factor on both, v and g disagree by a factor of 3.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import npy
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import AB_FLUX, PLANCK, SECOND_RADIATION
from elvis_cli.base.spectral_grid import COUNT, grid, index, table_wave
from elvis_cli.errors import ElvisError
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.request import SkyConditions
from elvis_cli.sky import moon
from elvis_cli.sky.types import Sky

MODEL = "local tables (SkyCalc 2.0.9)"
"""As the header names it."""
EMISSIONS = ("sml", "ssl", "zl", "tme", "ael", "arc")
DEPTHS = ("ma", "o3", "rs", "ms")
COLUMNS = (*EMISSIONS, *DEPTHS, "self")
"""Rows of sky.npy: scattered moonlight, starlight, zodiacal light, thermal, airglow lines, airglow continuum
(photon/s/m2/um/arcsec2); the optical depths of molecules, ozone (below 1 um), Rayleigh and Mie scattering; and the
further depth per airmass with which oxygen absorbs its own airglow, line by line, at 1.27 um."""
WATER_COLUMNS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 100.0)
"""Rows of sky_water.npy: mm of water along the line of sight."""

# The table's conditions.
PWV = 2.5
"""mm."""
TEMPERATURE = 287.116
"""Of the air at the ground, K."""
ELEVATION = 2640.0
"""m."""
MOON_SEPARATION = 45.0
MOON_ZENITH_DISTANCE = 45.0
"""deg; its phase angle is 90 deg, the reference of moon.brightness."""

VISUAL = 0.55
"""Where the scattering function of Krisciunas & Schaefer holds as it is, um."""
LAYER = 6371.0 / (6371.0 + 90.0)
"""Earth's radius over that of the airglow's layer."""
SCALE_HEIGHT = 8400.0
"""Of the air's pressure, m: R T / (M g) at 287 K."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The sky on the table's grid (n,) in some conditions; emissions in photon/s/m2/um/arcsec2 at the ground."""

    wave: Floats
    molecules: Floats
    """Optical depth of the molecules along the line of sight, without ozone below 1 um."""
    molecules_table: Floats
    """The same in the table's conditions."""
    smooth: Floats
    """Optical depth of ozone and of scattering."""
    starlight: Floats
    zodiacal: Floats
    glow: Floats
    """Airglow, lines and continuum."""
    lines: Floats
    """Airglow's lines alone."""
    moon: Floats | None
    thermal: Floats
    transmission: Floats

    @property
    def emission(self) -> Floats:
        """All of it."""
        emission = self.starlight + self.zodiacal
        emission += self.glow
        if self.moon is not None:
            emission += self.moon
        return np.asarray(emission + self.thermal)


def load(conditions: SkyConditions, site: Site, wave: Floats) -> Sky:
    """Return the sky in these conditions on ``wave``, which must come from `spectral_grid.grid`.

    Raises
    ------
    ElvisError
        ``wave`` is not a part of the table's grid.
    """
    parts = components(conditions, site, wave)
    return Sky(wave, parts.transmission, parts.emission, MODEL, _notes(conditions))


def components(conditions: SkyConditions, site: Site, wave: Floats) -> Components:
    """Return the sky's components in these conditions on ``wave``, which must come from `spectral_grid.grid`.

    Raises
    ------
    ElvisError
        ``wave`` is not a part of the table's grid.
    """
    start = round(index(float(wave[0])))
    part = slice(start, start + len(wave))
    if start < 0 or part.stop > COUNT or not np.allclose(wave, table_wave(part.start, part.stop), rtol=1e-9, atol=0):
        raise ElvisError("the sky is only given on the wavelengths of elvis_cli.base.spectral_grid.grid")
    table, water = _tables()
    rows = dict(zip(COLUMNS, table[:, part].astype(float), strict=True))
    x = conditions.airmass

    depth_water, column = water[:, part].astype(float), x * conditions.pwv
    share = depth_water[WATER_COLUMNS.index(PWV)]
    molecules = np.maximum(rows["ma"] * (x * (1.0 - share) + _growth(depth_water, column)), 0.0)
    rayleigh = rows["rs"] * math.exp((ELEVATION - site.elevation) / SCALE_HEIGHT)
    scattering = rayleigh + rows["ms"]
    absorption = molecules + x * rows["o3"]

    # Bins that are nearly black hold no usable light from above to scale up.
    above = (np.exp(-absorption) + 0.01) / (np.exp(-rows["ma"] - rows["o3"]) + 0.01)
    lines = rows["ael"] * np.exp(-rows["self"] * (x - 1.0))
    glow = lines + rows["arc"] if conditions.airglow else lines
    layer = _airglow(x, rows["rs"], rayleigh, rows["ms"])
    moonlit = conditions.fli > 0.0 and conditions.moon_altitude >= 0.0
    return Components(
        wave=wave,
        molecules=molecules,
        molecules_table=rows["ma"],
        smooth=x * (rows["o3"] + scattering),
        starlight=rows["ssl"],
        zodiacal=rows["zl"] * above,
        glow=conditions.airglow_scale * glow * above * layer,
        lines=conditions.airglow_scale * lines * above * layer,
        moon=rows["sml"] * above * _moonlight(conditions, wave, rows, rayleigh) if moonlit else None,
        thermal=rows["tme"] * _thermal(molecules, rows["ma"], site.temperature, wave),
        transmission=np.exp(-absorption - x * scattering),
    )


def zodiacal(brightness: tuple[float, float], wave: Floats) -> Sky:
    """Return the sky of a telescope in space: the table's zodiacal light, as it is above the atmosphere.

    ``brightness`` is its AB magnitude per arcsec2 and the wavelength (um) where it has it. Where the table's
    air is nearly black its neighbours stand in.
    """
    magnitude, at = brightness
    around = np.unique(np.concatenate([wave, grid(at, at)]))
    start = round(index(float(around[0])))
    table, _ = _tables()
    rows = dict(zip(COLUMNS, table[:, start : round(index(float(around[-1]))) + 1].astype(float), strict=True))
    full = table_wave(start, start + rows["zl"].size)
    absorbed = rows["ma"] + rows["o3"]
    clear = absorbed < 0.5
    shape = np.interp(wave, full[clear], (rows["zl"] * np.exp(absorbed))[clear])
    photons = AB_FLUX * 10.0 ** (-0.4 * magnitude) / (PLANCK * at)  # per s, m2, um and arcsec2 at ``at``
    scale = photons / float(np.interp(at, full[clear], (rows["zl"] * np.exp(absorbed))[clear]))
    return Sky(wave, np.ones_like(wave), shape * scale, "zodiacal light (SkyCalc 2.0.9's spectrum)")


@functools.cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    data = Path(__file__).parents[1] / "data"
    return npy.load(data / "sky.npy", mapped=True), npy.load(data / "sky_water.npy", mapped=True)


def _growth(depths: Floats, column: float) -> Floats:
    """Return water's depth at ``column`` (mm) between those for WATER_COLUMNS, by a power law; linear below them."""
    if column <= WATER_COLUMNS[0]:
        return np.asarray(depths[0] * (column / WATER_COLUMNS[0]))
    log = np.log(WATER_COLUMNS)
    position = float(np.interp(math.log(column), log, np.arange(len(log))))
    below = min(int(position), len(log) - 2)
    part = position - below
    return np.asarray(depths[below] ** (1.0 - part) * depths[below + 1] ** part)


def van_rhijn(x: float) -> float:
    """Return the airglow layer's brightness at airmass ``x`` over that at zenith, without extinction (N12 eq. 21)."""
    return float((1.0 - LAYER**2 * (1.0 - 1.0 / x**2)) ** -0.5)


def _airglow(x: float, rayleigh_table: Floats, rayleigh: Floats, mie: Floats) -> Floats:
    """Return airglow at airmass ``x`` over that of the table: van Rhijn and scattering (N12 eqs. 21-24)."""
    layer = van_rhijn(x)
    log = math.log10(layer)
    loss = x * ((1.669 * log - 0.146) * rayleigh + (1.732 * log - 0.318) * mie)
    loss_table = -0.146 * rayleigh_table - 0.318 * mie
    return np.asarray(layer * np.exp(loss_table - loss))


def _moonlight(c: SkyConditions, wave: Floats, rows: dict[str, Floats], rayleigh: Floats) -> Floats:
    """Return scattered moonlight over that of the table."""
    table, _ = _tables()
    visual_rayleigh, visual_mie = (float(table[COLUMNS.index(k), round(index(VISUAL))]) for k in ("rs", "ms"))
    visual = visual_rayleigh + visual_mie
    mie = rows["ms"]

    def scattered(separation: float, x: float, zenith_distance: float, rs: Floats) -> Floats:
        path, depth = moon.optical_path(zenith_distance), rs + mie
        parts = (rs / depth) / (visual_rayleigh / visual), (mie / depth) / (visual_mie / visual)
        return moon.scattered(separation, x, path, depth, *parts) * np.exp(-rows["o3"] * path)

    now = scattered(c.moon_distance, c.airmass, 90.0 - c.moon_altitude, rayleigh)
    then = scattered(MOON_SEPARATION, 1.0, MOON_ZENITH_DISTANCE, rows["rs"])
    return moon.brightness(c.fli, wave) * now / then


def _thermal(molecules: Floats, molecules_table: Floats, temperature: float, wave: Floats) -> Floats:
    """Return the air's thermal emission over that of the table."""
    emissivity = -np.expm1(-molecules) / np.maximum(-np.expm1(-molecules_table), 1e-12)
    hot, table = (np.expm1(SECOND_RADIATION / (wave * t)) for t in (temperature, TEMPERATURE))
    return np.asarray(emissivity * table / hot)


def _notes(c: SkyConditions) -> tuple[str, ...]:
    notes = []
    if not c.airglow:
        notes.append("sky: airglow off leaves out the continuum and keeps the lines, as the ETC's answers do")
    moonlit = c.fli > 0.0 and c.moon_altitude >= 0.0
    target, lunar = math.degrees(math.acos(1.0 / c.airmass)), 90.0 - c.moon_altitude
    if moonlit and not abs(target - lunar) - 1.0 <= c.moon_distance <= target + lunar + 1.0:
        notes.append(
            f"sky: no Moon at altitude {c.moon_altitude:g} deg is {c.moon_distance:g} deg from a target at airmass "
            f"{c.airmass:g}; its light is computed for these values all the same, as by the ETC"
        )
    return tuple(notes)
