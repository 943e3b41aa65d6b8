"""A table of stars and galaxies -> the block ``elvis.catalogue``. astropy is only imported where there is a file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError, nearest_name
from elvis_cli.model.request import Brightness
from elvis_cli.request.files.magnitudes import UNBANDED, Magnitudes, magnitude_columns
from elvis_cli.request.files.table import numbers_of, read_table, texts_of, unit_of
from elvis_cli.request.payload import MAX_CATALOGUE_ROWS, pack_column

_POINTER = "/elvis/catalogue"
_ON_SKY = (
    ("ra", "dec"),
    ("ra_icrs", "dec_icrs"),
    ("ra_icrs", "de_icrs"),
    ("_ra_icrs", "_de_icrs"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("_ra", "_de"),
    ("ra_j2000", "dec_j2000"),
    ("alpha_j2000", "delta_j2000"),
    ("alphawin_j2000", "deltawin_j2000"),
    ("radeg", "dedeg"),
    ("radeg", "decdeg"),
    ("ra_deg", "dec_deg"),
    ("ramean", "decmean"),
    ("right_ascension", "declination"),
    ("ra", "de"),
)
"""Names of columns of right ascension and declination (ICRS, or J2000 at the same place), the best first."""
_NAMES: dict[str, tuple[tuple[str, ...], str]] = {
    "x": (("x",), "arcsec"),
    "y": (("y",), "arcsec"),
    "temperature": (("temperature", "teff", "t_eff", "teff_gspphot", "effective_temperature"), "K"),
    "sed": (("sed",), ""),
    "radius": (("radius", "half_light_radius", "re", "r_e", "reff", "r_eff", "r_half", "hlr"), "arcsec"),
    "index": (("index", "sersic_index", "sersic_n", "n_sersic", "sersic"), ""),
    "ellipticity": (("ellipticity", "ellip"), ""),
    "angle": (("angle", "position_angle", "pa", "theta", "theta_j2000"), "deg"),
    "velocity": (("velocity", "rv", "radial_velocity", "vrad", "hrv"), "km/s"),
    "id": (("id", "source_id", "number"), ""),
}
"""Names that a column may have, in any case, and the unit that it is brought to."""
QUANTITIES = ("x", "y", "ra", "dec", "mag", *(name for name in _NAMES if name not in "xy"))
"""Quantities of a source that a column may hold."""
_NEUTRAL = {"temperature": 0.0, "radius": 0.0, "index": 1.0, "ellipticity": 0.0, "angle": 0.0, "velocity": 0.0}
_RANGES = {
    "mag": (-30.0, 60.0),
    "ra": (-360.0, 360.0),
    "dec": (-90.0, 90.0),
    "temperature": (0.0, math.inf),
    "radius": (0.0, math.inf),
    "index": (0.3, 10.0),
    "ellipticity": (0.0, 1.0),
    "angle": (-360.0, 360.0),
    "velocity": (-998.0, 998.0),
}
"""Values beyond these that are written with nines only, such as 99, -999 or 99.99, mean that there is none."""
_MAX_EXACT = 2**53
_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[+-]?)\s*(?P<whole>\d{1,3})\s*(?P<letter>[hd°:\s])\s*(?P<minutes>\d{1,2}(?:\.\d*)?)
    (?:\s*[m'′:\s]\s*(?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*["″s]?)?)?""",
    re.VERBOSE,
)


@dataclass(slots=True)
class SourceTable:
    """The sources of a file; which of its magnitudes they have depends on the band of a request's brightness."""

    name: str
    columns: dict[str, Any]
    """Numbers (nan = no value) or words of each source, by quantity."""
    magnitudes: dict[str, Magnitudes]
    """The columns of magnitudes, by name."""
    chosen: str | None
    """The column that is named as that of the magnitudes."""
    file_notes: list[str]
    notes: list[str] = field(default_factory=list)
    """Assumptions behind the latest `block`."""
    latest: tuple[tuple[str, str] | None, dict[str, Any]] | None = None
    """Band and system of the latest `block`, and it."""

    def __call__(self, brightness: Brightness) -> dict[str, Any]:
        """Return `block`: so the table may stand in the place of one where the request is not known yet."""
        return self.block(brightness)

    def block(self, brightness: Brightness | None) -> dict[str, Any]:
        """Return the block ``elvis.catalogue`` with the magnitudes of the target's band; None takes the only ones.

        Raises
        ------
        RequestError
            There are no magnitudes in this band, or no source that can be used.
        """
        key = None if brightness is None else (brightness.band, brightness.system)
        if self.latest is None or self.latest[0] != key:
            self.latest = key, self._packed(brightness)
        return dict(self.latest[1])

    def _packed(self, brightness: Brightness | None) -> dict[str, Any]:
        self.notes = list(self.file_notes)
        mag = self._magnitudes(brightness)
        columns = {**self.columns, "mag": mag}
        place = ("x", "y") if "x" in columns else ("ra", "dec")
        placed = np.isfinite(columns[place[0]]) & np.isfinite(columns[place[1]])
        bright = np.isfinite(mag)
        for what, bad in (("place", ~placed), ("magnitude", placed & ~bright)):
            if count := int(bad.sum()):
                self.notes.append(f"{self.name}: {_rows(count)} of {mag.size} without a {what}: left out")
        rows = np.flatnonzero(placed & bright)
        if not rows.size and mag.size:
            raise RequestError(_POINTER, f"{self.name}: no row has both a place and a magnitude")
        if not 1 <= rows.size <= MAX_CATALOGUE_ROWS:
            raise RequestError(_POINTER, f"{self.name} has {rows.size} rows", allowed=f"1 to {MAX_CATALOGUE_ROWS}")
        if rows.size < mag.size and "id" not in columns:
            columns["id"] = np.arange(mag.size, dtype=float)
            self.notes.append(f"{self.name}: the sources are numbered by their rows, from 0")
        return {
            key: [values[row] for row in rows] if key == "sed" else pack_column(np.asarray(values)[rows])
            for key, values in columns.items()
        }

    def band(self) -> str | None:
        """Return the band that the name of the magnitudes' column says, None if it says none."""
        return None if self._plain() else next(iter(self.magnitudes.values())).band

    def _plain(self) -> Magnitudes | None:
        """Return the magnitudes that are of the target's band because nothing says otherwise."""
        if self.chosen:
            return self.magnitudes[self.chosen]
        found = [m for m in self.magnitudes.values() if m.band is None]
        return min(found, key=lambda m: UNBANDED.index(m.column.casefold()), default=None)

    def _magnitudes(self, brightness: Brightness | None) -> Floats:
        found = self._plain()
        if found is None:
            fitting = [m for m in self.magnitudes.values() if brightness is None or m.is_in(brightness.band)]
            names = ", ".join(f"{m.column} ({m.band})" for m in self.magnitudes.values())
            if len(fitting) != 1:
                band = "" if brightness is None else f" in the target's band {brightness.band}"
                many = "several columns of magnitudes" if len(fitting) > 1 else "no column of magnitudes"
                raise RequestError(
                    f"{_POINTER}/mag",
                    f"{self.name} has {many}{band}: it has {names}",
                    found=list(self.magnitudes),
                    allowed="--column mag=NAME, or another /target/brightness/magband",
                )
            found = fitting[0]
        if brightness and found.system and found.system.casefold() != brightness.system.casefold():
            raise RequestError(
                f"{_POINTER}/mag",
                f"{self.name}: column {found.column} is in {found.system} magnitudes, the target's are "
                f"{brightness.system}",
                found=found.system,
                allowed=f"/target/brightness/magsys: {found.system}",
            )
        if found.problem:
            raise RequestError(f"{_POINTER}/mag", found.problem)
        if found.column.casefold() != "mag":
            band = "" if brightness is None else f", taken in the target's band {brightness.band} ({brightness.system})"
            self.notes.append(f"{self.name}: magnitudes are those of column {found.column}{band}")
        return found.values


def read_catalogue(path: Path, named: Mapping[str, str] | None = None) -> SourceTable:
    """Return the sources in a table; ``named`` tells the column of a quantity where its name does not.

    Raises
    ------
    UsageError
        The file cannot be read as a table.
    RequestError
        Columns are missing, or do not hold what they should.
    """
    table, notes = read_table(path, "--catalogue", _suits)
    return _Reader(path, table, dict(named or {}), notes).sources()


def columns_named(texts: Sequence[str]) -> dict[str, str]:
    """Return the columns in ``NAME=COLUMN`` by quantity.

    Raises
    ------
    UsageError
        A text is not of this form, or names no quantity.
    """
    named: dict[str, str] = {}
    for text in texts:
        name, _, column = (part.strip() for part in text.partition("="))
        if not (name and column):
            raise UsageError(f"--column: {text!r} is not NAME=COLUMN, such as mag=Ks_2MASS")
        if name not in QUANTITIES:
            nearest = nearest_name(name, QUANTITIES)
            hint = f"; did you mean {nearest!r}?" if nearest else ""
            raise UsageError(f"--column: {name!r} is not one of {', '.join(QUANTITIES)}{hint}")
        if named.setdefault(name, column) != column:
            raise UsageError(f"--column: {name} is given twice")
    return named


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _unit_in_name(name: str, unit: str) -> str | None:
    """Return the unit at the end of a name such as x_mas, None if there is none that converts to ``unit``."""
    last = name.strip().rpartition("_")[2]
    known = unit_of(last) if unit and last != name else None
    return last if known is not None and known.is_equivalent(units.Unit(unit)) else None


def _has_unit(name: str, stem: str, unit: str) -> bool:
    """Return whether a name is a stem that ends in _ and a unit."""
    last = _unit_in_name(name, unit)
    return last is not None and stem.endswith("_") and _plain_name(name) == stem + last.casefold()


def _suits(names: Sequence[str]) -> bool:
    known = {_plain_name(name) for name in names}
    return any(known >= set(pair) for pair in (("x", "y"), ("rah", "ded"), *_ON_SKY))


def _plain_name(name: str) -> str:
    """Return a column's name in small letters, with _ for spaces."""
    return re.sub(r"[\s-]+", "_", str(name).strip()).casefold()


class _Reader:
    """Looks up the columns of a table, and keeps which of them were used."""

    def __init__(self, path: Path, table: Table, named: dict[str, str], notes: list[str]) -> None:
        self.path, self.table, self.named, self.notes = path, table, named, notes
        self.used: set[str] = set()
        for quantity, column in named.items():
            self.named[quantity] = self._existing(column, quantity)

    def sources(self) -> SourceTable:
        """Return the table's sources."""
        table, named = self.table, self.named
        columns = self._places()
        for key, (_, unit) in _NAMES.items():
            name = self.find(key)
            if name is None or key in ("x", "y"):
                continue
            if key in ("sed", "id"):
                columns |= self._words(name) if key == "sed" else self._numbers(name)
            else:
                columns[key] = self.number(name, key, unit)
        if "sed" in columns and columns.pop("temperature", None) is not None:
            self.notes.append(f"{self.path.name}: column sed is used, the temperatures are not")
        shapes = [key for key in ("index", "ellipticity", "angle") if key in columns]
        if shapes and "radius" not in columns:
            for key in shapes:
                columns.pop(key)
                self.used.discard(self.find(key) or "")
        self._fill(columns)
        taken = self.used | {named.get("mag", "")}
        candidates = [str(name) for name in table.colnames if name not in self.used or name == named.get("mag")]
        magnitudes = magnitude_columns(table, candidates, named.get("mag"), self.magnitude)
        if not magnitudes:
            self.missing(["mag"])
        unused = [str(name) for name in table.colnames if name not in taken and name not in magnitudes]
        if unused:
            more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
            self.notes.append(f"{self.path.name}: columns not used: {', '.join(unused[:8])}{more}")
        return SourceTable(self.path.name, columns, magnitudes, named.get("mag"), self.notes)

    def find(self, key: str) -> str | None:
        """Return the name of the column that holds a quantity, None if there is none."""
        if key in self.named:
            return self.named[key]
        names = [str(name) for name in self.table.colnames if name not in self.named.values()]
        words, unit = _NAMES[key]
        for known in (*words, *(f"{word}_" for word in words)):
            found = [name for name in names if _plain_name(name) == known or _has_unit(name, known, unit)]
            if len(found) > 1:
                raise RequestError(
                    f"{_POINTER}/{key}", f"{self.path.name}: which column?", found=found, allowed=f"--column {key}=NAME"
                )
            if found:
                return found[0]
        return None

    def number(self, name: str, key: str, unit: str) -> Floats:
        """Return a column in ``unit``, which it is taken to be in if it does not say; nan = no value."""
        self.used.add(name)
        column = self.table[name]
        values = numbers_of(self.path, column, name, f"{_POINTER}/{key}")
        own = getattr(column, "unit", None) or _unit_in_name(name, unit)
        if key and own is not None and str(own):
            values = self._converted(values, own, name, key, unit)
        low, high = _RANGES.get(key, (-math.inf, math.inf))
        for row in np.flatnonzero((values < low) | (values > high) | np.isinf(values)):
            if not np.isfinite(values[row]) or re.fullmatch(r"9{2,}(\.9+)?", f"{abs(values[row]):.10g}"):
                values[row] = np.nan
        return values

    def magnitude(self, name: str) -> tuple[Floats, str | None]:
        """Return a column of magnitudes and the system that its unit says."""
        unit = getattr(self.table[name], "unit", None)
        text = re.sub(r"[\s()_]", "", str(unit or "")).casefold()
        system = {"magab": "AB", "abmag": "AB", "magst": "ST", "stmag": "ST", "vegamag": "vega", "magvega": "vega"}
        if text not in system:
            return self.number(name, "mag", "mag"), None
        self.used.add(name)
        values = numbers_of(self.path, self.table[name], name, f"{_POINTER}/mag")
        return np.where((values < -30) | (values > 60), np.nan, values), system[text]

    def missing(self, what: Sequence[str]) -> NoReturn:
        """Raise the RequestError for a table that lacks columns."""
        raise RequestError(
            f"{_POINTER}/{what[0]}",
            f"{self.path.name} has no column {' and no '.join(what)}",
            found=[str(name) for name in self.table.colnames],
            allowed="x, y (arcsec) or ra, dec (deg); mag; temperature (K) or sed; radius (arcsec), index ...; "
            f"--column {what[0]}=NAME for one of {', '.join(map(str, self.table.colnames[:20]))}",
        )

    def _existing(self, column: str, quantity: str) -> str:
        names = [str(name) for name in self.table.colnames]
        if column in names:
            return column
        if column.isdecimal() and 1 <= int(column) <= len(names):
            return names[int(column) - 1]
        found = [name for name in names if name.casefold() == column.casefold()]
        if len(found) == 1:
            return found[0]
        raise RequestError(
            f"{_POINTER}/{quantity}",
            f"{self.path.name} has no column {column}",
            found=column,
            allowed=names,
            nearest=nearest_name(column, names),
        )

    def _converted(self, values: Floats, own: Any, name: str, key: str, unit: str) -> Floats:
        known = unit_of(own)
        if key == "ra" and known in (units.hour, units.hourangle):
            known = units.hourangle
        try:
            return np.array((values * units.Unit(known)).to_value(unit), dtype=float)
        except (units.UnitConversionError, ValueError, TypeError):
            raise RequestError(
                f"{_POINTER}/{key}",
                f"{self.path.name}: column {name} is in {own}",
                found=str(own),
                allowed=f"{unit or 'no unit'}, or what converts to it",
            ) from None

    def _places(self) -> dict[str, Any]:
        """Return x and y, or ra and dec."""
        x, y = self.find("x"), self.find("y")
        sky = self._sky_columns()
        if {"ra", "dec"} & set(self.named) or (sky and not (x and y)):
            return self._sky(sky or self._missing_place({"ra", "dec"} & self._plain_names()))
        if not (x and y):
            if self._plain_names() >= {"rah", "ded"}:
                return self._sky_in_parts()
            self._missing_place({key for key, name in (("x", x), ("y", y)) if name})
        if sky and not {"x", "y"} & set(self.named):
            return self._both(x, y, sky)
        return {"x": self.number(x, "x", "arcsec"), "y": self.number(y, "y", "arcsec")}

    def _plain_names(self) -> set[str]:
        return {_plain_name(name) for name in self.table.colnames} | set(self.named)

    def _missing_place(self, there: set[str]) -> NoReturn:
        """Raise the RequestError for a table without places, or with half of them."""
        there = there or ({"ra", "dec"} & self._plain_names())
        self.missing([key for key in (("ra", "dec") if there & {"ra", "dec"} else ("x", "y")) if key not in there])

    def _both(self, x: str, y: str, sky: tuple[str, ...]) -> dict[str, Any]:
        """Return the places of a table that has x, y and ra, dec: x, y if they are offsets in the field."""
        unit = str(getattr(self.table[x], "unit", None) or "")
        if unit.casefold() in ("pix", "pixel", "pixels"):
            return self._sky(sky)  # the note on columns that are not used tells
        places = {"x": self.number(x, "x", "arcsec"), "y": self.number(y, "y", "arcsec")}
        if not unit:
            used = set(self.used)
            there = self._sky(sky)
            self.used = used
            shrunk = math.cos(math.radians(float(np.nanmean(there["dec"]))))
            ra = (there["ra"] - there["ra"][0] + 180.0) % 360.0
            spread = 3600 * math.hypot(np.nanstd(ra) * shrunk, np.nanstd(there["dec"]))
            own = math.hypot(np.nanstd(places["x"]), np.nanstd(places["y"]))
            if own > 0 and not math.isclose(spread, own, rel_tol=0.01):
                raise RequestError(
                    f"{_POINTER}/x",
                    f"{self.path.name}: {x}, {y} have no unit, and are not the places of {', '.join(sky)} in arcsec",
                    allowed=f"--column ra={sky[0]} to use these, --column x={x} if those are arcsec",
                )
        return places

    def _sky_columns(self) -> tuple[str, ...]:
        """Return the columns of ra and dec, or the one of both (a SkyCoord), or none."""
        names = {_plain_name(name): str(name) for name in self.table.colnames}
        if {"ra", "dec"} & set(self.named):
            pair = [self.named.get(key) or names.get(key) for key in ("ra", "dec")]
            if pair[0] and isinstance(self.table[pair[0]], SkyCoord):
                return (pair[0],)
            return tuple(name for name in pair if name) if all(pair) else ()
        dotted = [name.removesuffix("ra") for name in names if name.endswith(".ra")]
        for ra, dec in (*_ON_SKY, *((f"{name}ra", f"{name}dec") for name in dotted)):
            if ra in names and dec in names:
                self._check_alone(ra, dec)
                return names[ra], names[dec]
        coordinates = [str(name) for name in self.table.colnames if isinstance(self.table[name], SkyCoord)]
        if len(coordinates) > 1:
            reason = f"{self.path.name}: which column?"
            raise RequestError(f"{_POINTER}/ra", reason, found=coordinates, allowed="--column ra=NAME")
        return tuple(coordinates)

    def _check_alone(self, *plain: str) -> None:
        """Raise a RequestError if two columns have the same name but for capitals."""
        found = [str(name) for name in self.table.colnames if _plain_name(name) in plain]
        if len(found) > len(plain):
            reason = f"{self.path.name}: which column?"
            raise RequestError(f"{_POINTER}/ra", reason, found=found, allowed="--column ra=NAME and dec=NAME")

    def _sky(self, sky: tuple[str, ...]) -> dict[str, Any]:
        if len(sky) > 1:
            places = {key: self._angle(name, key) for key, name in zip(("ra", "dec"), sky, strict=True)}
            for key, values in places.items():
                low, high = _RANGES[key]
                outside = np.flatnonzero((values < low) | (values > high))
                if outside.size:
                    reason = f"{self.path.name}: row {outside[0] + 1} has {key} {values[outside[0]]:g} deg"
                    raise RequestError(f"{_POINTER}/{key}", reason, allowed=f"{low:g} to {high:g}")
            return places
        (name,) = sky
        self.used.add(name)
        column = self.table[name]
        if column.frame.name != "icrs":
            self.notes.append(f"{self.path.name}: {name} is brought from {column.frame.name} to ICRS")
        return {key: _unmasked(value.deg) for key, value in (("ra", column.icrs.ra), ("dec", column.icrs.dec))}

    def _sky_in_parts(self) -> dict[str, Any]:
        """Return the places of a table of the CDS, with columns for hours, minutes, seconds, and the sign."""
        names = {_plain_name(name): str(name) for name in self.table.colnames}
        parts = {
            key: np.nan_to_num(self.number(names[key], "", "")) if n else self.number(names[key], "", "")
            for kind in (("rah", "ram", "ras"), ("ded", "dem", "des"))
            for n, key in enumerate(kind)
            if key in names
        }
        sign = np.ones(len(self.table))
        if "de_" in names:
            self.used.add(names["de_"])
            sign = np.where(np.char.strip(np.asarray(self.table[names["de_"]], dtype=str)) == "-", -1.0, 1.0)
        ra = 15.0 * (parts["rah"] + parts.get("ram", 0.0) / 60.0 + parts.get("ras", 0.0) / 3600.0)
        return {"ra": ra, "dec": sign * (parts["ded"] + parts.get("dem", 0.0) / 60.0 + parts.get("des", 0.0) / 3600.0)}

    def _angle(self, name: str, key: str) -> Floats:
        """Return right ascensions or declinations, deg, from numbers or sexagesimal words."""
        column = self.table[name]
        unit = str(getattr(column, "unit", None) or "").strip(" \"'").casefold()
        if column.dtype.kind not in "SUO":
            return self.number(name, key, "deg")
        texts = [re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", text) for text in texts_of(column)]
        parts = [_SEXAGESIMAL.fullmatch(text) for text in texts]
        if not any(parts):
            return self.number(name, key, "deg")
        self.used.add(name)
        largest = max((int(part["whole"]) for part in parts if part), default=0)
        known = unit_of(unit)
        in_degrees = unit.startswith("d:") if known is None else known not in (units.hour, units.hourangle)
        hours = key == "ra" and not in_degrees and largest <= 24
        values = np.full(len(texts), np.nan)
        letters = set()
        for row, (text, part) in enumerate(zip(texts, parts, strict=True)):
            if not text:
                continue
            minutes, seconds = (float(part[k] or 0) if part else 60.0 for k in ("minutes", "seconds"))
            if part is None or minutes >= 60 or seconds > 60:
                raise RequestError(
                    f"{_POINTER}/{key}",
                    f"{self.path.name}: column {name}: row {row + 1} is no angle: {text[:40]!r}",
                    found=text[:40],
                    allowed="10:00:00.5, 10h00m00.5s, 10 00 00.5 or degrees",
                )
            letters.add(part["letter"])
            value = int(part["whole"]) + minutes / 60 + seconds / 3600
            scale = 15.0 if part["letter"] == "h" or (hours and part["letter"] not in "d°") else 1.0
            values[row] = (-scale if part["sign"] == "-" else scale) * value
        if key == "ra" and not unit and not letters & set("hd°"):
            self.notes.append(
                f"{self.path.name}: {name} is read in {'hours' if hours else 'degrees'}, minutes, seconds"
            )
        return values

    def _words(self, name: str) -> dict[str, Any]:
        self.used.add(name)
        return {"sed": texts_of(self.table[name])}

    def _numbers(self, name: str) -> dict[str, Any]:
        """Return the numbers of the sources: a column's, or those of the rows if it holds names or huge numbers."""
        self.used.add(name)
        try:
            values = numbers_of(self.path, self.table[name], name, f"{_POINTER}/id")
        except RequestError:
            values = np.full(len(self.table), np.nan)
        if np.all((values >= 0) & (values <= _MAX_EXACT)) and np.all(values == np.round(values)):
            return {"id": values}
        self.notes.append(
            f"{self.path.name}: column {name} does not hold whole numbers from 0 to 2^53: the sources are numbered by "
            "their rows, from 0"
        )
        return {"id": np.arange(len(self.table), dtype=float)}

    def _fill(self, columns: dict[str, Any]) -> None:
        """Give sources without an optional value the neutral one, and say so."""
        for key, neutral in _NEUTRAL.items():
            gaps = np.isnan(columns[key]) if key in columns else np.zeros(0, bool)
            if gaps.any():
                columns[key] = np.where(gaps, neutral, columns[key])
                meaning = {"temperature": " (the target's spectrum)", "radius": " (a star)"}.get(key, "")
                rows = _rows(int(gaps.sum()))
                self.notes.append(f"{self.path.name}: {rows} without a {key}: taken as {neutral:g}{meaning}")


def _unmasked(values: Any) -> Floats:
    """Return an array with nan where it is masked."""
    mask = np.asarray(getattr(values, "mask", False))
    return np.array(np.where(mask, np.nan, np.asarray(getattr(values, "unmasked", values))), dtype=float)
