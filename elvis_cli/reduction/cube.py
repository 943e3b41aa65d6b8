"""The reduction of integral fields: slices to a cube, by one resampling of all exposures (pixel to voxel).

The sky is taken away on the raw pixels, at the wavelength that each sees (Kelson 2003, PASP 115, 688), from exposures
of the sky or from spaxels without light. What refraction does is undone as each pixel is placed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.geometry import project, sky_to_field
from elvis_cli.errors import ResourceError
from elvis_cli.focalplane import slit_plane
from elvis_cli.focalplane.slit_plane import Drift
from elvis_cli.kernels import voxels
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import (
    barycentre,
    chip_calibration,
    cosmics,
    cube_grid,
    cube_sky,
    cube_spectrum,
    flux_standard,
    layout,
    slice_ends,
    telluric,
    wavelength,
)
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.chip_calibration import ChipCalibration
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.field_light import FieldLight
from elvis_cli.reduction.flux_standard import Response
from elvis_cli.reduction.frame import BAD, NO_DATA, Flags, Frame
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.spectrum_options import SpectrumOptions
from elvis_cli.reduction.strip_pixels import Pixels, without_light

LEAST_COVERED = 0.2
"""Part of a voxel that good pixels must cover."""
STRIPS = 8
"""Slices whose pixels are held in memory with their places."""
LAMP_WAVELENGTHS = 512
"""At which the flat's light in slices is compared."""
LEAST_LAMP = 1e-3
"""Of the brightest light of a flat: a slice with less has none, and within a slice less counts as that."""
FITS = 100
"""Turns of the fit of slices and lamp."""
SAME_PLACE = 0.1
"""Pixels within which exposures are of one pointing."""

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class Cube:
    """Electron/s of each voxel, its error and its flags: (wavelength, y, x)."""

    grid: CubeGrid
    sci: Image
    err: Image
    dq: NDArray[np.unsignedinteger[Any]]
    sum_err: Image
    """Root of the part that each voxel adds to the variance of a sum of many: neighbours share noise."""
    sky_err: Floats | float = 0.0
    """Error of the sky in each plane (n,), part of ``err``, that all voxels share."""

    @property
    def correlation(self) -> float:
        """Noise of a sum of many voxels over that of independent ones."""
        shared, free = (sum(float(np.square(plane).sum()) for plane in each) for each in (self.sum_err, self.err))
        return math.sqrt(shared / free)


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
    velocity: float | None = None
    """km/s about the Solar System's barycentre that the file's wavelengths are corrected for; None = as observed."""

    @property
    def written_grid(self) -> CubeGrid:
        """The cube's grid at the wavelengths of the file: the response is that of the observed ones."""
        return self.cube.grid.stretched(barycentre.factor(self.velocity))


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


def reduce(files: FileSet, setup: Setup, options: SpectrumOptions | None = None) -> CubeProduct:
    """Return the cube of a set; ``setup`` is that of its first raw file.

    Raises
    ------
    ResourceError
        No pixel of the frames sees the field.
    """
    notes: list[str] = []
    known: dict[Any, ChipCalibration] = {}
    skies: dict[Any, list[Floats]] = {}
    options = options or SpectrumOptions()
    star = flux_standard.star_of(files, options.standards, notes)
    standard = None if star is None else files.standard
    light: list[FieldLight] = []

    def add_standard(chip: str, grid: CubeGrid) -> None:
        """Add the standard star's light on a chip, whose calibrations are then no more needed."""
        if standard is not None:
            light[:] = light or [FieldLight(grid, sum(one.dit * one.ndit for one in standard.science))]
            calibration = chip_calibration.cached(standard, chip, setup, notes, known)
            for strip, pixels, sky, *_ in _slices(standard, calibration, setup, skies):
                light[0].add(strip, pixels, sky)
        known.clear()
        skies.clear()

    cube, solutions, way = of_exposures(files, setup, notes, known, skies, add_standard)
    response = None
    if star is not None and light:
        lines = telluric.correction(files, setup, options.telluric)
        response = cube_spectrum.response(light[0].spectrum(), star, notes, **lines)
    return CubeProduct(
        product_name(files), files, cube, solutions, way, pointing_of(files.science[0]),
        *cube_spectrum.brightest_source(cube), response, list(dict.fromkeys(notes)),
        velocity=barycentre.velocity_of(files.science) if options.barycentric else None,
    )  # fmt: skip


def of_exposures(
    files: FileSet,
    setup: Setup,
    notes: list[str],
    known: dict[Any, ChipCalibration],
    skies: dict[Any, list[Floats]],
    chip_done: Callable[[str, CubeGrid], None] | None = None,
) -> tuple[Cube, list[wavelength.Solution], str]:
    """Return the cube of exposures without flux calibration, how well its wavelengths are known, how sky was taken.

    A chip is reduced after the other; ``chip_done`` is called with the name of each and the grid.
    """
    first, graph = files.science[0], setup.spectrograph
    assert graph is not None
    groups = by_pointing(files.science, setup)
    places = [(group.x, group.y) for group in groups]
    chips = list(zip(first.chips, first.windows, strict=True))
    known_before = [one.outline() for chip in chips for one in layout.of_chip(setup, *chip).strips]
    if not known_before:
        raise ResourceError(f"{product_name(files)}: no slice of the field falls into the window of its frames")
    grid = cube_grid.wider(cube_grid.make(graph.apertures, known_before, places))
    sums, strips, solutions = Voxels(grid), [], []
    for name in first.chips:
        chip = chip_calibration.cached(files, name, setup, notes, known)
        sums.add(_placed(_slices(files, chip, setup, skies), grid))
        strips += [one.outline() for one in chip.layout.strips]
        solutions += [chip.solution] if chip.solution is not None else []
        del chip
        if chip_done is not None:
            chip_done(name, grid)
    cube = sums.cube(cube_grid.make(graph.apertures, strips, places))
    if cube is None:
        raise ResourceError(f"{product_name(files)}: no good pixel of its frames sees the field")
    if any(len(group.files) < 3 for group in groups):
        notes.append("fewer than three exposures of a pointing: only cosmic rays of single pixels are found")
    way = "exposures" if files.sky else "slices"
    if way == "slices":
        notes.append("no exposures of the sky (DPR TYPE SKY): the faintest spaxels of the field are taken as sky")
    return cube, solutions, way


class Voxels:
    """Sums of pixels in the voxels of a grid.

    A voxel has the mean density of the pixels that cover it, so that the sum over the cube is that of the pixels.
    """

    def __init__(self, grid: CubeGrid) -> None:
        self.grid = grid
        self._sums = [np.zeros(grid.shape, np.float32) for _ in range(4)]
        self._bad = np.zeros(grid.shape, np.uint8)

    def add(self, placed: Iterable[tuple[voxels.Boxes, Pixels, Flags]]) -> Voxels:
        """Add pixels that `_boxes` placed on the grid."""
        planes = self.grid.shape[0]
        size = -(-planes // parallel.threads())
        blocks = [(first, min(first + size, planes)) for first in range(0, planes, size)]
        for boxes, pixels, flags in placed:
            add = partial(voxels.deposit, boxes, pixels.sci, pixels.var, flags, pixels.seconds, *self._sums, self._bad)
            parallel.gather(partial(_apply, add), blocks)
        return self

    def cube(self, grid: CubeGrid) -> Cube | None:
        """Return the cube of some planes, those of another ``grid``, None if no pixel is good; the sums are gone."""
        start = round((grid.first[0] - self.grid.first[0]) / self.grid.step[0])
        span = slice(max(start, 0), max(start, 0) + grid.shape[0])
        (total, weight, square, shared), bad = (each[span] for each in self._sums), self._bad[span]
        self._sums = []
        most = float(weight.max(initial=0.0))
        if most == 0.0:
            return None

        def finish(_: int, planes: slice) -> None:
            lost, own = weight[planes] <= LEAST_COVERED * most, weight[planes]
            own[lost] = 1.0
            for each in (square[planes], shared[planes]):
                np.sqrt(each, out=each)
            for each in (total[planes], square[planes], shared[planes]):
                np.divide(each, own, out=each)
                each[lost] = 0.0
            bad[planes] = np.where(lost, bad[planes] | np.uint8(NO_DATA), np.uint8(0))

        parallel.for_rows(total.shape[0], finish)
        first = self.grid.first[0] + span.start * self.grid.step[0]
        own = replace(self.grid, shape=total.shape, first=(first, *self.grid.first[1:]))
        return Cube(own, total, square, bad, shared)


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


def _slices(
    files: FileSet, chip: ChipCalibration, setup: Setup, skies: dict[Any, list[Floats]]
) -> Iterator[tuple[Strip, Pixels, Floats, Frame, Group]]:
    """Yield the pixels of each slice and pointing on a chip, their sky, their frame and pointing.

    Slices in which the flat has no light are left out: nothing tells what they see. ``skies`` keeps the sky of the
    strips by chip and exposures of the sky.
    """
    lit = [(strip, part) for strip, part in zip(chip.layout.strips, _throughputs(chip), strict=True) if part > 0.0]
    if not lit:
        return
    strips, relative = map(list, zip(*lit, strict=True))

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
    for group in by_pointing(files.science, setup):
        frame, pixels = cut(group.files)
        sky = skies[key] if files.sky else cube_sky.of_strips(strips, pixels, list(map(cube_sky.faint, strips, pixels)))
        slice_ends.restore(strips, pixels, sky, relative, frame, slice_ends.response_of(setup))
        for own in zip(strips, pixels, sky, strict=True):
            yield *own, frame, group


def _placed(
    slices: Iterable[tuple[Strip, Pixels, Floats, Frame, Group]], grid: CubeGrid
) -> Iterator[tuple[voxels.Boxes, Pixels, Flags]]:
    """Yield what slices hold without sky, and where it is in the cube."""
    own = iter(slices)
    while some := list(islice(own, STRIPS)):
        yield from parallel.gather(lambda one: _boxes(*one, grid), some)


def _throughputs(chip: ChipCalibration) -> list[float]:
    """Return the light of the flat in each slice over the median of all, order by order; 0 of none, 1 without flats.

    It is the light of a wavelength and of an arcsec, not of a pixel: slices differ in dispersion and in scale too, and
    each sees other wavelengths, where the lamp is brighter or fainter: least squares of both logarithms, in turn.
    """
    strips = chip.layout.strips
    throughputs = np.ones(len(strips))
    for order in {strip.order for strip in strips} if chip.lamps else ():
        levels = {n: float(chip.lamps[n].max()) for n, strip in enumerate(strips) if strip.order == order}
        throughputs[list(levels)] = 0.0
        own = [n for n, level in levels.items() if level > max(LEAST_LAMP * max(levels.values()), 0.0)]
        if not own:
            continue
        waves = [strips[n].middle(strips[n].slit.offset) for n in own]
        at = np.linspace(min(map(np.min, waves)), max(map(np.max, waves)), LAMP_WAVELENGTHS)
        known = np.full((len(own), at.size), np.nan)
        for row, n, wave in zip(known, own, waves, strict=True):
            light, rising = chip.lamps[n] / np.median(cube_sky.size(strips[n]), axis=1), np.argsort(wave)
            logarithm = np.log(np.maximum(light, LEAST_LAMP * light.max()))
            row[:] = np.interp(at, wave[rising], logarithm[rising], left=np.nan, right=np.nan)
        known = known[:, np.isfinite(known).any(axis=0)]
        level = np.zeros((len(own), 1))
        for _ in range(FITS):
            level = np.nanmean(known - np.nanmean(known - level, axis=0), axis=1, keepdims=True)
        throughputs[own] = np.exp(level[:, 0] - np.median(level))
    return [float(each) for each in throughputs]


def _pixels(strip: Strip, frame: Frame, error: Image, seconds: float, throughput: float) -> Pixels:
    """Return a strip's pixels, with the variance of dark ones: weights by their own photons favour the faint.

    The relative ``error`` of the response is part of it.
    """
    sci, var = (strip.cut(each) for each in (frame.sci, frame.var))
    good = strip.cut(frame.dq) & BAD == 0
    var = without_light(sci, var, seconds) + np.square(strip.cut(error) * sci)
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
