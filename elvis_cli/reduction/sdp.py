"""Keywords of ESO's Science Data Products as one table, and the validator over it.

Source: ESO Science Data Products Standard, ESO-044286 (Retzlaff et al.), issue 6 (2020) for the categories' keywords as
public guides repeat them; issue 8 (2022-04-11, eso.org/sci/publications/announcements/sciann17490.html) for catalogues
and for images with their errors in one file. For such images the archive's list of checks ("phase3", 2025-03-27) wants
PHOTZP, PHOTSYS, ABMAGLIM, ABMAGSAT and PSF_FWHM in the extension with the data, NOESODAT in files that are not ESO's,
and HDUDOC and HDUVERS, for which it names no value.
``where`` is "primary" or "data", the extension with the data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

IMAGE, MEF, CUBE, SPECTRUM = "SCIENCE.IMAGE", "SCIENCE.MEFIMAGE", "SCIENCE.CUBE.IFS", "SCIENCE.SPECTRUM"
SOURCES, WEIGHT = "SCIENCE.SRCTBL", "ANCILLARY.WEIGHTMAP"
WHITE, SLIT_SPECTRUM = "ANCILLARY.IMAGE.WHITELIGHT", "ANCILLARY.2DSPECTRUM"
ORDERS, TARGETS, POLARIMETRY = "ANCILLARY.ORDERS", "ANCILLARY.TARGETS", "ANCILLARY.POLARIMETRY"
"""Tables: orders of a merged spectrum, targets of slitlets or fibres, orders of a polarised one. The names are ours."""
_ANCILLARY = (WEIGHT, WHITE, SLIT_SPECTRUM, ORDERS, TARGETS, POLARIMETRY)
CATEGORIES = (IMAGE, MEF, CUBE, SPECTRUM, SOURCES, *_ANCILLARY)
_SCIENCE = (IMAGE, MEF, CUBE, SPECTRUM, SOURCES)
_IMAGES = (IMAGE, MEF)


DOCUMENT, VERSION = "SDP", "SDP version 8"
"""HDUDOC and HDUVERS of linked extensions: single images with them are of version 7 (2021) and later; the words
are ours, after "DICD version 6" in ESO's cubes."""
ALLOWED: dict[str, tuple[object, ...]] = {
    "HDUCLASS": ("ESO",),
    "HDUDOC": (DOCUMENT,),
    "HDUVERS": (VERSION,),
    "HDUCLAS1": ("IMAGE",),
    "HDUCLAS2": ("DATA", "ERROR", "QUALITY"),
    "FLUXCAL": ("ABSOLUTE", "UNCALIBRATED"),
    "RADESYS": ("ICRS", "FK5"),
    "PHOTSYS": ("VEGA", "AB"),
    "CUNIT1": ("deg",),
    "CUNIT2": ("deg",),
}
"""Values of keywords that the standard lists."""
MAX_VALUE = 68
"""Characters of a value: the archive reads no CONTINUE."""
REFERENCE = re.compile(r"|10\..+|[12]\d{3}[A-Za-z&.]{5}[\w.]{9}[A-Z.]")
"""REFERENC: empty until something is published, then a DOI or ADS's code of 19 characters."""


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword of the standard: where it stands, its type, and for which categories it is mandatory."""

    name: str
    where: str
    type: type
    mandatory: tuple[str, ...]
    about: str


TABLE = (
    *(
        Keyword(name, "primary", kind, _SCIENCE, about)
        for name, kind, about in (
            ("ORIGIN", str, "who made the file"),
            ("TELESCOP", str, "telescope"),
            ("INSTRUME", str, "instrument"),
            ("OBJECT", str, "target"),
            ("RA", float, "[deg] centre"),
            ("DEC", float, "[deg] centre"),
            ("RADESYS", str, "celestial reference frame"),
            ("EXPTIME", float, "[s] integration time of a pixel"),
            ("TEXPTIME", float, "[s] integration time of all exposures"),
            ("MJD-OBS", float, "[d] start of the first exposure"),
            ("MJD-END", float, "[d] end of the last exposure"),
            ("PROG_ID", str, "programme"),
            ("OBID1", int, "observation block"),
            ("OBSTECH", str, "technique"),
            ("PROCSOFT", str, "software"),
            ("REFERENC", str, "publication"),
            ("PRODCATG", str, "category of the product"),
            ("PROV1", str, "first raw file"),
            ("CHECKSUM", str, "checksum of the HDU"),
            ("DATASUM", str, "checksum of the data"),
        )
    ),
    Keyword("NCOMBINE", "primary", int, (*_IMAGES, CUBE, SPECTRUM), "raw science files"),
    Keyword("FLUXCAL", "primary", str, (*_IMAGES, CUBE, SPECTRUM), "ABSOLUTE or UNCALIBRATED"),
    Keyword("M_EPOCH", "primary", bool, (*_IMAGES, SPECTRUM), "more than one epoch"),
    Keyword("SINGLEXP", "primary", bool, (*_IMAGES, SPECTRUM), "one exposure"),
    Keyword("FILTER", "primary", str, _IMAGES, "filter"),
    Keyword("NOESODAT", "primary", bool, _IMAGES, "not of ESO's telescopes"),
    Keyword("PSF_FWHM", "data", float, _IMAGES, "[arcsec] image quality"),
    Keyword("SIMUL", "primary", bool, CATEGORIES, "simulated data (of this program, not of the standard)"),
    Keyword("PRODCATG", "primary", str, _ANCILLARY, "category of the product"),
    *(
        Keyword(name, "primary", kind, _IMAGES, about)
        for name, kind, about in (
            ("PSF_FWHM", float, "[arcsec] image quality"),
            ("ELLIPTIC", float, "1 - b/a of stars"),
        )
    ),
    *(
        Keyword(name, "data", str, (*_IMAGES, CUBE), about)
        for name, about in (
            ("HDUCLASS", "ESO"),
            ("HDUDOC", "document of the scheme"),
            ("HDUVERS", "version of the scheme"),
            ("HDUCLAS1", "IMAGE"),
            ("HDUCLAS2", "DATA, ERROR or QUALITY"),
            ("ERRDATA", "extension with the errors"),
            ("QUALDATA", "extension with the flags"),
            ("BUNIT", "unit of the pixels"),
            ("CTYPE1", "first axis"),
            ("CTYPE2", "second axis"),
        )
    ),
    *(
        Keyword(name, "data", float, (*_IMAGES, CUBE), "WCS")
        for name in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    ),
    *(Keyword(name, "data", float, (CUBE,), "third axis of the WCS") for name in ("CRVAL3", "CRPIX3", "CD3_3")),
    Keyword("PIXNOISE", "data", float, (*_IMAGES, CUBE), "noise of a pixel of sky, from empty apertures"),
    *(
        Keyword(name, "primary", kind, (SPECTRUM,), about)
        for name, kind, about in (
            ("SPEC_BIN", float, "[nm] bin"),
            ("SNR", float, "median signal-to-noise ratio"),
            ("SPECSYS", str, "frame of the wavelengths"),
            ("CONTNORM", bool, "normalised to the continuum"),
            ("TOT_FLUX", bool, "all of the source's light"),
            ("EXT_OBJ", bool, "extended source"),
            ("FLUXERR", float, "[%] error of the flux; -1 uncalibrated"),
            ("DISPELEM", str, "disperser"),
            ("LAMRMS", float, "[nm] rms of the wavelength solution"),
            ("LAMNLIN", int, "lines of the wavelength solution"),
        )
    ),
    *(
        Keyword(name, "primary", float, (SPECTRUM, CUBE), about)
        for name, about in (("WAVELMIN", "[nm]"), ("WAVELMAX", "[nm]"), ("SPEC_RES", "resolving power"))
    ),
    *(
        Keyword(name, "primary", float, (CUBE,), about)
        for name, about in (
            ("SKY_RES", "[arcsec] image quality"),
            ("SKY_RERR", "[arcsec] its error"),
            ("ABMAGLIM", "[mag]"),
        )
    ),
    *(
        Keyword(name, "data", kind, (SPECTRUM,), about)
        for name, kind, about in (
            ("VOCLASS", str, "SPECTRUM v2.0"),
            ("VOPUB", str, "publisher"),
            ("TITLE", str, "title"),
            ("APERTURE", float, "[deg] width of the slit"),
            ("TELAPSE", float, "[s] from start to end"),
            ("TMID", float, "[d] MJD of the middle"),
            ("SPEC_VAL", float, "[nm] middle"),
            ("SPEC_BW", float, "[nm] width"),
            ("TDMIN1", float, "[nm] first wavelength"),
            ("TDMAX1", float, "[nm] last wavelength"),
            ("NELEM", int, "points"),
            ("TUTYP1", str, "spec:Data.SpectralAxis.Value"),
            ("TUCD1", str, "em.wl"),
        )
    ),
)
CALIBRATED = (
    Keyword("ABMAGLIM", "primary", float, _IMAGES, "[mag] AB, point source of 5 sigma"),
    Keyword("PHOTSYS", "primary", str, _IMAGES, "VEGA or AB"),
    *(
        Keyword(name, "data", kind, _IMAGES, about)
        for name, kind, about in (
            ("PHOTZP", float, "[mag] zero point of 1 electron/s, in PHOTSYS"),
            ("PHOTSYS", str, "VEGA or AB"),
            ("ABMAGLIM", float, "[mag] AB, point source of 5 sigma"),
        )
    ),
    Keyword("MAGZPT", "data", float, _IMAGES, "[mag] zero point of 1 electron/s, in PHOTSYS"),
    Keyword("MAGZPERR", "data", float, _IMAGES, "[mag] its error"),
)
"""What FLUXCAL = ABSOLUTE demands besides."""


def validate(hdus: Any) -> list[str]:
    """Return what a product (astropy HDUList) lacks of the standard: a sentence for each fault, none if it is right."""
    primary = hdus[0].header
    category = primary.get("PRODCATG")
    if category not in CATEGORIES:
        return [f"PRODCATG is {category!r}, not one of {', '.join(CATEGORIES)}"]
    faults = list(_linking(hdus)) if category in (IMAGE, MEF, CUBE) else []
    rows = TABLE + (CALIBRATED if primary.get("FLUXCAL") == "ABSOLUTE" else ())
    for row in rows:
        if category not in row.mandatory:
            continue
        headers = [primary] if row.where == "primary" else [hdu.header for hdu in _data(hdus)]
        faults += [fault for header in headers if (fault := _fault(row, header))]
    faults += _provenance(primary)
    faults += _values(hdus)
    return list(dict.fromkeys(faults))


def _data(hdus: Any) -> Iterable[Any]:
    """Yield the extensions that hold a product's data: DATA of the linked ones, else the first."""
    linked = [hdu for hdu in hdus[1:] if hdu.header.get("HDUCLAS2") == "DATA"]
    return linked or list(hdus[1:2])


def _fault(row: Keyword, header: Any) -> str | None:
    if row.name not in header:
        return f"{row.name} is missing ({row.where}): {row.about}"
    value = header[row.name]
    right = isinstance(value, (int, float) if row.type is float else row.type)
    if not right or (row.type is not bool and isinstance(value, bool)):
        return f"{row.name} is {value!r}, not of type {row.type.__name__}"
    return None


def _linking(hdus: Any) -> Iterable[str]:
    names = {hdu.name for hdu in hdus[1:]}
    if hdus[0].data is not None:
        yield "the primary HDU has data"
    for hdu in hdus[1:]:
        kind = hdu.header.get("HDUCLAS2")
        if kind == "ERROR" and hdu.header.get("HDUCLAS3") != "RMSE":
            yield f"{hdu.name}: HDUCLAS3 is not RMSE"
        if kind == "QUALITY" and hdu.header.get("HDUCLAS3") != "FLAG32BIT":
            yield f"{hdu.name}: HDUCLAS3 is not FLAG32BIT"
        for link in ("SCIDATA", "ERRDATA", "QUALDATA"):
            if link in hdu.header and hdu.header[link] not in names:
                yield f"{hdu.name}: {link} names {hdu.header[link]!r}, which is no extension"


def _values(hdus: Any) -> Iterable[str]:
    """Yield what is wrong with values: lists, references, lengths, times, checksums, CDELT beside CD."""
    primary = hdus[0].header
    if not REFERENCE.fullmatch(str(primary.get("REFERENC", ""))):
        yield f"REFERENC is {primary['REFERENC']!r}, neither empty nor a DOI nor a code of ADS"
    if primary.get("MJD-END", 1.0) < primary.get("MJD-OBS", 0.0):
        yield "MJD-END is before MJD-OBS"
    for hdu in hdus:
        header = hdu.header
        for name, allowed in ALLOWED.items():
            if name in header and not (name == "HDUCLAS1" and hdu.name == "SPECTRUM") and header[name] not in allowed:
                yield f"{hdu.name}: {name} is {header[name]!r}, not one of {', '.join(map(str, allowed))}"
        if "CD1_1" in header and "CDELT1" in header:
            yield f"{hdu.name}: CDELT1 beside CD1_1"
        for name in ("CHECKSUM", "DATASUM"):
            if name not in header:
                yield f"{hdu.name}: {name} is missing"
        for card in header.cards:
            if (
                card.keyword not in ("COMMENT", "HISTORY")
                and isinstance(card.value, str)
                and len(card.value) > MAX_VALUE
            ):
                yield f"{hdu.name}: the value of {card.keyword} has more than {MAX_VALUE} characters"
    for key in primary:
        if key.startswith("ASSON") and f"ASSOC{key[5:]}" not in primary:
            yield f"{key} has no ASSOC{key[5:]}"


def _provenance(primary: Any) -> Iterable[str]:
    numbers = sorted(int(key[4:]) for key in primary if key.startswith("PROV") and key[4:].isdigit())
    if numbers != list(range(1, len(numbers) + 1)):
        yield "PROVi does not count from 1"
