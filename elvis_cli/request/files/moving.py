"""A moving target: its places and rates, at rows of an ephemeris and between them.

Places are astrometric (ICRF), as JPL Horizons' quantity 1 and most tables have them. They are used as they are: light
time, parallax and the observer's place are those of the table. A catalogue's stars have such places too, so the target
stands right among them. Rates (quantity 3) are arcsec per hour on the sky, East and North. Dates are UT.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError

OPTION = "--ephemeris"
MAX_STEP = 10.0
"""Longest way between two rows, deg."""
MJD_ZERO = datetime(1858, 11, 17)


@dataclass(frozen=True, slots=True, eq=False)
class Ephemeris:
    """Places of a moving target at times, and what lies between."""

    name: str
    """Of its file."""
    days: Floats
    """Modified Julian dates (n,), UTC, ascending."""
    places: Floats
    """Unit vectors (n, 3), ICRS."""
    rates: Floats
    """Their changes (n, 3), 1 / day."""
    notes: tuple[str, ...] = field(default=())

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The first and the last time, UTC."""
        first, last = (MJD_ZERO + timedelta(milliseconds=round(float(day) * 864e5)) for day in self.days[[0, -1]])
        return first, last

    def check(self, start: datetime, end: datetime, pointer: str = "/elvis/date") -> None:
        """Raise RequestError if the table does not hold the time from ``start`` to ``end`` (UTC)."""
        first, last = self.span
        if not first <= start <= end <= last:
            time = start if not first <= start <= last else end
            raise RequestError(
                pointer, f"{self.name} has no place of the target at {time.isoformat()}",
                found=time.isoformat(), allowed=f"{first.isoformat()} to {last.isoformat()}",
            )  # fmt: skip

    def at(self, day: float) -> tuple[float, float]:
        """Return ICRS right ascension (0..360) and declination (deg) at a modified Julian date (UTC)."""
        x, y, z = self._vectors(day)[0]
        return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))

    def rate(self, day: float) -> tuple[float, float]:
        """Return the rate on the sky at a modified Julian date (UTC), arcsec per hour East and North."""
        place, rate = self._vectors(day)
        east, north = _axes(place)
        return _arcsec_per_hour(rate @ east), _arcsec_per_hour(rate @ north)

    def _vectors(self, day: float) -> tuple[Floats, Floats]:
        """Return place and rate: a cubic through the places with their rates, and the rates' own straight line.

        Vectors know neither the end of right ascension at 360 deg nor the pole.
        """
        n = int(np.clip(np.searchsorted(self.days, day, side="right") - 1, 0, len(self.days) - 2))
        step = self.days[n + 1] - self.days[n]
        s = (day - self.days[n]) / step
        (p0, p1), (m0, m1) = self.places[n : n + 2], self.rates[n : n + 2] * step
        place = p0 + (3 - 2 * s) * s * s * (p1 - p0) + s * (1 - s) ** 2 * m0 - s * s * (1 - s) * m1
        return place / np.linalg.norm(place), ((1 - s) * m0 + s * m1) / step


def make(name: str, days: Sequence[float], ra: Floats, dec: Floats, rates: Floats | None, notes: tuple[str, ...]
          ) -> Ephemeris:  # fmt: skip
    """Return the ephemeris of places (deg) and rates (n, 2; arcsec per hour), the latter from the places if None."""
    times = np.asarray(days, float)
    if len(times) < 2:
        raise wrong(name, f"has {len(times)} rows", allowed="two or more")
    bad = np.flatnonzero(np.diff(times) <= 0)
    if bad.size:
        raise wrong(name, f"row {bad[0] + 2} is not later than the row before", allowed="ascending dates")
    for values, column, low, high in ((ra, "right ascension", -360.0, 360.0), (dec, "declination", -90.0, 90.0)):
        outside = np.flatnonzero(~((values >= low) & (values <= high)))
        if outside.size:
            raise wrong(
                name, f"{column} of row {outside[0] + 1} is {values[outside[0]]:g}", allowed=f"{low:g} to {high:g} deg"
            )
    a, d = np.radians(ra), np.radians(dec)
    places = np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    chords = np.linalg.norm(np.diff(places, axis=0), axis=1)
    if chords.max() > 2 * math.sin(math.radians(MAX_STEP) / 2):
        row = int(chords.argmax()) + 1
        raise wrong(
            name, f"rows {row} and {row + 1} are more than {MAX_STEP:g} deg apart", allowed="shorter steps of time"
        )
    found: Floats = np.gradient(places, times, axis=0, edge_order=2 if len(times) > 2 else 1)
    if rates is not None:
        if not np.isfinite(rates).all():
            row = int(np.flatnonzero(~np.isfinite(rates).all(axis=1))[0]) + 1
            raise wrong(name, f"the rate of row {row} is not a number", allowed="arcsec per hour")
        axes = np.array([_axes(place) for place in places])
        found = np.einsum("ni,nij->nj", rates * (math.radians(24.0 / 3600.0)), axes)
        _check_rates(name, times, places, found)
    return Ephemeris(name, times, places, found, notes)


def _check_rates(name: str, times: Floats, places: Floats, rates: Floats) -> None:
    """Raise RequestError if the rates do not lead from place to place, as those in another unit do not."""
    steps = np.diff(times)[:, None]
    way = np.diff(places, axis=0)
    left = np.linalg.norm(way - (rates[1:] + rates[:-1]) / 2 * steps, axis=1)
    size = np.linalg.norm(way, axis=1) + 5e-6  # 1 arcsec, for places that are rounded
    if np.median(left / size) > 0.5:
        raise wrong(
            name,
            "the rates do not lead from one place to the next",
            allowed="arcsec per hour, dRA*cosD and d(DEC)/dt; shorter steps of time",
        )


def _axes(place: Floats) -> tuple[Floats, Floats]:
    """Return the unit vectors to the East and to the North at a place."""
    x, y, z = place
    radius = math.hypot(x, y)
    cos, sin = (x / radius, y / radius) if radius else (1.0, 0.0)
    return np.array([-sin, cos, 0.0]), np.array([-z * cos, -z * sin, radius])


def _arcsec_per_hour(radians_per_day: Any) -> float:
    return math.degrees(float(radians_per_day)) * 3600.0 / 24.0


def to_mjd(time: datetime) -> float:
    """Return the modified Julian date of a UTC time."""
    return (time - MJD_ZERO) / timedelta(days=1)


def wrong(name: str, reason: str, **details: Any) -> RequestError:
    """Return the error of an ephemeris in the file ``name``."""
    return RequestError(
        OPTION, f"{name} {reason}" if reason.startswith(("has", "is")) else f"{name}: {reason}", **details
    )
