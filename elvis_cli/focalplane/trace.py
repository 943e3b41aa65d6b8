"""Where a trace runs over the pixels of a chip, and the way back from pixels to wavelengths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane.geometry import rotation
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.spectrograph import Aperture, Trace

FINE = 4
"""Samples per pixel of a course."""
STEP = 8
"""Pixels between the nodes from which pixels are interpolated: traces are smooth."""
TABLE = 2049
STEPS = 12
"""Of Newton's iteration from pixels to wavelengths; it ends long before."""
CLOSE = 1e-4
"""Pixels to which it must lead."""
PLACES, APART = 65, 8
"""Places on a trace, and nodes from one to the next, between which it begins."""
BEYOND = 1.5
"""How far outside the trace, in half lengths, a pixel is followed."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledTrace:
    """A trace in units of pixels: ``p`` counts them along its middle, upwards with wavelength, 0 where it begins."""

    trace: Trace
    p: Floats
    """(n,): every 1/FINE pixel, from before the beginning to behind the end."""
    wave: Floats
    """um (n,) at ``p``."""
    length: float
    """Pixels from end to end."""
    row: float
    """arcsec along the aperture on one pixel, in the middle of the trace."""

    @property
    def edges(self) -> Floats:
        """Wavelengths (n + 1,), um, half way between those of ``p``."""
        middle = (self.wave[1:] + self.wave[:-1]) / 2
        return np.concatenate([[2 * self.wave[0] - middle[0]], middle, [2 * self.wave[-1] - middle[-1]]])


def follow(trace: Trace, aperture: Aperture, pixel: float, margin: float) -> SampledTrace:
    """Return the course of a trace; ``pixel`` in mm, ``margin`` in pixels on either side."""
    wave = np.linspace(*trace.wave, TABLE)
    x, y = trace.place(wave, np.full(TABLE, aperture.offset))
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))]) / pixel
    length = float(walked[-1])
    count = math.ceil(length * FINE) + 2 * math.ceil(margin * FINE) + 1
    p = (np.arange(count) - math.ceil(margin * FINE)) / FINE
    inside = np.interp(p, walked, wave)
    first, last = ((wave[b] - wave[a]) / (walked[b] - walked[a]) for a, b in ((0, 1), (-2, -1)))
    inside = np.where(p < 0.0, wave[0] + p * first, np.where(p > length, wave[-1] + (p - length) * last, inside))
    middle = np.array([sum(trace.wave) / 2])
    (ys,), (xs,) = (_slopes(trace, middle, np.array([aperture.offset]))[k][1] for k in (1, 0))
    return SampledTrace(trace, p, inside, length, pixel / math.hypot(float(xs), float(ys)))


def _slopes(trace: Trace, wave: Floats, s: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return (dx/dwave, dx/ds), (dy/dwave, dy/ds), mm per um and per arcsec."""
    polynomial = np.polynomial.polynomial
    u, w = (wave - trace.l0) / trace.lw, (s - trace.s0) / trace.sw

    def slopes(c: Floats) -> tuple[Floats, Floats]:
        along = polynomial.polyval2d(u, w, polynomial.polyder(c, axis=0)) / trace.lw if c.shape[0] > 1 else 0.0 * u
        across = polynomial.polyval2d(u, w, polynomial.polyder(c, axis=1)) / trace.sw if c.shape[1] > 1 else 0.0 * u
        return np.asarray(along), np.asarray(across)

    return slopes(trace.x), slopes(trace.y)


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """What lies under pixels (x0 + STEP i, y0 + STEP j) of a chip: arrays (j, i)."""

    x0: int
    y0: int
    x1: int
    y1: int
    """The trace touches pixels x0 <= x < x1, y0 <= y < y1 at most."""
    p: Floats
    """Pixels along the course; NaN where the trace is far."""
    s: Floats
    """arcsec along the aperture."""
    density: Floats
    """How much of p times s (pixel arcsec) is on one pixel."""


def on_chip(course: SampledTrace, aperture: Aperture, chip: Chip, detector: Detector, slack: float) -> Nodes | None:
    """Return the nodes of a trace on a chip, None where it does not touch it; ``slack`` in pixels around it."""
    trace = course.trace
    half = aperture.length / 2
    pixel = detector.pixel_mm
    wave, s = np.meshgrid(np.linspace(*trace.wave, 129), aperture.offset + np.linspace(-half, half, 9), indexing="ij")
    x, y = to_pixels(*trace.place(wave, s), chip, detector)
    x0, x1 = max(math.floor(x.min() - slack), 0), min(math.ceil(x.max() + slack) + 1, detector.nx)
    y0, y1 = max(math.floor(y.min() - slack), 0), min(math.ceil(y.max() + slack) + 1, detector.ny)
    if x0 >= x1 or y0 >= y1:
        return None
    # counted from the chip's corner: the same for every window
    x0, y0 = x0 - x0 % STEP, y0 - y0 % STEP
    gx, gy = np.meshgrid(*(np.arange(a, b + STEP, STEP).astype(float) for a, b in ((x0, x1), (y0, y1))))
    wave, s = _guess(course, aperture, chip, detector, gx, gy)
    cos, sin = rotation(chip)
    reach = max(BEYOND * half, half + 2 * STEP * course.row)
    for _ in range(STEPS):
        (xl, xs), (yl, ys) = _slopes(trace, wave, s)
        px, py = to_pixels(*trace.place(wave, s), chip, detector)
        # the way to go in mm, in the axes of the focal plane
        u, v = (gx - px) * pixel, (gy - py) * pixel
        du, dv = cos * u - sin * v, sin * u + cos * v
        determinant = xl * ys - xs * yl
        before = wave, s
        wave = wave + (ys * du - xs * dv) / determinant
        wave = np.clip(wave, trace.l0 - BEYOND * trace.lw, trace.l0 + BEYOND * trace.lw)
        s = np.clip(s + (xl * dv - yl * du) / determinant, aperture.offset - reach, aperture.offset + reach)
        along, across = np.abs(wave - before[0]).max(), np.abs(s - before[1]).max()
        if along < CLOSE * (trace.wave[1] - trace.wave[0]) / course.length and across < CLOSE * course.row:
            break
    (xl, xs), (yl, ys) = _slopes(trace, wave, s)
    px, py = to_pixels(*trace.place(wave, s), chip, detector)
    found = np.hypot(px - gx, py - gy) < 10 * CLOSE
    p = _along(course, wave)
    (ml, _), (nl, _) = _slopes(trace, wave, np.full_like(s, aperture.offset))
    density = np.hypot(ml, nl) * pixel / np.abs(xl * ys - xs * yl)
    p = np.where(found, p, np.nan)
    return Nodes(x0, y0, x1, y1, p, s, density)


def _guess(
    course: SampledTrace, aperture: Aperture, chip: Chip, detector: Detector, gx: Floats, gy: Floats
) -> tuple[Floats, Floats]:
    """Return about which wavelengths and s are at pixels: those of the nearest place on the trace's middle."""
    wave, middle = np.linspace(*course.trace.wave, PLACES), np.full(PLACES, aperture.offset)
    x, y = to_pixels(*course.trace.place(wave, middle), chip, detector)
    x1, y1 = to_pixels(*course.trace.place(wave, middle + course.row), chip, detector)
    ax, ay = x1 - x, y1 - y
    some = (slice(None, None, APART),) * 2
    near = np.argmin((gx[some][..., None] - x) ** 2 + (gy[some][..., None] - y) ** 2, axis=-1)
    near = near.repeat(APART, axis=0).repeat(APART, axis=1)[: gx.shape[0], : gx.shape[1]]
    rows = ((gx - x[near]) * ax[near] + (gy - y[near]) * ay[near]) / (ax**2 + ay**2)[near]
    return wave[near], aperture.offset + rows * course.row


def _along(course: SampledTrace, wave: Floats) -> Floats:
    """Return p of wavelengths, straight on beyond the ends."""
    p = np.interp(wave, course.wave, course.p)
    for end, inner in ((0, 1), (-1, -2)):
        slope = (course.p[end] - course.p[inner]) / (course.wave[end] - course.wave[inner])
        beyond = wave < course.wave[0] if end == 0 else wave > course.wave[-1]
        p = np.where(beyond, course.p[end] + (wave - course.wave[end]) * slope, p)
    return p


def to_pixels(x: Floats, y: Floats, chip: Chip, detector: Detector) -> tuple[Floats, Floats]:
    """Return the pixels of places (mm) in the focal plane."""
    cos, sin = rotation(chip)
    u, v = (x - chip.x_mm) / detector.pixel_mm, (y - chip.y_mm) / detector.pixel_mm
    return cos * u + sin * v + (detector.nx - 1) / 2, -sin * u + cos * v + (detector.ny - 1) / 2
