"""The user's own files -> the block ``elvis``: a table of stars, an image. astropy is only imported here.

What is read here is embedded in the request, so that nothing needs the file again.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning

from elvis_cli.embedded import MOST, pack
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.instrument import Floats

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".fit": "fits", ".gz": "fits"}
_COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
    "x": (("x",), "arcsec"),
    "y": (("y",), "arcsec"),
    "ra": (("ra", "raj2000", "_raj2000", "ra_icrs"), "deg"),
    "dec": (("dec", "dej2000", "_dej2000", "de_icrs"), "deg"),
    "mag": (("mag", "magnitude"), "mag"),
    "temperature": (("temperature", "teff"), "K"),
}
"""Names that a column may have, in any case, and the unit that it is brought to."""
LONG = 1000
"""Rows from which on columns are packed: shorter ones stay readable."""
LARGEST = 4096
"""Rows and columns of an image."""


def catalogue(path: Path) -> dict[str, Any]:
    """Return a table of stars (ECSV, FITS, CSV) as the block ``elvis.catalogue``.

    Raises
    ------
    UsageError
        The file cannot be read as a table.
    RequestError
        Columns are missing, or hold what is no number.
    """
    table = _table(path)
    names = {str(name).casefold(): str(name) for name in table.colnames}
    block: dict[str, Any] = {}
    for key, (known, unit) in _COLUMNS.items():
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
            allowed="x, y (arcsec) or ra, dec (deg); mag; temperature (K) or sed",
        )
    if not 1 <= len(table) <= MOST:
        raise RequestError("/elvis/catalogue", f"{path.name} has {len(table)} rows", allowed=f"1 to {MOST}")
    return block


def image(path: Path) -> dict[str, Any]:
    """Return the first image of a FITS file as the block ``elvis.image``, East to the left of its upward axis.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no image with a celestial WCS of square elements, or one that is too large.
    """
    try:
        with fits.open(path) as hdus:
            found = next((h for h in hdus if h.is_image and h.data is not None and h.data.squeeze().ndim == 2), None)
            if found is None:
                raise RequestError("/elvis/image", f"{path.name} holds no image of two dimensions")
            pixels, header = np.asarray(found.data.squeeze(), "<f4"), found.header
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--image: cannot read {path}: {_reason(error)}") from None
    if max(pixels.shape) > LARGEST:
        raise RequestError(
            "/elvis/image/shape",
            f"{path.name} has {pixels.shape[0]} x {pixels.shape[1]} elements: cut out or bin what is needed",
            found=list(pixels.shape),
            allowed=f"up to {LARGEST} x {LARGEST}",
        )
    matrix = _matrix(path, header)
    if np.linalg.det(matrix) > 0:  # a mirror image: East is on the right
        pixels, matrix = pixels[:, ::-1], matrix * [-1.0, 1.0]
    scale = math.sqrt(-float(np.linalg.det(matrix)))
    east, north = matrix[:, 1] / scale
    if not np.allclose(matrix, scale * np.array([[-north, east], [east, north]]), atol=0.01 * scale):
        raise RequestError("/elvis/image/scale", f"{path.name}: its elements are not square", allowed="within 1 %")
    return {
        "data": pack(pixels.tobytes()),
        "shape": list(pixels.shape),
        "scale": scale,
        "position_angle": math.degrees(math.atan2(east, north)),
    }


def _matrix(path: Path, header: fits.Header) -> Floats:
    """Return arcsec (East, North) per element along x and y, (2, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
            found = wcs.celestial if wcs.has_celestial else None
        except Exception as error:  # whatever wcslib finds wrong
            raise RequestError("/elvis/image", f"{path.name}: its WCS cannot be read: {_reason(error)}") from None
    if found is None:
        raise RequestError(
            "/elvis/image", f"{path.name} has no celestial WCS: how large is an element, which way is North?"
        )
    return np.asarray(found.pixel_scale_matrix * 3600.0)


def _table(path: Path) -> Table:
    if not path.is_file():
        raise UsageError(f"--catalogue: cannot read {path}: no such file")
    form = _FORMATS.get(path.suffix.casefold())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units that astropy does not know are ours to judge
            return Table.read(path, format=form) if form else Table.read(path, format="ascii")
    except Exception as error:  # every reader of astropy has its own
        raise UsageError(f"--catalogue: cannot read {path} as {form or 'a table'}: {_reason(error)}") from None


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
            f"{pointer}/{bad[0]}", f"{path.name}: {bad.size} rows of column {column.name} hold no number"
        )
    return values.tolist() if values.size < LONG else pack(values.astype("<f8").tobytes())


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
