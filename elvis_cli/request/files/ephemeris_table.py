"""Ephemerides in tables that astropy reads: times, right ascension and declination, perhaps rates."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.dates import parse_date
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.horizons import day_of
from elvis_cli.request.files.moving import OPTION, Ephemeris, make, to_mjd, wrong

_TIME_COLUMNS = ("datetime_jd", "jd", "jdut", "jd_ut", "jd_utc", "mjd", "mjd_utc", "datetime", "datetime_str", "date",
                 "date-obs", "time", "utc", "ut", "obstime", "epoch")  # fmt: skip
_RA_COLUMNS = ("ra", "ra_icrs", "raj2000", "_raj2000", "r.a.", "coord.ra")
_DEC_COLUMNS = ("dec", "de_icrs", "dec_icrs", "dej2000", "_dej2000", "decj2000", "coord.dec")
_RATE_COLUMNS = (
    ("ra_rate", "dra*cosd", "dracosd", "dra_cosdec", "racosd_rate", "pm_ra_cosdec"),
    ("dec_rate", "d(dec)/dt", "pm_dec"),
)


def read(path: Path) -> Ephemeris:
    """Return the ephemeris in a table of astropy: times, RA, Dec, perhaps rates."""
    from astropy import units
    from astropy.coordinates import SkyCoord

    from elvis_cli.request.files.table import read_table
    from elvis_cli.request.files.text_table import REPEATED, repeated

    table, _ = read_table(path, OPTION, lambda columns: bool({*_TIME_COLUMNS} & {c.casefold() for c in columns}))
    names = {str(name).casefold(): str(name) for name in table.colnames}

    def column(known: Sequence[str], what: str) -> Any:
        name = next((names[k] for k in known if k in names), None)
        numbers = repeated([str(n).casefold() for n in table.colnames]).get(str(name).casefold())
        if numbers or name in table.meta.get(REPEATED, {}):
            raise wrong(
                path.name, f"has several columns named {name}: which?", found=name, allowed="names of their own"
            )
        if name is None:
            raise wrong(path.name, f"has no column of {what}", found=list(names), allowed=list(known))
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
    return make(path.name, _times(path.name, times), np.asarray(ra), np.asarray(dec), rates, ())


def _times(name: str, column: Any) -> list[float]:
    """Return the modified Julian dates (UTC) of a column: astropy's own, text, or Julian dates."""
    from astropy.time import Time
    from astropy.utils.iers import conf

    if isinstance(column, Time):
        # astropy's table of leap seconds may be of any age, and is not to be fetched
        with warnings.catch_warnings(), conf.set_temp("auto_download", False), conf.set_temp("auto_max_age", None):
            warnings.simplefilter("ignore")  # of leap seconds that nobody knows yet
            return [float(day) for day in np.atleast_1d(column.utc.mjd)]
    days = _decimals(column) if column.dtype.kind in "US" else _numbers(name, column, None, None)
    if days is None:
        return [_text_day(name, str(value)) for value in column]
    if np.all((days > 2.3e6) & (days < 2.6e6)):
        return [float(day) for day in days - 2400000.5]
    if "mjd" in str(column.name).casefold() and np.all((days > 4e4) & (days < 1e5)):
        return [float(day) for day in days]
    raise wrong(name, f"column {column.name} holds no dates", allowed="ISO 8601, JD, or MJD in a column mjd")


def _decimals(column: Any) -> Floats | None:
    """Return the numbers in a column of texts, whose mark may be a comma; None if they are no numbers."""
    try:
        return np.array([str(value).strip().replace(",", ".") for value in column], float)
    except ValueError:
        return None


def _text_day(name: str, text: str) -> float:
    try:
        return day_of(text)
    except ValueError:
        return to_mjd(parse_date(text, f"{OPTION}: {name}"))


def _angles(name: str, column: Any, sexagesimal: Any) -> Floats:
    """Return degrees of a column: numbers in their unit (deg if there is none), or texts to base 60."""
    from astropy import units
    from astropy.coordinates import Angle

    if column.dtype.kind in "US":
        numbers = _decimals(column)
        if numbers is not None:
            degrees: Floats = numbers * (column.unit or units.deg).to(units.deg)
            return degrees
        try:
            return np.asarray(Angle([str(value) for value in column], unit=sexagesimal).deg, float)
        except Exception as error:
            raise wrong(name, f"column {column.name}: {one_line(error)}", allowed="hh:mm:ss.s, dd:mm:ss") from None
    return _numbers(name, column, units.deg, units.deg)


def _numbers(name: str, column: Any, default: Any, unit: Any) -> Floats:
    """Return finite numbers of a column in a unit; its own unit is ``default`` if it has none."""
    from astropy import units

    try:
        values: Floats = np.ma.filled(np.ma.asarray(getattr(column, "value", column), dtype=float), np.nan)
        if unit is not None:
            values = (values * units.Unit(column.unit or default)).to_value(unit)
    except (TypeError, ValueError, units.UnitConversionError) as error:
        raise wrong(name, f"column {column.name}: {one_line(error)}", allowed=f"numbers in {unit}") from None
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise wrong(name, f"column {column.name}: row {bad[0] + 1} is not a number")
    return np.asarray(values, float)
