"""The reduction of images, in its order: masters, calibration, sky, cosmic rays, combination, zero point.

Reads headers and pixels; the request that travels in a raw file, and its table TRUTH, are never opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from elvis_cli.errors import ResourceError
from elvis_cli.reduction import chip_image, combine, correlation, exposures, grid, instrument_table, master, zeropoint
from elvis_cli.reduction.associate import FileSet, check, product_name, setting
from elvis_cli.reduction.chip_image import ChipImage, Treatment
from elvis_cli.reduction.image_options import ImageOptions
from elvis_cli.reduction.master import Masters
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.stored_stack import StoredStack
from elvis_cli.scene import standards
from elvis_cli.scene.standards import StandardStar


@dataclass(slots=True, eq=False)
class ImageProduct:
    """A product of images before it is written."""

    name: str
    files: FileSet
    chips: list[ChipImage]
    zero: zeropoint.ZeroPoint | None
    notes: list[str] = field(default_factory=list)


def reduce(files: FileSet, options: ImageOptions) -> ImageProduct:
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
    table = instrument_table.of(first)
    options = replace(options, sky=table.sky, kernel=options.kernel or table.kernel)
    scales = exposures.sensitivities(files)
    masters = master.shared(files, first.chips[0]) if len(first.chips) == 1 else None
    zero = _zero_point(files, options, scales, notes, masters)
    if options.mosaic and len(first.chips) > 1:
        chips = [_mosaic(files, options, scales)]
    else:
        chips = [_chip(files, chip, options, scales[chip], masters) for chip in first.chips[:1]]
        for chip in first.chips[1:]:
            chips[-1].stack = StoredStack(chips[-1].stack)
            chips.append(_chip(files, chip, options, scales[chip], None))
    if any(each.treatment.sky_way == "constant" for each in chips):
        notes.append("fewer than three exposures: the sky is a constant")
    if not files.linearity:
        notes.append("no frames of the detector's linearity (DETLIN): the response is taken as linear")
    elif not all(each.treatment.linearised for each in chips):
        notes.append("DETLIN frames at fewer than three unsaturated levels: the response is taken as linear")
    return ImageProduct(product_name(files), files, chips, zero, notes)


def _chip(files: FileSet, chip: str, options: ImageOptions, scale: float, masters: Masters | None) -> ChipImage:
    """Return the combination of one chip; without ``masters`` they are made."""
    frames, way, linearised = exposures.prepare(files, chip, scale, options.sky, masters)
    out = grid.make([frame.header for frame in frames], options.north_up)
    maps, filled, rays, fwhm = exposures.place(frames, out, zeropoint.WELL_SAMPLED)
    kernel = kernel_for(fwhm, options)
    total = combine.Combination(out, kernel, options.pixfrac, max(frame.weight for frame in frames))
    total.add(frames, maps, filled)
    noise = correlation.of_resampling(frames, maps, out, kernel, options.pixfrac)
    header = frames[0].header
    treatment = Treatment(way, rays, linearised, min(frame.saturation for frame in frames))
    del frames, maps, filled  # a chip's exposures are 60 bytes a pixel
    return chip_image.measure(chip, total.stack(), out, header, noise, treatment)


def _mosaic(files: FileSet, options: ImageOptions, scales: Mapping[str, float]) -> ChipImage:
    """Return the combination of all chips in one image, one chip after the other."""
    first = files.science[0]
    out = grid.make([file.chip_header(chip) for chip in first.chips for file in files.science], options.north_up)
    total: combine.Combination | None = None
    rays, ways, linearised, saturation = 0, [], True, float("inf")
    for chip in first.chips:
        frames, way, linear = exposures.prepare(files, chip, scales[chip], options.sky)
        maps, filled, found, fwhm = exposures.place(frames, out, zeropoint.WELL_SAMPLED)
        if total is None:
            kernel, header = kernel_for(fwhm, options), frames[0].header
            total = combine.Combination(out, kernel, options.pixfrac, max(frame.weight for frame in frames))
            noise = correlation.of_resampling(frames, maps, out, kernel, options.pixfrac)
        total.add(frames, maps, filled)
        rays, linearised = rays + found, linearised and linear
        ways.append(way)
        saturation = min(saturation, *(frame.saturation for frame in frames))
    assert total is not None
    treatment = Treatment(max(ways, key=ways.count), rays, linearised, saturation)
    return chip_image.measure("MOSAIC", total.stack(), out, header, noise, treatment)


def kernel_for(fwhm: float, options: ImageOptions) -> str:
    """Return the kernel of the drizzling for stars of ``fwhm`` pixels."""
    return options.kernel or ("lanczos3" if fwhm >= zeropoint.WELL_SAMPLED and options.pixfrac == 1.0 else "square")


def _zero_point(
    files: FileSet, options: ImageOptions, scales: Mapping[str, float], notes: list[str], masters: Masters | None
) -> zeropoint.ZeroPoint | None:
    """Return the zero point of the standard star of a set; None, and a note, without one."""
    if files.standard is None:
        notes.append("no standard star (DPR TYPE STD) with this setting: fluxes are not calibrated")
        return None
    standard = files.standard.science[0]
    names, filters = standard.star_names, " ".join(filter_names(standard))
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
        image = _chip(files.standard, chip, options, scales[chip], masters)
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
