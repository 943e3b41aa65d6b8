"""The reduction of images, in its order: masters, calibration, sky, cosmic rays, combination, zero point.

Reads headers and pixels; the request that travels in a raw file, and its table TRUTH, are never opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from elvis_cli.base.parallel import gather
from elvis_cli.detection import apertures, sources
from elvis_cli.errors import ResourceError
from elvis_cli.reduction import calibrate, combine, correlation, cosmics, grid, master, repair, sky, zeropoint
from elvis_cli.reduction.associate import FileSet, check, product_name, setting
from elvis_cli.reduction.combine import Stack
from elvis_cli.reduction.frame import BAD, Frame
from elvis_cli.reduction.raw import RawFile
from elvis_cli.scene import standards
from elvis_cli.scene.standards import StandardStar

WELL_SAMPLED = 2.2
"""Pixels of FWHM from which the kernel is lanczos3."""
GUESS_FWHM = 3.0
EMPTY_RADIUS = 1.0
"""FWHM: radius of the apertures in which limits and noise are measured."""
LIMIT_SIGMA = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """Choices of the user."""

    kernel: str | None = None
    """Of the drizzling; None = lanczos3 where an image is well sampled, else square."""
    pixfrac: float = 1.0
    north_up: bool = False
    allow_missing: bool = False
    standards: Any = None
    """Path of a catalogue of standards."""


@dataclass(slots=True, eq=False)
class ChipImage:
    """A combined chip and what was measured on it."""

    name: str
    stack: Stack
    grid: grid.Grid
    header: Any
    """That of the chip in the first raw file."""
    fwhm: float
    """Pixels."""
    ellipticity: float
    found: sources.Sources
    correlation: apertures.Correlation
    """Noise of apertures over that of independent pixels, by the resampling."""
    empty: float
    """Scatter of empty apertures of 1 FWHM over their error; above 1 where faint sources and haloes add to it."""
    pixel_noise: float
    """Noise of a pixel of sky that errors of apertures follow from, electron/s."""
    sky_way: str
    cosmic_rays: int
    linearised: bool = False
    """Corrected for the detector's linearity."""


@dataclass(slots=True, eq=False)
class ImageProduct:
    """A product of images before it is written."""

    name: str
    files: FileSet
    chips: list[ChipImage]
    zero: zeropoint.ZeroPoint | None
    notes: list[str] = field(default_factory=list)


def reduce(files: FileSet, options: Options, progress: Callable[[int, int], None] | None = None) -> ImageProduct:
    """Return the product of a set of raw files.

    Raises
    ------
    ResourceError
        A calibration is missing, or the frames are spectra.
    """
    first = files.science[0]
    technique = str(first.get("ESO DPR TECH", ""))
    if not any(word in technique for word in ("IMAGE", "SAM", "APP")):
        raise ResourceError(
            f"{first.name}: DPR TECH is {technique}: images are reduced, spectra not yet", found=technique
        )
    if not options.allow_missing:
        check(files)
    notes = [f"went on without: {each}" for each in files.missing]
    zero = _zero_point(files, options, notes)
    chips = []
    for number, chip in enumerate(first.chips):
        if progress:
            progress(number, len(first.chips))
        chips.append(_chip(files, chip, options))
    if any(each.sky_way == "constant" for each in chips):
        notes.append("fewer than three exposures: the sky is a constant")
    if not files.linearity:
        notes.append("no frames of the detector's linearity (DETLIN): the response is taken as linear")
    elif not all(each.linearised for each in chips):
        notes.append("DETLIN frames at fewer than three unsaturated levels: the response is taken as linear")
    return ImageProduct(product_name(files), files, chips, zero, notes)


def _frames(files: Sequence[RawFile], chip: str, masters: master.Masters) -> list[Frame]:
    return gather(lambda file: calibrate.calibrate(file, chip, masters), files)


def _chip(files: FileSet, chip: str, options: Options) -> ChipImage:
    """Return the combination of one chip."""
    _, header = files.science[0].read(chip)
    masters = master.make(chip, files, header)
    frames = _frames(files.science, chip, masters)
    paired = sky.partners(files.science)
    if paired is not None:
        sky.from_partners(frames, paired)
        way = "pairs"
    elif files.sky:
        sky.from_exposures(frames, _frames(files.sky, chip, masters))
        way = "exposures"
    else:
        way = sky.subtract(frames, gather(sky.objects, frames), masters.flat_var)
    for frame, file in zip(frames, files.science, strict=True):
        frame.weight = combine.weight_of(frame)
        if frame.weight == 0.0:
            raise ResourceError(f"{file.name}: {chip} has no good pixel: it is saturated, or all are flagged")
    out = grid.make([frame.header for frame in frames], options.north_up)
    maps = [grid.pixel_map(frame.header, out) for frame in frames]
    if len(frames) >= combine.MIN_DITHERS:
        rays = combine.flag_cosmic_rays(frames, maps, out)
    else:
        rays = sum(cosmics.flag_single(frame) for frame in frames)
    for frame in frames:  # the flat's own noise on the light of the sources
        frame.var += np.float32(masters.flat_var) * np.square(np.maximum(frame.sci, 0.0))
    fwhm = _shape(frames[0].sci, np.sqrt(frames[0].var), frames[0].good)[0].fwhm
    filled = repair.fill(frames, maps, fwhm >= WELL_SAMPLED)
    kernel = options.kernel or ("lanczos3" if fwhm >= WELL_SAMPLED and options.pixfrac == 1.0 else "square")
    stack = combine.combine(frames, maps, out, kernel, options.pixfrac, filled)
    noise = correlation.of_resampling(frames, maps, out, kernel, options.pixfrac)
    del frames, maps
    made = _measured(chip, stack, out, header, noise, way, rays)
    made.linearised = masters.linearity is not None
    return made


def _shape(sci: Any, err: Any, good: Any) -> tuple[sources.Shape, sources.Sources]:
    """Return the shape of the stars and the sources, of an image without sky."""
    guess = GUESS_FWHM
    for _ in range(2):
        found = sources.find(sci, err, good, guess, LIMIT_SIGMA)
        bright = found.significance > 4 * LIMIT_SIGMA
        shape = sources.shape(sci, good, found.x[bright], found.y[bright], guess)
        guess = min(max(shape.fwhm, 1.2), 50.0)
    return shape, found


def _measured(
    chip: str, stack: Stack, out: grid.Grid, header: Any, correlated: apertures.Correlation, way: str, rays: int
) -> ChipImage:
    """Return a combined chip with its image quality and noise."""
    good = (stack.dq & combine.UNSEEN) == 0
    shape, _ = _shape(stack.sci, stack.err, good)
    frame = Frame(stack.sci, np.square(stack.err), np.where(good, 0, BAD).astype(np.uint32), header)
    mask = sky.objects(frame)
    radius = max(EMPTY_RADIUS * shape.fwhm, 1.0)
    factor = correlated.at(radius)
    free = stack.err[good & ~mask]
    plain = (float(np.median(free)) if free.size else 0.0) * factor
    independent = apertures.independent_noise(radius)
    noise = apertures.empty_noise(stack.sci, good, mask, radius)
    empty = apertures.correlation_factor(stack.sci, stack.err, good, mask, radius) / factor
    if not np.isfinite(noise):
        noise, empty = plain * independent, 1.0
    found = sources.find(stack.sci, stack.err, good, shape.fwhm, LIMIT_SIGMA, correlated)
    return ChipImage(
        chip, stack, out, header, shape.fwhm, shape.ellipticity, found, correlated, empty, noise / independent,
        way, rays,
    )  # fmt: skip


def _zero_point(files: FileSet, options: Options, notes: list[str]) -> zeropoint.ZeroPoint | None:
    """Return the zero point of the standard star of a set; None, and a note, without one."""
    if files.standard is None:
        notes.append("no standard star (DPR TYPE STD) with this setting: fluxes are not calibrated")
        return None
    standard = files.standard.science[0]
    names, filters = zeropoint.star_names(standard.header), " ".join(filter_names(standard))
    star = zeropoint.select(names, standards.read(options.standards), filters)
    if star is None:
        notes.append(
            f"the standard star {names[0]!r} is not in the catalogue (--standards), or not in the band of "
            f"{filters or 'no filter'}: fluxes are not calibrated"
        )
        return None
    image = None
    for chip in standard.chips:
        header = standard.read(chip)[1]
        x, y = _place(star, standard, header)
        if len(standard.chips) > 1 and not (0 <= x < header["NAXIS1"] and 0 <= y < header["NAXIS2"]):
            continue
        image = _chip(files.standard, chip, options)
        x, y = _place(star, standard, image.grid)
        break
    if image is None:
        notes.append(f"the standard star {star.name} is on no chip: fluxes are not calibrated")
        return None
    try:
        zero = zeropoint.measure(image.stack, (x, y), star, filters, image.fwhm)
    except ResourceError as error:
        notes.append(f"{error.message}: fluxes are not calibrated")
        return None
    if zero.ab is None:
        notes.append(f"the filter {filters or 'of no name'} tells no band: no zero point in AB, no ABMAGLIM")
    return zero


def _place(star: StandardStar, file: RawFile, on: Any) -> tuple[float, float]:
    """Return where a star falls (pixels from 0): its own place, or else where the telescope was asked to point."""
    wcs = on.wcs if isinstance(on, grid.Grid) else grid.wcs_of(on)
    if star.ra is not None and star.dec is not None:
        ra, dec = star.ra, star.dec
    else:
        ra, dec = (_degrees(file.get(f"ESO TEL TARG {key}"), hours) for key, hours in (("ALPHA", 15.0), ("DELTA", 1.0)))
    x, y = wcs.all_world2pix([ra], [dec], 0, quiet=True)
    return float(x[0]), float(y[0])


def _degrees(value: Any, unit: float) -> float:
    """Return degrees of ESO's one number: 123456.789 is 12 34 56.789."""
    number = float(value or 0.0)
    size = abs(number)
    whole = (size // 10000) + (size % 10000 // 100) / 60.0 + (size % 100) / 3600.0
    return unit * (whole if number >= 0 else -whole)


def filter_names(file: RawFile) -> list[str]:
    """Return the names of the filters in the beam."""
    words = ("FILT", "NXFW", "NXCW", "DRS FILTER")
    open_names = ("open", "nond", "", "free", "none")
    names = [value for key, value in setting(file) if any(word in key for word in words) and "NAXIS" not in key]
    return list(dict.fromkeys(name for name in names if name.lower() not in open_names))
