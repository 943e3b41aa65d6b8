"""An ephemeris of a moving target -> its places and rates; the keys ``pointing`` and ``motion`` of a request.

Places are astrometric (ICRF), as JPL Horizons' quantity 1 and most tables have them. They are used as they are: light
time, parallax and the observer's place are those of the table. A catalogue's stars have such places too, so the target
stands right among them. Rates (quantity 3) are arcsec per hour on the sky, East and North. Dates are UT.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.dates import parse_date
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.request import SceneRequest
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.parse import parse_json

OPTION = "--ephemeris"
MAX_STEP = 10.0
"""Longest way between two rows, deg."""
MAX_RATE = 3.6e6
"""Highest rate of a request's ``motion``, arcsec per hour."""
_MJD_ZERO = datetime(1858, 11, 17)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CALENDAR = re.compile(r"(?:A\.D\. )?(\d{4})-(\w{3})-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d(?:\.\d*)?))?")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_TIME_COLUMNS = ("datetime_jd", "jd", "jdut", "jd_ut", "jd_utc", "mjd", "mjd_utc", "datetime", "datetime_str", "date",
                 "date-obs", "time", "utc", "ut", "obstime")  # fmt: skip
_RA_COLUMNS = ("ra", "ra_icrs", "raj2000", "_raj2000", "r.a.", "coord.ra")
_DEC_COLUMNS = ("dec", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "decj2000", "coord.dec")
_RATE_COLUMNS = (("ra_rate", "dra*cosd", "dracosd", "dra_cosdec", "pm_ra_cosdec"), ("dec_rate", "d(dec)/dt", "pm_dec"))


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
        first, last = (_MJD_ZERO + timedelta(milliseconds=round(float(day) * 864e5)) for day in self.days[[0, -1]])
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


def read_ephemeris(path: Path) -> Ephemeris:
    """Return the ephemeris in a file: an observer table of JPL Horizons as text, or a table that astropy reads (ECSV).

    Raises
    ------
    UsageError
        The file cannot be read.
    RequestError
        It has no times or places, or they are in no known form.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{OPTION}: cannot read {path}: {error.strerror}") from None
    try:
        text = "" if content.startswith(b"SIMPLE") else content.decode("utf-8-sig")
    except UnicodeDecodeError:  # a table, perhaps compressed
        return _table(path)
    if text.lstrip().startswith("{"):  # as the service of Horizons answers
        try:
            text = str(parse_json(text)["result"])
        except (RequestError, KeyError, TypeError):
            raise _wrong(path.name, "is JSON without a text 'result'") from None
    if "$$SOE" in text:
        return _horizons(path.name, text)
    return _table(path)


def follow(ephemeris: Ephemeris, request: SceneRequest, duration: float) -> dict[str, Any]:
    """Return the keys ``pointing`` and ``motion`` that follow the target in an exposure of ``duration`` s.

    The place is that in the middle of the exposure. A target beside the field's centre (``offset``) stays there.

    Raises
    ------
    RequestError
        The request has no date, or one that the ephemeris does not hold.
    """
    block = request.elvis
    if block.date is None:
        raise RequestError("/elvis/date", f"is missing: {ephemeris.name} needs the time of the exposure", allowed="UTC")
    start = parse_date(block.date, "/elvis/date")
    ephemeris.check(start, start + timedelta(seconds=duration))
    day = to_mjd(start + timedelta(seconds=duration / 2))
    ra, dec = ephemeris.at(day)
    if block.offset != (0.0, 0.0):
        angle = block.pointing.position_angle if block.pointing else 0.0
        east, north = (np.float64(-value) for value in field_to_sky(*block.offset, angle))
        ra, dec = (float(value) for value in deproject(east, north, ra, dec))  # type: ignore[arg-type]
    pointing = {"ra": round(ra, 9) % 360.0, "dec": round(dec, 9)}
    return {"pointing": pointing, "motion": motion(*ephemeris.rate(day))}


def motion(east: float, north: float) -> dict[str, Any]:
    """Return the block ``motion`` of a target that the telescope follows, from its rates in arcsec per hour."""
    angle = round(math.degrees(math.atan2(east, north)), 6)
    return {"rate": round(min(math.hypot(east, north), MAX_RATE), 6), "angle": angle, "tracked": True}


def to_mjd(time: datetime) -> float:
    """Return the modified Julian date of a UTC time."""
    return (time - _MJD_ZERO) / timedelta(days=1)


def _make(name: str, days: Sequence[float], ra: Floats, dec: Floats, rates: Floats | None, notes: tuple[str, ...]
          ) -> Ephemeris:  # fmt: skip
    """Return the ephemeris of places (deg) and rates (n, 2; arcsec per hour), the latter from the places if None."""
    times = np.asarray(days, float)
    if len(times) < 2:
        raise _wrong(name, f"has {len(times)} rows", allowed="two or more")
    bad = np.flatnonzero(np.diff(times) <= 0)
    if bad.size:
        raise _wrong(name, f"row {bad[0] + 2} is not later than the row before", allowed="ascending dates")
    for values, column, low, high in ((ra, "right ascension", -360.0, 360.0), (dec, "declination", -90.0, 90.0)):
        wrong = np.flatnonzero(~((values >= low) & (values <= high)))
        if wrong.size:
            raise _wrong(
                name, f"{column} of row {wrong[0] + 1} is {values[wrong[0]]:g}", allowed=f"{low:g} to {high:g} deg"
            )
    a, d = np.radians(ra), np.radians(dec)
    places = np.column_stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
    chords = np.linalg.norm(np.diff(places, axis=0), axis=1)
    if chords.max() > 2 * math.sin(math.radians(MAX_STEP) / 2):
        row = int(chords.argmax()) + 1
        raise _wrong(
            name, f"rows {row} and {row + 1} are more than {MAX_STEP:g} deg apart", allowed="shorter steps of time"
        )
    found: Floats = np.gradient(places, times, axis=0, edge_order=2 if len(times) > 2 else 1)
    if rates is not None:
        if not np.isfinite(rates).all():
            row = int(np.flatnonzero(~np.isfinite(rates).all(axis=1))[0]) + 1
            raise _wrong(name, f"the rate of row {row} is not a number", allowed="arcsec per hour")
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
        raise _wrong(
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


def _horizons(name: str, text: str) -> Ephemeris:
    """Return the ephemeris in an observer table of JPL Horizons, of fixed columns or with commas."""
    head, _, rest = text.partition("$$SOE")
    body, end, _ = rest.partition("$$EOE")
    if not end:
        raise _wrong(name, "has no line $$EOE: it is cut off")
    lines = [line for line in head.splitlines() if line.strip() and not line.lstrip().startswith("*")]
    titles = lines[-1] if lines else ""
    commas = "," in titles
    columns = [part.strip() for part in titles.split(",")] if commas else titles.split()
    _check_titles(name, columns)
    rows = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith(">")]
    split = _comma_row if commas else _fixed_row
    found: list[tuple[float, ...]] = []
    for line in rows:
        try:
            found.append(split(line, columns))
        except (ValueError, IndexError):
            raise _wrong(name, f"cannot read the line {line.strip()[:100]!r}", allowed=titles.strip()[:100]) from None
    values = np.array([row[1:] for row in found], float).reshape(-1, 4)
    rates = values[:, 2:] if any(column.startswith("dRA*cosD") for column in columns) else None
    centre = re.search(r"Center-site name\s*:\s*(.*)", head)
    notes: tuple[str, ...] = ()
    if centre and "GEOCENTRIC" in centre[1]:
        notes = (f"{name} is of the Earth's centre: the parallax of the site is left out",)
    return _make(name, [row[0] for row in found], values[:, 0], values[:, 1], rates, notes)


def _check_titles(name: str, columns: Sequence[str]) -> None:
    """Raise RequestError if a table has no dates in UT, or no astrometric places."""
    date = next((column for column in columns if column.startswith("Date_")), "")
    if "UT" not in date or re.search(r"UT[+-]", date):
        raise _wrong(name, f"the dates are {date or 'missing'}", allowed="dates in UT: Date__(UT)__HR:MN or JDUT")
    if not any(column.startswith("R.A.") and re.search("ICRF|J2000", column) for column in columns):
        raise _wrong(name, f"has the columns {' '.join(columns)[:120]}", allowed="quantity 1, R.A._(ICRF)_DEC")


def _comma_row(line: str, columns: Sequence[str]) -> tuple[float, ...]:
    cells = [cell.strip() for cell in line.split(",")]

    def cell(title: str) -> str:
        return next((found for found, name in zip(cells, columns, strict=False) if re.match(title, name)), "nan")

    ra, dec = (cell(rf"{angle}.*(ICRF|J2000)").split() for angle in (r"R\.A\.", "DEC"))
    return (_day(cell("Date_")), *_place(ra, dec), float(cell(r"dRA\*cosD")), float(cell(r"d\(DEC\)/dt")))


def _fixed_row(line: str, columns: Sequence[str]) -> tuple[float, ...]:
    words, row = line.split(), dict.fromkeys(("dRA*cosD", "d(DEC)/dt"), math.nan)
    for title in columns:
        if title.startswith("Date_"):
            count = 2 if "-" in words[0] else 1
            row.setdefault("day", _day(" ".join(words[:count])))
            while not _NUMBER.fullmatch(words[count]):  # marks of Sun and Moon
                count += 1
        elif title.startswith("R.A."):
            count = 2 if "." in words[0] else 6
            if re.search("ICRF|J2000", title):
                row["ra"], row["dec"] = _place(words[: count // 2], words[count // 2 : count])
        elif title in row:
            count = 1
            row[title] = float(words[0])
        else:
            break  # the quantities are in the order of their numbers: no later one is of use
        words = words[count:]
    return row["day"], row["ra"], row["dec"], row["dRA*cosD"], row["d(DEC)/dt"]


def _day(text: str) -> float:
    """Return the modified Julian date of a calendar or Julian date of Horizons."""
    match = _CALENDAR.fullmatch(text.strip())
    if match is None:
        if not 2.3e6 < float(text) < 2.6e6:
            raise ValueError
        return float(text) - 2400000.5
    year, month, day, hour, minute = match[1], _MONTHS.index(match[2].casefold()) + 1, *match.group(3, 4, 5)
    midnight = datetime(int(year), month, int(day), int(hour), int(minute))
    return to_mjd(midnight) + float(match[6] or 0) / 86400.0


def _place(ra: Sequence[str], dec: Sequence[str]) -> tuple[float, float]:
    """Return deg of an angle's parts: one of degrees, or three, the first place's in hours."""
    if len(ra) != len(dec) or len(ra) not in (1, 3):
        raise ValueError
    if len(ra) == 1:
        return float(ra[0]), float(dec[0])
    return 15.0 * _sixty(ra), _sixty(dec)


def _sixty(parts: Sequence[str]) -> float:
    if not (
        parts[0].lstrip("+-").isdigit() and parts[1].isdigit() and float(parts[1]) < 60 and 0 <= float(parts[2]) < 60
    ):
        raise ValueError
    size = abs(float(parts[0])) + float(parts[1]) / 60.0 + float(parts[2]) / 3600.0
    return -size if parts[0].startswith("-") else size


def _table(path: Path) -> Ephemeris:
    """Return the ephemeris in a table of astropy: times, RA, Dec, perhaps rates."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    from elvis_cli.request.files.table import read_table

    table, _ = read_table(path, OPTION, lambda columns: bool({*_TIME_COLUMNS} & {c.casefold() for c in columns}))
    names = {str(name).casefold(): str(name) for name in table.colnames}

    def column(known: Sequence[str], what: str) -> Any:
        name = next((names[k] for k in known if k in names), None)
        if name is None:
            raise _wrong(path.name, f"has no column of {what}", found=list(names), allowed=list(known))
        return table[name]

    times = column(_TIME_COLUMNS, "times")
    sky = next((table[name] for name in table.colnames if isinstance(table[name], SkyCoord)), None)
    if sky is not None:
        ra, dec = sky.icrs.ra.deg, sky.icrs.dec.deg
    else:
        ra = _angles(path.name, column(_RA_COLUMNS, "right ascension"), units.hourangle)
        dec = _angles(path.name, column(_DEC_COLUMNS, "declination"), units.deg)
    rates: Floats | None = None
    if all(set(known) & set(names) for known in _RATE_COLUMNS):
        hourly = units.arcsec / units.hour
        rates = np.column_stack(
            [_numbers(path.name, column(known, "rates"), hourly, hourly) for known in _RATE_COLUMNS]
        )
    return _make(path.name, _times(path.name, times), np.asarray(ra), np.asarray(dec), rates, ())


def _times(name: str, column: Any) -> list[float]:
    """Return the modified Julian dates (UTC) of a column: astropy's own, text, or Julian dates."""
    from astropy.time import Time
    from astropy.utils.iers import conf

    if isinstance(column, Time):
        # astropy's table of leap seconds may be of any age, and is not to be fetched
        with warnings.catch_warnings(), conf.set_temp("auto_download", False), conf.set_temp("auto_max_age", None):
            warnings.simplefilter("ignore")  # of leap seconds that nobody knows yet
            return [float(day) for day in np.atleast_1d(column.utc.mjd)]
    if column.dtype.kind in "US":
        return [_text_day(name, str(value)) for value in column]
    days = _numbers(name, column, None, None)
    if np.all((days > 2.3e6) & (days < 2.6e6)):
        return [float(day) for day in days - 2400000.5]
    if "mjd" in str(column.name).casefold() and np.all((days > 4e4) & (days < 1e5)):
        return [float(day) for day in days]
    raise _wrong(name, f"column {column.name} holds no dates", allowed="ISO 8601, JD, or MJD in a column mjd")


def _text_day(name: str, text: str) -> float:
    try:
        return _day(text)
    except ValueError:
        return to_mjd(parse_date(text, f"{OPTION}: {name}"))


def _angles(name: str, column: Any, sexagesimal: Any) -> Floats:
    """Return degrees of a column: numbers in their unit (deg if there is none), or texts to base 60."""
    from astropy import units
    from astropy.coordinates import Angle

    if column.dtype.kind in "US":
        try:
            return np.asarray(Angle([str(value) for value in column], unit=sexagesimal).deg, float)
        except Exception as error:
            raise _wrong(name, f"column {column.name}: {one_line(error)}", allowed="hh:mm:ss.s, dd:mm:ss") from None
    return _numbers(name, column, units.deg, units.deg)


def _numbers(name: str, column: Any, default: Any, unit: Any) -> Floats:
    """Return finite numbers of a column in a unit; its own unit is ``default`` if it has none."""
    from astropy import units

    try:
        values: Floats = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=float), np.nan)
        if unit is not None:
            values = (values * units.Unit(column.unit or default)).to_value(unit)
    except (TypeError, ValueError, units.UnitConversionError) as error:
        raise _wrong(name, f"column {column.name}: {one_line(error)}", allowed=f"numbers in {unit}") from None
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise _wrong(name, f"column {column.name}: row {bad[0] + 1} is not a number")
    return np.asarray(values, float)


def _wrong(name: str, reason: str, **details: Any) -> RequestError:
    return RequestError(
        OPTION, f"{name} {reason}" if reason.startswith(("has", "is")) else f"{name}: {reason}", **details
    )
