"""Content of any FITS file that can be drawn: images with their place on the sky, tables of numbers."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits

from elvis_cli.errors import RequestError, UsageError, nearest_name
from elvis_cli.preview import table_curves
from elvis_cli.preview.image import Caption
from elvis_cli.preview.mosaic import Float32, Floats, Plane
from elvis_cli.preview.plot import Curves
from elvis_cli.preview.sheet import printable
from elvis_cli.request.files import guard

_CHIP_KEY = "ESO DET CHIP NO"
"""Keyword of the chips' headers. Kept steps have it too, but no coordinates; computed images have neither."""
_CHIP_NAME = re.compile(r"(CHIP|CCD|DET)[ _.]?\d+([ _.]\w+)?")
"""Names of others' chips."""
_GAIN_KEY = "ESO DET OUT1 CONAD"
"""Electrons per ADU."""
_ARCSEC = {"deg": 3600.0, "degree": 3600.0, "arcmin": 60.0, "arcsec": 1.0, "mas": 1e-3, "rad": 206264.806}
_OPTICS_KEY = re.compile(r"ESO INS (\w+ NAME|WLEN (CWLEN|CEN))")
_MAP_UNITS = ("um", "1")
"""Units of maps, which are not light: a spectrograph's wavelengths, orders and apertures."""
_EMPTY_PLACES = ("", "open", "free", "clear", "none", "empty", "nond")
"""Names of places in a wheel without a filter."""
_PIXEL_MATRIX = np.array([[-1.0, 0.0], [0.0, 1.0]])
_MAX_CHIPS_IN_ROW = 4
"""Chips up to which they stand in one row where nothing tells their places."""
_CHIP_GAP = 0.03
"""Between them, of a chip."""
_SPECTRAL = re.compile(r"(WAVE|AWAV|FREQ|VELO|VRAD|VOPT|ENER)")
"""CTYPE3 of cubes whose planes are wavelengths."""
_PLANES = 256
"""Read at once."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images to put together; their rows can be read while the file is open."""

    planes: tuple[Plane, ...]
    caption: Caption
    notes: tuple[str, ...] = ()
    pixel: float = 0.0
    """Their side in the focal plane, mm; 0 where that is not known."""
    light: bool = True
    """Whether the values are light, not wavelengths or numbers."""

    @property
    def spectra(self) -> bool:
        """Whether they are a spectrograph's frames: known in the focal plane, not on the sky."""
        return self.pixel > 0.0 and self.light


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the pixels of an image lie, from its header."""

    matrix: Floats
    origin: tuple[float, float]
    place: tuple[float, float]
    """CRVAL of longitude and latitude, deg."""
    angular: bool
    celestial: bool
    pixel: float = 0.0
    """Side of a pixel in the focal plane, mm; 0 where that is not known."""


_NO_COORDINATES = _Frame(_PIXEL_MATRIX, (0.0, 0.0), (0.0, 0.0), angular=False, celestial=False)


@contextmanager
def open_source(source: BinaryIO | str | os.PathLike[str], extension: str | None) -> Iterator[Images | Curves]:
    """Yield what is to be drawn of a FITS file: a binary file that can seek, or a path.

    Without ``extension`` these are the chips, or the first image, or the first table of numbers; with it what has
    this EXTNAME ("NAME", or "NAME,EXTVER").

    Raises
    ------
    ResourceError
        There is no such file.
    UsageError
        There is no such extension.
    RequestError
        It is not a FITS file, it is damaged (which may be found only when its rows are read), or holds nothing to draw.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with guard.opened(source) as hdus:
            found = _choose(_listed(hdus), extension)
            for warning in caught:
                if "truncated" in str(warning.message) or "Error validating header" in str(warning.message):
                    raise RequestError("", "a damaged FITS file: it ends too early, or goes on as no FITS file")
            yield found


def _listed(hdus: fits.HDUList) -> list[Any]:
    """Return the HDUs; a false size can lead backwards, and round for ever."""
    listed: list[Any] = []
    place = -1
    for hdu in hdus:
        where = hdu.fileinfo()["hdrLoc"]
        if where <= place:
            raise RequestError("", "a damaged FITS file: an extension begins before the one before it")
        place = where
        listed.append(hdu)
    return listed


def _choose(hdus: list[Any], extension: str | None) -> Images | Curves:
    top = hdus[0].header
    if extension is not None:
        named = _named(hdus, extension)
        if images := [hdu for hdu in named if _is_image(hdu)]:
            return _images(top, images, named[0].name)
        if isinstance(named[0], (fits.BinTableHDU, fits.TableHDU)):
            return _curves(top, [hdu for hdu in named if isinstance(hdu, type(named[0]))])
        raise RequestError("", f"the extension {printable(extension)} holds neither an image nor a table")
    images = [hdu for hdu in hdus if _is_image(hdu)]
    if images:
        chips = [hdu for hdu in images if _CHIP_KEY in hdu.header and "CTYPE1" in hdu.header]
        chips = chips or [hdu for hdu in images if _CHIP_NAME.fullmatch(hdu.name)]
        return _images(top, chips or images[:1], "")
    for hdu in hdus:
        if isinstance(hdu, fits.BinTableHDU):
            try:
                return _curves(top, [hdu])
            except RequestError:
                continue
    raise RequestError("", "the FITS file holds no image, and no table of numbers")


def _curves(top: fits.Header, hdus: list[Any]) -> Curves:
    title, _ = _words(top, top, printable(hdus[0].name))
    return table_curves.curves(title, hdus)


def _named(hdus: list[Any], extension: str) -> list[Any]:
    name, _, version = extension.strip().upper().partition(",")
    named = [hdu for hdu in hdus if hdu.name.upper() == name and version in ("", str(hdu.ver))]
    if not named:
        names = list(dict.fromkeys(printable(hdu.name) for hdu in hdus if hdu.name))
        nearest = nearest_name(name, names)
        guess = f"; did you mean {nearest!r}?" if nearest else ""
        raise UsageError(f"--ext: no extension {extension!r} in the file; it has {', '.join(names)}{guess}")
    return named


def _is_image(hdu: Any) -> bool:
    return bool(hdu.is_image) and hdu.header["NAXIS"] >= 2 and all(length > 0 for length in hdu.shape)


def _images(top: fits.Header, hdus: list[Any], name: str) -> Images:
    frames = [_frame(hdu.header) for hdu in hdus]
    notes: list[str] = []
    beside = len(hdus) > 1 and not all(frame.celestial or frame.pixel for frame in frames)
    if beside:
        notes.append(f"{len(hdus)} images without coordinates: side by side")
    first = frames[0]
    planes = []
    unit = printable(str(hdus[0].header.get("BUNIT", "")))
    gains = [hdu.header.get(_GAIN_KEY) for hdu in hdus]
    if unit.lower() != "adu" or len(set(gains)) < 2 or not all(isinstance(gain, float) for gain in gains):
        gains = [1.0] * len(hdus)
    else:
        unit = "electron"
        notes.append("the gains of the chips differ: the picture is in electrons")
    light = unit not in _MAP_UNITS
    for number, (hdu, frame, gain) in enumerate(zip(hdus, frames, gains, strict=True)):
        offset = _offset(frame, first)
        if beside:
            frame, offset = _NO_COORDINATES, _beside(number, hdus)  # noqa: PLW2901
        speckled = frame.pixel > 0.0 and light
        planes.append(_plane(hdu, frame, offset, float(gain), notes, speckled=speckled))
    if beside:
        first = _NO_COORDINATES
    title, details = _words(top, hdus[0].header, name)
    caption = Caption(title, details, "" if unit == "1" else unit, first.angular, first.celestial)
    return Images(tuple(planes), caption, tuple(notes), first.pixel, light)


def _offset(frame: _Frame, first: _Frame) -> tuple[float, float]:
    """Return (East, North), arcsec, from the first image's place to this one's."""
    if not frame.celestial:
        return 0.0, 0.0
    east = (frame.place[0] - first.place[0] + 180.0) % 360.0 - 180.0
    return east * math.cos(math.radians(first.place[1])) * 3600.0, (frame.place[1] - first.place[1]) * 3600.0


def _beside(number: int, hdus: list[Any]) -> tuple[float, float]:
    """Return the place of an image of which only its number is known: in rows from the upper left."""
    wide, high = (max(hdu.shape[axis] for hdu in hdus) for axis in (-1, -2))
    down, right = divmod(number, len(hdus) if len(hdus) <= _MAX_CHIPS_IN_ROW else math.ceil(math.sqrt(len(hdus))))
    gap = math.ceil(_CHIP_GAP * min(wide, high))
    return -float(right * (wide + gap)), -float(down * (high + gap))


def _plane(
    hdu: Any, frame: _Frame, offset: tuple[float, float], gain: float, notes: list[str], *, speckled: bool
) -> Plane:
    *deep, ny, nx = hdu.shape
    if len(deep) == 1 and deep[0] > 1 and _SPECTRAL.match(str(hdu.header.get("CTYPE3", "")).upper()):
        notes.append(f"a cube: the picture shows the mean of its {deep[0]} planes")
        return Plane((ny, nx), _white_light(hdu, gain), frame.matrix, frame.origin, offset, speckled)
    middle = tuple(length // 2 for length in deep)
    if math.prod(deep) > 1:
        which = ", ".join(f"{at + 1} of {length}" for at, length in zip(middle[::-1], deep[::-1], strict=True))
        notes.append(f"a cube: the picture shows plane {which}")

    def rows(first: int, last: int) -> Float32:
        strip: Float32 = np.asarray(hdu.section[(*middle, slice(first, last))], dtype=np.float32)
        return strip.reshape(last - first, nx) * np.float32(gain)

    return Plane((ny, nx), rows, frame.matrix, frame.origin, offset, speckled)


def _white_light(hdu: Any, gain: float) -> Callable[[int, int], Float32]:
    """Return the reader of rows of a cube's mean over wavelength; voxels that are NaN do not count."""

    def rows(first: int, last: int) -> Float32:
        total = np.zeros((last - first, hdu.shape[2]))
        count = np.zeros_like(total)
        for start in range(0, hdu.shape[0], _PLANES):
            part = np.asarray(hdu.section[start : start + _PLANES, first:last], np.float64)
            seen = np.isfinite(part)
            total += np.where(seen, part, 0.0).sum(axis=0)
            count += seen.sum(axis=0)
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan) * gain, np.float32)

    return rows


def _frame(header: fits.Header) -> _Frame:
    """Return the linear part of an image's WCS (Calabretta & Greisen 2002), or its pixels if it has none."""
    kinds = [str(header.get(f"CTYPE{axis}", "")).upper() for axis in (1, 2)]
    scales = [_ARCSEC.get(str(header.get(f"CUNIT{axis}", "")).strip().lower()) for axis in (1, 2)]
    longitude = [kind.startswith("RA-") or kind[1:4] == "LON" for kind in kinds]
    latitude = [kind.startswith("DEC") or kind[1:4] == "LAT" for kind in kinds]
    celestial = sorted(zip(longitude, latitude, strict=True)) == [(False, True), (True, False)]
    origin = (float(header.get("CRPIX1", 0.0)) - 1.0, float(header.get("CRPIX2", 0.0)) - 1.0)
    if [str(header.get(f"CUNIT{axis}", "")).strip() for axis in (1, 2)] == ["mm", "mm"]:
        matrix = _PIXEL_MATRIX @ _linear(header)
        pixel = math.sqrt(abs(np.linalg.det(matrix)))
        return _Frame(matrix / pixel, origin, (0.0, 0.0), angular=False, celestial=False, pixel=pixel)
    if not celestial and None in scales:
        return _NO_COORDINATES
    units = [scale or 3600.0 for scale in scales]
    matrix = _linear(header) * np.array(units)[:, None]
    values = [float(header.get(f"CRVAL{axis}", 0.0)) * units[axis - 1] / 3600.0 for axis in (1, 2)]
    if not celestial:
        return _Frame(np.array([-matrix[0], matrix[1]]), origin, (0.0, 0.0), angular=True, celestial=False)
    if latitude[0]:
        matrix, values = matrix[::-1].copy(), values[::-1]
    return _Frame(matrix, origin, (values[0], values[1]), angular=True, celestial=True)


def _linear(header: fits.Header) -> Floats:
    """Return (2, 2): world coordinates of one pixel along x and y, in their own units."""
    if any(f"CD{i}_{j}" in header for i in (1, 2) for j in (1, 2)):
        return np.array([[float(header.get(f"CD{i}_{j}", 0.0)) for j in (1, 2)] for i in (1, 2)])
    delta = np.array([[float(header.get(f"CDELT{axis}", 1.0))] for axis in (1, 2)])
    if "CROTA2" in header and not any(key.startswith("PC") for key in header):
        angle = math.radians(float(header["CROTA2"]))
        ratio = float(delta[1, 0] / delta[0, 0])
        turn = np.array([[math.cos(angle), -ratio * math.sin(angle)], [math.sin(angle) / ratio, math.cos(angle)]])
    else:
        turn = np.array([[float(header.get(f"PC{i}_{j}", float(i == j))) for j in (1, 2)] for i in (1, 2)])
    return np.asarray(turn * delta)


def _words(top: fits.Header, header: fits.Header, name: str) -> tuple[str, str]:
    """Return what was observed with what; and how, for how long."""
    optics = [value for key, value in top.items() if _OPTICS_KEY.fullmatch(key)] or [top.get("FILTER", "")]
    optics = [str(value) for value in optics if str(value).lower() not in _EMPTY_PLACES]
    camera = top.get("INSTRUME") or header.get("INSTRUME") or top.get("TELESCOP")
    title = [camera, top.get("ESO INS MODE"), " ".join(dict.fromkeys(optics)), name]
    made = "simulated" if any(top.get(key) is True for key in ("SIMUL", "SIMULATED")) else ""
    details = [top.get("OBJECT"), _exposure(top), made, str(top.get("DATE-OBS", ""))[:19].replace("T", " ")]
    first, second = (" | ".join(printable(str(word)) for word in words if word) for words in (title, details))
    return first or "FITS image", second


def _exposure(header: fits.Header) -> str:
    seconds = header.get("ESO DET DIT", header.get("EXPTIME"))
    count = header.get("ESO DET NDIT", 1)
    if not isinstance(seconds, (int, float)) or not isinstance(count, (int, float)):
        return ""
    return f"{count:g} x {seconds:g} s"
