"""Spectra of fibres: profiles from the flat, all fibres of a row at once, the sky by fibres that see nothing else.

The profile of each fibre is that of the lamp in the same place (Zechmeister et al. 2014, A&A 561, A59); cross talk is
solved (`elvis_cli.kernels.fibre_extraction`). The lamp's light gives the throughput of fibre against fibre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.errors import ResourceError
from elvis_cli.kernels import fibre_extraction as kernel
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import disc_profile
from elvis_cli.reduction import bundle, chip_calibration, fibre_sky, layout, master, wavelength
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.frame import BAD, COSMIC_RAY, NO_DATA, Flags
from elvis_cli.reduction.layout import ChipLayout, Strip
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.strip_pixels import running_median, without_light

BLOCK = 256
"""Rows over which a profile is taken to be the same."""
STEP = 0.25
"""Pixels between the places at which it is known."""
PASSES = 3
"""Times that the profiles are measured, each with the neighbours' light of the last."""
SMOOTH = 31
"""Rows of the running median that tells the lamp's spectrum from the response of single pixels."""
COMMON = 64
"""Rows over which a profile's error is the same."""
LIT = 0.2
"""Part of a row's brightest profile below which a pixel tells nothing of its response."""
LOST = 0.5
ROLES = {"SKY": "sky", "OBJECT": "object", "STAR": "object", "STD": "object", "EITHER": "either"}
"""Of fibres, by the words of DPR TYPE."""


@dataclass(slots=True, eq=False)
class FibreCalibration:
    """A chip's calibrations, turned: rows lie along the dispersion; traces from left to right."""

    name: str
    layout: ChipLayout
    masters: master.Masters
    solution: wavelength.Solution | None
    centre: Image
    """Columns of the traces (traces, ny), NaN where there is none."""
    profile: Image
    """(traces, blocks, m)."""
    half: int
    """Pixels to either side of a centre that are looked at."""
    lamps: Floats
    """Light of the flat in each trace (traces, ny), electron/s."""
    response: Image
    """Of single pixels, 1 on average."""


def roles(file: RawFile, setup: Setup) -> list[str]:
    """Return the role of each aperture: object, sky, either or off. DPR TYPE has a word for each where there are a few.

    STAR,SKY,G2V of HARPS: fibre A, fibre B and the star's type (HARPS User Manual 2.1). Fibres of several bundles see
    either, those of one bundle (an integral field) the object. Fibres that see a lamp, or nothing, are off.
    """
    assert setup.spectrograph is not None
    apertures, words = setup.spectrograph.apertures, file.type.split(",")
    if not 1 < len(apertures) <= len(words):
        several = len(set(bundle.bundles([one for one in apertures if one.feed == "sky"]))) > 1
        words = ["EITHER" if several else "OBJECT"] * len(apertures)
    pairs = zip(words, apertures, strict=False)
    return [ROLES.get(word, "off") if one.feed == "sky" else "off" for word, one in pairs]


def measure(files: FileSet, name: str, setup: Setup, notes: list[str]) -> FibreCalibration:
    """Return the calibrations of one chip."""
    first, graph = files.science[0], setup.spectrograph
    assert graph is not None
    window = first.windows[first.chips.index(name)]
    strips = layout.of_chip(setup, name, window)
    strips.strips = [one for one in strips.strips if one.slit.feed != "dark"]
    if not strips.strips:
        raise ResourceError(f"{first.name}: {name} has no traces of fibres")
    strips.strips.sort(key=lambda strip: float(strip.centre[strip.centre.size // 2]))
    masters = master.make(name, replace(files, flat=[], flat_dark=[]), first.read(name)[1])
    known = [one.name for one in files.dark]
    ny = window[0] if strips.transposed else window[1]
    centre = np.full((len(strips.strips), ny), np.nan, np.float32)
    for t, strip in enumerate(strips.strips):
        centre[t, strip.row] = strip.centre
    half, profile = _ideal(strips, graph.blur, ny)
    made = FibreCalibration(
        name, strips, masters, None, centre, profile, half, np.ones(centre.shape), np.ones((1, 1), np.float32)
    )
    if files.flat:
        flat, sigma = chip_calibration.mean(files.flat, files.flat_dark, name, masters, strips, known)
        _measure_profiles(made, flat, sigma)
    else:
        notes.append("no flat: profiles of the fibres are those of the instrument's layout")
    if files.arc:
        arc, sigma = chip_calibration.mean(files.arc, files.arc_dark, name, masters, strips, known)
        light, err, *_ = _solved(made, arc / made.response, np.square(sigma), np.ones(arc.shape, bool), 1e30)
        lines = setup.calibration.lamps if setup.calibration else ()
        cuts = [
            [(s.slit.offset, light[t, s.row], np.maximum(err[t, s.row], 1e-9), s.wave[:, 0])]
            for t, s in enumerate(strips.strips)
        ]
        made.solution = wavelength.solve_cuts(cuts, strips, lines)
    if made.solution is None:
        notes.append("no lines of an arc: wavelengths are those of the instrument's layout")
    return made


def _ideal(strips: ChipLayout, blur: float, ny: int) -> tuple[int, Image]:
    """Return how far profiles reach, and the images of round fibres, blurred: where the flat's begin."""
    reach = 0.0
    for strip in strips.strips:
        images = strip.slit.images
        reach = max(reach, (max(images) - min(images) + strip.slit.length) / 2 / strip.scale)
    half = math.ceil(reach + 1.3 * blur)
    x = STEP * np.arange(-round((half + 1) / STEP), round((half + 1) / STEP) + 1)
    profile = np.zeros((len(strips.strips), max(ny // BLOCK, 1), x.size), np.float32)
    for t, strip in enumerate(strips.strips):
        at, light = disc_profile(strip.slit.length / strip.scale, blur)
        below = np.cumsum(light) * (at[1] - at[0])
        light = np.interp(at + 0.5, at, below) - np.interp(at - 0.5, at, below)  # of a pixel
        places = [(s - strip.slit.offset) / strip.scale for s in strip.slit.images]
        profile[t] = sum(np.interp(x - place, at, light, left=0.0, right=0.0) for place in places)
    return half, profile


def _measure_profiles(chip: FibreCalibration, flat: Image, sigma: Image) -> None:
    """Replace profiles, lamp and response of a chip by those of a flat (ny, nx) with the noise ``sigma``."""
    good = np.ones(flat.shape, bool)
    middle = (chip.profile.shape[2] - 1) / 2
    x = STEP * (np.arange(chip.profile.shape[2]) - middle)
    for _ in range(PASSES):
        chip.lamps, _, lost, *_ = _solved(chip, flat, np.square(sigma), good.copy(), 1e30)
        chip.lamps[lost > LOST] = 0.0  # where a window cuts a wide image, the rest tells nothing of its light
        total, weight, place = np.zeros((3, *chip.profile.shape))
        kernel.profiles(flat, chip.centre, chip.profile, BLOCK, STEP, chip.half, chip.lamps, total, weight, place)
        for t, block in np.ndindex(*chip.profile.shape[:2]):
            seen = weight[t, block] > 0
            if seen.sum() > 4:
                share = total[t, block, seen] / weight[t, block, seen]
                away = place[t, block, seen] / weight[t, block, seen]
                # what is added to the profile so far is small, so that it may be a straight line between its places
                known = np.interp(away, x, chip.profile[t, block])
                more = np.interp(x, away, share - known, left=0.0, right=0.0)
                chip.profile[t, block] = np.maximum(chip.profile[t, block] + more, 0.0)
    chip.lamps = np.stack([running_median(lamp, SMOOTH) for lamp in chip.lamps])
    model = np.zeros_like(flat)
    kernel.render(model, chip.centre, chip.profile, BLOCK, STEP, chip.half, chip.lamps)
    lit = model > LIT * np.maximum(model.max(axis=1, keepdims=True), 1e-30)
    ratio = np.where(lit, flat / np.where(lit, model, 1.0), 1.0)
    # what a column has in common for many rows is a profile that is not quite right, not the pixels' response
    parts = np.array_split(np.arange(flat.shape[0]), max(flat.shape[0] // COMMON, 1))
    common = np.array([np.median(ratio[part], axis=0) for part in parts])
    for part, each in zip(parts, common, strict=True):
        ratio[part] /= each
    chip.response = np.asarray(np.clip(ratio, 0.05, 20.0), np.float32)
    chip_calibration.flag_dead(chip.masters, chip.layout, chip.response, sigma / np.maximum(flat, 1e-30))


def _solved(
    chip: FibreCalibration, sci: Image, var: Image, good: NDArray[np.bool_], seconds: float
) -> tuple[Floats, Floats, Image, Floats, int]:
    """Return flux, err and the lost part (traces, ny), the inverse covariance and how many pixels were rejected.

    Those leave ``good``.
    """
    flux, err = np.zeros((2, *chip.centre.shape))
    lost = np.zeros(chip.centre.shape, np.float32)
    information = np.zeros((*chip.centre.shape, kernel.BAND + 1))
    rejected = kernel.extract(
        np.ascontiguousarray(sci, np.float32), np.ascontiguousarray(var, np.float32), good, chip.centre, chip.profile,
        BLOCK, STEP, chip.half, seconds, flux, err, lost, information,
    )  # fmt: skip
    return flux, err, lost, information, rejected


def spectra(files: FileSet, chip: FibreCalibration, seen: Sequence[str]) -> tuple[list[FibreSpectrum], str]:
    """Return the spectrum of each fibre on a chip less the sky, and how that was taken; ``seen`` are the `roles`."""
    seconds = sum(one.dit * one.ndit for one in files.science)
    stack = chip_calibration.mean_frame(files.science, chip)
    sci, good, dq = stack.sci, stack.good, stack.dq
    var = without_light(sci, stack.var, seconds)
    if files.sky:
        sky = chip_calibration.mean_frame(files.sky, chip)
        sci, good, var = sci - sky.sci, good & sky.good, var + np.maximum(sky.sci, 0.0) / seconds + sky.var
        dq = dq | sky.dq
    kept = good.copy()
    flux, err, lost, information, rejected = _solved(chip, sci, var, kept, seconds)
    dq = dq | np.where(good & ~kept, np.uint32(COSMIC_RAY), np.uint32(0))
    correlation, joint = np.zeros((*flux.shape, kernel.BAND)), np.ones(flux.shape)
    kernel.correlations(information, chip.centre, correlation, joint)
    found = []
    for t, strip in enumerate(chip.layout.strips):
        if seen[strip.aperture - 1] == "off":
            continue
        wave, f, e = strip.wave[:, 0], flux[t, strip.row], err[t, strip.row]
        bad = (lost[t, strip.row] > LOST) | (e <= 0)
        width = np.abs(np.gradient(wave))
        lamp, nought = chip.lamps[t, strip.row], np.zeros_like(f)
        own = strip.order, strip.aperture, wave, width, f, e, f, e, nought, bad, 0, lamp, nought, nought
        of_errors = information[t, strip.row], correlation[t, strip.row], joint[t, strip.row]
        found.append(FibreSpectrum(*own, t, *of_errors, _reasons(dq, strip, chip.half, bad)))
    if found:
        found[0].rejected = rejected
    way = "exposures" if files.sky else "none"
    for order in sorted({one.order for one in found}) if not files.sky else ():
        own_order = [one for one in found if one.order == order]
        way = fibre_sky.subtract(own_order, seen, chip.layout.strips[own_order[0].trace].line_width) or way
    return [one for one in found if seen[one.aperture - 1] != "sky"], way


def _reasons(dq: Flags, strip: Strip, half: int, bad: NDArray[np.bool_]) -> Flags:
    """Return the flags (n,) of the pixels of a fibre's image where its spectrum is ``bad``, NO_DATA of none, else 0."""
    flags = np.zeros(bad.size, np.uint32)
    for n in np.flatnonzero(bad):
        first = max(round(float(strip.centre[n])) - half, 0)
        own = dq[strip.row[n], first : max(round(float(strip.centre[n])) + half + 1, 0)]
        flags[n] = np.bitwise_or.reduce(own, initial=0) & np.uint32(BAD) or NO_DATA
    return flags
