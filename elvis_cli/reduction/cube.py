"""The reduction of integral fields: slices to a cube, by one resampling of all exposures (pixel to voxel).

The sky is taken away on the raw pixels, at the wavelength that each sees (Kelson 2003, PASP 115, 688), from exposures
of the sky or from spaxels without light. What refraction does is undone as each pixel is placed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.geometry import project, sky_to_field
from elvis_cli.errors import ResourceError
from elvis_cli.focalplane import slit_plane
from elvis_cli.focalplane.slit_plane import Drift
from elvis_cli.kernels import voxels
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import (
    chip_calibration,
    cosmics,
    cube_grid,
    cube_sky,
    cube_spectrum,
    flux_standard,
    slice_ends,
    telluric,
    wavelength,
)
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.chip_calibration import ChipCalibration
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.flux_standard import Response
from elvis_cli.reduction.frame import BAD, NO_DATA, Flags, Frame
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.strip_pixels import Pixels

LEAST_COVERED = 0.2
"""Part of a voxel that good pixels must cover."""
STRIPS = 8
"""Slices whose pixels are held in memory with their places."""
SAME_PLACE = 0.1
"""Pixels within which exposures are of one pointing."""

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class Cube:
    """Electron/s of each voxel, its error and its flags: (wavelength, y, x)."""

    grid: CubeGrid
    sci: Image
    err: Image
    dq: Flags
    sum_err: Image
    """Root of the part that each voxel adds to the variance of a sum of many: neighbours share noise."""
    sky_err: Floats | float = 0.0
    """Error of the sky in each plane (n,), part of ``err``, that all voxels share."""

    @property
    def correlation(self) -> float:
        """Noise of a sum of many voxels over that of independent ones."""
        return math.sqrt(float(np.square(self.sum_err).sum()) / float(np.square(self.err).sum()))


@dataclass(slots=True, eq=False)
class CubeProduct:
    """The cube of one set of raw files before it is written."""

    name: str
    files: FileSet
    cube: Cube
    solutions: list[wavelength.Solution]
    sky_way: str
    pointing: tuple[float, float, float]
    """RA, Dec and position angle of the field's middle, deg."""
    place: tuple[float, float]
    """Of the brightest source along the cube's axes, arcsec."""
    quality: tuple[float, float]
    """FWHM of the brightest source and its error, arcsec."""
    response: Response | None = None
    notes: list[str] = field(default_factory=list)
    middle: tuple[float, float] | None = None
    """RA and Dec of the cube's middle, deg; None = the field's."""


@dataclass(slots=True, eq=False)
class Group:
    """Exposures of one pointing, which share their pixels."""

    files: list[RawFile]
    x: float
    y: float
    """Place of the field's middle in the field of the first exposure, arcsec."""
    drift: Drift

    @property
    def seconds(self) -> float:
        """Integration time of all."""
        return sum(one.dit * one.ndit for one in self.files)


def is_cube(setup: Setup) -> bool:
    """Return whether a setting has slices that make a cube."""
    graph = setup.spectrograph
    return graph is not None and graph.kind == "ifu" and not graph.apertures[0].fibre


def reduce(files: FileSet, setup: Setup, standards_file: Any = None, method: str = "none") -> CubeProduct:
    """Return the cube of a set; ``setup`` is that of its first raw file, ``method`` how the air's lines are taken out.

    Raises
    ------
    ResourceError
        No pixel of the frames sees the field.
    """
    notes: list[str] = []
    known: dict[Any, ChipCalibration] = {}
    skies: dict[Any, list[Floats]] = {}
    cube, solutions, way = of_exposures(files, setup, notes, known, skies)
    first = files.science[0]
    response = None
    star = flux_standard.star_of(files, standards_file, notes)
    if star is not None and files.standard is not None:
        other = of_exposures(files.standard, setup, notes, known, skies)[0]
        response = cube_spectrum.response(other, star, notes, **telluric.correction(files, setup, method))
    return CubeProduct(
        product_name(files), files, cube, solutions, way, pointing_of(first), cube_spectrum.brightest(cube),
        cube_spectrum.image_quality(cube), response, list(dict.fromkeys(notes)),
    )  # fmt: skip


def of_exposures(
    files: FileSet,
    setup: Setup,
    notes: list[str],
    known: dict[Any, ChipCalibration],
    skies: dict[Any, list[Floats]],
) -> tuple[Cube, list[wavelength.Solution], str]:
    """Return the cube of exposures without flux calibration, how well its wavelengths are known, how sky was taken."""
    groups = by_pointing(files.science, setup)
    first = files.science[0]
    chips = [chip_calibration.cached(files, name, setup, notes, known) for name in first.chips]
    graph = setup.spectrograph
    assert graph is not None
    grid = cube_grid.make(graph.apertures, [one for chip in chips for one in chip.layout.strips], [
        (group.x, group.y) for group in groups
    ])  # fmt: skip
    response = slice_ends.response_of(setup)
    cube = _voxels(grid, (one for chip in chips for one in _placed(files, chip, response, groups, grid, skies)))
    if cube is None:
        raise ResourceError(f"{product_name(files)}: no good pixel of its frames sees the field")
    if any(len(group.files) < 3 for group in groups):
        notes.append("fewer than three exposures of a pointing: only cosmic rays of single pixels are found")
    way = "exposures" if files.sky else "slices"
    if way == "slices":
        notes.append("no exposures of the sky (DPR TYPE SKY): the faintest spaxels of the field are taken as sky")
    return cube, [c.solution for c in chips if c.solution is not None], way


def _voxels(grid: CubeGrid, placed: Iterable[tuple[voxels.Boxes, Pixels, Flags]]) -> Cube | None:
    """Return the cube of pixels that `_boxes` placed on a grid, None if none of them is good.

    A voxel has the mean density of the pixels that cover it, so that the sum over the cube is that of the pixels.
    """
    sums = [np.zeros(grid.shape, np.float32) for _ in range(4)]
    bad = np.zeros(grid.shape, np.uint32)
    size = -(-grid.shape[0] // parallel.threads())
    for boxes, pixels, flags in placed:
        add = partial(voxels.deposit, boxes, pixels.sci, pixels.var, flags, pixels.seconds, *sums, bad)
        blocks = [(first, min(first + size, grid.shape[0])) for first in range(0, grid.shape[0], size)]
        parallel.gather(partial(_apply, add), blocks)
    total, weight, square, shared = sums
    if not weight.any():
        return None
    lost = weight <= LEAST_COVERED * weight.max()
    weight[lost] = 1.0
    for each in (square, shared):
        np.sqrt(each, out=each)
    for each in (total, square, shared):  # in place: large cubes have hundreds of millions of voxels
        np.divide(each, weight, out=each)
        each[lost] = 0.0
    bad[lost] |= np.uint32(NO_DATA)
    bad[~lost] = 0
    return Cube(grid, total, square, bad, shared)


def _apply(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    return function(*arguments)


def pointing_of(file: RawFile) -> tuple[float, float, float]:
    """Return RA, Dec and position angle of a raw file, deg."""
    return float(file.get("RA", 0.0)), float(file.get("DEC", 0.0)), float(file.get("ESO ADA POSANG", 0.0))


def by_pointing(files: Sequence[RawFile], setup: Setup) -> list[Group]:
    """Return the exposures by pointing."""
    ra, dec, angle = pointing_of(files[0])
    groups: list[Group] = []
    for file in files:
        its_ra, its_dec, its_angle = pointing_of(file)
        if abs((its_angle - angle + 180.0) % 360.0 - 180.0) > 0.01:
            raise ResourceError(f"{file.name}: its position angle is not that of the first exposure", found=its_angle)
        east, north = project(its_ra, its_dec, ra, dec)  # type: ignore[arg-type]
        x, y = (float(each) for each in sky_to_field(float(east), float(north), angle))
        near = SAME_PLACE * setup.optics.pixel_scale
        group = next((one for one in groups if math.dist((one.x, one.y), (x, y)) < near), None)
        if group is None:
            groups.append(Group([file], x, y, _drift(file, setup, angle)))
        else:
            group.files.append(file)
    return groups


def _drift(file: RawFile, setup: Setup, angle: float) -> Drift:
    """Return the refraction of an exposure, at its airmass and parallactic angle."""
    airmass, parallactic = (
        (float(file.get(f"{key} START", value)) + float(file.get(f"{key} END", file.get(f"{key} START", value)))) / 2
        for key, value in (("ESO TEL AIRM", 1.0), ("ESO TEL PARANG", 0.0))
    )
    assert setup.spectrograph is not None
    there = replace(setup, atmosphere=replace(setup.atmosphere, airmass=airmass))
    return slit_plane.refraction_drift(setup.spectrograph, there, parallactic, angle)


def _placed(
    files: FileSet,
    chip: ChipCalibration,
    response: slice_ends.Response | None,
    groups: Sequence[Group],
    grid: CubeGrid,
    skies: dict[Any, list[Floats]],
) -> Iterator[tuple[voxels.Boxes, Pixels, Flags]]:
    """Yield the pixels of each slice and pointing, without sky, and where they are in the cube.

    ``skies`` keeps the sky of the strips by chip and exposures of the sky.
    """
    strips = chip.layout.strips
    relative = _throughputs(chip)

    def cut(exposures: Sequence[RawFile]) -> tuple[Frame, list[Pixels]]:
        seconds = [one.dit * one.ndit for one in exposures]
        frames = chip_calibration.frames(exposures, chip)
        if len(frames) < 3:
            parallel.gather(cosmics.flag_single, frames)
        frame = chip_calibration.stack(frames, seconds)
        return frame, parallel.gather(
            lambda n: _pixels(strips[n], frame, chip.error, sum(seconds), relative[n]), range(len(strips))
        )

    key = chip.name, tuple(one.name for one in files.sky)
    if files.sky and key not in skies:
        skies[key] = cube_sky.of_strips(strips, cut(files.sky)[1], list(map(slice_ends.interior, strips)))
    for group in groups:
        frame, pixels = cut(group.files)
        sky = skies[key] if files.sky else cube_sky.of_strips(strips, pixels, list(map(cube_sky.faint, strips, pixels)))
        slice_ends.restore(strips, pixels, sky, relative, frame, response)
        place = partial(_boxes, frame=frame, group=group, grid=grid)
        for first in range(0, len(strips), STRIPS):
            some = slice(first, first + STRIPS)
            own = list(zip(strips[some], pixels[some], sky[some], strict=True))
            yield from parallel.gather(partial(_apply, place), own)


def _throughputs(chip: ChipCalibration) -> list[float]:
    """Return the light of the flat in each slice over the median of all, order by order; 1 without flats.

    It is the light of a wavelength and of an arcsec, not of a pixel: slices differ in dispersion and in scale too.
    """
    strips = chip.layout.strips
    if not chip.lamps:
        return [1.0] * len(strips)
    levels = np.array([
        float(np.median(lamp / np.median(cube_sky.size(strip), axis=1)))
        for lamp, strip in zip(chip.lamps, strips, strict=True)
    ])  # fmt: skip
    middle = {
        order: float(np.median(levels[[strip.order == order for strip in strips]]))
        for order in {strip.order for strip in strips}
    }
    return [level / middle[strip.order] for level, strip in zip(levels, strips, strict=True)]


def _pixels(strip: Strip, frame: Frame, error: Image, seconds: float, throughput: float) -> Pixels:
    """Return a strip's pixels, with the variance of dark ones: weights by their own photons favour the faint.

    The relative ``error`` of the response is part of it.
    """
    sci, var = (strip.cut(each) for each in (frame.sci, frame.var))
    good = strip.cut(frame.dq) & BAD == 0
    var = chip_calibration.without_light(sci, var, seconds) + np.square(strip.cut(error) * sci)
    return Pixels(sci / throughput, var / throughput**2, good & strip.inside, seconds)


def _boxes(
    strip: Strip, pixels: Pixels, sky: Floats, frame: Frame, group: Group, grid: CubeGrid
) -> tuple[voxels.Boxes, Pixels, Flags]:
    """Return where the pixels of a strip are in the cube, what they hold there without sky, and their flags."""
    own = strip.inside
    boxes = grid.boxes(strip, np.abs(strip.dispersion()), own, (group.x, group.y), group.drift.at)
    parts = sky, pixels.good, strip.cut(frame.dq), own
    value, variance, flags = voxels.densities(boxes, pixels.sci, pixels.var, *parts, pixels.seconds, NO_DATA)
    return boxes, Pixels(value, variance, flags == 0, pixels.seconds), flags
