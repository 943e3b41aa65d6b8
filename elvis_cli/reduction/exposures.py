"""The exposures of one chip before they are combined: calibrated, without sky and cosmic rays, with their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.parallel import gather
from elvis_cli.errors import ResourceError
from elvis_cli.reduction import calibrate, chip_image, combine, cosmics, grid, master, repair, sky
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.raw import RawFile

SAMPLE = 7
"""Every so many rows and columns of a flat tell the sensitivity of a chip."""


def sensitivities(files: FileSet) -> Mapping[str, float]:
    """Return the light that each chip collects of the same flat, over the mean of all: what one zero point needs.

    From the first flat, less its dark or bias; 1 for a single chip or without flats.
    """
    chips = files.science[0].chips
    dark = files.bias or files.flat_dark
    if len(chips) == 1 or not files.flat or not dark:
        return dict.fromkeys(chips, 1.0)
    levels = []
    for chip in chips:
        flat, zero = (np.median(one.pixels(chip, SAMPLE)) for one in (files.flat[0], dark[0]))
        levels.append(float(flat - zero) * master.readout_of(files.flat[0].chip_header(chip)).gain)
    mean = float(np.mean(levels))
    return {chip: level / mean for chip, level in zip(chips, levels, strict=True)}


def prepare(
    files: FileSet, chip: str, scale: float, sky_way: str = "dithers", masters: master.Masters | None = None
) -> tuple[list[Frame], str, bool]:
    """Return the exposures of a chip without sky, how it was taken, and whether they were linearised.

    ``scale`` is the chip's sensitivity over the mean of all chips, ``sky_way`` the way of the instrument's table.
    Without ``masters`` they are made.

    Raises
    ------
    ResourceError
        An exposure has no good pixel.
    """
    if masters is None:
        masters = master.make(chip, files, files.science[0].chip_header(chip))
    frames = _frames(files.science, chip, masters, scale)
    for frame in frames:
        frame.saturation = frame.saturation / scale - sky.level(frame)[0]
    paired = sky.partners(files.science)
    if paired is not None:
        sky.from_partners(frames, paired)
        way = "pairs"
    elif files.sky:
        sky.from_exposures(frames, _frames(files.sky, chip, masters, scale))
        way = "exposures"
    else:
        way = sky.subtract(frames, gather(sky.objects, frames), masters.flat_var, sky_way)
    for frame, file in zip(frames, files.science, strict=True):
        frame.weight = combine.weight_of(frame)
        if frame.weight == 0.0:
            raise ResourceError(f"{file.name}: {chip} has no good pixel: it is saturated, or all are flagged")
        # the flat's own noise on the light of the sources, for the errors and not for the weight
        frame.flat_var = masters.flat_var
    return frames, way, masters.linearity is not None


def _frames(files: Sequence[RawFile], chip: str, masters: master.Masters, scale: float) -> list[Frame]:
    frames = gather(lambda file: calibrate.calibrate(file, chip, masters), files)
    if scale != 1.0:
        for frame in frames:
            frame.sci /= np.float32(scale)
            frame.var /= np.float32(scale**2)
    return frames


def place(
    frames: Sequence[Frame], out: grid.Grid, well_sampled: float
) -> tuple[list[grid.PixelMap], list[NDArray[np.bool_]], int, float]:
    """Flag cosmic rays and fill holes in place; return maps to the grid, filled pixels, cosmic rays, FWHM (pixels).

    Images of a FWHM of ``well_sampled`` pixels or more are filled from their own pixels too.
    """
    maps = [grid.pixel_map(frame.header, out) for frame in frames]
    if len(frames) >= combine.MIN_DITHERS:
        rays = combine.flag_cosmic_rays(frames, maps)
    else:
        rays = sum(cosmics.flag_single(frame) for frame in frames)
    for frame in frames:
        frame.var += np.float32(frame.flat_var) * np.square(np.maximum(frame.sci, 0.0))
    fwhm = chip_image.shape(frames[0].sci, np.sqrt(frames[0].var), frames[0].good).fwhm
    return maps, repair.fill(frames, maps, fwhm >= well_sampled), rays, fwhm
