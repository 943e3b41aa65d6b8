"""A data cube -> the block ``elvis.cube``."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.image import upright
from elvis_cli.request.payload import MAX_CUBE_ELEMENTS, pack

_WAVELENGTH_POINTER = "/elvis/cube/wavelength_um"
_FLUX_DENSITY = units.Unit("W m-2 um-1")


def read_cube(path: Path) -> dict[str, Any]:
    """Return the first cube of a FITS file: F_lambda against vacuum wavelength, East to the left of its upward axis.

    The axes may stand in any order, others must have one element; the spectral one may be wavelength (WAVE, or AWAV in
    air), frequency, energy or velocity (VRAD, VOPT, VELO with RESTFRQ or RESTWAV), even or not. Values in a unit of
    flux density, per element, beam, arcsec2 or sr, are absolute; others are taken as F_lambda in a unit of their own.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no cube with a spectral and a celestial WCS, or one that is too large.
    """
    try:
        with fits.open(path) as hdus:
            found = next((h for h in hdus if h.is_image and h.data is not None and h.data.ndim > 2), None)
            if found is None:
                raise RequestError("/elvis/cube", f"{path.name} holds no image of three dimensions")
            if found.data.size > MAX_CUBE_ELEMENTS:
                raise RequestError(
                    "/elvis/cube/shape",
                    f"{path.name} has {found.data.size} elements: cut out or bin what is needed",
                    found=list(found.data.shape),
                    allowed=f"up to {MAX_CUBE_ELEMENTS} in all, such as 256 channels of 256 x 256",
                )
            pixels, header = np.asarray(found.data, float), found.header
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--cube: cannot read {path}: {one_line(error)}") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
        except Exception as error:  # whatever wcslib finds wrong
            raise RequestError("/elvis/cube", f"{path.name}: its WCS cannot be read: {one_line(error)}") from None
    pixels = _ordered(path, pixels, wcs)
    wave = _wavelengths(path, wcs, len(pixels))
    pixels, scale, angle = upright(path, pixels, header, "/elvis/cube")
    factor = _factor(header, wave, scale)
    if factor is not None:
        pixels = pixels * factor[:, None, None]
    order = np.argsort(wave)
    # the unit is the cube's own, and may be beyond the range of 32 bits
    top = 1.0 if factor is not None else float(np.nanmax(np.abs(pixels), initial=0.0)) or 1.0
    data = np.ascontiguousarray((pixels / top)[order], "<f4")
    return {
        "data": pack(data.tobytes()),
        "shape": list(data.shape),
        "scale": scale,
        "position_angle": angle,
        "wavelength_um": wave[order].tolist(),
        "absolute": factor is not None,
    }


def _ordered(path: Path, pixels: Floats, wcs: WCS) -> Floats:
    """Return the pixels as (wavelength, latitude, longitude)."""
    if wcs.wcs.spec < 0:
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{path.name} has no spectral axis",
            found=list(wcs.wcs.ctype),
            allowed="CTYPE of an axis: WAVE, AWAV, FREQ, VRAD, VOPT or VELO",
        )
    if not wcs.has_celestial:
        raise RequestError(
            "/elvis/cube", f"{path.name} has no celestial WCS: how large is an element, which way is North?"
        )
    axes = [pixels.ndim - 1 - axis for axis in (wcs.wcs.spec, wcs.wcs.lat, wcs.wcs.lng)]
    others = [axis for axis in range(pixels.ndim) if axis not in axes]
    if any(pixels.shape[axis] > 1 for axis in others):
        raise RequestError("/elvis/cube/shape", f"{path.name} has more than three axes", found=list(pixels.shape))
    result = pixels.transpose(*axes, *others).reshape([pixels.shape[axis] for axis in axes])
    if len(result) < 2:
        raise RequestError(_WAVELENGTH_POINTER, f"{path.name} has one channel", allowed="at least 2, or --image")
    return result


def _wavelengths(path: Path, wcs: WCS, count: int) -> Floats:
    """Return the vacuum wavelength (um) of each channel (Greisen et al. 2006, A&A 446, 747, table 1)."""
    axis = wcs.sub(["spectral"])
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
        raise RequestError(_WAVELENGTH_POINTER, f"{path.name}: {kind} is not known", found=kind, allowed=list(known))
    if kind in ("VRAD", "VOPT", "ZOPT", "VELO", "BETA") and not rest:
        raise RequestError(
            _WAVELENGTH_POINTER, f"{path.name}: {kind} of which line?", allowed="RESTFRQ (Hz) or RESTWAV (m)"
        )
    wave = known[kind] * 1e6
    if not (np.isfinite(wave).all() and wave.min() >= 0.05 and wave.max() <= 1000.0):
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{path.name} goes from {wave[0]:.4g} to {wave[-1]:.4g} um",
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


def _factor(header: fits.Header, wave: Floats, scale: float) -> Floats | None:
    """Return W/m2/um of an element for a value of 1, (n,), or None if the unit is not one of light."""
    text = re.sub(r"\bA\b", "Angstrom", str(header.get("BUNIT", "")).replace("JY", "Jy").replace("BEAM", "beam"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unit = units.Unit(text, parse_strict="silent")
    area = (scale * units.arcsec) ** 2
    beam = math.pi / (4.0 * math.log(2.0)) * header.get("BMAJ", 0.0) * header.get("BMIN", 0.0) * units.deg**2
    elements = [1.0 * units.one, 1.0 * units.pix, area]
    elements += [units.beam * (area / beam).to(units.one)] if beam > 0 else []
    for element in elements:  # which one is the unit's
        try:
            value = (unit * element).to(_FLUX_DENSITY, units.spectral_density(wave * units.um)).value
        except (ValueError, TypeError):
            continue
        return np.asarray(value) + np.zeros(wave.size)
    return None
