"""The reduction of spectra, in its order: masters, layout, arc, flat, sky, object, extraction, flux.

Reads headers and pixels; the request that travels in a raw file is never opened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import gather
from elvis_cli.errors import ResourceError
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import (
    barycentre,
    bundle,
    chip_calibration,
    extract,
    fibres,
    flux_standard,
    layout,
    merge,
    object_place,
    slicer,
    slit_sky,
    telluric,
    wavelength,
)
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.chip_calibration import ChipCalibration
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.flux_standard import Response
from elvis_cli.reduction.frame import BAD, Frame
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.merge import Merged
from elvis_cli.reduction.object_place import Place
from elvis_cli.reduction.slit_sky import SlitSky
from elvis_cli.reduction.spectrum_options import SpectrumOptions
from elvis_cli.reduction.strip_pixels import Pixels, without_light

RADIUS = 1.25
"""FWHM: half of the box, unless the user says otherwise."""
SEEN = 10.0
"""Least signal-to-noise ratio of a slitlet's whole spectrum."""
NOD_STRIPS = 6
"""Strips on which nods are looked for."""
NOD = 3.0
"""FWHM between two exposures' places of the object from which they are nods, not repetitions."""


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
    """Of the brightest target."""
    targets: dict[int, Merged]
    """By the number of its aperture, from 1."""
    response: Response | None = None
    velocity: float | None = None
    """km/s about the Solar System's barycentre that the wavelengths are corrected for; None = as observed."""
    notes: list[str] = field(default_factory=list)


def needs_sky(setup: Setup) -> bool:
    """Return whether only exposures of the sky see it: the object fills all slices, or all fibres, one bundle."""
    graph = setup.spectrograph
    assert graph is not None
    seeing = [one for one in graph.apertures if one.feed == "sky"]
    return graph.sliced or (len(seeing) > 1 and seeing[0].fibre and len(set(bundle.bundles(seeing))) == 1)


def reduce(files: FileSet, options: SpectrumOptions, known: dict[Any, Any] | None = None) -> SpectrumProduct:
    """Return the spectra of a set; ``known`` keeps the calibrations of its chips, where others need them too.

    Raises
    ------
    ResourceError
        There is no layout for the setting, or no object on the slit.
    """
    notes: list[str] = []
    known = {} if known is None else known
    spectra, solutions, widths, width, ways = _all_chips(files, options, notes, known)
    if not spectra:
        raise ResourceError(f"{product_name(files)}: no object stands out on its spectra")
    response = _response(files, options, notes, known, _width(widths))
    if response is None and options.telluric != "none":
        notes.append(f"--telluric {options.telluric}: not corrected, there is no standard star")
    if response and all(response.at(one) is None for one in spectra):
        notes.append("the standard star has none of the orders: fluxes are not calibrated")
        response = None
    targets = {}
    for aperture in dict.fromkeys(one.aperture for one in spectra):
        own = [one for one in spectra if one.aperture == aperture]
        factors = [response.at(one) for one in own] if response else merge.blaze_factors(own)
        if any(factor is not None for factor in factors):
            targets[aperture] = merge.merge(own, factors, [response.noise_at(one) for one in own] if response else None)
    seconds = sum(one.dit * one.ndit for one in files.science)
    velocity = barycentre.velocity_of(files.science) if options.barycentric else None
    if velocity is not None:
        moved: list[Spectrum | Merged] = [*spectra, *targets.values()]
        for each in moved:
            each.wave = each.wave * barycentre.factor(velocity)
    brightest = max(targets, key=lambda aperture: sum(one.signal for one in spectra if one.aperture == aperture))
    return SpectrumProduct(
        product_name(files), files, spectra, solutions, float(np.median(widths)) if widths else 0.0, width,
        " ".join(sorted(ways)), seconds, targets[brightest], targets, response, velocity,
        list(dict.fromkeys(notes)),
    )  # fmt: skip


def _all_chips(
    files: FileSet, options: SpectrumOptions, notes: list[str], known: dict[Any, ChipCalibration]
) -> tuple[list[Spectrum], list[wavelength.Solution], list[float], float, set[str]]:
    """Return the spectra of all chips, how well their wavelengths are known, the object's widths, the box, the sky.

    ``known`` keeps the calibrations of chips: those of target and standard star are the same frames as a rule.
    """
    first = files.science[0]
    setup = layout.configure(first, "arc" if files.arc else None)
    assert setup.spectrograph is not None
    if needs_sky(setup) and not files.sky:
        notes.append("no exposures of the sky (SKY), without which its light stays: the object fills all apertures")
    if setup.spectrograph.apertures[0].fibre:
        return _all_fibres(files, setup, notes, known)
    spectra: list[Spectrum] = []
    solutions: list[wavelength.Solution] = []
    widths: list[float] = []
    ways: set[str] = set()
    width = 0.0
    for name in first.chips:
        chip = chip_calibration.cached(files, name, setup, notes, known)
        if chip.solution is not None:
            solutions.append(chip.solution)
        if setup.spectrograph.sliced:
            made, way = _sliced(files, chip)
            spectra += made
            ways.add(way)
            continue
        made, fwhm, length, way = extracted(files, chip, options)
        if len(setup.spectrograph.apertures) > 1:  # many slits of a mask have the sky alone
            made = [one for one in made if one.signal > SEEN]
        width = length or width
        spectra += made
        widths += fwhm
        ways.add(way)
    return _brightest(spectra), solutions, widths, width, ways - {"none"} or ways


def _all_fibres(
    files: FileSet, setup: Setup, notes: list[str], known: dict[Any, Any]
) -> tuple[list[Spectrum], list[wavelength.Solution], list[float], float, set[str]]:
    """Return the spectra of all fibres' targets, a bundle's as one, in the form of `_all_chips`."""
    first, graph = files.science[0], setup.spectrograph
    assert graph is not None
    seen, numbers = fibres.roles(first, setup), bundle.bundles(graph.apertures)
    spectra: list[Spectrum] = []
    solutions: list[wavelength.Solution] = []
    ways: set[str] = set()
    for name in first.chips:
        key = chip_calibration.calibration_key(files, name)
        if key not in known:
            known[key] = fibres.measure(files, name, setup, notes)
        chip = known[key]
        if chip.solution is not None:
            solutions.append(chip.solution)
        found, way = fibres.spectra(files, chip, seen)
        groups: dict[tuple[int, int], list[FibreSpectrum]] = {}
        for one in found:
            groups.setdefault((one.order, numbers[one.aperture - 1]), []).append(one)
        spectra += [replace(bundle.together(some), aperture=target + 1) for (_, target), some in groups.items()]
        ways.add(way)
    return spectra, solutions, [], 0.0, ways - {"none"} or ways


def _response(
    files: FileSet, options: SpectrumOptions, notes: list[str], known: dict[Any, ChipCalibration], fwhm: float
) -> Response | None:
    """Return the response that the standard star of a set gives, None and a note without one.

    ``fwhm`` (arcsec) is that of the target.
    """
    star = flux_standard.star_of(files, options.standards, notes)
    if star is None or files.standard is None:
        return None
    spectra, _, widths, *_ = _all_chips(files.standard, replace(options, aperture=None), notes, known)
    if not spectra:
        notes.append(f"the standard star {star.name} is not on its spectra: fluxes are not calibrated")
        return None
    setup = layout.configure(files.science[0])
    assert setup.spectrograph is not None
    of_fibres = setup.spectrograph.apertures[0].fibre
    if of_fibres:
        signal = {one.aperture: one.signal for one in spectra}
        spectra = [one for one in spectra if one.aperture == max(signal, key=lambda aperture: signal[aperture])]
    lines = telluric.correction(files, setup, options.telluric, (_width(widths), fwhm))
    return flux_standard.measure(spectra, star, fibres=of_fibres, **lines)


def _width(widths: Sequence[float]) -> float:
    """Return the FWHM of an object, infinite of fibres, which tell none."""
    return float(np.median(widths)) if widths else math.inf


def _brightest(spectra: list[Spectrum]) -> list[Spectrum]:
    """Return the spectra without those of a slit's other chips, on which noise alone was found."""

    def same_light(a: Spectrum, b: Spectrum) -> bool:
        overlap = min(a.wave.max(), b.wave.max()) - max(a.wave.min(), b.wave.min())
        return (a.order, a.aperture) == (b.order, b.aperture) and overlap > 0.5 * float(np.ptp(a.wave))

    return [one for one in spectra if not any(same_light(one, b) and b.signal > 3 * one.signal for b in spectra)]


def _sliced(files: FileSet, chip: ChipCalibration) -> tuple[list[Spectrum], str]:
    """Return the spectra of all slices of an image slicer on a chip, added order by order, and how sky was taken."""
    stack = chip_calibration.mean_frame(files.science, chip)
    background = chip_calibration.mean_frame(files.sky, chip) if files.sky else None
    seconds, sky_seconds = (sum(one.dit * one.ndit for one in some) for some in (files.science, files.sky))
    orders: dict[int, list[Spectrum]] = {}
    for number, strip in enumerate(chip.layout.strips):
        pixels, sky = _pixels(strip, stack, None, chip.error, seconds)
        error: Floats | float = 0.0
        if background is not None:
            empty = _pixels(strip, background, None, chip.error, sky_seconds)[0]
            seen = slit_sky.sky_beside(strip, empty, np.zeros_like(empty.good))
            if seen is not None:
                pixels, sky, error = _less_sky(pixels, seen), seen.light, seen.err
        one = slicer.whole_slice(strip, pixels, sky, error)
        if chip.lamps:
            one.blaze = chip.lamps[number] / strip.pixel_scale()
        orders.setdefault(strip.order, []).append(one)
    return [slicer.together(slices) for slices in orders.values()], "exposures" if files.sky else "none"


def extracted(
    files: FileSet, chip: ChipCalibration, options: SpectrumOptions
) -> tuple[list[Spectrum], list[float], float, str]:
    """Return the spectra on a chip, the widths of the object, the length of the box, and how the sky was taken.

    Exposures that nod give a spectrum for each place on the slit, less the mean of those of the other places.
    """
    seconds = [one.dit * one.ndit for one in files.science]
    frames = chip_calibration.frames(files.science, chip)
    background = None
    if files.sky:
        background = chip_calibration.mean_frame(files.sky, chip)
    places = _places(files, chip, frames) if background is None else [list(range(len(frames)))]
    spectra: list[Spectrum] = []
    widths: list[float] = []
    length, way = 0.0, "none"
    for own in places:
        other = [n for n in range(len(frames)) if n not in own]
        stack = chip_calibration.stack([frames[n] for n in own], [seconds[n] for n in own])
        if other:
            background = chip_calibration.stack([frames[n] for n in other], [seconds[n] for n in other])
        own_seconds = sum(seconds[n] for n in own)
        extract_one = partial(_on_strip, chip, stack, background, own_seconds, options)
        for made in gather(extract_one, range(len(chip.layout.strips))):
            if made is None:
                continue
            if background is not None:
                way = "nods" if other else "exposures"
            elif made.sky_beside:
                way = "slit"
            spectra.append(made.spectrum)
            widths.append(made.fwhm)
            length = 2 * made.radius
    return spectra, widths, length, way


@dataclass(slots=True, eq=False)
class _OnStrip:
    """An object's spectrum on one strip."""

    spectrum: Spectrum
    fwhm: float
    radius: float
    """arcsec: half of the box."""
    sky_beside: bool
    """The sky was that of the slit beside it."""


def _on_strip(
    chip: ChipCalibration, stack: Frame, background: Frame | None, seconds: float, options: SpectrumOptions, number: int
) -> _OnStrip | None:
    """Return the spectrum of the object on the strip of a ``number``, None if there is none."""
    strip = chip.layout.strips[number]
    pixels, sky = _pixels(strip, stack, background, chip.error, seconds)
    place = object_place.find(strip, pixels)
    if place is None:
        return None
    beside = _slit_sky(strip, pixels, place) if background is None else None
    if beside is not None:
        pixels, sky = _less_sky(pixels, beside), beside.light
    radius = strip.pixel * options.aperture / 2 if options.aperture else RADIUS * place.fwhm
    one = extract.extract(strip, pixels, sky, place, radius, 0.0 if beside is None else beside.err)
    if chip.lamps:
        one.blaze = chip.lamps[number] / strip.pixel_scale()
    return _OnStrip(one, place.fwhm, radius, beside is not None)


def _slit_sky(strip: Strip, pixels: Pixels, place: Place) -> SlitSky | None:
    """Return the sky beside the object, None if there is none."""
    for reach in (max(slit_sky.OBJECT * place.fwhm, 4 * strip.scale), 1.5 * place.fwhm):
        beside = slit_sky.sky_beside(strip, pixels, np.abs(strip.s - place.s[:, None]) < reach)
        if beside is not None:
            return beside
    return None


def _less_sky(pixels: Pixels, sky: SlitSky) -> Pixels:
    """Return the pixels less a sky; of its own noise they have that of its photons, not the error in common."""
    light = np.maximum(sky.light, 0.0) / pixels.seconds
    return replace(pixels, sci=pixels.sci - sky.light, var=pixels.var + light)


def _places(files: FileSet, chip: ChipCalibration, frames: Sequence[Frame]) -> list[list[int]]:
    """Return the exposures of each place of the object on the slit, by index: several places are nods.

    The median of some strips tells how far an exposure is from the first: on faint strips noise is found.
    """
    everything = [list(range(len(frames)))]
    if len(frames) < 2:
        return everything
    shifts, widths, strips = [], [], chip.layout.strips

    def find(strip: Strip, n: int) -> Place | None:
        seconds = files.science[n].dit * files.science[n].ndit
        return object_place.find(strip, _pixels(strip, frames[n], None, chip.error, seconds)[0])

    for strip in strips[:: max(len(strips) // NOD_STRIPS, 1)]:
        found = gather(partial(find, strip), range(len(frames)))
        seen = [place for place in found if place is not None]
        if len(seen) == len(frames):
            shifts.append([float(np.median(place.s - seen[0].s)) for place in seen])
            widths.append(max(place.fwhm for place in seen))
    if not shifts:
        return everything
    middle = np.median(shifts, axis=0)
    places: list[list[int]] = []
    for n in np.argsort(middle, kind="stable"):
        if places and middle[n] - middle[places[-1][-1]] < NOD * float(np.median(widths)):
            places[-1].append(int(n))
        else:
            places.append([int(n)])
    return sorted(sorted(place) for place in places)


def _pixels(
    strip: Strip, stack: Frame, background: Frame | None, error: Image, seconds: float
) -> tuple[Pixels, Floats]:
    """Return a strip's pixels with the sky of sky exposures taken away, and that sky (n, m).

    Their variance is that of the dark pixels: what noise adds to a pixel is no guess of the light there, and weights
    that follow it favour the faint. The relative ``error`` of the response counts on what is left: a sky of the same
    pixels has it too.
    """
    sci, var = (strip.cut(each).astype(float) for each in (stack.sci, stack.var))
    good = strip.cut(stack.dq) & BAD == 0
    var = without_light(sci, var, seconds)
    sky = np.zeros_like(sci)
    if background is not None:
        sky = strip.cut(background.sci).astype(float)
        sci, var = sci - sky, var + np.maximum(sky, 0.0) / seconds + strip.cut(background.var)
        good &= strip.cut(background.dq) & BAD == 0
    var += np.square(strip.cut(error) * sci)
    return Pixels(sci, var, good & strip.inside, seconds), sky
