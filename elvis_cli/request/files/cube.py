"""A data cube -> the block ``elvis.cube``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.errors import RequestError
from elvis_cli.request.files import flux_units, hdu, wcs
from elvis_cli.request.payload import MAX_CUBE_ELEMENTS, pack

_WAVELENGTH_POINTER = "/elvis/cube/wavelength_um"
_UNIT_KEYS = ("BUNIT", "BUNITS", "FLUXUNIT", "FUNITS", "UNITS", "UNIT")
"""Cards with the unit of the values: the standard's, and others that files have without it."""


def read_cube(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return a cube of a FITS file: F_lambda against vacuum wavelength, East to the left of its upward axis; and notes.

    The axes may stand in any order, others must have one element; the spectral one may be wavelength (WAVE, or AWAV in
    air), frequency, energy or velocity (VRAD, VOPT, VELO with RESTFRQ or RESTWAV), even or not. Values in a unit of
    flux density, per element, beam, arcsec2 or sr, are absolute; counts are relative, and so is a cube without BUNIT.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no cube with a spectral and a celestial axis, one that is too large, or one in an unknown unit.
    """
    pointer = "/elvis/cube"
    with hdu.opened("--cube", path) as (file, hdus, named):
        found, notes = hdu.select(file, hdus, named, pointer, lambda shape: len(shape) > 2, "image of three dimensions")
        size = math.prod(found.shape)
        if size > MAX_CUBE_ELEMENTS:
            raise RequestError(
                f"{pointer}/shape",
                f"{file.name} has {size} elements: cut out or bin what is needed",
                found=list(found.shape),
                allowed=f"up to {MAX_CUBE_ELEMENTS} in all, such as 256 channels of 256 x 256",
            )
        pixels, header, primary = np.asarray(found.data, float), found.header, hdus[0].header
        beam = _beam(hdus, header)
    axes = wcs.read(header, file.name, pointer)
    notes += axes.notes
    pixels = _ordered(file.name, pixels, axes)
    wave = _wavelengths(file.name, axes.wcs, len(pixels))
    pixels, scale, angle = wcs.upright(axes, pixels, file.name, pointer)
    key, text = _unit(header, primary)
    if beam is not None and np.size(beam) not in (1, wave.size):
        raise RequestError(f"{pointer}/bunit", f"{file.name}: {np.size(beam)} beams for {wave.size} channels")
    factor = flux_units.element_factor(text, wave, scale, beam, file.name, f"{pointer}/bunit")
    if factor is not None:
        pixels = pixels * factor[:, None, None]
    else:
        unit = f"{key} is {text!r}, no flux density" if text else "it has no BUNIT"
        notes.append(f"{file.name}: {unit}: the cube is relative, as bright as /target/brightness")
    if key not in ("", "BUNIT"):
        notes.append(f"{file.name}: the unit is that of the card {key}: there is no BUNIT")
    order = np.argsort(wave)
    # the unit is the cube's own, and may be beyond the range of 32 bits
    top = 1.0 if factor is not None else float(np.nanmax(np.abs(pixels), initial=0.0)) or 1.0
    data = np.ascontiguousarray((pixels / top)[order], "<f4")
    block = {
        "data": pack(data.tobytes()),
        "shape": list(data.shape),
        "scale": scale,
        "position_angle": angle,
        "wavelength_um": wave[order].tolist(),
        "absolute": factor is not None,
    }
    return block, notes


def _unit(header: fits.Header, primary: fits.Header) -> tuple[str, str]:
    """Return the card with the unit of the values and the unit, of the image's header or else of the file's first."""
    for cards in (header, primary):
        for key in _UNIT_KEYS:
            if str(cards.get(key, "")).strip():
                return key, str(cards[key]).strip()
    return "", ""


def _beam(hdus: fits.HDUList, header: fits.Header) -> Floats | None:
    """Return the area of the beam, arcsec2: (1,), or one a channel from CASA's table; None if there is none."""
    if header.get("CASAMBM"):
        table = next((h for h in hdus if isinstance(h, fits.BinTableHDU) and "BMAJ" in h.columns.names), None)
        if table is not None:
            rows = np.argsort(table.data["CHAN"], kind="stable") if "CHAN" in table.columns.names else slice(None)
            axes = [
                np.asarray(table.data[key], float)[rows] * units.Unit(table.columns[key].unit or "arcsec")
                for key in ("BMAJ", "BMIN")
            ]
            return _area(*axes)
    if header.get("BMAJ") and header.get("BMIN"):
        return _area(*(np.array([float(header[key])]) * units.deg for key in ("BMAJ", "BMIN")))
    return None


def _area(major: units.Quantity, minor: units.Quantity) -> Floats:
    """Return the area of Gaussian beams, arcsec2."""
    return np.asarray((math.pi / (4.0 * math.log(2.0)) * major * minor).to_value("arcsec2"))


def _ordered(name: str, pixels: Floats, axes: wcs.Axes) -> Floats:
    """Return the pixels as (wavelength, y, x)."""
    spectral = axes.wcs.wcs.spec
    if spectral < 0:
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{name} has no spectral axis",
            found=list(axes.wcs.wcs.ctype),
            allowed="CTYPE of an axis: WAVE, AWAV, FREQ, VRAD, VOPT or VELO",
        )
    places = [pixels.ndim - 1 - axis for axis in (spectral, axes.y, axes.x)]
    others = [axis for axis in range(pixels.ndim) if axis not in places]
    if any(pixels.shape[axis] > 1 for axis in others):
        raise RequestError("/elvis/cube/shape", f"{name} has more than three axes", found=list(pixels.shape))
    result = pixels.transpose(*places, *others).reshape([pixels.shape[axis] for axis in places])
    if len(result) < 2:
        raise RequestError(_WAVELENGTH_POINTER, f"{name} has one channel", allowed="at least 2, or --image")
    return result


def _wavelengths(name: str, cube: WCS, count: int) -> Floats:
    """Return the vacuum wavelength (um) of each channel (Greisen et al. 2006, A&A 446, 747, table 1)."""
    axis = cube.sub(["spectral"])
    kind = axis.wcs.ctype[0][:4]
    value = np.asarray(axis.wcs_pix2world(np.arange(count, dtype=float), 0)[0])  # SI
    rest = axis.wcs.restwav or (LIGHT / axis.wcs.restfrq if axis.wcs.restfrq else 0.0)
    beta = value / LIGHT
    with np.errstate(all="ignore"):
        known: dict[str, Floats] = {
            "WAVE": value,
            "AWAV": value * _refraction(value),
            "FREQ": LIGHT / value,
            "ENER": PLANCK * LIGHT / value,
            "WAVN": 1.0 / value,
            "VRAD": rest / (1.0 - beta),
            "VOPT": rest * (1.0 + beta),
            "ZOPT": rest * (1.0 + value),
            "VELO": rest * np.sqrt((1.0 + beta) / (1.0 - beta)),
            "BETA": rest * np.sqrt((1.0 + value) / (1.0 - value)),
        }
    if kind not in known:
        raise RequestError(_WAVELENGTH_POINTER, f"{name}: {kind} is not known", found=kind, allowed=list(known))
    if kind in ("VRAD", "VOPT", "ZOPT", "VELO", "BETA") and not rest:
        raise RequestError(_WAVELENGTH_POINTER, f"{name}: {kind} of which line?", allowed="RESTFRQ (Hz) or RESTWAV (m)")
    wave = known[kind] * 1e6
    if not (np.isfinite(wave).all() and wave.min() >= 0.05 and wave.max() <= 1000.0):
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{name} goes from {wave[0]:.4g} to {wave[-1]:.4g} um",
            allowed="0.05 to 1000 um; see its CUNIT",
        )
    return wave


def _refraction(wave: Floats) -> Floats:
    """Return the refractive index of standard air (Morton 1991, ApJS 77, 119, eq. 5) for wavelengths in air, m."""
    vacuum = wave
    for _ in range(3):
        square = (1e-6 / vacuum) ** 2  # 1/um2
        index = 1.0 + 6.4328e-5 + 2.94981e-2 / (146.0 - square) + 2.5540e-4 / (41.0 - square)
        vacuum = wave * index
    return np.asarray(index)
