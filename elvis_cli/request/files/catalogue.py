"""The user's own files -> the block ``elvis``: a table of stars, an image. astropy is only imported here.

What is read here is embedded in the request, so that nothing needs the file again.
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError, json_pointer
from elvis_cli.request.payload import MOST, pack, packed

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".fits": "fits", ".fit": "fits", ".gz": "fits"}
_COLUMNS: dict[str, tuple[tuple[str, ...], str]] = {
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
            allowed="x, y (arcsec) or ra, dec (deg); mag; temperature (K) or sed; radius (arcsec), index ...",
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
        raise UsageError(f"--image: cannot read {path}: {reason(error)}") from None
    if max(pixels.shape) > LARGEST:
        raise RequestError(
            "/elvis/image/shape",
            f"{path.name} has {pixels.shape[0]} x {pixels.shape[1]} elements: cut out or bin what is needed",
            found=list(pixels.shape),
            allowed=f"up to {LARGEST} x {LARGEST}",
        )
    pixels, scale, angle = upright(path, pixels, header, "/elvis/image")
    return {"data": pack(pixels.tobytes()), "shape": list(pixels.shape), "scale": scale, "position_angle": angle}


def psf(path: Path) -> dict[str, Any]:
    """Return a point-spread function (FITS: images or a cube) as the block ``elvis.psf``.

    The wavelength of a plane is its image's WAVELENG, WAVE0 or WL_NM, or that of the cube's third axis, or stands in
    a table's column; the scale is PIXSCALE or PIXELSCL (arcsec), PIX_MAS, or that of the WCS.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no image, or does not say its scale or its wavelengths.
    """
    try:
        with fits.open(path) as hdus:
            images = [(np.asarray(h.data, "<f4"), h.header) for h in hdus if h.is_image and np.ndim(h.data) > 1]
            tables = [Table(h.data) for h in hdus if isinstance(h, fits.BinTableHDU | fits.TableHDU)]
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--psf: cannot read {path}: {reason(error)}") from None
    if not images:
        raise RequestError("/elvis/psf", f"{path.name} holds no image")
    first, header = images[0]
    if first.ndim == 2 or first.size == first.shape[-1] * first.shape[-2]:
        found = [(data.squeeze(), w) for data, own in images if data.shape == first.shape for w in _named_wave(own)]
        cube = np.stack([data for data, _ in found] or [first.squeeze()])
        wave = [w for _, w in found]
    else:
        cube = first.reshape(-1, *first.shape[-2:])
        wave = _axis_wave(header, tables, len(cube)) or _named_wave(header)
        cube = cube[:: len(cube) // len(wave)] if 0 < len(wave) < len(cube) and not len(cube) % len(wave) else cube
    if len(wave) != len(cube) and (wave or len(cube) > 1):
        raise RequestError(
            "/elvis/psf/wavelength_um",
            f"{path.name} has {len(cube)} images and {len(wave)} wavelengths",
            allowed="WAVELENG in each image, CRVAL3 and CDELT3 of a cube, or a table's column",
        )
    order = np.argsort(wave, kind="stable") if wave else [0]
    cube = np.ascontiguousarray(cube[order])
    block = {"data": pack(cube.tobytes()), "shape": list(cube.shape), "scale": _scale(path, header)}
    return {**block, "wavelength_um": [float(wave[i]) for i in order]} if wave else block


def _scale(path: Path, header: fits.Header) -> float:
    """Return arcsec per element."""
    for key, factor in (("PIXSCALE", 1.0), ("PIXELSCL", 1.0), ("PIX_MAS", 1e-3)):
        if key in header:
            return float(header[key]) * factor
    for key in ("CDELT1", "CD1_1"):
        if header.get(key):
            step = math.hypot(header[key], header.get("CD2_1", 0.0) if key == "CD1_1" else 0.0)
            return float((step * units.Unit(header.get("CUNIT1", "deg"))).to_value("arcsec"))
    raise RequestError("/elvis/psf/scale", f"{path.name} does not say it", allowed="PIXSCALE in arcsec, or CDELT1")


def _named_wave(header: fits.Header) -> list[float]:
    """Return the wavelengths (um) in the header of an image, none if there is none."""
    found = next((header[key] for key in ("WAVELENG", "WAVE0", "WL_NM") if key in header), None)
    if found is None:
        return []
    return [_um(float(word)) for word in str(found).strip("[]()").replace(",", " ").split()]


def _axis_wave(header: fits.Header, tables: list[Table], count: int) -> list[float]:
    """Return the wavelengths (um) of a cube's planes, from a table or its third axis."""
    for table in tables:
        name = next((n for n in table.colnames if n.casefold().startswith(("wave", "lambda"))), None)
        if name is not None and len(table) == count:
            column = table[name]
            return [float((w * column.unit).to_value("um")) if column.unit else _um(float(w)) for w in column]
    if "CRVAL3" not in header or not header.get("CDELT3", header.get("CD3_3")):
        return []
    step = float(header.get("CDELT3", header.get("CD3_3")))
    wave = float(header["CRVAL3"]) + (np.arange(1, count + 1) - float(header.get("CRPIX3", 1.0))) * step
    unit = header.get("CUNIT3")
    return [float((w * units.Unit(unit)).to_value("um")) if unit else _um(float(w)) for w in wave]


def _um(value: float) -> float:
    """Return a wavelength in um that is given without a unit: m, um or nm, of which just one makes sense."""
    return value * 1e6 if value < 1e-3 else value * 1e-3 if value > 99.0 else value


def model(name: str, path: Path) -> dict[str, Any]:
    """Return a JSON object of parameters, or the images of a FITS file, as an item of the block ``elvis.models``.

    The images of several chips are told apart by ESO DET CHIP NO or EXTVER; one image is that of all chips.

    Raises
    ------
    RequestError
        There is no such file, or it is neither.
    """
    pointer = json_pointer("elvis", "models", name)
    try:
        content = path.read_bytes()
        if not content.startswith(b"SIMPLE"):
            found = json.loads(content, parse_constant=_refuse)
            if not isinstance(found, dict):
                raise RequestError(pointer, f"{path.name} is no object of parameters", found=type(found).__name__)
            return {"parameters": {key: _flat(value) for key, value in found.items()}}
        with fits.open(path) as hdus:
            images = [h for h in hdus if h.is_image and h.data is not None]
            if not images or any(h.data.ndim != 2 for h in images):
                raise RequestError(pointer, f"{path.name} holds no image of two dimensions")
            numbers = [int(h.header.get("ESO DET CHIP NO", h.header.get("EXTVER", 0))) for h in images]
            numbers = numbers if len(images) > 1 else [0]
            if len(set(numbers)) < len(numbers):
                raise RequestError(pointer, f"{path.name}: which chip is which?", allowed="ESO DET CHIP NO or EXTVER")
            arrays = {
                str(n): {"data": pack(np.asarray(h.data, "<f4").tobytes()), "shape": list(h.data.shape)}
                for n, h in zip(numbers, images, strict=True)
            }
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(pointer, f"cannot read {path}: {reason(error)}", allowed="a JSON or FITS file") from None
    return {"arrays": arrays}


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _flat(value: Any) -> Any:
    """Return a matrix as one list, row by row."""
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return [item for row in value for item in row]
    return value


def upright(path: Path, pixels: NDArray[Any], header: fits.Header, pointer: str) -> tuple[NDArray[Any], float, float]:
    """Return pixels (..., latitude, longitude), East to the left, their scale (arcsec) and position angle (deg)."""
    matrix = _matrix(path, header, pointer)
    if np.linalg.det(matrix) > 0:  # a mirror image: East is on the right
        pixels, matrix = pixels[..., ::-1], matrix * [-1.0, 1.0]
    scale = math.sqrt(-float(np.linalg.det(matrix)))
    east, north = matrix[:, 1] / scale
    if not np.allclose(matrix, scale * np.array([[-north, east], [east, north]]), atol=0.01 * scale):
        raise RequestError(f"{pointer}/scale", f"{path.name}: its elements are not square", allowed="within 1 %")
    return pixels, scale, math.degrees(math.atan2(east, north))


def _matrix(path: Path, header: fits.Header, pointer: str) -> Floats:
    """Return arcsec (East, North) per element along x and y, (2, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
            found = wcs.sub(["longitude", "latitude"]) if wcs.has_celestial else None
        except Exception as error:  # whatever wcslib finds wrong
            raise RequestError(pointer, f"{path.name}: its WCS cannot be read: {reason(error)}") from None
    if found is None:
        raise RequestError(pointer, f"{path.name} has no celestial WCS: how large is an element, which way is North?")
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
        raise UsageError(f"--catalogue: cannot read {path} as {form or 'a table'}: {reason(error)}") from None


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
    return packed(values)


def reason(error: Exception) -> str:
    """Return what an error of another library says, on one short line."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
