"""Master calibrations of one chip: bias, dark, linearity, flat, bad pixels.

A master is the mean of its frames without outliers: values 5 sigma from the median of the frames are left out, which
keeps cosmic rays out and has less noise than a median (variance 1/n in place of 1.57/n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import for_rows, gather
from elvis_cli.kernels import exposures
from elvis_cli.reduction.frame import DEAD, HOT, Flags
from elvis_cli.reduction.raw import RawFile

HOT_SIGMA = 5.0
BRIGHT = 0.8
"""Of the light of the brightest percent: the pixels of which the linearity is measured."""
WARM_SIGMA = 3.0
"""From which the dark of a pixel is its own, not noise."""
MAX_FLAT_DEVIATION = 0.2
LEVEL_STEP = 3
LARGE = 262_144
"""Pixels from which on a median is taken of every third row and column."""
CLIP_SIGMA = 5.0
LEAST_SIGMA = 0.02
"""Of a flat's pixels, which the lamp's own changes leave."""
KINDS = ("bias", "linearity", "dark", "flat", "flat_dark")
"""Frames behind the masters."""


@dataclass(frozen=True, slots=True)
class Readout:
    """How one chip turns electrons into ADU, from its header."""

    gain: float
    """electron/ADU."""
    ron: float
    """electron, one integration."""
    dark: float
    """electron/s."""


@dataclass(slots=True, eq=False)
class Masters:
    """The calibrations of one chip, linear ADU; var is the variance of an image's mean."""

    readout: Readout
    bias: Image | None = None
    dark: Image | None = None
    dark_var: float = 0.0
    flat: Image | None = None
    flat_var: float = 0.0
    """Relative variance of the flat at level 1."""
    linearity: Floats | None = None
    """a, b of x + a x2 + b x3, x in ADU."""
    range: float = float("inf")
    """ADU up to which the response is known."""
    dq: Flags | None = None


def readout_of(header: Any) -> Readout:
    """Return how a chip is read."""
    names = ("ESO DET CHIP1", "ESO DET CHIP")
    name = next(each for each in names if f"{each} GAIN" in header)
    return Readout(float(header[f"{name} GAIN"]), float(header[f"{name} RON"]), float(header[f"{name} DARK"]))


def noise(level: Image | float, readout: Readout, ndit: int, dit: float) -> Any:
    """Return the variance (ADU2) of the mean of ``ndit`` integrations of ``level`` (ADU, above dark).

    (e + dark DIT + RON2) / NDIT, and the rounding to whole ADU of each integration.
    """
    electrons = np.maximum(np.asarray(level) * readout.gain, 0.0) + readout.dark * dit + readout.ron**2
    return (electrons / readout.gain**2 + 1.0 / 12.0) / ndit


def combine(
    stack: Sequence[Image], floor: Sequence[float], slope: float = 0.0, level: float = 0.0
) -> tuple[Image, Any]:
    """Return the mean (ny, nx) of images without outliers, and how many were kept of each pixel.

    ``floor`` (k,) is the variance of each image's pixels, which grows by ``slope`` for each unit above ``level``.
    """
    shape = stack[0].shape
    mean, count = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    if len(stack) < 3:  # no majority: the faintest is the one without cosmic rays
        mean[:] = np.mean(stack, axis=0) if len(stack) == 1 else np.minimum(*stack) / 2 + np.maximum(*stack) / 2
        count[:] = len(stack)
        return mean, count
    variance = np.array(floor, float)

    def fill(_: int, rows: slice) -> None:
        part = np.stack([image[rows] for image in stack])
        exposures.clipped_mean(part, variance, slope, level, CLIP_SIGMA, mean[rows], count[rows])

    for_rows(shape[0], fill)
    return mean, count


def straight(image: Image, masters: Masters) -> Image:
    """Return the image (ADU) without bias and non-linearity."""
    if masters.linearity is None:
        return image if masters.bias is None else image - masters.bias
    return np.asarray(exposures.straight(image, masters.bias, *(np.float32(value) for value in masters.linearity)))


def shared(files: Any, chip: str) -> Masters | None:
    """Return the masters of a chip if the standard star of a set (`associate.FileSet`) has the same, else None."""
    star = files.standard
    if star is None or any(getattr(files, kind) != getattr(star, kind) for kind in KINDS):
        return None
    headers = [one.science[0].chip_header(chip) for one in (files, star)]
    return make(chip, files, headers[0]) if readout_of(headers[0]) == readout_of(headers[1]) else None


def make(chip: str, files: Any, header: Any) -> Masters:
    """Return the masters of a chip from the files of a set (`associate.FileSet`)."""
    readout = readout_of(header)
    masters = Masters(readout)
    if files.bias:
        masters.bias, _ = _mean(files.bias, chip, masters)
    if files.linearity:
        masters.linearity, masters.range = linearity(files.linearity, chip, masters)
    dq: Flags | None = None
    if files.dark:
        masters.dark, masters.dark_var = _mean(files.dark, chip, masters)
        dq = hot_pixels(masters.dark, masters.dark_var)
        masters.dark, masters.dark_var = _without_noise(masters.dark, masters.dark_var)
    if files.flat:
        masters.flat, masters.flat_var = flat(files, chip, masters)
        dead = (np.abs(masters.flat - 1.0) > MAX_FLAT_DEVIATION).astype(np.uint32) * np.uint32(DEAD)
        dq = dead if dq is None else dq | dead
        masters.flat[dead > 0] = 1.0
    masters.dq = dq
    return masters


def _mean(files: Sequence[RawFile], chip: str, masters: Masters) -> tuple[Image, float]:
    """Return the master of frames without light, linear ADU, and its variance."""
    stack = gather(lambda file: straight(file.pixels(chip), masters), files)
    readout, first = masters.readout, files[0]
    floor = float(noise(0.0, readout, first.ndit, first.dit))
    # hot pixels have more noise than the read-out; their scatter from file to file is not an outlier
    mean, _ = combine(stack, [floor] * len(stack), 1.0 / (readout.gain * first.ndit), _median(stack[0]))
    return mean, floor / len(files)


def dark_of(files: Sequence[RawFile], chip: str, masters: Masters) -> Image:
    """Return the master (linear ADU) of dark frames."""
    return _without_noise(*_mean(files, chip, masters))[0]


def _without_noise(dark: Image, var: float) -> tuple[Image, float]:
    """Return a dark whose pixels are drawn to their median as far as their scatter is noise, and its variance.

    The best guess of a pixel is the median plus its distance times s2 / (s2 + var), s2 being the variance of pixels
    beyond that of the noise ``var`` (Efron & Morris 1975, JASA 70, 311). Pixels more than 3 sigma off stay.
    """
    middle = _median(dark)
    scatter = (1.4826 * _median(np.abs(dark - middle))) ** 2
    own = max(scatter - var, 0.0)
    if not scatter > 0:
        return dark, var
    factor = own / (own + var)
    near = np.abs(dark - middle) <= WARM_SIGMA * scatter**0.5
    drawn = np.where(near, middle + np.float32(factor) * (dark - middle), dark)
    return np.asarray(drawn, np.float32), var * factor


def hot_pixels(dark: Image, var: float) -> Flags:
    """Return the flag HOT of pixels whose dark is 5 sigma above the chip's median."""
    middle = _median(dark)
    spread = max(1.4826 * _median(np.abs(dark - middle)), var**0.5)
    return np.where(np.abs(dark - middle) > HOT_SIGMA * spread, np.uint32(HOT), np.uint32(0))


def flat(files: Any, chip: str, masters: Masters) -> tuple[Image, float]:
    """Return the response of the chip, median 1 where there is light, and its relative variance."""
    dark = None
    if files.flat_dark:
        same = files.dark and [one.name for one in files.dark] == [one.name for one in files.flat_dark]
        dark = masters.dark if same else dark_of(files.flat_dark, chip, masters)

    def one(file: RawFile) -> tuple[Image, float]:
        image = straight(file.pixels(chip), masters)
        if dark is not None:
            image -= dark
        level = lit_level(image)
        image /= np.float32(level)
        return image, float(noise(level, masters.readout, file.ndit, file.dit)) ** 0.5 / level

    stack, sigma = zip(*gather(one, files.flat), strict=True)
    mean, _ = combine(stack, [max(one, LEAST_SIGMA) ** 2 for one in sigma])
    mean /= np.float32(lit_level(mean))
    return mean, float(np.mean(np.square(sigma))) / len(stack)


def _median(image: Image) -> float:
    """Return the median of an image, of a large one that of every third row and column."""
    step = LEVEL_STEP if image.size > LARGE else 1
    return float(np.median(image[::step, ::step]))


def lit_level(image: Image) -> float:
    """Return the median of the pixels that a lamp lights; scans and masked borders may be a third of a chip.

    Of every third row and column: the error of such a median is a thousandth of the pixels' scatter.
    """
    part = image[::LEVEL_STEP, ::LEVEL_STEP]
    return float(np.median(part[part > 0.5 * np.percentile(part, 90)]))


def linearity(files: Sequence[RawFile], chip: str, masters: Masters) -> tuple[Floats | None, float]:
    """Return a, b of the correction x + a x2 + b x3 (ADU) and the level up to which it was measured.

    The lamp is constant, so that the corrected level is proportional to the integration time: least squares of
    r t = x + a x2 + b x3 in the medians x of the frames, relative errors alike; b is 0 with three levels. Pairs with
    the lamp off are left out. The medians are those of the pixels that the lamp lights most, which in frames of a
    spectrograph are few; of a large chip those of every third row and column.
    """
    nx, ny = files[0].windows[files[0].chips.index(chip)][:2]
    step = LEVEL_STEP if nx * ny > LARGE else 1

    def pixels(file: RawFile) -> Image:
        image = file.pixels(chip, step)
        return image if masters.bias is None else image - masters.bias[::step, ::step]

    middle = pixels(sorted(files, key=lambda file: file.dit)[len(files) // 2])
    bright = middle >= BRIGHT * np.percentile(middle, 99)
    rows = []
    for file in files:
        image = pixels(file)[bright]
        level = float(np.median(image))
        rows.append((file.dit, level, float(np.median(np.abs(image - level))) / max(level, 1e-30)))
    t, x, spread = np.array(rows).T
    lit = x > 0.05 * x.max()
    t, x = _before_saturation(t[lit], x[lit], spread[lit])
    terms = min(len(np.unique(t)) - 1, 3)
    if terms < 2:
        return None, float("inf")
    # (x + a x2 + b x3) / r = t: linear in 1/r, a/r, b/r
    unit = x.max()
    z = x / unit
    design = np.stack([z**power for power in range(1, terms + 1)], axis=1) / t[:, None]
    one, two, three = [*np.linalg.lstsq(design, np.ones(len(t)), rcond=None)[0], 0.0][:3]
    return np.array([two / one / unit, three / one / unit**2]), float(unit)


def _before_saturation(t: Floats, x: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return times and levels up to where the level rises by less than half of what it did at first, or clips.

    ``spread`` is the relative scatter of each frame's pixels: where they clip it falls to less than half of that below.
    """
    order = np.argsort(t, kind="stable")
    t, x, spread = t[order], x[order], spread[order]
    slopes = np.gradient(x, t) if len(np.unique(t)) == len(t) and len(t) > 2 else x / t
    clipped = np.concatenate([[False], spread[1:] < 0.5 * np.minimum.accumulate(spread)[:-1]])
    bad = np.flatnonzero((slopes < 0.5 * max(slopes[0], x[0] / t[0])) | clipped)  # all may be saturated
    return (t[: bad[0]], x[: bad[0]]) if bad.size else (t, x)
