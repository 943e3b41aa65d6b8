"""The reduction of spectra, in its order: masters, layout, arc, flat, sky, object, extraction, flux.

Reads headers and pixels; the request that travels in a raw file is never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.errors import ResourceError
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import (
    calibrate,
    extract,
    flat_response,
    flux_standard,
    layout,
    master,
    merge,
    wavelength,
    zeropoint,
)
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.extract import Pixels, Spectrum
from elvis_cli.reduction.flux_standard import Response
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.layout import ChipLayout, Strip
from elvis_cli.reduction.merge import Merged
from elvis_cli.reduction.raw import RawFile
from elvis_cli.scene import standards

RADIUS = 1.25
"""FWHM: half of the box, unless the user says otherwise."""
NOD = 3.0
"""FWHM between two exposures' places of the object from which they are nods, not repetitions."""


CALIBRATIONS = ("dark", "bias", "flat", "flat_dark", "linearity", "arc", "arc_dark")
"""Kinds of a set's files that make the calibrations of a chip."""


@dataclass(frozen=True, slots=True)
class SpectrumOptions:
    """Choices of the user."""

    aperture: float | None = None
    """Pixels along the slit of the box; None = 2.5 FWHM."""
    standards: Any = None


@dataclass(slots=True, eq=False)
class SpectrumProduct:
    """The spectra of one set of raw files before they are written."""

    name: str
    files: FileSet
    spectra: list[Spectrum]
    """One for each order of each aperture on each chip."""
    solutions: list[wavelength.Solution]
    fwhm: float
    """arcsec along the slit."""
    width: float
    """arcsec: length of the box."""
    sky_way: str
    seconds: float
    merged: Merged
    response: Response | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Chip:
    """A chip's calibrations, turned: rows lie along the dispersion."""

    name: str
    layout: ChipLayout
    masters: master.Masters
    response: Image
    """Of single pixels, 1 on average."""
    lamps: list[Floats]
    """Light of the flat along each strip; empty without flats."""
    solution: wavelength.Solution | None


def is_spectrum(file: RawFile) -> bool:
    """Return whether a raw frame has spectra."""
    return "ESO SIM SPEC TRACES" in file.header


def check_kind(setup: Setup) -> None:
    """Raise ResourceError for spectrographs that are not reduced: without one slit, or read out with scans beside it.

    Pre- and overscans move the spectra on the raw frame, which the layout does not know.
    """
    graph = setup.spectrograph
    assert graph is not None
    if len(graph.apertures) > 1 or graph.apertures[0].fibre:
        raise ResourceError(
            f"{setup.instrument} {setup.mode}: one slit is reduced; cubes, masks, slicers and fibres not yet",
            allowed="modes with one slit",
        )
    if any(one.prescan or one.overscan for one in setup.detector.quadrants):
        raise ResourceError(
            f"{setup.instrument} {setup.mode}: spectra with pre- and overscans are not reduced yet",
            allowed="detectors without scans",
        )


def reduce(files: FileSet, options: SpectrumOptions) -> SpectrumProduct:
    """Return the spectra of a set.

    Raises
    ------
    ResourceError
        There is no layout for the setting, no object on the slit, or the exposures nod along it.
    """
    notes: list[str] = []
    known: dict[Any, _Chip] = {}
    spectra, solutions, widths, width, ways = _all_chips(files, options, notes, known)
    if not spectra:
        raise ResourceError(f"{product_name(files)}: no object stands out on its spectra")
    response = _response(files, options, notes, known)
    factors = [response.at(one) for one in spectra] if response else merge.blaze_factors(spectra)
    if all(factor is None for factor in factors):
        notes.append("the standard star has none of the orders: fluxes are not calibrated")
        response, factors = None, merge.blaze_factors(spectra)
    seconds = sum(one.dit * one.ndit for one in files.science)
    return SpectrumProduct(
        product_name(files), files, spectra, solutions, float(np.median(widths)), width, " ".join(sorted(ways)),
        seconds, merge.merge(spectra, factors), response, list(dict.fromkeys(notes)),
    )  # fmt: skip


def _all_chips(
    files: FileSet, options: SpectrumOptions, notes: list[str], known: dict[Any, _Chip]
) -> tuple[list[Spectrum], list[wavelength.Solution], list[float], float, set[str]]:
    """Return the spectra of all chips, how well their wavelengths are known, the object's widths, the box, the sky.

    ``known`` keeps the calibrations of chips: those of target and standard star are the same frames as a rule.
    """
    first = files.science[0]
    setup = layout.configure(first, "arc" if files.arc else None)
    check_kind(setup)
    spectra: list[Spectrum] = []
    solutions: list[wavelength.Solution] = []
    widths: list[float] = []
    ways: set[str] = set()
    width = 0.0
    calibrations = tuple(tuple(one.name for one in getattr(files, kind)) for kind in CALIBRATIONS)
    for name, window in zip(first.chips, first.windows, strict=True):
        key = name, window, calibrations
        if key not in known:
            known[key] = _calibrations(files, name, setup, notes)
        chip = known[key]
        if chip.solution is not None:
            solutions.append(chip.solution)
        made, fwhm, length, way = _extracted(files, chip, options)
        width = length or width
        spectra += made
        widths += fwhm
        ways.add(way)
    return _brightest(spectra), solutions, widths, width, ways - {"none"} or ways


def _response(files: FileSet, options: SpectrumOptions, notes: list[str], known: dict[Any, _Chip]) -> Response | None:
    """Return the response that the standard star of a set gives, None and a note without one."""
    if files.standard is None:
        notes.append("no standard star (DPR TYPE STD) with this setting: fluxes are not calibrated")
        return None
    names = zeropoint.star_names(files.standard.science[0].header)
    rows = standards.named(names, standards.read(options.standards))
    star = next((row for row in rows if row.sed), None)
    if star is None:
        notes.append(
            f"the standard star {names[0]!r} is not in the catalogue (--standards), or without a spectrum: "
            "fluxes are not calibrated"
        )
        return None
    spectra = _all_chips(files.standard, replace(options, aperture=None), notes, known)[0]
    if not spectra:
        notes.append(f"the standard star {star.name} is not on its spectra: fluxes are not calibrated")
        return None
    return flux_standard.measure(spectra, star)


def _brightest(spectra: list[Spectrum]) -> list[Spectrum]:
    """Return the spectra without those of a slit's other chips, on which noise alone was found."""

    def same_light(a: Spectrum, b: Spectrum) -> bool:
        overlap = min(a.wave.max(), b.wave.max()) - max(a.wave.min(), b.wave.min())
        return (a.order, a.aperture) == (b.order, b.aperture) and overlap > 0.5 * float(np.ptp(a.wave))

    return [one for one in spectra if not any(same_light(one, b) and b.signal > 3 * one.signal for b in spectra)]


def _calibrations(files: FileSet, name: str, setup: Setup, notes: list[str]) -> _Chip:
    """Return the calibrations of one chip; its layout is corrected by arc and flat."""
    first = files.science[0]
    window = first.windows[first.chips.index(name)]
    strips = layout.of_chip(setup, name, window)
    masters = master.make(name, replace(files, flat=[], flat_dark=[]), first.read(name)[1])
    known = [one.name for one in files.dark]
    solution, response, lamps = None, np.ones((1, 1), np.float32), []
    if files.flat:
        flat = _mean(files.flat, files.flat_dark, name, masters, strips, known)[0]
        for strip in strips.strips:
            flat_response.find_aperture(strip, flat)
    if files.arc:
        arc, sigma = _mean(files.arc, files.arc_dark, name, masters, strips, known)
        lines = setup.calibration.lamps if setup.calibration else ()
        solution = wavelength.solve(arc, sigma, strips, lines)
    if solution is None:
        notes.append("no lines of an arc: wavelengths are those of the instrument's layout")
    if files.flat:
        response = np.ones_like(flat)
        for strip in strips.strips:
            lamp, pixels = flat_response.response(strip, flat)
            lamps.append(lamp)
            rows, own = np.broadcast_to(strip.row[:, None], strip.column.shape), strip.inside
            response[rows[own], strip.column[own]] = pixels[own]
    return _Chip(name, strips, masters, response, lamps, solution)


def _mean(
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
    frames = [calibrate.calibrate(file, name, own) for file in files]
    sci = np.mean([frame.sci for frame in frames], axis=0)
    if not dark and masters.bias is None:  # no dark of their own: the light beside the spectra is the level
        sci = sci - np.percentile(sci, 5)
    var = np.mean([frame.var for frame in frames], axis=0) / len(frames)
    return np.ascontiguousarray(strips.turn(sci)), np.ascontiguousarray(strips.turn(np.sqrt(var)))


def _frames(files: Sequence[RawFile], chip: _Chip) -> list[Frame]:
    """Return the frames of one chip, turned, divided by the response of single pixels."""
    frames = []
    for file in files:
        frame = calibrate.calibrate(file, chip.name, chip.masters)
        sci, var, dq = (np.ascontiguousarray(chip.layout.turn(each)) for each in (frame.sci, frame.var, frame.dq))
        if chip.lamps:
            sci, var = sci / chip.response, var / np.square(chip.response)
        frames.append(Frame(sci, var, dq, frame.header))
    return frames


def _stack(frames: Sequence[Frame], weights: Sequence[float]) -> Frame:
    """Return the mean of frames by their integration times, without cosmic rays where there are three or more."""
    if len(frames) == 1:
        return frames[0]
    share = np.array(weights) / np.sum(weights)
    stack = np.stack([frame.sci for frame in frames])
    good = np.stack([frame.good for frame in frames])
    if len(frames) >= 3:
        middle = np.median(stack, axis=0)
        sigma = np.sqrt(np.stack([frame.var for frame in frames]))
        good &= np.abs(stack - middle) <= 6.0 * sigma + 0.05 * np.abs(middle)
    w = good * share[:, None, None]
    total = w.sum(axis=0)
    safe = np.where(total > 0, total, 1.0)
    sci = np.where(total > 0, (w * stack).sum(axis=0) / safe, stack.mean(axis=0))
    var = (np.square(w) * np.stack([frame.var for frame in frames])).sum(axis=0) / np.square(safe)
    var = np.where(total > 0, var, np.mean([frame.var for frame in frames], axis=0))
    dq = np.bitwise_or.reduce([frame.dq for frame in frames], axis=0)
    dq = np.where(total > 0, 0, dq).astype(np.uint32)
    return Frame(sci, var, dq, frames[0].header)


def _extracted(files: FileSet, chip: _Chip, options: SpectrumOptions) -> tuple[list[Spectrum], list[float], float, str]:
    """Return the spectra on a chip, the widths of the object, the length of the box, and how the sky was taken."""
    seconds = [one.dit * one.ndit for one in files.science]
    frames = _frames(files.science, chip)
    stack = _stack(frames, seconds)
    background = None
    if files.sky:
        background = _stack(_frames(files.sky, chip), [one.dit * one.ndit for one in files.sky])
    spectra: list[Spectrum] = []
    widths: list[float] = []
    length, way = 0.0, "none"
    for number, strip in enumerate(chip.layout.strips):
        pixels, sky = _pixels(strip, stack, background, sum(seconds))
        place = extract.find(strip, pixels)
        if place is None:
            continue
        if not spectra:
            _check_nods(files, strip, frames, background)
        if background is None:
            masked = np.abs(strip.s - place.s[:, None]) < max(extract.OBJECT * place.fwhm, 4 * strip.scale)
            beside = extract.sky_beside(strip, pixels, masked)
            if beside is None:
                masked = np.abs(strip.s - place.s[:, None]) < 1.5 * place.fwhm
                beside = extract.sky_beside(strip, pixels, masked)
            if beside is not None:
                sky, way = beside, "slit"
                pixels = replace(pixels, sci=pixels.sci - sky, var=_without_own(pixels, sky))
        else:
            way = "exposures"
        radius = strip.scale * options.aperture / 2 if options.aperture else RADIUS * place.fwhm
        one = extract.extract(strip, pixels, sky, place, radius)
        if chip.lamps:
            one.blaze = chip.lamps[number]
        spectra.append(one)
        widths.append(place.fwhm)
        length = 2 * radius
    return spectra, widths, length, way


def _check_nods(files: FileSet, strip: Strip, frames: Sequence[Frame], background: Frame | None) -> None:
    """Raise ResourceError if the object is not at the same place in all exposures: their mean would lose it."""
    if len(frames) < 2:
        return
    found = [
        extract.find(strip, _pixels(strip, frame, background, one.dit * one.ndit)[0])
        for frame, one in zip(frames, files.science, strict=True)
    ]
    places = [place for place in found if place is not None]
    middles = [float(np.median(place.s)) for place in places]
    if places and max(middles) - min(middles) > NOD * max(place.fwhm for place in places):
        raise ResourceError(
            f"{product_name(files)}: its exposures nod along the slit, by {max(middles) - min(middles):.3g} arcsec: "
            "nods are not reduced yet",
            allowed="exposures of one place",
        )


def _pixels(strip: Strip, stack: Frame, background: Frame | None, seconds: float) -> tuple[Pixels, Floats]:
    """Return a strip's pixels with the sky of sky exposures taken away, and that sky (n, m)."""
    sci, var, good = (np.asarray(strip.cut(each)) for each in (stack.sci, stack.var, stack.good))
    sci, var = sci.astype(float), var.astype(float)
    sky = np.zeros_like(sci)
    if background is not None:
        sky = strip.cut(background.sci).astype(float)
        sci, var = sci - sky, var + strip.cut(background.var)
        good = good & strip.cut(background.good)
    return Pixels(sci, var, good & strip.inside, seconds), sky


def _without_own(pixels: Pixels, sky: Floats) -> Floats:
    """Return the variance of the pixels had they the sky alone: what they have of their own flux is no guess of it."""
    return np.asarray(
        np.maximum(pixels.var - np.maximum(pixels.sci, 0.0) / pixels.seconds, 0.0)
        + np.maximum(sky, 0.0) / pixels.seconds
    )
