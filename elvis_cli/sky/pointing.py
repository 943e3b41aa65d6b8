"""When and where: the start of the exposure, the pointing, and the telescope's angles that follow from both.

What the request leaves out is chosen so that everything agrees with its airmass X (plane-parallel, X = 1 / cos z):

- no date: ``SOURCE_DATE_EPOCH`` if set, else `EPOCH`; exposure n starts n - 1 exposure times later;
- no pointing: the meridian south of the zenith at zenith distance z = acos(1 / X), so dec = latitude - z and
  RA = sidereal time, both of date;
- a pointing but no date: the moment nearest to the default date at which the pointing has airmass X.

In space there is no airmass and no horizon: the angles are 0, and without a pointing it is the ecliptic pole.

Coordinates go through ERFA (IAU 2006/2000A, no refraction, UT1 = UTC), so the header agrees with astropy to about 1 s.
"""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import erfa  # type: ignore[import-untyped]

from elvis_cli.base.dates import parse_date, whole_ms
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.elvis_block import ElvisBlock, Pointing
from elvis_cli.model.setup import Setup

EPOCH = datetime(2026, 1, 1, 4, 0, 0)
"""UTC start of an exposure whose request has no date: midnight in Chile."""

ARM_DELAY = 1e-3
"""Seconds from the start of one arm of an exposure to that of the next: the archive's names are times."""

ECLIPTIC_POLE = Pointing(270.0, 66.5607)
"""Where a telescope in space points if it is not told: North, away from Sun and zodiacal light."""

TT_UTC = 69.184
"""s; terrestrial time less UTC since 2017."""
AU_PER_DAY = 1731.4568368
"""km/s."""
_MJD_ZERO = datetime(1858, 11, 17)
_SIDEREAL = 1.00273790935
"""Sidereal seconds in a second of UT1."""
_TOLERANCE = 0.02
"""Airmass difference between the request and the geometry that deserves a note."""


@dataclass(frozen=True, slots=True)
class ExposureGeometry:
    """Start, pointing and angles of one exposure; angles in deg at the start."""

    start: datetime
    """UTC, without time zone, whole milliseconds."""
    first: datetime
    """The same of the first exposure of the series."""
    duration: float
    """What one exposure sums, s: DIT * NDIT for an infrared detector, one DIT for a CCD (NEXPO counts files)."""
    ra: float
    dec: float
    """ICRS."""
    position_angle: float
    sidereal_time: float
    """Local apparent sidereal time."""
    hour_angle: float
    altitude: float
    altitude_end: float
    azimuth: float
    """North through East."""
    parallactic: float
    parallactic_end: float
    """At the end of the exposure."""
    created: datetime
    """When the file says that it was made; never the wall clock."""
    notes: tuple[str, ...] = ()

    @property
    def mjd(self) -> float:
        """Modified Julian date (UTC) of the start."""
        return round(to_mjd(self.start), 8)


@dataclass(frozen=True, slots=True)
class Angles:
    """Apparent place, deg."""

    azimuth: float
    zenith_distance: float
    hour_angle: float
    dec: float
    sidereal_time: float


def observe(block: ElvisBlock, setup: Setup) -> ExposureGeometry:
    """Return when and where the frame is taken.

    Raises
    ------
    RequestError
        The date is not ISO 8601, or the series of exposures does not fit into the calendar.
    UsageError
        SOURCE_DATE_EPOCH is set but is not a number of seconds.
    """
    pointing, airmass, site = block.pointing, setup.atmosphere.airmass, setup.atmosphere.site
    if site.space and pointing is None:
        pointing = ECLIPTIC_POLE
    duration = setup.exposure.duration
    build = _source_date()
    notes: tuple[str, ...] = ()
    series = start = build or EPOCH
    if block.date is not None:
        series = start = parse_date(block.date, "/elvis/date")
    elif pointing is not None and not site.space:
        series, notes = _moment(pointing.ra, pointing.dec, series, airmass, site)
    series, start = (_later(time, setup.arm_number * ARM_DELAY) for time in (series, start))
    before = (setup.exposure.number - 1) * duration
    if block.date is None:
        start = whole_ms(_later(series, before))
    if pointing is None:
        ra, dec, angle = *_on_meridian(series, airmass, site), 0.0
    else:
        ra, dec, angle = pointing.ra % 360.0, pointing.dec, pointing.position_angle
    seen = Angles(0.0, 0.0, 0.0, dec, 0.0) if site.space else apparent(ra, dec, start, site)
    if pointing is not None and not site.space and block.date is not None:
        notes = _disagreement(seen.zenith_distance, airmass)
    return ExposureGeometry(
        start=start,
        first=_later(start, -before),
        duration=duration,
        ra=ra,
        dec=dec,
        position_angle=angle,
        sidereal_time=seen.sidereal_time,
        hour_angle=seen.hour_angle,
        altitude=90.0 - seen.zenith_distance,
        altitude_end=_altitude(seen.hour_angle + duration / 240.0 * _SIDEREAL, seen.dec, site.latitude),
        azimuth=seen.azimuth,
        parallactic=parallactic_angle(seen.hour_angle, seen.dec, site.latitude),
        parallactic_end=parallactic_angle(seen.hour_angle + duration / 240.0 * _SIDEREAL, seen.dec, site.latitude),
        created=build or whole_ms(_later(start, duration)),
        notes=notes,
    )


def barycentric_correction(ra: float, dec: float, time: datetime, site: Site) -> float:
    """Return the observatory's velocity about the Solar System's barycentre towards ICRS ra, dec (deg), km/s.

    It is added to a measured velocity. Earth's motion is that of ERFA's epv00, the site's that of its rotation; the
    relativistic terms, the light's bending and the star's own motion, some m/s in all, are left out (Wright & Eastman
    2014, PASP 126, 838).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        _, earth = erfa.epv00(2400000.5, to_mjd(time) + TT_UTC / 86400.0)
        rotation = erfa.era00(2400000.5, to_mjd(time))
        longitude, latitude = math.radians(site.longitude), math.radians(site.latitude)
        spin = erfa.pvtob(longitude, latitude, site.elevation, 0.0, 0.0, 0.0, rotation)["v"]
        frame = erfa.c2i06a(2400000.5, to_mjd(time) + TT_UTC / 86400.0)
    a, d = math.radians(ra), math.radians(dec)
    towards = (math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d))
    celestial = frame.T @ spin * 1e-3
    velocity = [e * AU_PER_DAY + s for e, s in zip(earth["v"], celestial, strict=True)]
    return float(sum(v * t for v, t in zip(velocity, towards, strict=True)))


def to_mjd(time: datetime) -> float:
    """Return the modified Julian date of a UTC time without time zone."""
    return (time - _MJD_ZERO) / timedelta(days=1)


def isot(time: datetime) -> str:
    """Return YYYY-MM-DDThh:mm:ss.sss."""
    return time.isoformat(timespec="milliseconds")


def parallactic_angle(hour_angle: float, dec: float, latitude: float) -> float:
    """Return the angle at the target from the pole to the zenith, North through East; all in deg (Smart 1977)."""
    h, d, lat = (math.radians(a) for a in (hour_angle, dec, latitude))
    return math.degrees(
        math.atan2(math.sin(h) * math.cos(lat), math.sin(lat) * math.cos(d) - math.cos(lat) * math.sin(d) * math.cos(h))
    )


def _altitude(hour_angle: float, dec: float, latitude: float) -> float:
    """Return the altitude, all in deg."""
    h, d, lat = (math.radians(a) for a in (hour_angle, dec, latitude))
    sine = math.sin(lat) * math.sin(d) + math.cos(lat) * math.cos(d) * math.cos(h)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def _source_date() -> datetime | None:
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, not a whole number of seconds since 1970") from None


def _later(time: datetime, seconds: float) -> datetime:
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        raise RequestError(
            "/timesnr", f"exposures of {abs(seconds):.3g} s in all do not fit into the calendar", found=seconds
        ) from None


def _frame(time: datetime, site: Site) -> tuple[float, ...]:
    """Return what ERFA wants to know of time and place; pressure 0 switches refraction off."""
    return (
        2400000.5,
        to_mjd(time),
        0.0,
        math.radians(site.longitude),
        math.radians(site.latitude),
        site.elevation,
        *(0.0,) * 5,
        0.55,
    )


def _on_meridian(time: datetime, airmass: float, site: Site) -> tuple[float, float]:
    """Return ICRS RA, dec (deg) of the point due south at this airmass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # leap seconds of the future are not known yet
        ra, dec = erfa.atoc13("A", math.pi, math.acos(1.0 / airmass), *_frame(time, site))
    return round(math.degrees(ra), 8), round(math.degrees(dec), 8)


def apparent(ra: float, dec: float, time: datetime, site: Site) -> Angles:
    """Return the apparent place of ICRS ra, dec (deg) above a site."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)
        seen = erfa.atco13(math.radians(ra), math.radians(dec), 0.0, 0.0, 0.0, 0.0, *_frame(time, site))
    azimuth, zenith, hour_angle, declination, cirs_ra, origins = (math.degrees(angle) for angle in seen)
    return Angles(azimuth, zenith, hour_angle, declination, (hour_angle + cirs_ra - origins) % 360.0)


def _moment(ra: float, dec: float, near: datetime, airmass: float, site: Site) -> tuple[datetime, tuple[str, ...]]:
    """Return the time nearest to ``near`` at which the pointing has this airmass, or culminates if it never has."""
    seen = apparent(ra, dec, near, site)
    lat, d = math.radians(site.latitude), math.radians(seen.dec)
    cosine = (1.0 / airmass - math.sin(lat) * math.sin(d)) / (math.cos(lat) * math.cos(d))
    target = math.degrees(math.acos(max(-1.0, min(1.0, cosine))))
    turns = [(h - seen.hour_angle + 180.0) % 360.0 - 180.0 for h in (target, -target)]
    time = whole_ms(near + timedelta(seconds=min(turns, key=abs) * 240.0 / _SIDEREAL))
    return time, _disagreement(apparent(ra, dec, time, site).zenith_distance, airmass)


def _disagreement(zenith_distance: float, airmass: float) -> tuple[str, ...]:
    """Return a note if the pointing is not at the airmass that is simulated."""
    if zenith_distance >= 90.0:
        return (f"the pointing is below the horizon; the simulation keeps the requested airmass {airmass:g}",)
    actual = 1.0 / math.cos(math.radians(zenith_distance))
    if abs(actual - airmass) <= _TOLERANCE * airmass:
        return ()
    return (f"the pointing is at airmass {actual:.3f}; the simulation keeps the requested {airmass:g}",)
