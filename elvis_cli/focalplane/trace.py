"""Traces in pixels: the wavelengths along a trace, and wavelength and slit position under each pixel of a chip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane.geometry import rotation
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.spectrograph import Aperture, Trace

FINE = 4
"""Samples per pixel along a trace."""
STEP = 8
"""Pixels between the nodes from which pixels are interpolated: traces are smooth."""
TABLE = 2049
MAX_ITERATIONS = 12
"""Of Newton's method from pixels to wavelengths; it ends long before."""
TOLERANCE = 1e-4
"""Pixels to which it must lead."""
GUESS_PLACES, GUESS_STEP = 65, 8
"""Places on a trace from which it begins, and nodes on a side of a square that begins from one place."""
MAX_OUTSIDE = 1.5
"""Half lengths from the middle of a trace up to which a pixel belongs to it."""


@dataclass(frozen=True, slots=True, eq=False)
class SampledTrace:
    """Wavelengths along the middle of a trace, by the distance ``p`` in pixels from its blue end."""

    trace: Trace
    p: Floats
    """(n,): every 1/FINE pixel, from before the blue end to behind the red one."""
    wave: Floats
    """um (n,) at ``p``."""
    length: float
    """Pixels from end to end."""
    spatial_scale: float
    """arcsec along the aperture on one pixel, in the middle of the trace."""

    @property
    def edges(self) -> Floats:
        """Wavelengths (n + 1,), um, half way between those of ``p``."""
        return edges_between(self.wave)

    @property
    def passed(self) -> Floats:
        """Efficiency of the order at the samples (n,), 0 beyond the ends of the trace."""
        edges = self.edges
        inside = np.diff(np.clip(edges, *self.trace.wave)) / np.diff(edges)
        return np.asarray(inside * self.trace.efficiency.at(self.wave))


def edges_between(wave: Floats) -> Floats:
    """Return the wavelengths (n + 1,) half way between those of samples (n,), and as far beyond the ends."""
    middle = (wave[1:] + wave[:-1]) / 2
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def sample(trace: Trace, aperture: Aperture, pixel: float, margin: float) -> SampledTrace:
    """Return a trace sampled in pixels of ``pixel`` mm, and ``margin`` pixels beyond either end."""
    wave = np.linspace(*trace.wave, TABLE)
    x, y = trace.place(wave, np.full(TABLE, aperture.offset))
    distance = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))]) / pixel
    length = float(distance[-1])
    count = math.ceil(length * FINE) + 2 * math.ceil(margin * FINE) + 1
    p = (np.arange(count) - math.ceil(margin * FINE)) / FINE
    inside = np.interp(p, distance, wave)
    first, last = ((wave[b] - wave[a]) / (distance[b] - distance[a]) for a, b in ((0, 1), (-2, -1)))
    inside = np.where(p < 0.0, wave[0] + p * first, np.where(p > length, wave[-1] + (p - length) * last, inside))
    middle = np.array([sum(trace.wave) / 2])
    (ys,), (xs,) = (_slopes(trace, middle, np.array([aperture.offset]))[k][1] for k in (1, 0))
    return SampledTrace(trace, p, inside, length, pixel / math.hypot(float(xs), float(ys)))


def _slopes(trace: Trace, wave: Floats, s: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return (dx/dwave, dx/ds), (dy/dwave, dy/ds), mm per um and per arcsec."""
    polynomial = np.polynomial.polynomial
    u, w = (wave - trace.l0) / trace.lw, (s - trace.s0) / trace.sw

    def slopes(by_u: Floats | None, by_w: Floats | None) -> tuple[Floats, Floats]:
        along = 0.0 * u if by_u is None else polynomial.polyval2d(u, w, by_u) / trace.lw
        across = 0.0 * u if by_w is None else polynomial.polyval2d(u, w, by_w) / trace.sw
        return np.asarray(along), np.asarray(across)

    of_x, of_y = _derivatives(trace)
    return slopes(*of_x), slopes(*of_y)


@lru_cache(maxsize=256)
def _derivatives(trace: Trace) -> tuple[tuple[Floats | None, Floats | None], ...]:
    """Return the coefficients of the derivatives of x and of y by u and by w, None where they do not depend on it."""

    def derivative(c: Floats, axis: int) -> Floats | None:
        return np.asarray(np.polynomial.polynomial.polyder(c, axis=axis), np.float64) if c.shape[axis] > 1 else None

    return tuple((derivative(c, 0), derivative(c, 1)) for c in (trace.x, trace.y))


@dataclass(frozen=True, slots=True, eq=False)
class TraceMap:
    """Place in a trace of pixels (x0 + STEP i, y0 + STEP j) of a chip, the nodes of the map: arrays (j, i)."""

    x0: int
    y0: int
    x1: int
    y1: int
    """The trace touches pixels x0 <= x < x1, y0 <= y < y1 at most."""
    p: Floats
    """Pixels along the trace; NaN where it is far."""
    s: Floats
    """arcsec along the aperture."""
    density: Floats
    """How much of p times s (pixel arcsec) is on one pixel."""


def map_on_chip(
    sampled: SampledTrace, aperture: Aperture, chip: Chip, detector: Detector, margin: float
) -> TraceMap | None:
    """Return the map of a trace on a chip, ``margin`` pixels around it; None where it does not touch the chip."""
    trace = sampled.trace
    half = aperture.length / 2
    wave, s = np.meshgrid(np.linspace(*trace.wave, 129), aperture.offset + np.linspace(-half, half, 9), indexing="ij")
    x, y = to_pixels(*trace.place(wave, s), chip, detector)
    x0, x1 = max(math.floor(x.min() - margin), 0), min(math.ceil(x.max() + margin) + 1, detector.nx)
    y0, y1 = max(math.floor(y.min() - margin), 0), min(math.ceil(y.max() + margin) + 1, detector.ny)
    if x0 >= x1 or y0 >= y1:
        return None
    # counted from the chip's corner: the same for every window
    x0, y0 = x0 - x0 % STEP, y0 - y0 % STEP
    gx, gy = np.meshgrid(*(np.arange(a, b + STEP, STEP).astype(float) for a, b in ((x0, x1), (y0, y1))))
    wave, s = _solve(sampled, aperture, chip, detector, gx, gy)
    (xl, xs), (yl, ys) = _slopes(trace, wave, s)
    px, py = to_pixels(*trace.place(wave, s), chip, detector)
    converged = np.hypot(px - gx, py - gy) < 10 * TOLERANCE
    p = np.where(converged, _along(sampled, wave), np.nan)
    (ml, _), (nl, _) = _slopes(trace, wave, np.full_like(s, aperture.offset))
    density = np.hypot(ml, nl) * detector.pixel_mm / np.abs(xl * ys - xs * yl)
    return TraceMap(x0, y0, x1, y1, p, s, density)


def _solve(
    sampled: SampledTrace, aperture: Aperture, chip: Chip, detector: Detector, gx: Floats, gy: Floats
) -> tuple[Floats, Floats]:
    """Return the wavelengths and s under pixels, by Newton's method; not converged where the trace is far."""
    trace, half, pixel = sampled.trace, aperture.length / 2, detector.pixel_mm
    wave, s = _guess(sampled, aperture, chip, detector, gx, gy)
    cos, sin = rotation(chip)
    reach = max(MAX_OUTSIDE * half, half + 2 * STEP * sampled.spatial_scale)
    for _ in range(MAX_ITERATIONS):
        (xl, xs), (yl, ys) = _slopes(trace, wave, s)
        px, py = to_pixels(*trace.place(wave, s), chip, detector)
        # the distance that is left, mm, in the axes of the focal plane
        u, v = (gx - px) * pixel, (gy - py) * pixel
        du, dv = cos * u - sin * v, sin * u + cos * v
        determinant = xl * ys - xs * yl
        previous = wave, s
        wave = wave + (ys * du - xs * dv) / determinant
        wave = np.clip(wave, trace.l0 - MAX_OUTSIDE * trace.lw, trace.l0 + MAX_OUTSIDE * trace.lw)
        s = np.clip(s + (xl * dv - yl * du) / determinant, aperture.offset - reach, aperture.offset + reach)
        along, across = np.abs(wave - previous[0]).max(), np.abs(s - previous[1]).max()
        limit = TOLERANCE * (trace.wave[1] - trace.wave[0]) / sampled.length
        if along < limit and across < TOLERANCE * sampled.spatial_scale:
            break
    return wave, s


def _guess(
    sampled: SampledTrace, aperture: Aperture, chip: Chip, detector: Detector, gx: Floats, gy: Floats
) -> tuple[Floats, Floats]:
    """Return wavelengths and s near those under pixels: of the nearest place on the trace's middle."""
    wave, middle = np.linspace(*sampled.trace.wave, GUESS_PLACES), np.full(GUESS_PLACES, aperture.offset)
    x, y = to_pixels(*sampled.trace.place(wave, middle), chip, detector)
    x1, y1 = to_pixels(*sampled.trace.place(wave, middle + sampled.spatial_scale), chip, detector)
    ax, ay = x1 - x, y1 - y
    some = (slice(None, None, GUESS_STEP),) * 2
    near = np.argmin((gx[some][..., None] - x) ** 2 + (gy[some][..., None] - y) ** 2, axis=-1)
    near = near.repeat(GUESS_STEP, axis=0).repeat(GUESS_STEP, axis=1)[: gx.shape[0], : gx.shape[1]]
    rows = ((gx - x[near]) * ax[near] + (gy - y[near]) * ay[near]) / (ax**2 + ay**2)[near]
    return wave[near], aperture.offset + rows * sampled.spatial_scale


def _along(sampled: SampledTrace, wave: Floats) -> Floats:
    """Return p of wavelengths, straight on beyond the ends."""
    p = np.interp(wave, sampled.wave, sampled.p)
    for end, inner in ((0, 1), (-1, -2)):
        slope = (sampled.p[end] - sampled.p[inner]) / (sampled.wave[end] - sampled.wave[inner])
        beyond = wave < sampled.wave[0] if end == 0 else wave > sampled.wave[-1]
        p = np.where(beyond, sampled.p[end] + (wave - sampled.wave[end]) * slope, p)
    return p


def to_pixels(x: Floats, y: Floats, chip: Chip, detector: Detector) -> tuple[Floats, Floats]:
    """Return the pixels of places (mm) in the focal plane."""
    cos, sin = rotation(chip)
    u, v = (x - chip.x_mm) / detector.pixel_mm, (y - chip.y_mm) / detector.pixel_mm
    return cos * u + sin * v + (detector.nx - 1) / 2, -sin * u + cos * v + (detector.ny - 1) / 2
