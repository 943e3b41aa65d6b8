"""The ends of slices: light that the optics' blur takes across them, given back to the slice that it came from.

Slices lie side by side on a chip, a pixel apart or none. A fifth of the light of the last pixel falls beside the slice,
into its neighbour's last one where they touch; these are at opposite ends of the field. On which side of the end light
was before the blur a pixel does not tell: the guess of least variance is taken (Rybicki & Press 1992, ApJ 398, 169),
from the pixels around, for light with details as fine as a pixel and as bright as either side is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.focalplane import layers
from elvis_cli.kernels import slice_ends as kernel
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import SIGMA
from elvis_cli.reduction.frame import BAD, Frame
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import Mask, Pixels, without_light

END = 2
"""Pixels of an end that lose light, or get some."""
NEAR = 4
"""Pixels on either side of an end that tell how much."""
MAX_GAP = 2
"""Pixels between slices from which on they do not see each other."""
FINE = 20
"""Parts of a pixel in which light is followed."""
DETAILS = (1.0, 2.0, 4.0, 8.0)
"""FWHM (pixels) of the details of the light, alike in power."""
ROWS = (5, 65, 1025)
"""Along the dispersion, over which a side's power is measured: lines, and the continuum."""
KNOWN = 1000.0
"""Rows of which the mean is to be right: the guess goes with this many times less variance than a pixel has."""
FREE = 100.0
"""Variance of even light over that of details: it is restored whatever the noise."""
ALIGNED = 0.1
"""Pixels from a pixel's edge within which slices end."""
SURE = 2.0
"""Sigma of the noise above which there is light."""
UNKNOWN = 1e30
"""Variance of a pixel that tells nothing."""


@dataclass(frozen=True, slots=True)
class Response:
    """The parts of light across the slices that pixels show: blur of the optics, pixels, inter-pixel capacitance."""

    blur: float
    """Standard deviation of the optics' blur, pixels."""
    coupling: float
    """Part of a pixel's charge that its neighbour shows (inter-pixel capacitance)."""

    def of_pixels(self, pixels: NDArray[np.int64], at: Floats) -> Floats:
        """Return the part of the light at places ``at`` (n,) that each of ``pixels`` (m,) shows: (m, n).

        Pixel 0 is from 0 to 1. It is what the renderer draws (`focalplane.layers`).
        """
        first, last = int(pixels[0]) - NEAR, int(pixels[-1]) + NEAR
        samples = np.arange(first + 0.5, last + 1.0, layers.PITCH)
        seen = (np.abs(samples[:, None] - at) < 0.5).astype(float)
        blurred = layers.gaussian(seen.T, self.blur / layers.PITCH).T[:: round(1 / layers.PITCH)]
        shown = (1.0 - 2.0 * self.coupling) * blurred
        shown[1:] += self.coupling * blurred[:-1]
        shown[:-1] += self.coupling * blurred[1:]
        return np.asarray(shown[pixels - first])

    def even(self) -> Floats:
        """Return the part (2 END + 1,) of a pixel's even light that it and those beside it show."""
        light = self.of_pixels(np.arange(-END, END + 1), (np.arange(FINE) + 0.5) / FINE)
        return np.asarray(light.mean(axis=1))


def response_of(setup: Setup) -> Response | None:
    """Return that of a spectrograph, None without a blur of its optics."""
    graph = setup.spectrograph
    if graph is None or graph.blur <= 0.0:
        return None
    shared = setup.detector.stages.get("ipc", {})
    return Response(graph.blur / SIGMA, float(shared.get("edge", 0.0)) + 2.0 * float(shared.get("corner", 0.0)))


@dataclass(frozen=True, slots=True)
class _Model:
    """Covariances of the pixels across an end, the slice's own first, for light of power 1 on either side (2, ...)."""

    between: Floats
    """(2, m, m)."""
    even: Floats
    """(2, m): pixels that see even light."""
    crossed: Floats
    """(2, k, m): with what the slice's pixel k from its end lost, less what it got."""
    crossed_even: Floats
    """(2, k)."""


@lru_cache(maxsize=16)
def _model(response: Response, gap: int) -> _Model:
    """Return the model of an end from which the next slice is ``gap`` pixels away."""
    x = (np.arange(2 * NEAR * FINE) + 0.5) / FINE - NEAR
    beyond = x > 0
    pixels = np.arange(-NEAR, NEAR + gap)
    light = response.of_pixels(pixels, np.where(beyond, x + gap, x)) / FINE
    spread = np.subtract.outer(x, x) * SIGMA
    shape = np.mean([np.exp(-0.25 * np.square(spread / fwhm)) for fwhm in DETAILS], axis=0)
    parts = []
    mine, other = slice(NEAR, NEAR + END), slice(NEAR - 1, NEAR - 1 - END, -1)
    for side, where, sign in ((~beyond, mine, 1.0), (beyond, other, -1.0)):
        own = np.where(side, light, 0.0)
        crosses = sign * own[where]
        parts.append((own @ shape @ own.T, own.sum(axis=1), crosses @ shape @ own.T, crosses.sum(axis=1)))
    return _Model(*(np.array(each) for each in zip(*parts, strict=True)))


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a slice on a chip."""

    strip: int
    last: int
    """Index of its last pixel among those of the strip across."""
    column: int
    """That pixel on the chip."""
    out: int
    """1 where the slice ends towards higher columns, else -1."""


def interior(strip: Strip) -> Mask:
    """Return the pixels (n, m) that are far enough from the ends of the slice to have no light but their own."""
    return strip.within(END * strip.scale)


def shown(strip: Strip, lamp: Image, response: Response | None) -> Floats:
    """Return the part (n, m) of a lamp's even light that pixels show: what the blur leaves, and what it brings.

    ``lamp`` is the light on the chip before it. NaN is where it is not known: of last pixels without a blur, which a
    slice may fill in part, and of those of slices that are tilted or end inside a pixel.
    """
    part = np.where(strip.within(strip.scale), 1.0, np.nan)
    if response is not None:
        mixed = response.even()
        light = np.pad(np.where(strip.on_chip, strip.cut(lamp), 0.0), ((0, 0), (END, END)))
        for end in _ends(0, strip):
            for at in range(end.last, end.last - END * end.out, -end.out):
                own = light[:, at + END]
                whole = light[:, at : at + 2 * END + 1] @ mixed
                part[:, at] = np.where(own > 0.0, whole / np.where(own > 0.0, own, 1.0), 1.0)
    return part


def restore(
    strips: Sequence[Strip],
    pixels: Sequence[Pixels],
    sky: Sequence[Floats],
    throughput: Sequence[float],
    frame: Frame,
    response: Response | None,
) -> None:
    """Give the last pixels of slices the light that left them, and take away what came from the next, in place.

    ``pixels`` are those of ``frame`` over the ``throughput`` of their slice, with the ``sky`` (n, m) of each in them:
    it is known, so that only what is in the sky besides has to be guessed.
    """
    ends = [end for number, strip in enumerate(strips) for end in _ends(number, strip)] if response else []
    if response is None or not ends:
        return
    skies, lit = np.zeros(frame.sci.shape, np.float32), np.zeros(frame.sci.shape[1], bool)
    for n, strip in enumerate(strips):
        own = np.flatnonzero(strip.inside.all(axis=0))
        lit[strip.column[:, strip.on_chip.all(axis=0)]] = True
        if own.size and _straight(strip):
            columns = slice(strip.column[0, own[0]], strip.column[0, own[-1]] + 1)
            skies[_rows(strip), columns] = sky[n][:, own[0] : own[-1] + 1] * throughput[n]

    good = frame.dq & BAD == 0
    good[:, ~lit] = False  # a border of reference pixels, which tell nothing

    def work(end: _End) -> None:
        n, strip = end.strip, strips[end.strip]
        gaps = [(one.column - end.column) * end.out - 1 for one in ends if one.out == -end.out]
        gap = min((each for each in gaps if 0 <= each <= MAX_GAP), default=None)
        value, variance = _restored(strip, end, gap, skies, good, frame, response)
        for k in range(END):
            at = end.last - k * end.out
            whole = value[:, k] + sky[n][:, at] * throughput[n]
            dark = without_light(whole, variance[:, k], pixels[n].seconds)
            pixels[n].sci[:, at], pixels[n].var[:, at] = whole / throughput[n], dark / throughput[n] ** 2

    parallel.gather(work, ends)


def _ends(number: int, strip: Strip) -> list[_End]:
    """Return the ends of a slice on the chip, if they are straight and at pixels' edges."""
    if not _straight(strip):
        return []
    seen, found = np.flatnonzero(strip.inside.all(axis=0)), []
    for k, out in ((seen[0], -1), (seen[-1], 1)) if seen.size > NEAR else ():
        beyond = strip.slit.length / 2 / strip.scale - np.abs(strip.s[:, k] - strip.slit.offset) / strip.scale
        if np.abs(beyond - 0.5).max() < ALIGNED:
            found.append(_End(number, int(k), int(strip.column[0, k]), out))
    return found


def _restored(
    strip: Strip, end: _End, gap: int | None, skies: Image, good: Mask, frame: Frame, response: Response
) -> tuple[Floats, Floats]:
    """Return the light (n, END) of the last pixels of a slice without sky, the last first, and its variance."""
    model = _model(response, MAX_GAP if gap is None else gap)
    size = model.even.shape[1]
    first = end.column - (NEAR - 1 if end.out > 0 else size - NEAR)

    def across(image: NDArray[Any], fill: float, first: int, size: int) -> Floats:
        """Return ``size`` columns of the strip's rows, those beyond the chip filled, the slice's own first."""
        low, high = max(first, 0), min(first + size, image.shape[1])
        part = np.full((strip.row.size, size), fill)
        part[:, low - first : high - first] = image[_rows(strip), low:high]
        return part[:, :: end.out]

    around = across(skies, 0.0, first - END, size + 2 * END)
    data = across(frame.sci, 0.0, first, size)
    for k, part in enumerate(response.even()):
        data -= part * around[:, k : k + size]
    noise = np.where(across(good, 0.0, first, size) > 0, across(frame.var, UNKNOWN, first, size), UNKNOWN)
    away = slice(0, NEAR - 1), slice(1 - NEAR, None)  # from the end: that pixel has light of both sides
    power = np.stack([kernel.power(data[:, side], noise[:, side], UNKNOWN, ROWS, SURE) for side in away], axis=1)
    if gap is None:
        noise[:, NEAR + MAX_GAP :], power[:, 1] = UNKNOWN, -1.0
    parts = model.between, model.even, model.crossed, model.crossed_even
    value, variance = kernel.restored(np.ascontiguousarray(data), noise, power, *parts, NEAR - 1, KNOWN, FREE)
    return value, variance


def _straight(strip: Strip) -> bool:
    return bool((strip.column == strip.column[0]).all())


def _rows(strip: Strip) -> slice:
    return slice(int(strip.row[0]), int(strip.row[-1]) + 1)
