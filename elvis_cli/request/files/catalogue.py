"""A table of stars and galaxies -> the block ``elvis.catalogue``. astropy is only imported where there is a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError, nearest_name
from elvis_cli.request.files.columns import POINTER, QUANTITIES, QUANTITY_NAMES, ColumnReader
from elvis_cli.request.files.magnitudes import magnitude_columns
from elvis_cli.request.files.places import places, suits
from elvis_cli.request.files.source_table import SourceTable, rows_text
from elvis_cli.request.files.table import numbers_of, read_table, texts_of
from elvis_cli.request.payload import MAX_NAME

_COLDEST = 100.0
"""K, of what a catalogue of stars may hold."""
_NEUTRAL = {"temperature": 0.0, "radius": 0.0, "index": 1.0, "ellipticity": 0.0, "angle": 0.0, "velocity": 0.0}
_MAX_EXACT = 2**53


def read_catalogue(path: Path, named: Mapping[str, str] | None = None) -> SourceTable:
    """Return the sources in a table; ``named`` tells the column of a quantity where its name does not.

    Raises
    ------
    UsageError
        The file cannot be read as a table.
    RequestError
        Columns are missing, or do not hold what they should.
    """
    table, notes = read_table(path, "--catalogue", suits)
    return _sources(ColumnReader(path, table, dict(named or {}), notes))


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


def _sources(reader: ColumnReader) -> SourceTable:
    """Return the table's sources."""
    table, named = reader.table, reader.named
    columns = places(reader)
    for key, (_, unit) in QUANTITY_NAMES.items():
        name = reader.find(key)
        if name is None or key in ("x", "y"):
            continue
        if key == "sed":
            columns |= _words(reader, name)
        elif key in ("id", "name"):
            columns |= _numbers(reader, name) if key == "id" else _names(reader, name)
        else:
            columns[key] = reader.number(name, key, unit)
    if "sed" in columns and columns.pop("temperature", None) is not None:
        reader.notes.append(f"{reader.path.name}: column sed is used, the temperatures are not")
    shapes = [key for key in ("index", "ellipticity", "angle") if key in columns]
    if shapes and "radius" not in columns:
        for key in shapes:
            columns.pop(key)
            reader.used.discard(reader.find(key) or "")
    temperature = columns.get("temperature", np.zeros(0))
    cold = np.flatnonzero((temperature > 0) & (temperature < _COLDEST))
    if cold.size:
        raise RequestError(
            f"{POINTER}/temperature",
            f"{reader.path.name}: row {cold[0] + 1} has {temperature[cold[0]]:g} K: is it in kK, or a logarithm?",
            allowed=f"{_COLDEST:g} K or more; 0 or nothing = the target's spectrum",
        )
    _fill(reader, columns)
    taken = reader.used | {named.get("mag", "")}
    candidates = [str(name) for name in table.colnames if name not in reader.used or name == named.get("mag")]
    magnitudes = magnitude_columns(table, candidates, named.get("mag"), partial(_magnitude, reader))
    if not magnitudes:
        reader.missing(["mag"])
    unused = [str(name) for name in table.colnames if name not in taken and name not in magnitudes]
    if unused:
        more = f" and {len(unused) - 8} more" if len(unused) > 8 else ""
        reader.notes.append(f"{reader.path.name}: columns not used: {', '.join(unused[:8])}{more}")
    return SourceTable(reader.path.name, columns, magnitudes, named.get("mag"), reader.notes)


def _magnitude(reader: ColumnReader, name: str) -> tuple[Floats, str | None]:
    """Return a column of magnitudes and the system that its unit says."""
    unit = getattr(reader.table[name], "unit", None)
    text = re.sub(r"[\s()_]", "", str(unit or "")).casefold()
    system = {"magab": "AB", "abmag": "AB", "magst": "ST", "stmag": "ST", "vegamag": "vega", "magvega": "vega"}
    if text not in system:
        return reader.number(name, "mag", "mag"), None
    reader.use(name, "mag")
    values = numbers_of(reader.path, reader.table[name], name, f"{POINTER}/mag")
    return np.where((values < -30) | (values > 60), np.nan, values), system[text]


def _words(reader: ColumnReader, name: str) -> dict[str, Any]:
    reader.use(name, "sed")
    return {"sed": texts_of(reader.table[name])}


def _numbers(reader: ColumnReader, name: str) -> dict[str, Any]:
    """Return the numbers of the sources: a column's, or those of the rows if it holds names or huge numbers."""
    reader.use(name, "id")
    try:
        values = numbers_of(reader.path, reader.table[name], name, f"{POINTER}/id")
    except RequestError:
        values = np.full(len(reader.table), np.nan)
    if np.all((values >= 0) & (values <= _MAX_EXACT)) and np.all(values == np.round(values)):
        return {"id": values}
    rows = {"id": np.arange(len(reader.table), dtype=float)}
    numbered = "the sources are numbered by their rows, from 0"
    own = _names(reader, name) if reader.find("name") is None and reader.table[name].dtype.kind in "SUOiu" else {}
    reason = "holds names" if own else "does not hold whole numbers from 0 to 2^53"
    reader.notes.append(f"{reader.path.name}: column {name} {reason}: {numbered}{', NAME has them' if own else ''}")
    return rows | own


def _names(reader: ColumnReader, name: str) -> dict[str, Any]:
    """Return the names of the sources, nothing if none has one."""
    reader.use(name, "name")
    names = [" ".join(text.split())[:MAX_NAME] for text in texts_of(reader.table[name])]
    return {"name": names} if any(names) else {}


def _fill(reader: ColumnReader, columns: dict[str, Any]) -> None:
    """Give sources without an optional value the neutral one, and say so."""
    for key, neutral in _NEUTRAL.items():
        gaps = np.isnan(columns[key]) if key in columns else np.zeros(0, bool)
        if gaps.any():
            columns[key] = np.where(gaps, neutral, columns[key])
            meaning = {"temperature": " (the target's spectrum)", "radius": " (a star)"}.get(key, "")
            rows = rows_text(int(gaps.sum()))
            reader.notes.append(f"{reader.path.name}: {rows} without a {key}: taken as {neutral:g}{meaning}")
