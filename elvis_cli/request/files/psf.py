"""A point-spread function -> the block ``elvis.psf``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.payload import pack


def read_psf(path: Path) -> dict[str, Any]:
    """Return a point-spread function (FITS: images or a cube) as the block ``elvis.psf``.

    The wavelength of a plane is its image's WAVELENG, WAVE0 or WL_NM, that of the cube's third axis, or that in a
    column of a table; the scale is PIXSCALE or PIXELSCL (arcsec), PIX_MAS, or that of the WCS.

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
        raise UsageError(f"--psf: cannot read {path}: {one_line(error)}") from None
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
