"""`elvis catalog`: catalogues of the true universe, merged into one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.request.files.catalogue import read_catalogue
from elvis_cli.request.files.guard import reading
from elvis_cli.request.files.source_table import SourceTable
from elvis_cli.request.payload import NUMBER_COLUMNS, names_of, unpack

UNITS = {"ra": "deg", "dec": "deg", "x": "arcsec", "y": "arcsec", "mag": "mag", "temperature": "K", "radius": "arcsec",
         "angle": "deg", "velocity": "km/s"}  # fmt: skip
DEFAULTS = {"index": 1.0}
"""Values of a column that a file does not have; others are 0: a star, the target's spectrum."""
WORDS = ("sed", "name")
"""Columns of words."""


def merge(
    files: Sequence[Path], named: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Return the columns of all files, one after another, counts and histograms of magnitude, and notes.

    ``named`` tells the column of a quantity where its name does not.

    Sources keep their numbers (``id``) if all files have some and none is there twice; else they are numbered from 0,
    and the summary says so.

    Raises
    ------
    UsageError
        A file cannot be read as a table.
    RequestError
        A file does not have the columns of a catalogue, or they do not agree on places in the field or on the sky,
        or on the band of the magnitudes.
    """
    tables = [_table(path, named) for path in files]
    parts = [_columns(table) for table in tables]
    bands = {band: path.name for path, table in zip(files, tables, strict=True) if (band := table.band())}
    if len(bands) > 1:
        found = ", ".join(f"{band} in {name}" for band, name in bands.items())
        raise RequestError(
            "/elvis/catalogue/mag", f"the magnitudes are in different bands: {found}", allowed="one band"
        )
    kinds = {"ra" if "ra" in part else "x" for part in parts}
    if len(kinds) > 1:
        odd = next(path for path, part in zip(files, parts, strict=True) if ("ra" in part) != ("ra" in parts[0]))
        raise RequestError("/elvis/catalogue", f"{odd.name}: some files have ra, dec, others x, y", allowed="one kind")
    names = [
        name for name in (*("ra", "dec", "x", "y"), *NUMBER_COLUMNS, *WORDS) if any(name in part for part in parts)
    ]
    columns: dict[str, Any] = {}
    for name in dict.fromkeys(names):
        missing = "" if name in WORDS else DEFAULTS.get(name, 0.0)
        columns[name] = np.concatenate(
            [part[name] if name in part else np.full(len(part["mag"]), missing) for part in parts]
        )
    count = len(columns["mag"])
    kept = all("id" in part for part in parts) and np.unique(columns["id"]).size == count
    columns["id"] = (columns["id"] if kept else np.arange(count)).astype(np.int64)
    summary: dict[str, Any] = {"total": _summary(columns), "ids": "kept" if kept else "numbered from 0"}
    summary["files"] = {path.name: _summary(part) for path, part in zip(files, parts, strict=True)}
    return columns, summary, [note for table in tables for note in table.notes]


def write(columns: dict[str, Any], summary: dict[str, Any], out: BinaryIO, *, as_fits: bool) -> None:
    """Write the table with its summary as FITS or as ECSV."""
    from astropy.table import Table

    table = Table(columns, units={name: unit for name, unit in UNITS.items() if name in columns})
    if as_fits:
        from astropy.io import fits

        hdu = fits.table_to_hdu(table)
        hdu.name = "CATALOGUE"
        hdu.header["NSTARS"] = (summary["total"]["stars"], "stars")
        hdu.header["NGALAXY"] = (summary["total"]["galaxies"], "galaxies")
        for magnitude, number in summary["total"]["magnitudes"].items():
            hdu.header[f"NMAG{magnitude}"] = (number, f"sources of magnitude {magnitude} to {int(magnitude) + 1}")
        for name, part in summary["files"].items():
            hdu.header.add_comment(f"{name}: {part['stars']} stars, {part['galaxies']} galaxies")
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(out)
        return
    import io

    table.meta["elvis"] = summary
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    out.write(text.getvalue().encode())


def describe(summary: dict[str, Any]) -> list[str]:
    """Return the counts as lines for a person."""
    lines = [
        f"{name}: {part['stars']} stars, {part['galaxies']} galaxies, magnitudes " + json.dumps(part["magnitudes"])
        for name, part in summary["files"].items()
    ]
    total = summary["total"]
    return [*lines, f"in all {total['stars'] + total['galaxies']} sources; numbers: {summary['ids']}"]


def _table(path: Path, named: Mapping[str, str] | None) -> SourceTable:
    with reading("catalog", path):
        return read_catalogue(path, named)


def _columns(table: SourceTable) -> dict[str, Any]:
    block = table.block(None)
    return {name: _words(values) if name in WORDS else _column(values) for name, values in block.items()}


def _words(values: Sequence[str] | str) -> NDArray[np.str_]:
    return np.asarray(names_of(values))


def _column(values: Any) -> Floats:
    if isinstance(values, str):
        return np.frombuffer(unpack(values, "/elvis/catalogue", 2**31), "<f8")
    return np.asarray(values, float)


def _summary(columns: dict[str, Any]) -> dict[str, Any]:
    magnitude = np.floor(columns["mag"]).astype(int)
    galaxies = int(np.count_nonzero(columns["radius"] > 0)) if "radius" in columns else 0
    values, numbers = np.unique(magnitude, return_counts=True)
    histogram = {str(int(m)): int(n) for m, n in zip(values, numbers, strict=True)}
    return {"stars": int(magnitude.size) - galaxies, "galaxies": galaxies, "magnitudes": histogram}
