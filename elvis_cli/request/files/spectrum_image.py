"""Spectra in images of FITS files: wavelengths by the header (FITS, IRAF, SDSS) or by an image of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.request.files import hdu as extensions
from elvis_cli.request.files.table import unpacked
from elvis_cli.request.files.unit_words import unit_of

POINTER = "/elvis/sed"
_AXES = re.compile(r"(?i)wave(length|lengths|len|s)?|lambda|lam|wl|loglam")
_NATURAL_LOG = 30.0
"""CRVAL1 below which the axis of CTYPE1 WAVE-LOG is ln of the wavelength, as in the PHOENIX library of Goettingen."""
_SDSS_UNIT = "1e-17 erg/s/cm2/Angstrom"

Columns = tuple[Floats, Floats, tuple[Any, Any], tuple[str, str], list[str]]
"""Wavelengths (or the like), fluxes, their units and names, and notes."""


def read(path: Path) -> Columns | None:
    """Return the spectrum in an image of ``FILE`` or ``FILE[EXTENSION]``, None if the file holds a table or no FITS.

    Of an image with rows (SDSS: spectrum, continuum, noise; IRAF: bands of one aperture) the first is the spectrum.

    Raises
    ------
    UsageError
        The file cannot be read, or has no such extension.
    RequestError
        It holds no spectrum, or its wavelengths are not known.
    """
    file = extensions.split_choice(path)[0]
    if not unpacked(file).startswith(b"SIMPLE"):
        return None
    with extensions.opened("--sed", path) as (file, hdus, named):
        tables = [hdu for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if named is None and tables and not (hdus[0].header.get("NAXIS") and "COEFF0" in hdus[0].header):
            return None
        if named in tables:
            return None
        images = [hdu for hdu in hdus if hdu.is_image and hdu.shape]
        axis = next((hdu for hdu in images if _AXES.fullmatch(hdu.name) and hdu is not named), None)
        lights = [hdu for hdu in images if hdu is not axis]
        chosen, notes = extensions.select(
            file, fits.HDUList(lights) if named is None and axis is not None else hdus, named, POINTER, _is_spectrum,
            "spectrum: an image of one dimension",
        )  # fmt: skip
        header, data = chosen.header, np.array(chosen.data, float)
        flux = data.reshape(-1, data.shape[-1])[0]
        if data.size > flux.size:
            notes.append(f"{file.name}: the first of {data.size // flux.size} rows of the image is the spectrum")
        unit = header.get("BUNIT") or hdus[0].header.get("BUNIT")
        if axis is not None and axis.data.size == flux.size:
            values, name = np.array(axis.data, float).ravel(), axis.name.casefold()
            own = axis.header.get("BUNIT") or axis.header.get("CUNIT1") or axis.header.get("TUNIT1")
            if name == "loglam":
                values, own = 10.0**values, own if unit_of(own) else "Angstrom"
            return values, flux, (own, unit), ("wavelength", "flux"), notes
        wave, own, name = _dispersion(file, header, flux.size)
        if "COEFF0" in header and str(unit).replace(" ", "").casefold() == "1.0e-17erg/cm/s/ang":
            unit = _SDSS_UNIT
            notes.append(f"{file.name}: BUNIT {header['BUNIT']} is taken as {_SDSS_UNIT}, which SDSS means")
        return wave, flux, (own, unit), (name, "flux"), notes


def _is_spectrum(shape: tuple[int, ...]) -> bool:
    """Return whether an image is a spectrum: one row, or the few of SDSS and IRAF."""
    return shape[-1] >= 2 and (max(shape[:-1], default=1) <= 1 or _has_rows(shape))


def _has_rows(shape: tuple[int, ...]) -> bool:
    return len(shape) in (2, 3) and shape[-2] <= 5 and int(np.prod(shape[:-1])) <= 5 and shape[-1] >= 100


def _dispersion(file: Path, header: fits.Header, count: int) -> tuple[Floats, str | None, str]:
    """Return wavelengths (or the like), their unit and the name of a column of such."""
    kind = str(header.get("CTYPE1", "")).strip().upper()
    element = np.arange(count, dtype=float)
    words = str(header.get("CUNIT1", "")).strip() or _words(header, 1).get("units", "")
    unit = words or None
    if "COEFF0" in header and "COEFF1" in header:
        wave = 10.0 ** (float(header["COEFF0"]) + float(header["COEFF1"]) * element)
        return wave, "Angstrom", "wavelength" if header.get("VACUUM", True) else "wavelength_air"
    if kind.startswith("MULTISPE"):
        return _multispec(file, header, element), unit, "wavelength"
    step = header.get("CDELT1", header.get("CD1_1"))
    if step is None or "CRVAL1" not in header:
        raise RequestError(
            f"{POINTER}/wavelength_um",
            f"{file.name}: which wavelengths?",
            allowed="CRVAL1 and CDELT1 or CD1_1, COEFF0 and COEFF1, or an extension WAVE",
        )
    first = float(header["CRVAL1"])
    offset = (element + 1 - float(header.get("CRPIX1", 1.0))) * float(step)
    if kind.endswith("-LOG"):
        natural = first < _NATURAL_LOG and unit_of(unit) == unit_of("Angstrom")
        axis = np.exp(first + offset) if natural else first * np.exp(offset / first)
    elif header.get("DC-FLAG") == 1 or kind in ("LOG", "LOG-LINEAR"):
        axis = 10.0 ** (first + offset)
    elif kind[:4] in ("", "LINE", "WAVE", "AWAV", "LAMB", "FREQ", "WAVN", "ENER") and "-" not in kind:
        axis = first + offset
    else:
        reason = f"{file.name}: CTYPE1 is {kind}"
        raise RequestError(
            f"{POINTER}/wavelength_um", reason, found=kind, allowed="WAVE, AWAV, FREQ, WAVN, LINEAR, WAVE-LOG"
        )
    names = {"AWAV": "awav", "FREQ": "frequency", "WAVN": "wavenumber", "ENER": "energy"}
    return axis, unit, names.get(kind[:4], "wavelength")


def _words(header: fits.Header, axis: int) -> dict[str, str]:
    """Return what IRAF's cards WAT1_001 ... of an axis say, such as label and units."""
    cards = sorted(key for key in header if re.fullmatch(rf"WAT{axis}_\d{{3}}", key))
    text = "".join(str(header[key]).ljust(68) for key in cards)
    return {key: quoted or word for key, quoted, word in re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|(\S+))', text)}


def _multispec(file: Path, header: fits.Header, element: Floats) -> Floats:
    """Return the wavelengths of the first aperture of IRAF's multispec format, linear or logarithmic.

    Its words are aperture, beam, kind, first wavelength, step, number, redshift (IRAF, `help specwcs`).
    """
    numbers = _words(header, 2).get("spec1", "").split()
    if len(numbers) < 7 or numbers[2] not in ("0", "1"):
        raise RequestError(
            f"{POINTER}/wavelength_um",
            f"{file.name}: IRAF's multispec format with a dispersion that is not linear in wavelength or its logarithm",
            found=" ".join(numbers[:7]),
            allowed="kind 0 or 1 (`dispcor` makes it so)",
        )
    first, step, redshift = float(numbers[3]), float(numbers[4]), float(numbers[6])
    axis = first + step * element
    return (10.0**axis if numbers[2] == "1" else axis) / (1.0 + redshift)
