"""A point-spread function -> the block ``elvis.psf``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.table import Table
from numpy.typing import NDArray

from elvis_cli.errors import RequestError
from elvis_cli.request.files import hdu, psf_field, wcs
from elvis_cli.request.payload import MAX_PSF_BYTES, pack

_POINTER = "/elvis/psf"
_WAVELENGTH_POINTER = f"{_POINTER}/wavelength_um"
_WAVE_KEYS = ("WAVELENG", "WAVELEN", "CWAVE", "WAVELNTH", "WAVELGTH", "LAMBDA", "WL_NM", "WAVE0")
"""Cards with the wavelength of an image, or a list of those of a cube; POPPY's WAVE0 is the first of its band's."""
_NUMBERED = re.compile(r"(?:WAVELN|WVLN|WAVELEN|WAVELENG|WAVE|WL)_?(\d+)")
_ONE_OF = ("OVERDIST", "OVERSAMP", "DET_DIST", "DET_SAMP")
"""Extensions of STPSF: one and the same PSF, the best first."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """The planes of one image HDU."""

    label: str
    data: NDArray[np.float32]
    """(k, ny, nx)."""
    wave: list[float]
    """um, ascending or not; as many as planes, fewer if some are of other places, none if unknown."""
    scale: float | None
    """arcsec."""


def read_psf(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return a point-spread function (FITS: images or a cube) as the block ``elvis.psf``, and notes.

    The wavelength of a plane is its image's WAVELENG, WAVELEN, WAVE0, CWAVE or WL_NM, its WAVELNnn in a cube, that of
    the cube's third axis, or that in a column of a table; the scale is PIXSCALE or PIXELSCL (arcsec), PIX_MAS, or that
    of CDELT or a CD matrix. A file of ScopeSim's or AnisoCADO's has several PSFs and a map or table of their places.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no image, does not say its scale or its wavelengths, or is too large.
    """
    notes: list[str] = []
    with hdu.opened("--psf", path) as (file, hdus, named):
        field = None if named is not None else psf_field.places(hdus, file.name)
        images = [(n, h) for n, h in enumerate(hdus) if h.is_image and len(h.shape) > 1]
        if named is not None:
            images = [(n, h) for n, h in images if h is named]
        elif field is not None:
            images = [(n, h) for n, h in images if n >= field.first and n != field.number]
        if not images:
            raise RequestError(_POINTER, f"{file.name} holds no image; it has {hdu.names(hdus)}")
        _check_size(file, images)
        tables = [Table(h.data) for h in hdus if isinstance(h, fits.BinTableHDU | fits.TableHDU)]
        planes = [_planes(n, h, tables if field is None else [], file.name, notes) for n, h in images]
    if field is not None:
        cube, wave = _of_field(file.name, planes, field.count)
        notes.append(f"{file.name}: {field.count} PSFs over the field, the nearest is taken ({field.kind})")
    else:
        planes = _of_one_psf(file.name, planes, notes)
        cube, wave, places = _first_place(file.name, planes, [h.header for _, h in images], notes)
        field = places
    scales = [p.scale for p in planes if p.scale is not None]
    if not scales:
        raise RequestError(
            f"{_POINTER}/scale", f"{file.name} does not say it", allowed="PIXSCALE in arcsec, or CDELT1 with CUNIT1"
        )
    if max(scales) > 1.001 * min(scales):
        raise RequestError(f"{_POINTER}/scale", f"{file.name}: its images differ", found=scales, allowed="one")
    if len(set(wave)) < len(wave):
        raise RequestError(_WAVELENGTH_POINTER, f"{file.name}: two images have one wavelength", found=wave)
    order = np.argsort(wave, kind="stable") if wave else [0]
    data = np.ascontiguousarray(cube[:, order], "<f4").reshape(-1, *cube.shape[-2:])
    block: dict[str, Any] = {"data": pack(data.tobytes()), "shape": list(data.shape), "scale": scales[0]}
    block["name"] = file.name
    if wave:
        block["wavelength_um"] = [float(wave[i]) for i in order]
    if field is not None:
        block["field"] = {"x": field.x.tolist(), "y": field.y.tolist(), "psf": field.psf.tolist()}
    return block, list(dict.fromkeys(notes))


def _check_size(file: Path, images: list[tuple[int, Any]]) -> None:
    size = sum(math.prod(h.shape) for _, h in images)
    if size > 4 * MAX_PSF_BYTES:
        raise RequestError(
            f"{_POINTER}/shape",
            f"{file.name} has {size} elements: cut the images out",
            allowed=f"up to {MAX_PSF_BYTES // 4} that are used",
        )


def _planes(number: int, image: Any, tables: list[Table], name: str, notes: list[str]) -> Planes:
    """Return the planes of an image HDU."""
    data = np.asarray(image.data, np.float32)
    data = data.reshape(-1, *data.shape[-2:])
    wave = _wavelengths(image.header, tables, len(data), name, notes)
    return Planes(hdu.label(number, image), data, wave, _scale(image.header, name, notes))


def _of_one_psf(name: str, planes: list[Planes], notes: list[str]) -> list[Planes]:
    """Return the images that are one PSF at several wavelengths, or the only one; notes on those that are left out."""
    first = planes[0]
    chosen = planes
    for kind in _ONE_OF:
        same = [p for p in planes if p.label.endswith(f" {kind}")]
        if same:
            chosen = same[:1]
            break
    else:
        if len(first.data) > 1:
            chosen = planes[:1]
        elif any(p.wave for p in planes):
            chosen = [p for p in planes if p.wave and len(p.data) == 1]
        elif len(planes) > 1:
            chosen = [p for p in planes if re.search(r"\b(PRIMARY|SCI|PSF|DATA)$", p.label)][:1]
    every = ", ".join(p.label for p in planes)
    if not chosen:
        raise RequestError(
            _POINTER,
            f"{name} holds several images without a wavelength: which one?",
            found=every,
            allowed=f"one of them, such as {name}[0], or WAVELENG in each",
        )
    if len(chosen) < len(planes):
        notes.append(f"{name}: of {every}, {', '.join(p.label for p in chosen)} is taken; {name}[N] takes another")
    if len({p.data.shape[1:] for p in chosen}) > 1:
        raise RequestError(
            f"{_POINTER}/shape", f"{name}: its images differ in size", found=[p.data.shape[1:] for p in chosen]
        )
    return chosen


def _first_place(
    name: str, planes: list[Planes], headers: list[fits.Header], notes: list[str]
) -> tuple[NDArray[np.float32], list[float], psf_field.Places | None]:
    """Return a PSF's images (places, wavelengths, ny, nx), their wavelengths, and the places (None: one)."""
    if len(planes) > 1:
        return np.concatenate([p.data for p in planes])[None], [w for p in planes for w in p.wave], None
    (only,) = planes
    count, wave = len(only.data), only.wave
    if count == len(wave) or (count == 1 and not wave):
        return only.data[None], wave, None
    if not wave or count % len(wave):
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{name} has {count} images and {len(wave)} wavelengths",
            allowed="WAVELENG in each image, WAVELN00, WAVELN01 ..., CRVAL3 and CDELT3 of a cube, or a table's column",
        )
    # TIPTOP's order: each wavelength at all places
    images = only.data.reshape(len(wave), -1, *only.data.shape[1:]).swapaxes(0, 1)
    places = psf_field.tiptop(headers, len(images))
    if places is not None:
        notes.append(f"{name}: {places.count} PSFs over the field, the nearest is taken ({places.kind})")
        return images, wave, places
    notes.append(f"{name}: the first of {len(images)} PSFs at each wavelength is taken: it does not say where they are")
    return images[:1], wave, None


def _of_field(name: str, planes: list[Planes], count: int) -> tuple[NDArray[np.float32], list[float]]:
    """Return images (places, wavelengths, ny, nx) of a file with ``count`` PSFs over the field, and wavelengths."""
    shapes = {p.data.shape[1:] for p in planes}
    by_wave = all(len(p.data) >= count and len(p.wave) <= 1 for p in planes) and len(planes) == max(
        1, sum(len(p.wave) for p in planes)
    )
    by_place = len(planes) >= count and all(
        p.wave == planes[0].wave and len(p.wave) in (0, len(p.data)) for p in planes
    )
    by_place = by_place and (bool(planes[0].wave) or len(planes[0].data) == 1)
    if len(shapes) == 1 and by_wave:
        return np.stack([p.data[:count] for p in planes], axis=1), [w for p in planes for w in p.wave]
    if len(shapes) == 1 and by_place:
        return np.stack([p.data for p in planes[:count]]), planes[0].wave
    raise RequestError(
        _POINTER,
        f"{name}: its map names {count} PSFs, which its images do not have",
        found=[f"{p.label}: {'x'.join(map(str, p.data.shape))}, {len(p.wave)} wavelengths" for p in planes],
        allowed="images of equal size: one extension a wavelength (WAVE0) with a plane a PSF, or one extension a PSF",
    )


def _scale(header: fits.Header, name: str, notes: list[str]) -> float | None:
    """Return arcsec per element, None if the header does not say it."""
    stated = _step(header, name)
    card = wcs.scale_card(header)
    if card is None and stated is None:
        return None
    if card is None and stated is not None:
        notes += stated[1]
        return stated[0]
    assert card is not None
    if stated is not None and not stated[1] and abs(stated[0] / card[0] - 1.0) > 0.01:
        notes.append(f"{name}: an element is {card[0]:g} arcsec, not {stated[0]:g} as CDELT1 says")
    return card[0]


def _step(header: fits.Header, name: str) -> tuple[float, list[str]] | None:
    """Return arcsec per element as CDELT1 or a CD matrix has it, and a note if its unit is assumed."""
    for key in ("CDELT1", "CD1_1"):
        if header.get(key):
            step = math.hypot(header[key], header.get("CD2_1", 0.0) if key == "CD1_1" else 0.0)
            unit = wcs.unit_name(str(header.get("CUNIT1", ""))) or wcs.commented_unit(header, key)
            if not unit:
                return wcs.assumed_step(step, name)
            try:
                return float((step * units.Unit(unit)).to_value("arcsec")), []
            except (ValueError, TypeError):
                raise RequestError(
                    f"{_POINTER}/scale", f"{name}: CUNIT1 is not an angle", found=unit, allowed="deg, arcsec, mas"
                ) from None
    return None


def _wavelengths(header: fits.Header, tables: list[Table], count: int, name: str, notes: list[str]) -> list[float]:
    """Return the wavelengths (um) of the planes of an image HDU, none if it does not say any."""
    if count > 1:
        for table in tables:
            column = next((n for n in table.colnames if n.casefold().startswith(("wave", "lambda"))), None)
            if column is not None and len(table) == count:
                unit = str(table[column].unit or "")
                return [_um(float(w), unit, column, name, notes) for w in table[column]]
        cards = sorted((int(found[1]), key) for key in header if (found := _NUMBERED.fullmatch(key)))
        if len(cards) == count:
            return [_um(float(header[key]), _unit(header, key), key, name, notes) for _, key in cards]
        step = header.get("CDELT3", header.get("CD3_3"))
        if "CRVAL3" in header and step and _is_wavelength(header):
            at = np.arange(1, count + 1) - float(header.get("CRPIX3", 1.0))
            unit = str(header.get("CUNIT3", ""))
            return [_um(float(w), unit, "CRVAL3", name, notes) for w in float(header["CRVAL3"]) + at * float(step)]
    for key in _WAVE_KEYS:
        if key in header:
            unit = "nm" if key == "WL_NM" else _unit(header, key)
            words = str(header[key]).strip("[]()").replace(",", " ").split()
            try:
                return [_um(float(word), unit, key, name, notes) for word in words]
            except ValueError:
                raise RequestError(
                    _WAVELENGTH_POINTER, f"{name}: {key} is not a number", found=header[key], allowed="um, nm or m"
                ) from None
    return []


def _is_wavelength(header: fits.Header) -> bool:
    """Return whether the third axis may be one of wavelengths."""
    kind = str(header.get("CTYPE3", "")).strip().casefold()
    return kind in ("", "linear") or kind.startswith(("wave", "awav", "lambda", "lam"))


def _unit(header: fits.Header, key: str) -> str:
    """Return the unit of the wavelength in a card: WAVEUNIT, or that which begins its comment."""
    return wcs.unit_name(str(header.get("WAVEUNIT", ""))) or wcs.commented_unit(header, key)


def _um(value: float, unit: str, key: str, name: str, notes: list[str]) -> float:
    """Return a wavelength in um; without a unit it is m, um or nm, of which just one makes sense."""
    unit = wcs.unit_name(unit)
    if not unit:
        unit = "m" if value < 1e-3 else "um" if value < 99.0 else "nm"
        if value >= 3000.0:
            raise RequestError(
                _WAVELENGTH_POINTER, f"{name}: {key} is in nm or Angstrom?", found=value, allowed="with WAVEUNIT"
            )
        if unit != "um":
            notes.append(f"{name}: {key.rstrip('0123456789')} is taken as {unit}: it has no unit")
    try:
        return float((value * units.Unit(unit)).to_value("um"))
    except (ValueError, TypeError):
        raise RequestError(
            _WAVELENGTH_POINTER,
            f"{name}: {key} has a unit that is no length",
            found=unit,
            allowed="um, nm, Angstrom, m",
        ) from None
