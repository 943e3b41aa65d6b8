"""Stellar absorption lines at high resolution: the Sun as it is measured, other types as they are computed.

Templates have R ~ 1000. Their flux times `ratio` has lines and keeps its averages over what a template resolves.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np

from elvis_cli.base import depths
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT

DATA = Path(__file__).parents[1] / "data"
STARS = (
    ("B8V", 12000.0, 4.1), ("A0V", 9600.0, 4.1), ("A5V", 8200.0, 4.2), ("F0V", 7250.0, 4.25), ("F5V", 6550.0, 4.3),
    ("G2V", 5777.0, 4.44), ("K0V", 5280.0, 4.5), ("K5V", 4450.0, 4.6), ("M0V", 3850.0, 4.7),
    ("K0III", 4750.0, 2.5), ("K5III", 3950.0, 1.5),
)  # fmt: skip
"""Rows of photospheres.npy: type, Teff (K), log g (cgs)."""
SUN = 5
"""Row for which the measured Sun stands."""
GIANT = 3.5
"""log g below which giants are chosen among."""
SUN_LIKE = (4000.0, 7500.0)
"""K: stars of types F to K, which have the Sun's lines where the computed spectra end."""
MIN_WEIGHT = 0.03
"""Of the second spectrum of a mixture: below it the first stands alone."""
MOLECULAR = 4000.0
"""K, below which molecules make most lines; none was computed."""
HOTTEST = 15000.0
"""K, above which the lines of the hottest star are those of another kind."""
RESOLUTION = 150000
"""Of the spectra."""
TEMPLATE_RESOLUTION = 1000.0
MACROTURBULENCE = (3.5, 5.5)
"""km/s of dwarfs and of giants (Gray 2005, The Observation and Analysis of Stellar Photospheres, ch. 17)."""
LIMB_DARKENING = 0.6
"""Linear coefficient of the rotation's profile."""


def mixture(temperature: float, gravity: float) -> tuple[tuple[int, float], ...]:
    """Return rows and weights of the spectra nearest to Teff (K) and log g: two of one class, linear in ln Teff."""
    rows = [n for n, (_, _, g) in enumerate(STARS) if (g < GIANT) == (gravity < GIANT)]
    if gravity < GIANT and temperature > 1.1 * max(STARS[n][1] for n in rows):
        rows = [n for n, (_, _, g) in enumerate(STARS) if g >= GIANT]  # no hot giant was computed
    rows.sort(key=lambda n: STARS[n][1])
    log = [math.log(STARS[n][1]) for n in rows]
    place = float(np.interp(math.log(temperature), log, np.arange(len(rows))))
    low = min(int(place), len(rows) - 2)
    part = place - low
    part = 0.0 if part < MIN_WEIGHT else 1.0 if part > 1.0 - MIN_WEIGHT else part
    pairs = (rows[low], 1.0 - part), (rows[low + 1], part)
    return tuple((row, weight) for row, weight in pairs if weight > 0.0)


def described(temperature: float, gravity: float) -> str:
    """Return whose lines a star of Teff (K) and log g has, their resolution and where they end."""
    names = " and ".join("the Sun" if row == SUN else STARS[row][0] for row, _ in mixture(temperature, gravity))
    return f"{names}, R = {RESOLUTION}, to {_end(temperature):.3g} um"


def notes(temperature: float, gravity: float) -> tuple[str, ...]:
    """Return what the lines of a star of Teff (K) and log g lack."""
    if temperature < MOLECULAR:
        return ("target: its lines are those of atoms; bands of molecules have the resolution of the template",)
    if temperature > HOTTEST:
        return (f"target: its lines are those of {STARS[0][0]}, no hotter star was computed",)
    return ()


def _end(temperature: float) -> float:
    sun_like = SUN_LIKE[0] <= temperature <= SUN_LIKE[1]
    table = _table("sun" if sun_like else "photospheres")
    return float(table.wave(slice(table.steps.shape[1] - 1, table.steps.shape[1]))[0])


def ratio(
    temperature: float,
    gravity: float,
    low: float,
    high: float,
    vsini: float = 0.0,
    macroturbulence: float | None = None,
) -> tuple[Floats, Floats]:
    """Return wavelengths (um, vacuum, at rest with the star) over low..high and a star's flux over its R = 1000 mean.

    Rotation ``vsini`` and ``macroturbulence`` (km/s) broaden it; None is what is usual for the type. Where no spectrum
    reaches the ratio is 1.
    """
    margin = 3.0 / TEMPLATE_RESOLUTION + 4.0 * (vsini + 10.0) / (LIGHT * 1e-3)
    wave, flux = _flux(mixture(temperature, gravity), SUN_LIKE[0] <= temperature <= SUN_LIKE[1],
                       low * (1.0 - margin), high * (1.0 + margin))  # fmt: skip
    if wave.size < 3:
        return np.array([low, high]), np.ones(2)
    step = math.log(wave[-1] / wave[0]) / (wave.size - 1)
    if macroturbulence is None:
        macroturbulence = MACROTURBULENCE[gravity < GIANT]
    smooth = _box(_box(flux, 1.0 / TEMPLATE_RESOLUTION / step), 1.0 / TEMPLATE_RESOLUTION / step)
    velocity = step * LIGHT * 1e-3
    for kernel in (_rotation(vsini / velocity), _gauss(macroturbulence / velocity)):
        if kernel.size > 1:
            flux = _convolved(flux, kernel)
    return wave, flux / smooth


def solar(low: float, high: float) -> tuple[Floats, Floats]:
    """Return `ratio` of sunlight, as the Moon and the dust of the zodiac scatter it, over its mean at R = 6000."""
    wave, flux = _flux(((SUN, 1.0),), True, low * (1.0 - 1e-3), high * (1.0 + 1e-3))
    if wave.size < 3:
        return np.array([low, high]), np.ones(2)
    step = math.log(wave[-1] / wave[0]) / (wave.size - 1)
    return wave, flux / _box(flux, 1.0 / 6000.0 / step)


def _flux(parts: tuple[tuple[int, float], ...], sun_like: bool, low: float, high: float) -> tuple[Floats, Floats]:
    """Return wavelengths (um) and flux over continuum of a mixture of rows, as far as any of it is known."""
    sun, computed = _table("sun"), _table("photospheres")
    wanted = sun.part(low, high)
    wave, total = sun.wave(wanted), np.zeros(wanted.stop - wanted.start)
    solar_flux = _decoded(sun, wanted, 0)
    part = computed.part(low, high)
    at = computed.wave(part)
    for row, weight in parts:
        if row == SUN:
            total += weight * solar_flux
            continue
        beyond = solar_flux if sun_like else np.ones(wave.size)
        flux = beyond.copy()
        if at.size > 1:
            reached = wave <= at[-1]
            flux[reached] = np.interp(wave[reached], at, _decoded(computed, part, row))
        total += weight * flux
    return wave, total


def _decoded(table: depths.PackedRows, part: slice, row: int) -> Floats:
    b = table.numbers(part, slice(row, row + 1))[0]
    return np.asarray(1.0 - (b / 255.0) ** 2, float)


@functools.cache
def _table(name: str) -> depths.PackedRows:
    return depths.load(DATA / name)


def _box(values: Floats, width: float) -> Floats:
    """Return running means over ``width`` samples; the ends hold."""
    half = max(round(width) // 2, 1)
    padded = np.concatenate([np.full(half + 1, values[0]), values, np.full(half, values[-1])])
    total = np.cumsum(padded)
    return np.asarray((total[2 * half + 1 :] - total[: -2 * half - 1]) / (2 * half + 1))


def _rotation(width: float) -> Floats:
    """Return the profile of a rotating sphere with v sin i of ``width`` samples (Gray 2005, eq. 18.14)."""
    if width < 0.5:
        return np.ones(1)
    x = np.arange(-math.ceil(width), math.ceil(width) + 1) / width
    inside = np.clip(1.0 - x**2, 0.0, None)
    e = LIMB_DARKENING
    kernel = 2.0 * (1.0 - e) * np.sqrt(inside) + 0.5 * math.pi * e * inside
    return np.asarray(kernel / kernel.sum())


def _gauss(width: float) -> Floats:
    """Return the profile of isotropic macroturbulence of ``width`` samples, exp(-(v / width)^2)."""
    if width < 0.3:
        return np.ones(1)
    x = np.arange(-math.ceil(3.5 * width), math.ceil(3.5 * width) + 1) / width
    kernel = np.exp(-(x**2))
    return np.asarray(kernel / kernel.sum())


def _convolved(values: Floats, kernel: Floats) -> Floats:
    half = kernel.size // 2
    padded = np.concatenate([np.full(half, values[0]), values, np.full(half, values[-1])])
    if kernel.size > 200:
        from scipy.signal import oaconvolve

        return np.asarray(oaconvolve(padded, kernel, "valid"))
    return np.convolve(padded, kernel, "valid")
