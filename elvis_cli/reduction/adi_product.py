"""The product of a pupil-tracking sequence: residual map, signal-to-noise map and contrast curve by ADI."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.errors import ResourceError
from elvis_cli.model.setup import Setup
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import adi, calibrate, grid, layout, master, sdp, sky
from elvis_cli.reduction.associate import FileSet, check, product_name
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.product_cards import UNIT, common_cards, passed_cards, pipeline_cards, provenance_cards
from elvis_cli.reduction.raw import RawFile

MAX_HALF = 192
"""Pixels from the star that are reduced."""
PSF_HALF = 12
"""Pixels about the star off the mask that are its image."""
LEAST_EXPOSURES = 3


@dataclass(slots=True, eq=False)
class AdiProduct:
    """The residual of a sequence and what it reaches."""

    name: str
    files: FileSet
    sequence: adi.Sequence
    image: Image
    curve: adi.Curve
    star: float | None
    """Electron/s of the star beside the mask in an aperture of one FWHM; None where no frame shows it."""
    mask: Floats
    """The mask's transmission at the radii of the curve."""
    fwhm: float
    """Pixels."""
    linearised: bool
    notes: list[str] = field(default_factory=list)


def reduce(files: FileSet, allow_missing: bool = False) -> AdiProduct:
    """Return the product of a pupil-tracking sequence.

    Raises
    ------
    ResourceError
        A calibration is missing, or there are too few exposures to tell star and companions apart.
    """
    check_number(files)
    if not allow_missing:
        check(files)
    notes = [f"went on without: {each}" for each in files.missing]
    first = files.science[0]
    setup, chip = layout.configure(first), first.chips[0]
    masters = master.make(chip, files, first.read(chip)[1])
    skies = [calibrate.calibrate(one, chip, masters) for one in files.sky]
    frames, matrices, turns = [], [], []
    for one in files.science:
        frame = calibrate.calibrate(one, chip, masters)
        _without_sky(frame, skies)
        growth = turn(one)
        frames.append(_about_mask(frame))
        matrices.append(_matrix(frame.header, growth / 2))
        turns.append(growth)
    half = min(len(one) for one in frames) // 2
    cut = [
        one[len(one) // 2 - half : len(one) // 2 + half + 1, len(one) // 2 - half : len(one) // 2 + half + 1]
        for one in frames
    ]
    scale = math.sqrt(abs(float(np.linalg.det(matrices[0]))))
    sequence = adi.Sequence(np.array(cut, np.float32), np.array(matrices), np.array(turns), scale)
    if float(np.ptp(np.array([_angle(one) for one in matrices]))) < 1e-3:
        notes.append("the field does not turn in this sequence: companions are subtracted with the star")
    image = adi.residual(sequence)
    fwhm = float(first.get("ESO SIM IQ FWHM", 2.0 * scale)) / scale
    psf, star = _psf(files, setup, masters, fwhm, notes)
    seen = transmission(setup)
    curve = adi.contrast(sequence, image, psf, fwhm, seen)
    return AdiProduct(
        product_name(files), files, sequence, image, curve, star, seen(curve.radius), fwhm,
        masters.linearity is not None, notes,
    )  # fmt: skip


def check_number(files: FileSet) -> None:
    """Raise ResourceError if there are too few exposures to tell star and companions apart."""
    if len(files.science) < LEAST_EXPOSURES:
        raise ResourceError(
            f"{files.science[0].name}: ADI needs {LEAST_EXPOSURES} exposures, there are {len(files.science)}"
        )


def _without_sky(frame: Frame, skies: list[Frame]) -> None:
    """Subtract the mean of exposures of the sky, then a constant."""
    if skies:
        sky.from_exposures([frame], skies)
    frame.sci -= np.float32(sky.level(frame)[0])


def _about_mask(frame: Frame) -> Image:
    """Return the pixels (2 h + 1, 2 h + 1) about the mask, which the WCS is about; bad ones like their neighbours."""
    from scipy import ndimage

    ny, nx = frame.sci.shape
    x, y = float(frame.header["CRPIX1"]) - 1.0, float(frame.header["CRPIX2"]) - 1.0
    kx, ky = round(x), round(y)
    half = min(MAX_HALF, kx, ky, nx - 1 - kx, ny - 1 - ky)
    if half < 2 * PSF_HALF:
        raise ResourceError("the mask is not within the window, or too near to its border")
    part = slice(ky - half, ky + half + 1), slice(kx - half, kx + half + 1)
    sci, bad = frame.sci[part].astype(float), ~frame.good[part]
    weight = ndimage.uniform_filter((~bad).astype(float), 5)
    around = ndimage.uniform_filter(np.where(bad, 0.0, sci), 5) / np.maximum(weight, 1e-6)
    sci = np.where(bad, around, sci)
    if (x, y) != (kx, ky):
        sci = ndimage.shift(sci, (ky - y, kx - x), order=3, mode="nearest")
    return np.asarray(sci, np.float32)


def turn(file: RawFile) -> float:
    """Return by how much the position angle grows within an exposure, deg."""
    start, end = (float(file.get(f"ESO TEL PARANG {key}", 0.0)) for key in ("START", "END"))
    return (end - start + 180.0) % 360.0 - 180.0


def _matrix(header: Any, later: float) -> Floats:
    """Return East and North (arcsec) from pixels, at a position angle that is ``later`` deg larger than the WCS's."""
    matrix = grid.wcs_of(header).pixel_scale_matrix * 3600.0
    sin, cos = math.sin(math.radians(later)), math.cos(math.radians(later))
    return np.asarray(np.array([[cos, sin], [-sin, cos]]) @ matrix)


def _angle(matrix: Floats) -> float:
    """Return the position angle of +y, deg."""
    return math.degrees(math.atan2(matrix[0, 1], matrix[1, 1]))


def _psf(
    files: FileSet, setup: Setup, masters: master.Masters, fwhm: float, notes: list[str]
) -> tuple[Image, float | None]:
    """Return the star beside the mask as the science frames would have it, and its electron/s in an aperture."""
    frames = [calibrate.calibrate(one, one.chips[0], masters) for one in files.psf]
    stamps = [
        star_stamp(frame.sci - np.float32(sky.level(frame)[0]), one.name, PSF_HALF)
        for frame, one in zip(frames, files.psf, strict=True)
    ]
    return star_image(stamps, files, setup, fwhm, PSF_HALF, notes)


def star_image(
    stamps: list[Image], files: FileSet, setup: Setup, fwhm: float, half: int, notes: list[str]
) -> tuple[Image, float | None]:
    """Return the mean of the star's images without a neutral density, and its electron/s in an aperture of one FWHM.

    Without images it is a Gaussian of ``fwhm`` pixels, peak 1, on (2 half + 1, 2 half + 1), and its light not known.
    """
    if not stamps:
        notes.append("no frame of the star beside the mask (DPR TYPE PSF,OFFAXIS): limits are electron/s, no contrasts")
        offset = np.arange(-half, half + 1)
        r2 = offset**2 + offset[:, None] ** 2
        return np.asarray(np.exp(-4.0 * math.log(2.0) * r2 / fwhm**2), np.float32), None
    dimmed = _response(layout.configure(files.psf[0])) / _response(setup)
    psf = np.asarray(np.mean(stamps, axis=0) / dimmed, np.float32)
    return psf, float(adi.aperture_sums(psf, np.zeros(1), np.zeros(1), fwhm)[0])


def star_stamp(image: Image, name: str, half: int) -> Image:
    """Return the pixels (2 half + 1, 2 half + 1) about the brightest star, centred, of an exposure ``name``."""
    from scipy import ndimage

    y, x = np.unravel_index(int(np.argmax(ndimage.median_filter(image, 3))), image.shape)
    margin = half + 3
    if not (margin <= x < image.shape[1] - margin and margin <= y < image.shape[0] - margin):
        raise ResourceError(f"{name}: the star beside the mask is too near to the border of the window")
    part = image[y - margin : y + margin + 1, x - margin : x + margin + 1].astype(float)
    core = np.where(part > 0.3 * part.max(), part, 0.0)
    offset = np.arange(-margin, margin + 1)
    cx, cy = (core * offset).sum() / core.sum(), (core * offset[:, None]).sum() / core.sum()
    return np.asarray(ndimage.shift(part, (-cy, -cx), order=3)[3:-3, 3:-3], np.float32)


def _response(setup: Setup) -> float:
    """Return the light that the optics pass over the band of a Setup, for the ratio of two."""
    from elvis_cli.optics.throughput import throughput

    wave = np.linspace(*setup.optics.band, 400)
    return float(throughput(setup.optics.surfaces, wave).sum() * (wave[1] - wave[0]))


def transmission(setup: Setup) -> Any:
    """Return the mask's transmission of a point's peak at distances in arcsec."""
    from elvis_cli.optics import occulted_star

    optics = setup.optics
    if optics.coronagraph is None:
        return np.ones_like
    unit = occulted_star.unit(optics, optics.filter_centre)
    table = occulted_star.transmission(optics.telescope, optics.coronagraph, optics.coronagraph.radius / unit)
    return lambda distance: table.of_peak(np.asarray(distance) / unit)


def residual_wcs(product: AdiProduct) -> list[Card]:
    """Return the WCS of a residual map: the star in the middle, North up, East left."""
    scale, half = product.sequence.scale, product.image.shape[0] // 2
    first = product.files.science[0]
    return [
        ("CTYPE1", "RA---TAN", ""), ("CTYPE2", "DEC--TAN", ""), ("CUNIT1", "deg", ""), ("CUNIT2", "deg", ""),
        ("CRVAL1", float(first.get("RA", 0.0)), "[deg] star"), ("CRVAL2", float(first.get("DEC", 0.0)), "[deg] star"),
        ("CRPIX1", half + 1.0, ""), ("CRPIX2", half + 1.0, ""),
        ("CD1_1", -scale / 3600.0, ""), ("CD1_2", 0.0, ""), ("CD2_1", 0.0, ""), ("CD2_2", scale / 3600.0, ""),
    ]  # fmt: skip


def write_residual(product: AdiProduct, out: BinaryIO) -> None:
    """Write the residual map and its signal-to-noise ratio, North up."""
    image, scale = product.image, product.sequence.scale
    half = image.shape[0] // 2
    offset = np.arange(-half, half + 1)
    r = np.hypot(offset, offset[:, None]) * scale
    noise = np.interp(r, product.curve.radius, product.curve.noise * np.sqrt(1.0 + 1.0 / product.curve.apertures))
    from scipy import ndimage

    disc = np.clip(product.fwhm / 2 + 0.5 - np.hypot(*np.mgrid[-8:9, -8:9]), 0.0, 1.0)
    snr = np.asarray(ndimage.convolve(image, disc.astype(np.float32), mode="constant") / noise, np.float32)
    wcs = residual_wcs(product)
    extensions = (
        fits.Image("SCI", image, [("BUNIT", UNIT, "star subtracted, North up"), *wcs]),
        fits.Image("SNR", snr, [("BUNIT", "1", "of apertures of one FWHM over the noise of their ring"), *wcs]),
    )
    fits.write_file(out, primary(product), remarks(product), extensions)


def write_contrast(product: AdiProduct, out: BinaryIO) -> None:
    """Write the curve of 5 sigma and the companions that were put in."""
    curve = product.curve
    columns: dict[str, Any] = {"RADIUS": curve.radius}
    units = {"RADIUS": "arcsec", "LIMIT": UNIT, "NOISE": UNIT}
    if product.star is not None:
        columns["CONTRAST"] = curve.limit / (product.star * product.mask)
    columns |= {"LIMIT": curve.limit / product.mask, "NOISE": curve.noise}
    columns |= {"THROUGHPUT": curve.throughput, "MASK": product.mask, "APERTURES": curve.apertures}
    names = ("radius", "angle", "flux", "found", "offset", "snr")
    put = {name.upper(): np.array([getattr(one, name) for one in curve.companions]) for name in names}
    tables = (
        fits.Table("CONTRAST", columns, units, [("ESO QC SIGMA", adi.SIGMAS, "of the limits")]),
        fits.Table(
            "INJECTED", put, {"RADIUS": "arcsec", "ANGLE": "deg", "FLUX": UNIT, "FOUND": UNIT, "OFFSET": "pixel"}
        ),
    )
    fits.write_file(out, primary(product), remarks(product), tables)


WRITERS = {"adi": write_residual, "contrast": write_contrast}


def remarks(product: AdiProduct) -> list[str]:
    """Return the comments of a product's primary header."""
    return [
        "SIMULATED DATA, reduced by ELVIS: no telescope took these exposures.",
        *(f"Note: {n}" for n in product.notes),
    ]


def primary(product: AdiProduct) -> list[Card]:
    """Return the primary header of a product."""
    files = product.files
    first = files.science[0]
    place = float(first.get("RA", 0.0)), float(first.get("DEC", 0.0))
    cards: list[Card] = [
        *common_cards(files, sdp.IMAGE, place, calibrated=False),
        ("PSF_FWHM", round(product.fwhm * product.sequence.scale, 6), "[arcsec] of a point"),
    ]
    if product.star is not None:
        cards.append(("ESO QC STAR", product.star, f"[{UNIT}] the star beside the mask, aperture of one FWHM"))
    return [
        *cards,
        *provenance_cards(files),
        *passed_cards(first),
        *pipeline_cards(files, sdp.IMAGE, product.linearised, "elvis_reduce_adi"),
    ]
