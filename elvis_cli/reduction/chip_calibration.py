"""The calibrations of a chip with spectra, and the frames they are applied to: slits, slices and fibres alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import for_rows, gather
from elvis_cli.kernels import exposures
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import calibrate, flat_response, layout, master, slice_ends, wavelength
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.frame import BAD, DEAD, Frame
from elvis_cli.reduction.layout import ChipLayout
from elvis_cli.reduction.raw import RawFile

DEAD_SIGMA = 5.0
"""Times the flat's noise that the response of a dead pixel is off."""
CLIP, CLIP_PART = 6.0, 0.05
"""Sigma and part of the median of exposures beyond which a pixel of one of them is a cosmic ray."""


@dataclass(slots=True, eq=False)
class ChipCalibration:
    """A chip's calibrations, turned: rows lie along the dispersion."""

    name: str
    layout: ChipLayout
    masters: master.Masters
    response: Image
    """Of single pixels, 1 on average."""
    error: Image
    """Relative noise of the response, which all exposures of a pixel share; 0 where none was measured."""
    lamps: list[Floats]
    """Light of the flat along each strip; empty without flats."""
    solution: wavelength.Solution | None


CALIBRATIONS = ("dark", "bias", "flat", "flat_dark", "linearity", "arc", "arc_dark")
"""Kinds of a set's files that make the calibrations of a chip."""


def calibration_key(files: FileSet, name: str) -> tuple[Any, ...]:
    """Return the key of one chip's calibrations: its name, its window and their files."""
    first = files.science[0]
    frames = tuple(tuple(one.name for one in getattr(files, kind)) for kind in CALIBRATIONS)
    return name, first.windows[first.chips.index(name)], frames


def cached(
    files: FileSet, name: str, setup: Setup, notes: list[str], known: dict[Any, ChipCalibration]
) -> ChipCalibration:
    """Return the calibrations of one chip; ``known`` keeps them, as target and standard star share theirs as a rule."""
    key = calibration_key(files, name)
    if key not in known:
        known[key] = measure(files, name, setup, notes)
    return known[key]


def measure(files: FileSet, name: str, setup: Setup, notes: list[str]) -> ChipCalibration:
    """Return the calibrations of one chip; its layout is corrected by arc and flat."""
    first = files.science[0]
    window = first.windows[first.chips.index(name)]
    strips = layout.of_chip(setup, name, window)
    image, header = first.read(name)
    masters = master.make(name, replace(files, flat=[], flat_dark=[]), header)
    error: Image = np.zeros(strips.turn(image).shape, np.float32)
    known = [one.name for one in files.dark]
    solution, response = None, np.ones((1, 1), np.float32)
    lamps: list[Floats] = []
    if files.flat:
        flat, noise = mean(files.flat, files.flat_dark, name, masters, strips, known)
        gather(lambda strip: flat_response.find_aperture(strip, flat), strips.strips)
    if files.arc:
        arc, sigma = mean(files.arc, files.arc_dark, name, masters, strips, known)
        lines = setup.calibration.lamps if setup.calibration else ()
        solution = wavelength.solve(arc, sigma, strips, lines)
    if solution is None:
        notes.append("no lines of an arc: wavelengths are those of the instrument's layout")
    if files.flat:
        response, light = np.ones_like(flat), np.zeros_like(flat)
        lamps = gather(lambda strip: flat_response.lamp(strip, flat), strips.strips)
        for strip, lamp in zip(strips.strips, lamps, strict=True):
            strip.paste(light, np.broadcast_to(lamp[:, None], strip.column.shape))
        blur = slice_ends.response_of(setup)

        def measured(n: int) -> Floats:
            shown = slice_ends.shown(strips.strips[n], light, blur)
            return flat_response.response(strips.strips[n], flat, lamps[n], shown)

        for strip, pixels in zip(strips.strips, gather(measured, range(len(lamps))), strict=True):
            strip.paste(response, pixels)
        error = np.asarray(noise / np.maximum(flat, np.float32(1e-30)), np.float32)
        flag_dead(masters, strips, response, noise / np.maximum(light, np.float32(1e-30)))
        error = np.where(response == 1, np.float32(0.0), np.minimum(error, np.float32(1.0)))
    return ChipCalibration(name, strips, masters, response, error, lamps, solution)


def flag_dead(masters: master.Masters, strips: ChipLayout, response: Image, noise: Floats | Image) -> None:
    """Flag pixels whose ``response`` (turned) is off by more than 20 % and 5 times its relative ``noise``, in place.

    A dead pixel that is divided by its response has a hundred times the noise of its neighbours.
    """
    away = np.abs(response - 1.0)
    dead = strips.turn((away > master.MAX_FLAT_DEVIATION) & (away > DEAD_SIGMA * noise))
    flags = dead.astype(np.uint32) * np.uint32(DEAD)
    masters.dq = flags if masters.dq is None else masters.dq | flags


def mean(
    files: Sequence[RawFile],
    dark: Sequence[RawFile],
    name: str,
    masters: master.Masters,
    strips: ChipLayout,
    known: Sequence[str],
) -> tuple[Image, Image]:
    """Return the mean rate of calibration exposures (electron/s), turned, and its noise."""
    if not dark:
        own = replace(masters, dark=None)
    elif [one.name for one in dark] == known:
        own = masters
    else:
        own = replace(masters, dark=master.dark_of(dark, name, masters))
    sci, var = _mean(files, name, own)
    if not dark and masters.bias is None:  # no dark of their own: the light beside the spectra is the level
        sci = sci - np.percentile(sci, 5)
    noise = np.sqrt(var / np.float32(len(files)))
    return np.ascontiguousarray(strips.turn(sci)), np.ascontiguousarray(strips.turn(noise))


def _mean(files: Sequence[RawFile], name: str, masters: master.Masters) -> tuple[Image, Image]:
    """Return the means of the rates of exposures and of their variances; no whole frame of rates is in memory."""
    raw = gather(lambda file: file.read(name), files)
    sci, var = (np.zeros_like(raw[0][0]) for _ in range(2))
    count = np.float32(len(files))

    def fill(_: int, rows: slice) -> None:
        for (image, header), file in zip(raw, files, strict=True):
            rates, variances, _flags = calibrate.rates(image, header, file, masters, rows)
            sci[rows] += rates
            var[rows] += variances
        sci[rows] /= count
        var[rows] /= count

    for_rows(len(sci), fill)
    return sci, var


class Calibration(Protocol):
    """The calibrations of a chip that its frames need: of slits or of fibres."""

    name: str
    layout: ChipLayout
    masters: master.Masters
    response: Image


def frames(files: Sequence[RawFile], chip: Calibration) -> list[Frame]:
    """Return the frames of one chip, turned, divided by the response of single pixels."""
    response = None if chip.response.size == 1 else np.ascontiguousarray(chip.layout.turn(chip.response))

    def read(file: RawFile) -> Frame:
        frame = calibrate.calibrate(file, chip.name, chip.masters, response)
        sci, var, dq = (np.ascontiguousarray(chip.layout.turn(each)) for each in (frame.sci, frame.var, frame.dq))
        return Frame(sci, var, dq, frame.header)

    return gather(read, files)


def mean_frame(files: Sequence[RawFile], chip: Calibration) -> Frame:
    """Return the `stack` of the frames of one chip."""
    return stack(frames(files, chip), [one.dit * one.ndit for one in files])


def stack(frames: Sequence[Frame], weights: Sequence[float]) -> Frame:
    """Return the mean of frames by their integration times, without cosmic rays where there are three or more."""
    if len(frames) == 1:
        return frames[0]
    share = np.array(weights, float) / np.sum(weights)
    sci, var = np.empty_like(frames[0].sci), np.empty_like(frames[0].var)
    dq = np.empty_like(frames[0].dq)

    def fill(_: int, rows: slice) -> None:
        parts = (np.stack([getattr(frame, name)[rows] for frame in frames]) for name in ("sci", "var", "dq"))
        exposures.weighted_mean(*parts, share, BAD, CLIP, CLIP_PART, sci[rows], var[rows], dq[rows])

    for_rows(len(sci), fill)
    return Frame(sci, var, dq, frames[0].header)
