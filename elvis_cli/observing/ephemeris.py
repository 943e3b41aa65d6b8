"""Positions of Sun and Moon, and altitude and azimuth of a direction, by ERFA: no astropy tables, no network.

The Moon is Meeus's (ELP truncated, ERFA moon98: 10 arcsec), seen from the site (its parallax is a degree); the Sun is
that of ERFA epv00. UT1 = UTC and no refraction, as in `elvis_cli.sky.pointing`.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from datetime import datetime, timedelta

import erfa  # type: ignore[import-untyped]
import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.model.atmosphere import Site
from elvis_cli.sky.pointing import apparent, parallactic_angle, to_mjd

ASTRONOMICAL_UNIT = 149597870700.0
"""m."""
TT_MINUS_UTC = 69.184
"""TT - UTC, s (37 leap seconds)."""


@dataclass(frozen=True, slots=True)
class LocalPosition:
    """A direction in the local sky at a time: altitude, azimuth, hour angle and parallactic angle, deg."""

    altitude: float
    azimuth: float
    """North through East."""
    hour_angle: float
    parallactic: float

    @property
    def airmass(self) -> float:
        """1 / sin(altitude), infinite below the horizon."""
        return 1.0 / math.sin(math.radians(self.altitude)) if self.altitude > 0.1 else math.inf


@dataclass(frozen=True, slots=True)
class Moon:
    """Position (ICRS) and altitude of the Moon seen from the site, and altitude of the Sun, deg."""

    ra: float
    dec: float
    altitude: float
    illumination: float
    """Lit fraction of its disk, 0..1."""
    sun_altitude: float

    def separation(self, ra: float, dec: float) -> float:
        """Return its angular distance (deg) from ICRS ra, dec (deg)."""
        return math.degrees(math.acos(max(-1.0, min(1.0, float(_unit(self.ra, self.dec) @ _unit(ra, dec))))))


def local_position(ra: float, dec: float, time: datetime, site: Site) -> LocalPosition:
    """Return the local position of ICRS ra, dec (deg) at a site and a UTC time."""
    place = apparent(ra, dec, time, site)
    angle = parallactic_angle(place.hour_angle, place.dec, site.latitude)
    return LocalPosition(90.0 - place.zenith_distance, place.azimuth % 360.0, place.hour_angle, angle)


def moon(time: datetime, site: Site) -> Moon:
    """Return the Moon at a UTC time, seen from a site."""
    day = to_mjd(time)
    tt = day + TT_MINUS_UTC / 86400.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        geocentric = np.asarray(erfa.moon98(2400000.5, tt)["p"])
        earth, _ = erfa.epv00(2400000.5, tt)
        turn = erfa.era00(2400000.5, day)
        observer = erfa.pvtob(math.radians(site.longitude), math.radians(site.latitude), site.elevation, 0, 0, 0, turn)
    topocentric = geocentric - np.asarray(observer["p"]) / ASTRONOMICAL_UNIT
    sun = -np.asarray(earth["p"])
    to_sun, to_us = sun - geocentric, -topocentric
    phase = float(to_sun @ to_us / (np.linalg.norm(to_sun) * np.linalg.norm(to_us)))
    ra, dec = _ra_dec(topocentric)
    altitude, sun_altitude = (local_position(*place, time, site).altitude for place in ((ra, dec), _ra_dec(sun)))
    return Moon(ra, dec, altitude, (1 + phase) / 2, sun_altitude)


def decimal_year(time: datetime) -> float:
    """Return the Julian year of a time."""
    return 2000.0 + (time - datetime(2000, 1, 1, 12)) / timedelta(days=365.25)


def _unit(ra: float, dec: float) -> Floats:
    a, d = math.radians(ra), math.radians(dec)
    return np.array([math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)])


def _ra_dec(vector: Floats) -> tuple[float, float]:
    x, y, z = vector
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))
