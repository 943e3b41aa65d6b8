"""ObsCore rows of FITS files, raw and reduced: headers alone are read.

What a header does not have, the passband of a filter and the apertures of a spectrograph, comes from the Setup of the
instrument in the mode and with the options that the header names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO

from elvis_cli.archive import footprint
from elvis_cli.archive.columns import COLUMNS
from elvis_cli.archive.footprint import Polygon
from elvis_cli.errors import ElvisError, RequestError

if TYPE_CHECKING:
    from elvis_cli.model.setup import Setup

FITS = "application/fits"
RAW_LEVEL, REDUCED_LEVEL = 1, 2
ON_SKY = ("OBJECT", "SKY", "STD", "TWILIGHT")
"""In DPR TYPE of a calibration frame that looks at the sky."""
_KINDS = (("IMAGE", "image"), ("IFU", "cube"))
_PRODUCT_KINDS = (("SRCTBL", "measurements"), ("CUBE", "cube"), ("IMAGE", "image"), ("WEIGHTMAP", "image"))


@dataclass(frozen=True, slots=True)
class Product:
    """A file as the archive has it."""

    values: dict[str, Any]
    """By the names of `columns.COLUMNS`."""
    polygons: tuple[Polygon, ...]
    """Of its chips or apertures."""
    raw_names: tuple[str, ...]
    """ARCFILE of the raw frames of a product."""
    calibration_names: tuple[str, ...]
    """Of the calibration frames behind a product."""


def product(file: BinaryIO, name: str = "") -> Product:
    """Return the row of a seekable FITS file; identifiers, size and checksum are those of the store.

    Raises
    ------
    RequestError
        It is not a FITS file, or its header has neither instrument nor date.
    """
    from elvis_cli.product import replay

    headers = [header for header, _, _ in replay.hdus(file)]
    if not headers:
        raise RequestError("", f"{name or 'stdin'} is not a FITS file")
    head = headers[0]
    for key in ("INSTRUME", "MJD-OBS", "DATE-OBS"):
        if key not in head:
            raise RequestError("", f"{name or 'stdin'}: the header has no {key}: the archive takes frames and products")
    setup = _setup_of(head)
    reduced = "PRODCATG" in head
    images = [each for each in headers if _is_image(each, reduced)]
    polygons = _polygons(head, images, setup)
    values: dict[str, Any] = {column.name: None for column in COLUMNS}
    values |= _names(head, reduced)
    values |= _kind(head, images, reduced)
    values |= _space(head, images, polygons)
    values |= _time_and_wavelength(head, headers, images, setup)
    values |= _own(head, setup)
    raw, calibrations = _progenitors(head)
    return Product(values, polygons, raw, calibrations)


def _text(head: Any, *keys: str) -> str | None:
    """Return the first of the keywords that the header has, as text."""
    return next((str(head[key]).strip() for key in keys if key in head), None)


def _number(head: Any, *keys: str) -> float | None:
    for key in keys:
        value = head.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    return None


def _names(head: Any, reduced: bool) -> dict[str, Any]:
    instrument = _text(head, "INSTRUME") or ""
    frame = (_text(head, "ARCFILE") or f"{instrument}.{head['DATE-OBS']}").removesuffix(".fits")
    arm = head.get("ESO SIM ARM")
    if arm and not reduced and str(arm).casefold() not in frame.casefold():
        frame = f"{frame}.{arm}"
    block = int(_number(head, "ESO OBS ID", "OBID1") or 0)
    category = _text(head, "PRODCATG") if reduced else _text(head, "ESO DPR CATG")
    return {
        "dp_id": f"{instrument}.{head['DATE-OBS']}.{category}" if reduced else frame,
        "obs_id": str(block) if block else (_text(head, "PROV1") or frame).removesuffix(".fits"),
        "obs_collection": instrument,
        "target_name": _text(head, "ESO OBS TARG NAME", "OBJECT"),
        "facility_name": _text(head, "TELESCOP"),
        "instrument_name": instrument,
        "ob_id": block,
        "ob_name": _text(head, "ESO OBS NAME"),
        "prog_id": _text(head, "ESO OBS PROG ID", "PROG_ID"),
        "tpl_id": _text(head, "ESO TPL ID"),
        "dp_cat": category,
        "dp_type": _text(head, "ESO DPR TYPE"),
        "dp_tech": _text(head, "ESO DPR TECH", "OBSTECH"),
    }


def _kind(head: Any, images: list[Any], reduced: bool) -> dict[str, Any]:
    if reduced:
        category = str(head["PRODCATG"])
        kind = next((kind for part, kind in _PRODUCT_KINDS if part in category), "spectrum")
    else:
        tech = _text(head, "ESO DPR TECH") or "IMAGE"
        kind = next((kind for part, kind in _KINDS if part in tech.split(",")), "spectrum")
    absolute = head.get("FLUXCAL") == "ABSOLUTE" and kind in ("spectrum", "cube")
    ucds = {"measurements": "src.catalog"}
    flux = "phot.flux.density" if absolute else "phot.count"
    is_weight = reduced and "WEIGHTMAP" in str(head["PRODCATG"])
    return {
        "dataproduct_type": kind,
        "calib_level": REDUCED_LEVEL if reduced else RAW_LEVEL,
        "access_format": FITS,
        "o_ucd": "stat.weight" if is_weight else ucds.get(kind, flux),
        "pol_xel": 0,
    }


def _is_image(header: Any, reduced: bool) -> bool:
    """Return whether an HDU holds a chip's image, not one of the ETC's maps, errors or flags."""
    if not header.get("NAXIS2") or header.get("XTENSION", "IMAGE").strip() == "BINTABLE":
        return False
    name = str(header.get("EXTNAME", ""))
    if reduced:
        return name.rsplit(".", 1)[-1] in ("SCI", "WEIGHT")
    return "ESO DET WIN1 NX" in header


def _polygons(head: Any, images: list[Any], setup: Setup | None) -> tuple[Polygon, ...]:
    calibration = str(head.get("ESO DPR CATG", "")) == "CALIB" and "PRODCATG" not in head
    kinds = str(head.get("ESO DPR TYPE", "OBJECT")).split(",")
    if calibration and not any(kind in part for kind in ON_SKY for part in kinds):
        return ()
    outlines = [outline for each in images if (outline := footprint.of_image(each)) is not None]
    if not outlines and setup is not None and setup.spectrograph is not None:
        ra, dec = _pointing(head)
        angle = _number(head, "ESO ADA POSANG") or 0.0
        outline = footprint.of_apertures(setup.spectrograph.apertures, ra, dec, angle)
        outlines = [outline] if outline else []
    return tuple(outlines) or _slit(head)


def _slit(head: Any) -> tuple[Polygon, ...]:
    """Return the outline of the slit that a header describes: that of a product, whose mode has another name."""
    from elvis_cli.model.spectrograph import Aperture

    width, length = _number(head, "ESO INS SLIT1 WID"), _number(head, "ESO INS SLIT1 LEN")
    if width is None or length is None or "RA" not in head:
        return ()
    outline = footprint.of_apertures(
        [Aperture(0.0, 0.0, length, width)], *_pointing(head), _number(head, "ESO ADA POSANG") or 0.0
    )
    return (outline,) if outline else ()


def _pointing(head: Any) -> tuple[float, float]:
    """Return where the field centre points (deg): RA and DEC are the telescope's axis."""
    alpha, delta = head.get("ESO TEL TARG ALPHA"), head.get("ESO TEL TARG DELTA")
    if alpha is None or delta is None:
        return float(head.get("RA", 0.0)), float(head.get("DEC", 0.0))
    return 15.0 * _sexagesimal(alpha), _sexagesimal(delta)


def _sexagesimal(value: float) -> float:
    """Return ESO's number hhmmss.sss as hours, or ddmmss.sss as degrees."""
    whole, seconds = divmod(abs(float(value)), 100.0)
    degrees, minutes = divmod(whole, 100.0)
    return (-1.0 if value < 0 else 1.0) * (degrees + minutes / 60.0 + seconds / 3600.0)


def _space(head: Any, images: list[Any], polygons: tuple[Polygon, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {"s_resolution": _resolution(head)}
    if images:
        values |= {"s_xel1": max(int(i["NAXIS1"]) for i in images), "s_xel2": max(int(i["NAXIS2"]) for i in images)}
    if polygons:
        outline = footprint.hull([place for polygon in polygons for place in polygon])
        ra, dec = footprint.centre(outline)
        values |= {"s_ra": ra, "s_dec": dec, "s_fov": footprint.diameter(outline), "s_region": stcs(outline)}
    elif "RA" in head and str(head.get("ESO DPR CATG", "")) != "CALIB":
        values |= {"s_ra": float(head["RA"]) % 360.0, "s_dec": float(head["DEC"])}
    return values


def stcs(outline: Polygon) -> str:
    """Return a polygon as STC-S text."""
    return "POLYGON ICRS " + " ".join(f"{value!r}" for place in outline for value in place)


def _resolution(head: Any) -> float | None:
    return _number(head, "PSF_FWHM", "SKY_RES", "ESO SIM IQ FWHM")


def _time_and_wavelength(head: Any, headers: list[Any], images: list[Any], setup: Setup | None) -> dict[str, Any]:
    begin, exposure = float(head["MJD-OBS"]), _number(head, "EXPTIME") or 0.0
    low, high = _number(head, "WAVELMIN"), _number(head, "WAVELMAX")  # nm
    if low is None and setup is not None:
        low, high = (1e3 * value for value in setup.optics.band)
    pixels: Any = next((i["NAXIS3"] for i in images if i.get("NAXIS3")), None)
    if pixels is None:
        pixels = next((h["NELEM"] for h in headers if "NELEM" in h), None)
    return {
        "t_min": begin,
        "t_max": _number(head, "MJD-END") or begin + exposure / 86400.0,
        "t_exptime": exposure,
        "t_resolution": exposure,
        "t_xel": 1,
        "em_min": None if low is None else low * 1e-9,
        "em_max": None if high is None else high * 1e-9,
        "em_res_power": _number(head, "SPEC_RES"),
        "em_xel": pixels,
    }


def _own(head: Any, setup: Setup | None) -> dict[str, Any]:
    seed, ndit = head.get("ESO SIM SEED"), _number(head, "ESO DET NDIT")
    return {
        "ins_mode": _text(head, "ESO SIM MODE", "ESO INS MODE"),
        "filter": _text(head, "FILTER") or (setup.optics.filter_name if setup else None),
        "dit": _number(head, "ESO DET DIT"),
        "ndit": None if ndit is None else int(ndit),
        "seed": None if seed is None else int(seed),
        "abmaglim": _number(head, "ABMAGLIM"),
        "snr": _number(head, "ESO SIM SNR", "SNR"),
        "airmass": _number(head, "ESO TEL AIRM START"),
    }


def _progenitors(head: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the raw frames and of the calibrations of a product."""
    raw = tuple(str(head[key]) for key in head if re.fullmatch(r"PROV\d+", key))
    calibrations = tuple(str(head[key]) for key in head if re.fullmatch(r"ESO PRO REC1 CAL\d+ NAME", key))
    return raw, calibrations


def _setup_of(head: Any) -> Setup | None:
    """Return the Setup that a header names; None for an instrument or mode that is not installed."""
    options = {key[4:].replace(" ", "."): head[key] for key in head if re.match(r"ESO (INS|DET|SEQ)\d? ", key)}
    plain = {key: value for key, value in options.items() if isinstance(value, (str, int, float))}
    name = str(head.get("ESO SIM INSTR", head["INSTRUME"])).casefold()
    mode = str(head.get("ESO SIM MODE", head.get("ESO INS MODE", "")))
    return _setup(name, mode, str(head.get("ESO SIM ARM", "")), json.dumps(_instrument_keys(name, mode, plain)))


def _instrument_keys(name: str, mode: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options that the request of a mode has."""
    document = _example(name, mode)
    keys = json.loads(document)["instrument"] if document else {}
    return {key: options[key] for key in keys if key in options and key.startswith(("INS.", "SEQ."))}


@lru_cache(maxsize=256)
def _example(name: str, mode: str) -> str | None:
    from elvis_cli.instrument import registry

    try:
        return json.dumps(registry.load(name).example(mode or None))
    except ElvisError:
        return None


@lru_cache(maxsize=1024)
def _setup(name: str, mode: str, arm: str, keys: str) -> Setup | None:
    from elvis_cli import pipeline
    from elvis_cli.request import parse

    text = _example(name, mode)
    if text is None:
        return None
    document = json.loads(text)
    document["instrument"] |= json.loads(keys)
    if arm:
        document["elvis"] = {**document.get("elvis", {}), "arm": arm}
    try:
        return pipeline.configure(parse.read(json.dumps(document)))
    except ElvisError:  # options that this version does not have
        return None
