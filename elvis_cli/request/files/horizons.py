"""Ephemerides as text: observer tables of JPL Horizons, and of the Minor Planet Center."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np

from elvis_cli.request.files.moving import Ephemeris, make, to_mjd, wrong

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CALENDAR = re.compile(r"(?:A\.D\. )?(\d{4})-(\w{3})-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d(?:\.\d*)?))?")
_MINOR_PLANET = re.compile(
    r"^\s*(\d{4}) (\d\d) (\d\d) (\d{4}|\d{6})\s+(\d\d \d\d \d\d\.?\d*)\s+([+-]\d\d \d\d \d\d\.?\d*)(?=\s)", re.MULTILINE
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def read_horizons(name: str, text: str) -> Ephemeris:
    """Return the ephemeris in an observer table of JPL Horizons, of fixed columns or with commas."""
    head, _, rest = text.partition("$$SOE")
    body, end, _ = rest.partition("$$EOE")
    if "$$SOE" in rest:
        raise wrong(name, "holds several ephemerides", allowed="one target in a file")
    if not end:
        raise wrong(name, "has no line $$EOE: it is cut off")
    lines = [line for line in head.splitlines() if line.strip() and not line.lstrip().startswith("*")]
    titles = lines[-1] if lines else ""
    commas = "," in titles
    columns = [part.strip() for part in titles.split(",")] if commas else titles.split()
    zone = _check_titles(name, columns)
    rows = [line for line in body.splitlines() if line.strip() and not line.lstrip().startswith(">")]
    split = _comma_row if commas else _fixed_row
    found: list[tuple[float, ...]] = []
    for line in rows:
        try:
            found.append(split(line, columns))
        except (ValueError, IndexError):
            raise wrong(name, f"cannot read the line {line.strip()[:100]!r}", allowed=titles.strip()[:100]) from None
    values = np.array([row[1:] for row in found], float).reshape(-1, 4)
    rates = values[:, 2:] if any(column.startswith("dRA*cosD") for column in columns) else None
    centre = re.search(r"Center-site name\s*:\s*(.*)", head)
    notes: tuple[str, ...] = ()
    if centre and "GEOCENTRIC" in centre[1]:
        notes = (f"{name} is of the Earth's centre: the parallax of the site is left out",)
    return make(name, [row[0] - zone for row in found], values[:, 0], values[:, 1], rates, notes)


def _check_titles(name: str, columns: Sequence[str]) -> float:
    """Return what the dates of a table are later than UT (days), or raise RequestError.

    It may have no such dates, or no astrometric places.
    """
    date = next((column for column in columns if column.startswith("Date_")), "")
    zone = re.search(r"UT(?:([+-])(\d\d?):(\d\d))?(?![+-])", date)
    if zone is None:
        raise wrong(name, f"the dates are {date or 'missing'}", allowed="dates in UT: Date__(UT)__HR:MN or JDUT")
    if not any(column.startswith("R.A.") and re.search("ICRF|J2000", column) for column in columns):
        raise wrong(name, f"has the columns {' '.join(columns)[:120]}", allowed="quantity 1, R.A._(ICRF)_DEC")
    days = (int(zone[2]) + int(zone[3]) / 60.0) / 24.0 if zone[1] else 0.0
    return -days if zone[1] == "-" else days


def read_minor_planet_center(name: str, text: str) -> Ephemeris:
    """Return the ephemeris in a text of the Minor Planet Center, whose rows begin with date, UT (hhmm[ss]) and place.

    Raises
    ------
    RequestError
        There are no such rows, or several targets.
    """
    if len(re.findall("R.A. \\(J2000\\)", text)) > 1:
        raise wrong(name, "holds several ephemerides", allowed="one target in a file")
    days, places = [], []
    for row in _MINOR_PLANET.finditer(text):
        year, month, day = (int(row[n]) for n in (1, 2, 3))
        hour, minute, second = (int(row[4][n : n + 2] or 0) for n in (0, 2, 4))
        days.append(to_mjd(datetime(year, month, day, hour, minute, second)))
        places.append(place_of(row[5].split(), row[6].split()))
    if not days:
        raise wrong(name, "has no rows such as 2026 03 01 0200 10 00 00.0 -20 00 00")
    ra, dec = np.array(places, float).T
    return make(name, days, ra, dec, None, ())


def _comma_row(line: str, columns: Sequence[str]) -> tuple[float, ...]:
    cells = [cell.strip() for cell in line.split(",")]

    def cell(title: str) -> str:
        return next((found for found, name in zip(cells, columns, strict=False) if re.match(title, name)), "nan")

    ra, dec = (cell(rf"{angle}.*(ICRF|J2000)").split() for angle in (r"R\.A\.", "DEC"))
    return (day_of(cell("Date_")), *place_of(ra, dec), float(cell(r"dRA\*cosD")), float(cell(r"d\(DEC\)/dt")))


def _fixed_row(line: str, columns: Sequence[str]) -> tuple[float, ...]:
    words, row = line.split(), dict.fromkeys(("dRA*cosD", "d(DEC)/dt"), math.nan)
    for title in columns:
        if title.startswith("Date_"):
            count = 2 if "-" in words[0] else 1
            row.setdefault("day", day_of(" ".join(words[:count])))
            while not _NUMBER.fullmatch(words[count]):  # marks of Sun and Moon
                count += 1
        elif title.startswith("R.A."):
            count = 2 if "." in words[0] else 6
            if re.search("ICRF|J2000", title):
                row["ra"], row["dec"] = place_of(words[: count // 2], words[count // 2 : count])
        elif title in row:
            count = 1
            row[title] = float(words[0])
        else:
            break  # the quantities are in the order of their numbers: no later one is of use
        words = words[count:]
    return row["day"], row["ra"], row["dec"], row["dRA*cosD"], row["d(DEC)/dt"]


def day_of(text: str) -> float:
    """Return the modified Julian date of a calendar or Julian date of Horizons."""
    match = _CALENDAR.fullmatch(text.strip())
    if match is None:
        if not 2.3e6 < float(text) < 2.6e6:
            raise ValueError
        return float(text) - 2400000.5
    year, month, day, hour, minute = match[1], _MONTHS.index(match[2].casefold()) + 1, *match.group(3, 4, 5)
    midnight = datetime(int(year), month, int(day), int(hour), int(minute))
    return to_mjd(midnight) + float(match[6] or 0) / 86400.0


def place_of(ra: Sequence[str], dec: Sequence[str]) -> tuple[float, float]:
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
