"""Axes of an image or a cube: the WCS of the standard, and the headers that are common without one."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.request.files.coordinate_cards import readable
from elvis_cli.request.files.errors import one_line

SCALE_KEYS = {
    "PIXSCALE": 1.0,
    "PIXELSCL": 1.0,
    "GS_SCALE": 1.0,
    "PIXSCAL1": 1.0,
    "PIXELSCALE": 1.0,
    "ESO INS PIXSCALE": 1.0,
    "CCDSCALE": 1.0,
    "PSCALE": 1.0,
    "SECPIX": 1.0,
    "SECPIX1": 1.0,
    "D001SCAL": 1.0,
    "SCALE": 1.0,
    "PIX_MAS": 1e-3,
}
"""Cards with the size of an element, and their unit, arcsec."""
LEAST_ARCSEC = 2e-4
"""A step without a unit is in deg below this (0.72 arcsec), in arcsec from it on: no camera has finer elements."""
_SPECTRAL = {
    "WAVE": "wave wavelength wavelengths wavelen wavel wav wl lambda lam",
    "FREQ": "frequency freq",
    "AWAV": "awavelength wavelength_air",
}
_SPECTRAL_NAMES = {word: kind for kind, words in _SPECTRAL.items() for word in words.split()}
_STANDARD = ("WAVE", "AWAV", "FREQ", "ENER", "WAVN", "VRAD", "VOPT", "ZOPT", "VELO", "BETA", "FELO")
_ANGLES = {
    "arcsec": 'arcsec arcsecs arcsecond arcseconds asec arcs "',
    "mas": "mas milliarcsec milliarcsecond milliarcseconds marcsec",
    "deg": "deg degree degrees d",
    "rad": "rad radian radians",
    "arcmin": "arcmin arcminute arcminutes",
}
_LENGTHS = {
    "um": "um micron microns micrometer micrometers micrometre micrometres mum",
    "nm": "nm nanometer nanometers nanometre nanometres",
    "Angstrom": "a aa ang angs angstrom angstroms",
    "m": "m meter meters metre metres",
    "mm": "mm",
}
_UNITS = {word: unit for table in (_ANGLES, _LENGTHS) for unit, words in table.items() for word in words.split()}


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """The axes of an image or a cube."""

    wcs: WCS
    x: int
    y: int
    """Numbers of the axes along a row and a column of the sky, 0 = NAXIS1."""
    matrix: Floats
    """arcsec (East, North) an element along x and y, (2, 2)."""
    notes: tuple[str, ...]


def unit_name(text: str) -> str:
    """Return astropy's name of a unit of length or angle as people spell it, the text itself if it is another."""
    bare = text.strip().strip("[]()")
    return _UNITS.get(bare.casefold(), bare)


def read(header: fits.Header, name: str, pointer: str) -> Axes:
    """Return the axes in the header of a file called ``name``.

    Without a celestial WCS the size of an element is that of CDELT or a CD or PC matrix, in CUNIT, or of a card such as
    PIXSCALE; what the header leaves open is assumed, with a note: North is up and East to the left.

    Raises
    ------
    RequestError
        The header does not say how large an element is, or cannot be read.
    """
    header, notes = _standard(header, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(readable(header))
            sky = wcs.sub(["longitude", "latitude"]) if wcs.has_celestial else None
            linear = np.asarray(wcs.pixel_scale_matrix)
        except Exception as error:  # whatever wcslib finds wrong
            raise RequestError(pointer, f"{name}: its WCS cannot be read: {one_line(error)}") from None
    if sky is not None:
        matrix = np.asarray(sky.pixel_scale_matrix) * 3600.0
        return Axes(wcs, int(wcs.wcs.lng), int(wcs.wcs.lat), matrix, tuple(notes))
    x, y, named = _sky_axes(header, wcs, name, pointer)
    matrix = _crota(header, y + 1) @ linear[np.ix_([x, y], [x, y])]
    size, more = _element(header, (x + 1, y + 1), matrix, name, pointer)
    matrix = matrix * (size / math.sqrt(abs(float(np.linalg.det(matrix)))))
    notes += more
    if not named:
        matrix, angle = _north_up(header, matrix)
        notes.append(f"{name} has no celestial WCS: East is taken to the left, {angle}")
    return Axes(wcs, x, y, matrix, tuple(notes))


def upright(axes: Axes, pixels: NDArray[Any], name: str, pointer: str) -> tuple[NDArray[Any], float, float]:
    """Return pixels (..., y, x), East to the left, their scale (arcsec) and position angle (deg)."""
    matrix = axes.matrix
    if np.linalg.det(matrix) > 0:  # a mirror image: East is on the right
        pixels, matrix = pixels[..., ::-1], matrix * [-1.0, 1.0]
    scale = math.sqrt(-float(np.linalg.det(matrix)))
    east, north = matrix[:, 1] / scale
    if not np.allclose(matrix, scale * np.array([[-north, east], [east, north]]), atol=0.01 * scale):
        raise RequestError(f"{pointer}/scale", f"{name}: its elements are not square", allowed="within 1 %")
    return pixels, scale, math.degrees(math.atan2(east, north))


def _standard(header: fits.Header, name: str) -> tuple[fits.Header, list[str]]:
    """Return a copy of a header with the standard's spelling of types and units, and notes."""
    header, notes = header.copy(), list[str]()
    for n in range(1, _count(header) + 1):
        kind, unit = (str(header.get(f"{key}{n}", "")).strip() for key in ("CTYPE", "CUNIT"))
        base = kind.split("-")[0].casefold()
        unit = unit_name(unit)
        if base in _SPECTRAL_NAMES:
            kind = _SPECTRAL_NAMES[base] + kind[len(base) :]
        elif base in ("", "linear") and unit in _LENGTHS:
            notes.append(f"{name}: axis {n} in {unit} is taken as the wavelength in vacuum: it has no CTYPE")
            kind = "WAVE"
        if kind.upper()[:4] in _STANDARD:
            kind = kind.upper()
            if not unit and kind[:4] in ("WAVE", "AWAV"):
                unit = _guessed(float(header.get(f"CRVAL{n}", 0.0)))
                notes += [f"{name}: the wavelengths are taken as {unit}: CUNIT{n} is missing"] if unit else []
            if f"CDELT{n}" in header and f"CD{n}_{n}" not in header and "CD1_1" in header:
                header[f"CD{n}_{n}"] = header[f"CDELT{n}"]
        elif re.fullmatch(r"(?i)(ra|dec|[geh]l(on|at))-+\w{3}(-\w+)?", kind):
            kind = kind.upper()
        if kind:
            header[f"CTYPE{n}"] = kind
        if unit:
            header[f"CUNIT{n}"] = unit
    return header, notes


def _count(header: fits.Header) -> int:
    return max(int(header.get("NAXIS", 0)), int(header.get("WCSAXES", 0)))


def _guessed(value: float) -> str:
    """Return the unit of a wavelength that only one makes sense of, "" for the standard's m or for none."""
    limits = {"um": (0.05, 50.0), "nm": (200.0, 2600.0), "Angstrom": (3000.0, 3e5)}
    return next((unit for unit, (low, high) in limits.items() if low <= value < high), "")


def _sky_axes(header: fits.Header, wcs: WCS, name: str, pointer: str) -> tuple[int, int, bool]:
    """Return the numbers of the two axes on the sky, and whether they are called RA and DEC."""
    kinds = [str(header.get(f"CTYPE{n}", "")).strip().casefold() for n in range(1, wcs.naxis + 1)]
    for pair in (("ra", "dec"), ("glon", "glat")):
        if set(pair) <= set(kinds):
            return kinds.index(pair[0]), kinds.index(pair[1]), True
    free = [
        n
        for n, kind in enumerate(kinds)
        if n != wcs.wcs.spec and kind != "stokes" and int(header.get(f"NAXIS{n + 1}", 1)) > 1
    ]
    if len(free) != 2 or any(kinds[n][:4].upper() in _STANDARD for n in free):
        raise RequestError(
            pointer, f"{name} has no celestial WCS: which are the axes on the sky?", found=kinds, allowed="RA and DEC"
        )
    return free[0], free[1], False


def _crota(header: fits.Header, number: int) -> Floats:
    """Return the rotation by CROTAn of the axis upwards: wcslib obeys it in a celestial WCS only."""
    if any(re.fullmatch(r"(CD|PC)\d+_\d+", key) for key in header):
        return np.eye(2)
    angle = math.radians(float(header.get(f"CROTA{number}", 0.0)))
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _element(
    header: fits.Header, numbers: tuple[int, int], matrix: Floats, name: str, pointer: str
) -> tuple[float, list[str]]:
    """Return the size of an element (arcsec) without a celestial WCS, and notes."""
    step = math.sqrt(abs(float(np.linalg.det(matrix))))
    unit = str(header.get(f"CUNIT{numbers[0]}", ""))
    if unit in _ANGLES and unit == str(header.get(f"CUNIT{numbers[1]}", unit)) and step > 0:
        return float((step * units.Unit(unit)).to_value("arcsec")), []
    card = scale_card(header)
    if card is not None:
        return card
    stated = any(key in header for key in (f"CDELT{numbers[0]}", f"CD{numbers[0]}_{numbers[0]}"))
    if not stated or not step > 0 or step == 1.0:
        raise RequestError(
            f"{pointer}/scale",
            f"{name} has no celestial WCS: how large is an element?",
            allowed=f"CDELT1 with CUNIT1 (deg, arcsec, mas), or one of {', '.join(SCALE_KEYS)}",
        )
    return assumed_step(step, name)


def scale_card(header: fits.Header) -> tuple[float, list[str]] | None:
    """Return the size of an element (arcsec) from a card such as PIXSCALE, and notes; None if there is none."""
    for key, factor in SCALE_KEYS.items():
        try:
            value = abs(float(header[key])) * factor
            other = abs(float(header.get(f"{key[:-1]}2", header[key]))) * factor if key.endswith("1") else value
        except (KeyError, ValueError, TypeError):
            continue
        if not math.isclose(value, other, rel_tol=0.01):
            raise RequestError("", f"{key} is {value:g}, but {key[:-1]}2 {other:g}", allowed="square elements")
        word = re.search(r"(?i)\b(mas|milliarcsec\w*|arcmin\w*|deg\w*)\b", header.comments[key])
        unit = commented_unit(header, key) or (unit_name(word[1]) if word else "")
        if unit in _ANGLES:
            value = float((value / factor * units.Unit(unit)).to_value("arcsec"))
        if value > 0:
            return value, []
    return None


def commented_unit(header: fits.Header, key: str) -> str:
    """Return the unit in brackets that begins the comment of a card, "" if there is none."""
    found = re.match(r"\s*\[([^\]]+)\]", header.comments[key])
    return unit_name(re.split(r"\s*(?:/|per)\s*", found[1])[0]) if found else ""


def assumed_step(step: float, name: str) -> tuple[float, list[str]]:
    """Return arcsec for a step without a unit, deg or arcsec, and the note that says so."""
    unit = "deg" if step < LEAST_ARCSEC else "arcsec"
    return step * (3600.0 if unit == "deg" else 1.0), [f"{name}: {step:g} an element is taken as {unit}: no CUNIT1"]


def _north_up(header: fits.Header, matrix: Floats) -> tuple[Floats, str]:
    """Return a matrix with East to the left, turned by ORIENTAT if it has no angle of its own; and words for it."""
    if np.linalg.det(matrix) > 0:
        matrix = matrix * np.array([[-1.0], [1.0]])
    angle = math.degrees(math.atan2(matrix[0, 1], matrix[1, 1]))
    orientation = header.get("ORIENTAT")
    if abs(angle) < 1e-6 and isinstance(orientation, int | float):
        angle = float(orientation)
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        matrix = np.array([[cos, sin], [-sin, cos]]) @ matrix
        return matrix, f"its upward axis at position angle {angle:g} deg (ORIENTAT)"
    if abs(angle) < 1e-6:
        return matrix, "North up"
    return matrix, f"its upward axis at position angle {angle:.4g} deg, as its matrix says"
