"""Products as FITS files: the image with errors and flags, its weight map, the table of its sources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from elvis_cli import __version__
from elvis_cli.detection import sources
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import sdp, source_table
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.chip_image import ChipImage
from elvis_cli.reduction.frame import MEANINGS
from elvis_cli.reduction.recipe import ImageProduct, filter_names

UNIT = "electron/s"
FLAG_NAMES = ("DEAD", "HOT", "SATURATED", "COSMIC_RAY", "NO_LIGHT", "NO_DATA")
GROWTH_FWHM = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0)
"""Radii (FWHM) at which a product tells the curve of growth."""
_PASSED = re.compile(r"ESO (OBS|TPL|TEL|INS|INS[123]|DRS|AOS|ADA) ")
"""Cards of the first raw file that a product keeps."""


def write_image(product: ImageProduct, out: BinaryIO) -> None:
    """Write the image: SCI, ERR, DQ of each chip."""
    one = len(product.chips) == 1
    cards = _primary(product, sdp.IMAGE if one else sdp.MEF)
    cards += [
        (f"ASSON{n}", f"{product.name}_{kind}.fits", "belongs to this file")
        for n, kind in ((1, "weight"), (2, "sources"))
    ]
    cards += [("ASSOC1", sdp.WEIGHT, "category of ASSON1"), ("ASSOC2", sdp.SOURCES, "category of ASSON2")]
    fits.write_file(out, cards, _remarks(product), _images(product))


def write_weight(product: ImageProduct, out: BinaryIO) -> None:
    """Write the weight map of each chip: inverse variance of the sky, s2/electron2."""
    images = (
        fits.Image(_name("WEIGHT", chip, product), chip.stack.weight, [
            ("BUNIT", "s2/electron2", "inverse variance of the sky"), *chip.grid.cards()])
        for chip in product.chips
    )  # fmt: skip
    fits.write_file(out, _primary(product, sdp.WEIGHT), _remarks(product), images)


def write_sources(product: ImageProduct, out: BinaryIO) -> None:
    """Write the table of sources."""
    fits.write_file(out, _primary(product, sdp.SOURCES), _remarks(product), [source_table.table(product)])


WRITERS = {"image": write_image, "weight": write_weight, "sources": write_sources}
"""The files of a product, by the last part of their names."""


def _remarks(product: ImageProduct) -> list[str]:
    return [
        "SIMULATED DATA, reduced by ELVIS: no telescope took these exposures.",
        *(f"Note: {n}" for n in product.notes),
    ]


def _name(kind: str, chip: ChipImage, product: ImageProduct) -> str:
    """Return the EXTNAME of one of a chip's extensions."""
    return kind if len(product.chips) == 1 else f"{chip.name.rsplit('.', 1)[0]}.{kind}"


def _images(product: ImageProduct) -> Iterator[fits.Image]:
    for chip in product.chips:
        sci, err, dq = (_name(kind, chip, product) for kind in ("SCI", "ERR", "DQ"))
        wcs = chip.grid.cards()
        yield fits.Image(sci, chip.stack.sci, [
            *hdu_cards(sci, err, dq), ("BUNIT", UNIT, "signal"), *wcs, *_data_cards(chip, product),
        ])  # fmt: skip
        yield fits.Image(err, chip.stack.err, [
            *hdu_cards(err, sci, dq), ("BUNIT", UNIT, "of the signal"), *wcs, *_correlation(chip),
        ])  # fmt: skip
        yield fits.Image(dq, chip.stack.dq.astype(np.int32), [*hdu_cards(dq, sci, err), *wcs, *flag_cards()])


def hdu_cards(name: str, *others: str) -> list[Card]:
    """Return the cards that say what the extension ``name`` (it ends with SCI, ERR or DQ) is, and name the others."""
    kinds: dict[str, list[Card]] = {
        "SCI": [("HDUCLAS2", "DATA", "signal")],
        "ERR": [("HDUCLAS2", "ERROR", "errors"), ("HDUCLAS3", "RMSE", "one standard deviation of a pixel")],
        "DQ": [("HDUCLAS2", "QUALITY", "flags"), ("HDUCLAS3", "FLAG32BIT", "one bit each, 0 is good")],
    }
    links = {"SCI": ("SCIDATA", "signal"), "ERR": ("ERRDATA", "its errors"), "DQ": ("QUALDATA", "its flags")}

    def kind(of: str) -> str:
        return of.rsplit(".", 1)[-1]

    return [
        ("HDUCLASS", "ESO", "class of this scheme"),
        ("HDUDOC", sdp.DOCUMENT, "document that describes it"),
        ("HDUVERS", sdp.VERSION, "its version"),
        ("HDUCLAS1", "IMAGE", "image"),
        *kinds[kind(name)],
        *((links[kind(other)][0], other, links[kind(other)][1]) for other in others),
    ]


def flag_cards() -> list[Card]:
    """Return the cards of the flags: which cost data, and what each means."""
    flags: list[Card] = [
        (f"ESO QC FLAG{n}", f"{bit}: {what}", FLAG_NAMES[n - 1]) for n, (bit, what) in enumerate(MEANINGS.items(), 1)
    ]
    return [("QUALMASK", sum(MEANINGS), "bits that cost data"), *flags]


def _correlation(chip: ChipImage) -> Iterator[Card]:
    noise = chip.correlation
    yield "ESO QC CORRFAC", round(noise.at(max(chip.fwhm, 1.0)), 5), "noise of an aperture of 1 FWHM over free pixels"
    for n, (radius, factor) in enumerate(zip(noise.radii, noise.factors, strict=True), 1):
        yield f"ESO QC CORR RAD{n}", float(radius), "[pixel] radius of an aperture"
        yield f"ESO QC CORR FAC{n}", round(float(factor), 5), "its noise over that of free pixels"


def _data_cards(chip: ChipImage, product: ImageProduct) -> Iterator[Card]:
    yield "PSF_FWHM", round(chip.fwhm * chip.grid.scale, 6), "[arcsec] image quality"
    yield from limits(product, [chip])
    yield "PIXNOISE", float(f"{chip.pixel_noise:.6g}"), f"[{UNIT}] noise a pixel, from empty apertures"
    if product.zero is not None:
        yield "PHOTSYS", "VEGA", "system of MAGZPT"
        yield "PHOTZP", round(product.zero.vega, 5), "[mag] zero point: all light of 1 electron/s"
        yield "MAGZPT", round(product.zero.vega, 5), "[mag] the same"
        yield "MAGZPERR", round(product.zero.error, 5), "[mag] its error"
        if product.zero.ab is not None:
            yield "ESO QC MAGZPT AB", round(product.zero.ab, 5), "[mag] the same in AB"
        growth = product.zero.growth_at(chip.fwhm)
        for n, times in enumerate(GROWTH_FWHM, 1):
            radius = round(times * chip.fwhm, 3)
            yield f"ESO QC GROW RAD{n}", radius, "[pixel] radius of a circle about a star"
            yield f"ESO QC GROW FRA{n}", round(growth.at(radius), 5), "part of its light there"
    yield "ESO QC EMPTY", round(chip.empty, 4), "scatter of empty apertures of 1 FWHM over their error"
    yield "ESO QC FWHM", round(chip.fwhm, 4), "[pixel] image quality"
    yield "ESO QC SKY METHOD", chip.treatment.sky_way, "how the sky was taken"
    yield "ESO QC COSMICS", chip.treatment.cosmic_rays, "pixels of cosmic rays in all exposures"


def limits(product: ImageProduct, chips: Sequence[ChipImage]) -> Iterator[Card]:
    """Yield the limiting and saturation magnitudes (AB) of chips of a calibrated product: those of the worst."""
    zero = product.zero
    if zero is None or zero.ab is None:
        return
    faint = max(sources.limiting_flux(each.limit_noise, each.fwhm, zero.peak_at(each.fwhm)) for each in chips)
    if faint > 0:
        yield "ABMAGLIM", round(float(zero.ab - 2.5 * np.log10(faint)), 3), "[mag] AB, point source of 5 sigma"
    bright = min(each.treatment.saturation / (zero.brightest * (zero.fwhm / each.fwhm) ** 2) for each in chips)
    if 0 < bright < np.inf:
        yield "ABMAGSAT", round(float(zero.ab - 2.5 * np.log10(bright)), 3), "[mag] AB, point source that saturates"


def _primary(product: ImageProduct, category: str) -> list[Card]:
    """Return the primary header of a product, with the provenance of all its raw files."""
    files = product.files
    first = files.science[0]
    calibrated = product.zero is not None
    middle = product.chips[0]
    ny, nx = middle.stack.sci.shape
    ra, dec = (first.get(key, 0.0) for key in ("RA", "DEC"))
    if len(product.chips) == 1:
        ra, dec = (float(each) for each in middle.grid.wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0))
    cards = [
        *common_cards(files, category, (float(ra), float(dec)), calibrated),
        ("FILTER", " ".join(filter_names(first)) or "NONE", "filter"),
        ("NOESODAT", True, "simulated: not of ESO's telescopes"),
    ]
    if category in (sdp.IMAGE, sdp.MEF, sdp.SOURCES):
        scale = float(np.median([chip.fwhm * chip.grid.scale for chip in product.chips]))
        cards += [
            ("PSF_FWHM", round(scale, 6), "[arcsec] image quality"),
            ("ELLIPTIC", round(float(np.median([chip.ellipticity for chip in product.chips])), 4), "1 - b/a of stars"),
            *limits(product, product.chips),
        ]
        strehl = first.get("ESO SIM IQ STREHL")
        if strehl is not None:
            cards.append(("STREHL", float(strehl), "Strehl ratio at the target, of the adaptive optics"))
        if calibrated:
            cards.append(("PHOTSYS", "VEGA", "system of MAGZPT"))
    return [
        *cards,
        *provenance_cards(files),
        *passed_cards(first),
        *pipeline_cards(files, category, all(chip.treatment.linearised for chip in product.chips)),
    ]


def common_cards(files: FileSet, category: str, place: tuple[float, float], calibrated: bool) -> list[Card]:
    """Return the cards of the primary header of every product; ``place`` is its centre (RA, Dec, deg)."""
    first, last = files.science[0], files.science[-1]
    seconds = [one.dit * one.ndit for one in files.science]
    return [
        ("ORIGIN", "ELVIS", "simulated, not observed"),
        ("DATE", str(last.get("DATE", last.get("DATE-OBS", ""))), "[UTC] date of the last raw file"),
        ("TELESCOP", str(first.get("TELESCOP", "")), "simulated telescope"),
        ("INSTRUME", str(first.get("INSTRUME", "")), "simulated instrument"),
        ("OBJECT", str(first.get("OBJECT", "")), "target"),
        ("RA", round(place[0], 9), "[deg] centre"),
        ("DEC", round(place[1], 9), "[deg] centre"),
        ("RADESYS", "ICRS", "celestial reference frame"),
        ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
        ("EXPTIME", float(np.sum(seconds)), "[s] integration time of all exposures on a pixel"),
        ("TEXPTIME", float(np.sum(seconds)), "[s] integration time of all exposures"),
        ("MJD-OBS", first.mjd, "[d] start of the first exposure (UTC)"),
        ("MJD-END", round(last.mjd + seconds[-1] / 86400.0, 8), "[d] end of the last exposure (UTC)"),
        ("DATE-OBS", str(first.get("DATE-OBS", "")), "[UTC] start of the first exposure"),
        ("TIMESYS", "UTC", "time scale"),
        ("PROG_ID", str(first.get("ESO OBS PROG ID", "SIMULATED")), "programme"),
        ("OBID1", int(first.get("ESO OBS ID", 0)), "observation block"),
        ("NCOMBINE", len(files.science), "raw science files"),
        ("OBSTECH", str(first.get("ESO DPR TECH", "IMAGE")), "technique"),
        ("FLUXCAL", "ABSOLUTE" if calibrated else "UNCALIBRATED", "calibration of the flux"),
        ("PROCSOFT", f"ELVIS/{__version__}", "software"),
        ("REFERENC", "", "publication: none yet"),
        ("PRODCATG", category, "category of the product"),
        ("PRODLVL", 2, "processing level"),
        ("M_EPOCH", False, "more than one epoch"),
        ("SINGLEXP", len(files.science) == 1, "one exposure"),
        ("SIMUL", True, "THIS IS A SIMULATION"),
    ]


def passed_cards(first: Any) -> Iterator[Card]:
    """Yield the observatory's cards of the first raw file."""
    for each in first.header.cards:
        if _PASSED.match(f"{each.keyword} ") or _PASSED.match(each.keyword):
            yield each.keyword, each.value, each.comment


def provenance_cards(files: FileSet) -> Iterator[Card]:
    """Yield the raw files, as ESO's archive wants them."""
    for number, one in enumerate(files.science, 1):
        yield f"PROV{number}", one.name, "raw file"


def pipeline_cards(
    files: FileSet, category: str, linearised: bool, recipe: str = "elvis_reduce_image"
) -> Iterator[Card]:
    """Yield the ESO PRO cards: recipe, raw files and calibrations."""
    yield "ESO PRO CATG", category, "category"
    yield "ESO PRO TYPE", "REDUCED", "product"
    yield "ESO PRO SCIENCE", True, "of a science target"
    yield "ESO PRO REC1 ID", recipe, "recipe"
    yield "ESO PRO REC1 PIPE ID", f"elvis/{__version__}", "pipeline"
    yield "ESO PRO LINCORR", linearised, "corrected for the detector's linearity"
    if files.missing:
        yield "ESO PRO MISSING", " ".join(each.kind for each in files.missing), "calibrations that were missing"
    for number, one in enumerate(files.science, 1):
        yield f"ESO PRO REC1 RAW{number} NAME", one.name, "raw file"
        yield f"ESO PRO REC1 RAW{number} CATG", "OBJECT", "its category"
    for number, (kind, one) in enumerate(files.calibrations, 1):
        yield f"ESO PRO REC1 CAL{number} NAME", one.name, "calibration"
        yield f"ESO PRO REC1 CAL{number} CATG", kind.upper(), "its category"
