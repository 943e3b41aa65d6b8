"""Stars of the Milky Way towards a place on the sky: disc and spheroid, and the dust among them.

The model is Bahcall & Soneira's (1980, ApJS 44, 73). Temperatures of dwarfs by M_V follow Pecaut & Mamajek (2013, ApJS
208, 9, table 5), those of evolved stars a track of solar metallicity, rounded. There is no bulge, bar or arm: counts
below 20 deg of latitude, and towards the centre, are a guide only.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness, SceneRequest, Sed
from elvis_cli.scene import bands, dust, frame, starlight
from elvis_cli.scene.component import Component, Points

SUN = 8000.0
"""pc from the Galactic centre."""
DISC_LENGTH, GIANT_HEIGHT = 3500.0, 250.0
"""Scale length of the disc, scale height of its giants, pc."""
SPHEROID_SHARE, SPHEROID_RADIUS, SPHEROID_FLATTENING = 1.0 / 500.0, 2670.0, 0.8
"""Density of the spheroid near the Sun, of the disc's; effective radius, pc; axis ratio."""
TURN_OFF = 4.0
"""M_V of the brightest dwarfs of the spheroid; its brighter stars are evolved."""
DUST_HEIGHT = 100.0
"""Scale height of the dust, pc (Bahcall & Soneira 1980)."""
MAX_STARS = 1_000_000
FAINTEST = 16.5
"""M_V of the faintest dwarfs (Bahcall & Soneira 1980)."""
BIN = 0.25
DWARF, GIANT, SPHEROID = range(3)
MAGNITUDES = np.arange(-6.0, FAINTEST, BIN) + BIN / 2
"""M_V, middles of bins."""
DISTANCES = np.geomspace(3.0, 1e5, 241)
"""pc, edges of shells."""
EXTINCTION_STEP = 0.25
"""A(V) to which spectra are reddened, mag."""
POLE = 192.85948, 27.12825, 122.93192
"""Right ascension and declination of the Galactic pole, longitude of the celestial one, deg (Hipparcos, 1.5.3)."""
DWARFS = np.array([
    (-5.7, 44900), (-4.0, 33300), (-3.1, 26000), (-1.1, 15700), (0.0, 12500), (0.99, 9700), (1.9, 8270), (2.51, 7220),
    (3.4, 6550), (4.0, 6180), (4.45, 5930), (4.79, 5770), (5.5, 5380), (6.2, 5000), (7.0, 4600), (7.7, 4300),
    (8.8, 3850), (10.3, 3560), (12.8, 3210), (14.3, 3060), (16.6, 2810),
]).T  # fmt: skip
"""M_V and effective temperature (K) of dwarfs."""
GIANTS = np.array([(-2.5, 3800), (-1.0, 4000), (0.0, 4350), (0.7, 4700), (1.5, 4850), (3.0, 5200), (3.7, 5700)]).T
"""The same of giants and subgiants."""


def components(
    request: SceneRequest,
    *,
    longitude: float | None,
    latitude: float | None,
    field: float,
    faintest: float,
    extinction: float,
) -> tuple[Component, ...]:
    """Return the stars in a square of ``field`` arcsec, down to V = ``faintest``.

    ``longitude`` and ``latitude`` are Galactic, deg; ``extinction`` is A(V) in a kpc of the plane, mag.

    Raises
    ------
    RequestError
        One of two coordinates is missing, or there are too many stars, or none.
    """
    brightness = frame.magnitude(request, "/elvis/scene")
    towards = direction(request, longitude, latitude)
    rng = frame.rng(request, "galactic-field")
    expected = counts(*towards, extinction, faintest) * (field / 3600.0) ** 2
    if expected.sum() > MAX_STARS:
        reason = f"holds {expected.sum():.3g} stars: a smaller field, or brighter ones"
        raise RequestError("/elvis/scene/field", reason, found=field, allowed=f"up to {MAX_STARS} stars")
    number = rng.poisson(expected)
    kind, bin_, shell = (axis.repeat(number.ravel()) for axis in (a.ravel() for a in np.indices(number.shape)))
    uniform = rng.random((4, kind.size))
    absolute = MAGNITUDES[bin_] + BIN * (uniform[0] - 0.5)
    distance = DISTANCES[shell] * (DISTANCES[shell + 1] / DISTANCES[shell]) ** uniform[1]
    av = column(distance, towards[1], extinction)
    seen = absolute + modulus(distance) + av <= faintest
    if not seen.any():
        raise RequestError("/elvis/scene/field", "holds no star", found=field, allowed="a larger field, fainter stars")
    absolute, distance, av, kind = absolute[seen], distance[seen], av[seen], kind[seen]
    evolved = (kind == GIANT) | ((kind == SPHEROID) & (absolute < TURN_OFF))
    seds, which, colour = spectra(request.target.sed, brightness, absolute, evolved, av)
    x, y = ((uniform[n][seen] - 0.5) * field for n in (2, 3))
    points = Points(*frame.place(request, -x, y), absolute + modulus(distance) + colour, which)
    return (Component(points, seds, brightness, name="star"),)


def direction(request: SceneRequest, longitude: float | None, latitude: float | None) -> tuple[float, float]:
    """Return Galactic longitude and latitude (deg): those given, or those of the place or pointing, or the pole's.

    Those of a pointing are rounded to a degree: a dither may not change the stars.

    Raises
    ------
    RequestError
        Only one of the two is given.
    """
    if (longitude is None) != (latitude is None):
        missing = "longitude" if longitude is None else "latitude"
        raise RequestError(f"/elvis/scene/{missing}", "is missing: longitude and latitude go together")
    if longitude is not None and latitude is not None:
        return longitude, latitude
    pointing = request.elvis.pointing
    if pointing is None:
        return 0.0, 90.0
    place = request.elvis.place or (pointing.ra, pointing.dec)
    ra0, dec0, node = (math.radians(angle) for angle in POLE)
    ra, dec = math.radians(place[0]) - ra0, math.radians(place[1])
    sine = math.sin(dec0) * math.sin(dec) + math.cos(dec0) * math.cos(dec) * math.cos(ra)
    y = math.cos(dec) * math.sin(ra)
    x = math.cos(dec0) * math.sin(dec) - math.sin(dec0) * math.cos(dec) * math.cos(ra)
    longitude, latitude = math.degrees(node - math.atan2(y, x)), math.degrees(math.asin(max(min(sine, 1.0), -1.0)))
    return float(round(longitude) % 360), float(round(latitude))


def counts(longitude: float, latitude: float, extinction: float, faintest: float) -> Floats:
    """Return the expected stars per square degree: (3, magnitudes, shells), dwarfs and giants of the disc, spheroid.

    Magnitudes are M_V, shells distances. Bins of which no star is as bright as V = ``faintest`` are 0.
    """
    centre = np.sqrt(DISTANCES[1:] * DISTANCES[:-1])
    volume = np.diff(DISTANCES**3) / 3.0 * math.radians(1.0) ** 2
    m = MAGNITUDES[:, None]
    every, share = luminosity(m) * BIN, dwarf_share(m)
    radius, z = _place(centre, longitude, latitude)
    parts = (
        every * share * disc(radius, z, scale_height(m)),
        every * (1.0 - share) * disc(radius, z, GIANT_HEIGHT),
        every * SPHEROID_SHARE * spheroid(radius, z),
    )
    dim = m - BIN / 2 + modulus(DISTANCES[:-1]) + column(DISTANCES[:-1], latitude, extinction) > faintest
    return np.where(dim, 0.0, np.stack(parts) * volume)


def _place(distance: Floats, longitude: float, latitude: float) -> tuple[Floats, Floats]:
    """Return the distance from the Galaxy's axis and the height above its plane, pc."""
    along, up = math.radians(longitude), math.radians(latitude)
    x, y = SUN - distance * math.cos(up) * math.cos(along), distance * math.cos(up) * math.sin(along)
    return np.asarray(np.hypot(x, y)), np.asarray(distance * math.sin(up))


def disc(radius: Floats, z: Floats, height: Floats | float) -> Floats:
    """Return the disc's density over that near the Sun, exponential in ``radius`` and ``z`` (pc)."""
    return np.asarray(np.exp((SUN - radius) / DISC_LENGTH - np.abs(z) / height))


def spheroid(radius: Floats, z: Floats) -> Floats:
    """Return the spheroid's density over that near the Sun: de Vaucouleurs's law (Young 1976, AJ 81, 807, eq. 34)."""

    def density(distance: Floats | float) -> Floats:
        ratio = np.maximum(distance, 100.0) / SPHEROID_RADIUS
        return np.asarray(np.exp(-7.669 * ratio**0.25) / ratio**0.875)

    return density(np.hypot(radius, z / SPHEROID_FLATTENING)) / density(SUN)


def luminosity(magnitude: Floats) -> Floats:
    """Return stars per pc3 and mag of M_V near the Sun (Bahcall & Soneira 1980, eq. 1)."""
    m = magnitude - 1.28
    return np.asarray(4.03e-3 * 10.0 ** (0.04 * m) / (1.0 + 10.0 ** (-(0.74 - 0.04) / 3.40 * m)) ** 3.40)


def dwarf_share(magnitude: Floats) -> Floats:
    """Return the fraction of main-sequence stars by M_V (Bahcall & Soneira 1980, eq. 3)."""
    return np.where(magnitude < 3.7, np.minimum(0.44 * np.exp(1.5e-4 * (magnitude + 8.0) ** 3.5), 1.0), 1.0)


def scale_height(magnitude: Floats) -> Floats:
    """Return the scale height of the thin disc's dwarfs, pc (Bahcall & Soneira 1980): 90 to 325, by age."""
    return np.interp(magnitude, (2.3, 5.1), (90.0, 325.0))


def column(distance: Floats, latitude: float, extinction: float) -> Floats:
    """Return A(V) on the way to ``distance`` (pc), mag: dust of ``extinction`` mag/kpc in the plane."""
    sine = max(abs(math.sin(math.radians(latitude))), 1e-6)
    return np.asarray(extinction * 1e-3 * DUST_HEIGHT / sine * -np.expm1(-distance * sine / DUST_HEIGHT))


def modulus(distance: Floats) -> Floats:
    """Return the distance modulus of ``distance`` pc, mag."""
    return np.asarray(5.0 * np.log10(distance / 10.0))


def spectra(
    base: Sed, brightness: Brightness, absolute: Floats, evolved: NDArray[np.bool_], av: Floats
) -> tuple[tuple[Sed, ...], NDArray[np.int64], Floats]:
    """Return reddened spectra, the index of each star's, and its apparent magnitude in the band less M_V and modulus.

    Temperatures are those of M_V; ``av`` is taken in steps of `EXTINCTION_STEP` for the spectra.
    """
    temperature = np.where(evolved, _temperature(GIANTS, absolute), _temperature(DWARFS, absolute))
    gravity = np.where(evolved, np.interp(absolute, (-2.5, 0.7, 3.7), (1.0, 2.4, 3.7)), 4.5)
    bare, which = starlight.seds(replace(base, extinction_av=0.0), temperature, gravity)
    band = bands.load(brightness.band)
    reddening = float(np.average(dust.curve(band.wave), weights=band.value))
    colour = starlight.colours(bare, brightness)[which] + reddening * av
    step = np.rint(av / EXTINCTION_STEP).astype(np.int64)
    key, index = np.unique(which * 4096 + step, return_inverse=True)
    reddened = tuple(
        replace(bare[k // 4096], extinction_av=base.extinction_av + EXTINCTION_STEP * float(k % 4096)) for k in key
    )
    return reddened, index, colour


def _temperature(table: Floats, absolute: Floats) -> Floats:
    return np.asarray(np.exp(np.interp(absolute, table[0], np.log(table[1]))))
