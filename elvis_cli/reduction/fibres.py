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
from elvis_cli.model.spectrograph import Aperture, disc_profile
from elvis_cli.reduction import calibrate, chip_calibration, layout, master, wavelength
from elvis_cli.reduction.associate import FileSet
from elvis_cli.reduction.extract import Spectrum, spline
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.layout import ChipLayout
from elvis_cli.reduction.raw import RawFile

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
SPREAD = 20.0
"""Diameters over which images of a fibre are spread at most: one of a calibration fibre may be at either end."""
FAINT = 0.1
"""Part of a bundle's fibres that tells the level of the sky first."""
SAME = 0.05
"""Relative difference of fibres that see the same sky."""
CALM = 101
"""Pixels over which the sky between lines is the same, where few fibres see it."""
LINE = 4.0
"""Sigma above that level of a pixel of a line."""
WINGS = 4
"""Pixels to either side that belong to it."""
ENOUGH = 3
"""Fibres from which the sky is one curve through all of them."""


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
    """Return the role of each aperture: object, sky or off. DPR TYPE has a word for each where there are a few.

    STAR,SKY,G2V of HARPS: fibre A, fibre B and the star's type (HARPS User Manual 2.1).
    """
    assert setup.spectrograph is not None
    count, words = len(setup.spectrograph.apertures), file.type.split(",")
    if not 1 < count <= len(words):
        return ["object"] * count
    known = {"SKY": "sky", "OBJECT": "object", "STAR": "object", "STD": "object"}
    return [known.get(word, "off") for word in words[:count]]


def bundles(apertures: Sequence[Aperture]) -> list[int]:
    """Return the number of the bundle of each fibre: neighbours in the slit that touch on the sky are one."""
    numbers: list[int] = []
    for n, one in enumerate(apertures):
        same = n > 0 and any(
            math.hypot(one.x - other.x, one.y - other.y) < 1.5 * one.extent[0]
            for k, other in enumerate(apertures[:n])
            if numbers[k] == numbers[n - 1]
        )
        numbers.append(numbers[-1] if same else n)
    return numbers


def measure(files: FileSet, name: str, setup: Setup, notes: list[str]) -> FibreCalibration:
    """Return the calibrations of one chip."""
    first, graph = files.science[0], setup.spectrograph
    assert graph is not None
    window = first.windows[first.chips.index(name)]
    strips = layout.of_chip(setup, name, window)
    strips.strips = [one for one in strips.strips if np.ptp(one.slit.images) < SPREAD * one.slit.length]
    if not strips.strips:
        raise ResourceError(
            f"{first.name}: {name} has no traces of fibres, or only those of divided apertures, whose images lie "
            "apart: they are not reduced yet"
        )
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
    from scipy.ndimage import median_filter

    good = np.ones(flat.shape, bool)
    middle = (chip.profile.shape[2] - 1) / 2
    x = STEP * (np.arange(chip.profile.shape[2]) - middle)
    for _ in range(PASSES):
        chip.lamps = _solved(chip, flat, np.square(sigma), good.copy(), 1e30)[0]
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
    chip.lamps = median_filter(chip.lamps, (1, SMOOTH), mode="nearest")
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
) -> tuple[Floats, Floats, Image, int]:
    """Return flux, err and the lost part (traces, ny), and how many pixels were rejected (they leave ``good``)."""
    flux, err = np.zeros((2, *chip.centre.shape))
    lost = np.zeros(chip.centre.shape, np.float32)
    rejected = kernel.extract(
        np.ascontiguousarray(sci, np.float32), np.ascontiguousarray(var, np.float32), good, chip.centre, chip.profile,
        BLOCK, STEP, chip.half, seconds, flux, err, lost,
    )  # fmt: skip
    return flux, err, lost, rejected


def spectra(files: FileSet, chip: FibreCalibration, seen: Sequence[str]) -> tuple[list[Spectrum], str]:
    """Return the spectrum of each fibre on a chip less the sky, and how that was taken; ``seen`` are the `roles`."""
    seconds = [one.dit * one.ndit for one in files.science]
    stack = chip_calibration.stack([_frame(file, chip) for file in files.science], seconds)
    var = chip_calibration.without_light(stack.sci, stack.var, sum(seconds))
    flux, err, lost, rejected = _solved(chip, stack.sci, var, stack.good.copy(), sum(seconds))
    found = []
    for t, strip in enumerate(chip.layout.strips):
        if seen[strip.aperture - 1] == "off":
            continue
        wave, f, e = strip.wave[:, 0], flux[t, strip.row], err[t, strip.row]
        bad = (lost[t, strip.row] > LOST) | (e <= 0)
        width = np.abs(np.gradient(wave))
        lamp = chip.lamps[t, strip.row]
        found.append(Spectrum(strip.order, strip.aperture, wave, width, f, e, f, e, np.zeros_like(f), bad, 0, lamp))
    if found:
        found[0].rejected = rejected
    way = "none"
    for order in sorted({one.order for one in found}):
        way = _without_sky([one for one in found if one.order == order], seen) or way
    return [one for one in found if seen[one.aperture - 1] == "object"], way


def _frame(file: RawFile, chip: FibreCalibration) -> Frame:
    frame = calibrate.calibrate(file, chip.name, chip.masters)
    sci, var, dq = (np.ascontiguousarray(chip.layout.turn(each)) for each in (frame.sci, frame.var, frame.dq))
    sci, var = (np.asarray(each, np.float32) for each in (sci / chip.response, var / np.square(chip.response)))
    return Frame(sci, var, dq, frame.header)


def _without_sky(fibres: Sequence[Spectrum], seen: Sequence[str]) -> str:
    """Subtract the sky of the sky fibres from the spectra of one order, in place; return how, "" if there are none."""
    seeing = [one for one in fibres if not one.bad.all()]
    sky = [one for one in seeing if seen[one.aperture - 1] == "sky"]
    if not sky and len(seeing) > 2 * ENOUGH:
        sky = _faintest(seeing)
    if not sky:
        return ""
    reference = sky[len(sky) // 2]
    grid = np.sort(reference.wave)

    def scale(one: Spectrum) -> Floats:
        """Return the flux (n,) for a density of 1, which all fibres have in common."""
        assert one.blaze is not None
        return one.width * np.maximum(one.blaze / one.width, 1e-6 * float(np.max(one.blaze / one.width)))

    at, value, var, bad = (
        np.concatenate(parts)
        for parts in zip(
            *(
                (np.interp(one.wave, grid, np.arange(grid.size)), one.flux / scale(one),
                 np.square(one.err / scale(one)), one.bad)
                for one in sky
            ), strict=True,
        )
    )  # fmt: skip
    several = len(sky) >= ENOUGH
    if several:
        curve, error = spline(at, value, var, ~bad)
    else:
        order = np.argsort(at, kind="stable")
        at, value, var = at[order], *_calm(value[order], var[order])
    for one in fibres:
        place, factor = np.interp(one.wave, grid, np.arange(grid.size)), scale(one)
        if several:
            level, noise = curve(place), error(place)
        else:
            level, noise = np.interp(place, at, value), np.sqrt(np.interp(place, at, var))
        one.sky = level * factor
        one.flux = one.flux - one.sky
        one.err = np.hypot(one.err, noise * factor)
        one.box, one.box_err = one.flux, one.err
    return f"{len(sky)} fibres"


def _calm(value: Floats, var: Floats) -> tuple[Floats, Floats]:
    """Return the sky of few fibres and its variance, (n,): a running median but for the lines that stand out of it.

    The noise of one sky fibre would be as large as that of the object's.
    """
    from scipy.ndimage import maximum_filter1d, median_filter

    level = median_filter(value, CALM, mode="reflect")
    line = maximum_filter1d((value - level > LINE * np.sqrt(var)).astype(np.uint8), 2 * WINGS + 1) > 0
    return np.where(line, value, level), np.where(line, var, var * np.pi / 2 / CALM)


def _faintest(fibres: Sequence[Spectrum]) -> list[Spectrum]:
    """Return the fibres that see the sky alone: as bright as the faintest, relative to the lamp."""
    lamps = [np.ones_like(one.flux) if one.blaze is None else np.maximum(one.blaze, 1e-30) for one in fibres]
    ratio = np.array([float(np.median(one.flux / lamp)) for one, lamp in zip(fibres, lamps, strict=True)])
    noise = np.array([float(np.median(one.err / lamp)) for one, lamp in zip(fibres, lamps, strict=True)])
    noise = noise / np.sqrt([one.flux.size for one in fibres])
    level = float(np.median(np.sort(ratio)[: max(math.ceil(FAINT * ratio.size), ENOUGH)]))
    for _ in range(10):  # from the faintest, which noise made so, to the middle of all that are alike
        alike = np.abs(ratio - level) <= 5 * noise + SAME * abs(level)
        level = float(np.median(ratio[alike]))
    return [one for one, same in zip(fibres, alike, strict=True) if same]


def together(spectra: Sequence[Spectrum]) -> Spectrum:
    """Return the spectrum of a bundle of fibres in one order, each weighted by its share of the light.

    Horne's formula with fibres in place of pixels, on the pixels of the fibre with the most light.
    """
    if len(spectra) == 1:
        return spectra[0]
    main = max(spectra, key=lambda one: float(np.median(one.flux)))
    parts = []
    for one in spectra:
        order = np.argsort(one.wave)
        ratio = main.width / np.interp(main.wave, one.wave[order], one.width[order])
        parts.append(
            [np.interp(main.wave, one.wave[order], each[order]) * ratio for each in (one.flux, one.err, one.sky)]
            + [np.interp(main.wave, one.wave[order], one.bad[order].astype(float)) > 0]
        )
    flux, err, sky, bad = (np.array([part[k] for part in parts]) for k in range(4))
    good = (bad == 0) & (err > 0)
    share = np.maximum(np.median(flux, axis=1), 0.0)
    share = share / max(float(share.sum()), 1e-30)
    weight = np.where(good, share[:, None] / np.square(np.where(err > 0, err, 1.0)), 0.0)
    norm = (weight * share[:, None]).sum(axis=0)
    safe = np.where(norm > 0, norm, 1.0)
    total, error = (weight * flux).sum(axis=0) / safe, np.where(norm > 0, 1 / np.sqrt(safe), 0.0)
    plain, plain_err = np.where(good, flux, 0.0).sum(axis=0), np.sqrt(np.square(err).sum(axis=0))
    return replace(
        main, flux=total, err=error, box=plain, box_err=plain_err, sky=sky.sum(axis=0), bad=norm <= 0,
        rejected=sum(one.rejected for one in spectra),
    )  # fmt: skip
