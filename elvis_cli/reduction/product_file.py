"""Products as FITS files: the image with errors and flags, its weight map, the table of its sources."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from elvis_cli.detection import sources
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import sdp, source_table
from elvis_cli.reduction.chip_image import ChipImage
from elvis_cli.reduction.product_cards import (
    UNIT,
    common_cards,
    flag_cards,
    hdu_cards,
    passed_cards,
    pipeline_cards,
    provenance_cards,
)
from elvis_cli.reduction.recipe import ImageProduct, filter_names

GROWTH_FWHM = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0, 14.0, 20.0)
"""Radii (FWHM) at which a product tells the curve of growth."""


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
