"""Places of the sources in a table: offsets in the field, or right ascension and declination in any usual form."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.request.files.columns import POINTER, RANGES, ColumnReader, plain_name
from elvis_cli.request.files.table import texts_of
from elvis_cli.request.files.unit_words import unit_of

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
    ("ra", "decl"),
    ("r.a.", "dec."),
    ("r.a.", "decl."),
    ("r.a.", "dec"),
    ("alpha", "delta"),
    ("\N{GREEK SMALL LETTER ALPHA}", "\N{GREEK SMALL LETTER DELTA}"),
)
"""Names of columns of right ascension and declination (ICRS, or J2000 at the same place), the best first."""

_GALACTIC = (("glon", "glat"), ("_glon", "_glat"), ("gal_lon", "gal_lat"), ("l", "b"))
"""Names of columns of Galactic longitude and latitude, deg."""
_SEXAGESIMAL = re.compile(
    r"""(?P<sign>[+-]?)\s*(?P<whole>\d{1,3})\s*(?P<letter>[hd°:\s])\s*(?P<minutes>\d{1,2}(?:\.\d*)?)
    (?:\s*[m'′:\s]\s*(?:(?P<seconds>\d{1,2}(?:\.\d*)?)\s*["″s]?)?)?""",
    re.VERBOSE,
)


def suits(names: Sequence[str]) -> bool:
    """Return whether columns of these names hold places."""
    known = {plain_name(name) for name in names}
    return any(known >= set(pair) for pair in (("x", "y"), ("rah", "ded"), *_ON_SKY))


def places(reader: ColumnReader) -> dict[str, Any]:
    """Return x and y, or ra and dec."""
    x, y = reader.find("x"), reader.find("y")
    sky = _sky_columns(reader)
    if {"ra", "dec"} & set(reader.named) or (sky and not (x and y)):
        return _sky(reader, sky or _missing_place(reader, {"ra", "dec"} & reader.plain_names()))
    if not (x and y):
        if reader.plain_names() >= {"rah", "ded"}:
            return _sky_in_parts(reader)
        galactic = next((pair for pair in _GALACTIC if set(pair) <= reader.plain_names()), None)
        if galactic:
            return _from_galactic(reader, galactic)
        _missing_place(reader, {key for key, name in (("x", x), ("y", y)) if name})
    if sky and not {"x", "y"} & set(reader.named):
        return _both(reader, x, y, sky)
    return {"x": reader.number(x, "x", "arcsec"), "y": reader.number(y, "y", "arcsec")}


def _from_galactic(reader: ColumnReader, pair: tuple[str, str]) -> dict[str, Any]:
    """Return right ascension and declination of columns of Galactic longitude and latitude."""
    names = {plain_name(name): str(name) for name in reader.table.colnames}
    longitude, latitude = (
        reader.number(names[name], key, "deg") for name, key in zip(pair, ("ra", "dec"), strict=True)
    )
    known = np.isfinite(longitude) & (np.abs(latitude) <= 90.0)
    places = SkyCoord(
        np.where(known, longitude, 0.0), np.where(known, latitude, 0.0), unit="deg", frame="galactic"
    ).icrs
    reader.notes.append(f"{reader.path.name}: {' and '.join(pair)} are brought from Galactic coordinates to ICRS")
    return {key: np.where(known, angle.deg, np.nan) for key, angle in (("ra", places.ra), ("dec", places.dec))}


def _missing_place(reader: ColumnReader, there: set[str]) -> NoReturn:
    """Raise the RequestError for a table without places, or with half of them."""
    there = there or ({"ra", "dec"} & reader.plain_names())
    reader.missing([key for key in (("ra", "dec") if there & {"ra", "dec"} else ("x", "y")) if key not in there])


def _both(reader: ColumnReader, x: str, y: str, sky: tuple[str, ...]) -> dict[str, Any]:
    """Return the places of a table that has x, y and ra, dec: x, y if they are offsets in the field."""
    unit = str(getattr(reader.table[x], "unit", None) or "")
    if unit.casefold() in ("pix", "pixel", "pixels"):
        return _sky(reader, sky)  # the note on columns that are not used tells
    places = {"x": reader.number(x, "x", "arcsec"), "y": reader.number(y, "y", "arcsec")}
    if not unit:
        used = set(reader.used)
        there = _sky(reader, sky)
        reader.used = used
        shrunk = math.cos(math.radians(float(np.nanmean(there["dec"]))))
        ra = (there["ra"] - there["ra"][0] + 180.0) % 360.0
        spread = 3600 * math.hypot(np.nanstd(ra) * shrunk, np.nanstd(there["dec"]))
        own = math.hypot(np.nanstd(places["x"]), np.nanstd(places["y"]))
        if own > 0 and not math.isclose(spread, own, rel_tol=0.01):
            raise RequestError(
                f"{POINTER}/x",
                f"{reader.path.name}: {x}, {y} have no unit, and are not the places of {', '.join(sky)} in arcsec",
                allowed=f"--column ra={sky[0]} to use these, --column x={x} if those are arcsec",
            )
    return places


def _sky_columns(reader: ColumnReader) -> tuple[str, ...]:
    """Return the columns of ra and dec, or the one of both (a SkyCoord), or none."""
    names = {plain_name(name): str(name) for name in reader.table.colnames}
    if {"ra", "dec"} & set(reader.named):
        pair = [reader.named.get(key) or names.get(key) for key in ("ra", "dec")]
        if pair[0] and isinstance(reader.table[pair[0]], SkyCoord):
            return (pair[0],)
        return tuple(name for name in pair if name) if all(pair) else ()
    dotted = [name.removesuffix("ra") for name in names if name.endswith(".ra")]
    for ra, dec in (*_ON_SKY, *((f"{name}ra", f"{name}dec") for name in dotted)):
        if ra in names and dec in names:
            _check_alone(reader, ra, dec)
            return names[ra], names[dec]
    coordinates = [str(name) for name in reader.table.colnames if isinstance(reader.table[name], SkyCoord)]
    if len(coordinates) > 1:
        reason = f"{reader.path.name}: which column?"
        raise RequestError(f"{POINTER}/ra", reason, found=coordinates, allowed="--column ra=NAME")
    return tuple(coordinates)


def _check_alone(reader: ColumnReader, *plain: str) -> None:
    """Raise a RequestError if two columns have the same name but for capitals."""
    found = [str(name) for name in reader.table.colnames if plain_name(name) in plain]
    if len(found) > len(plain):
        reason = f"{reader.path.name}: which column?"
        raise RequestError(f"{POINTER}/ra", reason, found=found, allowed="--column ra=NAME and dec=NAME")


def _sky(reader: ColumnReader, sky: tuple[str, ...]) -> dict[str, Any]:
    if len(sky) > 1:
        places = {key: _angle(reader, name, key) for key, name in zip(("ra", "dec"), sky, strict=True)}
        for key, values in places.items():
            low, high = RANGES[key]
            outside = np.flatnonzero((values < low) | (values > high))
            if outside.size:
                reason = f"{reader.path.name}: row {outside[0] + 1} has {key} {values[outside[0]]:g} deg"
                raise RequestError(f"{POINTER}/{key}", reason, allowed=f"{low:g} to {high:g}")
        return places
    (name,) = sky
    reader.use(name, "ra")
    column = reader.table[name]
    if column.frame.name != "icrs":
        reader.notes.append(f"{reader.path.name}: {name} is brought from {column.frame.name} to ICRS")
    return {key: _unmasked(value.deg) for key, value in (("ra", column.icrs.ra), ("dec", column.icrs.dec))}


def _sky_in_parts(reader: ColumnReader) -> dict[str, Any]:
    """Return the places of a table of the CDS, with columns for hours, minutes, seconds, and the sign."""
    names = {plain_name(name): str(name) for name in reader.table.colnames}
    parts = {
        key: np.nan_to_num(reader.number(names[key], "", "")) if n else reader.number(names[key], "", "")
        for kind in (("rah", "ram", "ras"), ("ded", "dem", "des"))
        for n, key in enumerate(kind)
        if key in names
    }
    sign = np.ones(len(reader.table))
    if "de_" in names:
        reader.used.add(names["de_"])
        sign = np.where(np.char.strip(np.asarray(reader.table[names["de_"]], dtype=str)) == "-", -1.0, 1.0)
    ra = 15.0 * (parts["rah"] + parts.get("ram", 0.0) / 60.0 + parts.get("ras", 0.0) / 3600.0)
    return {"ra": ra, "dec": sign * (parts["ded"] + parts.get("dem", 0.0) / 60.0 + parts.get("des", 0.0) / 3600.0)}


def _angle(reader: ColumnReader, name: str, key: str) -> Floats:
    """Return right ascensions or declinations, deg, from numbers or sexagesimal words."""
    column = reader.table[name]
    unit = str(getattr(column, "unit", None) or "").strip(" \"'").casefold()
    if column.dtype.kind not in "SUO":
        return reader.number(name, key, "deg")
    texts = [re.sub("[\N{MINUS SIGN}\N{EN DASH}]", "-", text) for text in texts_of(column)]
    parts = [_SEXAGESIMAL.fullmatch(text) for text in texts]
    if not any(parts):
        return reader.number(name, key, "deg")
    reader.use(name, key)
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
                f"{POINTER}/{key}",
                f"{reader.path.name}: column {name}: row {row + 1} is no angle: {text[:40]!r}",
                found=text[:40],
                allowed="10:00:00.5, 10h00m00.5s, 10 00 00.5 or degrees",
            )
        letters.add(part["letter"])
        value = int(part["whole"]) + minutes / 60 + seconds / 3600
        scale = 15.0 if part["letter"] == "h" or (hours and part["letter"] not in "d°") else 1.0
        values[row] = (-scale if part["sign"] == "-" else scale) * value
    if key == "ra" and not unit and not letters & set("hd°"):
        reader.notes.append(
            f"{reader.path.name}: {name} is read in {'hours' if hours else 'degrees'}, minutes, seconds"
        )
    return values


def _unmasked(values: Any) -> Floats:
    """Return an array with nan where it is masked."""
    mask = np.asarray(getattr(values, "mask", False))
    return np.array(np.where(mask, np.nan, np.asarray(getattr(values, "unmasked", values))), dtype=float)
