"""A table of stars and galaxies -> the block ``elvis.catalogue``. astropy is only imported where there is a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.payload import MAX_CATALOGUE_ROWS, pack_column

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".fit": "fits", ".gz": "fits"}
_COLUMN_NAMES: dict[str, tuple[tuple[str, ...], str]] = {
    "x": (("x",), "arcsec"),
    "y": (("y",), "arcsec"),
    "ra": (("ra", "raj2000", "_raj2000", "ra_icrs"), "deg"),
    "dec": (("dec", "dej2000", "_dej2000", "de_icrs"), "deg"),
    "mag": (("mag", "magnitude"), "mag"),
    "temperature": (("temperature", "teff"), "K"),
    "radius": (("radius", "half_light_radius", "re"), "arcsec"),
    "index": (("index", "sersic_index", "sersic_n"), ""),
    "ellipticity": (("ellipticity",), ""),
    "angle": (("angle", "position_angle", "pa"), "deg"),
    "velocity": (("velocity", "rv", "radial_velocity", "vrad"), "km/s"),
    "id": (("id",), ""),
}
"""Names that a column may have, in any case, and the unit that it is brought to."""


def read_catalogue(path: Path) -> dict[str, Any]:
    """Return a table of stars and galaxies (ECSV, FITS, CSV) as the block ``elvis.catalogue``.

    Raises
    ------
    UsageError
        The file cannot be read as a table.
    RequestError
        Columns are missing, or do not hold numbers.
    """
    table = _table(path)
    names = {str(name).casefold(): str(name) for name in table.colnames}
    block: dict[str, Any] = {}
    for key, (known, unit) in _COLUMN_NAMES.items():
        name = next((names[k] for k in known if k in names), None)
        if name is not None:
            block[key] = _column(path, key, table[name], unit)
    if "x" in block and "y" in block:  # a table that has both knows where its stars are in the field
        block.pop("ra", None), block.pop("dec", None)
    if "sed" in names:
        block["sed"] = [str(value).strip() for value in table[names["sed"]]]
        block.pop("temperature", None)
    wanted = ("mag", "ra", "dec") if {"ra", "dec"} & set(block) else ("mag", "x", "y")
    missing = [key for key in wanted if key not in block]
    if missing:
        raise RequestError(
            f"/elvis/catalogue/{missing[0]}",
            f"{path.name} has no column {' and no '.join(missing)}",
            found=list(names),
            allowed="x, y (arcsec) or ra, dec (deg); mag; temperature (K) or sed; radius (arcsec), index ...",
        )
    if not 1 <= len(table) <= MAX_CATALOGUE_ROWS:
        raise RequestError(
            "/elvis/catalogue", f"{path.name} has {len(table)} rows", allowed=f"1 to {MAX_CATALOGUE_ROWS}"
        )
    return block


def _table(path: Path) -> Table:
    if not path.is_file():
        raise UsageError(f"--catalogue: cannot read {path}: no such file")
    form = _FORMATS.get(path.suffix.casefold())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units that astropy does not know are ours to judge
            return Table.read(path, format=form) if form else Table.read(path, format="ascii")
    except Exception as error:  # every reader of astropy has its own
        raise UsageError(f"--catalogue: cannot read {path} as {form or 'a table'}: {one_line(error)}") from None


def _column(path: Path, key: str, column: Any, unit: str) -> list[float] | str:
    """Return one column in ``unit``, which it is taken to be in if it does not say."""
    pointer = f"/elvis/catalogue/{key}"
    try:
        values: Floats = np.ma.filled(np.ma.asarray(column, dtype=float), np.nan)
    except (TypeError, ValueError):
        raise RequestError(pointer, f"{path.name}: column {column.name} does not hold numbers") from None
    if column.unit is not None and key != "mag":
        try:
            values = (values * units.Unit(column.unit)).to_value(unit)
        except (units.UnitConversionError, ValueError, TypeError):
            raise RequestError(
                pointer,
                f"{path.name}: column {column.name} is in {column.unit}",
                allowed=f"{unit}, or what converts to it",
            ) from None
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        raise RequestError(
            f"{pointer}/{bad[0]}", f"{path.name}: {bad.size} rows of column {column.name} are not finite numbers"
        )
    return pack_column(values)
