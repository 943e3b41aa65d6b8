"""The sky of integral fields: a spline of the wavelength through the pixels of all slices that see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.reduction import slice_ends, slit_sky
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import Mask, Pixels

EMPTY = 30.0
"""Per cent of the spaxels of a slice that are taken as sky where no exposure of the sky is there."""
SPARSE = 16
"""Every so many pixels tell their typical size."""
LEAST_SKY = 100
"""Pixels from which the sky is known."""


def size(strip: Strip) -> Floats:
    """Return the extent (n, m) of each pixel, in wavelength times along the slice: um arcsec."""
    return np.asarray(np.abs(strip.dispersion()) * strip.scale)


def faint(strip: Strip, pixels: Pixels) -> Mask:
    """Return the pixels (n, m) of the places along a slice that are faintest over all wavelengths."""
    good = pixels.good & slice_ends.interior(strip)
    level = np.array([
        np.median(values[use]) if use.any() else np.inf for values, use in zip(pixels.sci.T, good.T, strict=True)
    ])  # fmt: skip
    seen = np.isfinite(level)
    limit = np.percentile(level[seen], EMPTY) if seen.any() else -np.inf
    return np.asarray(good & (level <= limit))


def of_strips(strips: Sequence[Strip], pixels: Sequence[Pixels], masks: Sequence[Mask]) -> list[Floats]:
    """Return the sky (n, m) of each strip: a spline of the wavelength through the sky's pixels of all slices."""
    skies: list[Floats] = [np.zeros(strip.wave.shape) for strip in strips]
    for order in {strip.order for strip in strips}:
        own = [n for n, strip in enumerate(strips) if strip.order == order]
        made = _of_order([strips[n] for n in own], [pixels[n] for n in own], [masks[n] for n in own])
        for n, sky in zip(own, made, strict=True):
            skies[n] = sky
    return skies


def _of_order(strips: Sequence[Strip], pixels: Sequence[Pixels], masks: Sequence[Mask]) -> Iterator[Floats]:
    """Yield the sky (n, m) of the strips of one order; 0 if too few pixels see it."""
    step = float(np.median([strip.planes[1] for strip in strips]))
    extents = parallel.gather(lambda strip: size(strip).ravel(), strips)
    typical = float(np.median([np.median(each[::SPARSE]) for each in extents]))
    ends = np.cumsum([0, *(each.size for each in extents)])
    place, sci, var = (np.empty(ends[-1]) for _ in range(3))
    good, use = np.empty(ends[-1], bool), np.empty(ends[-1], bool)

    def fill(n: int) -> None:
        extent, part = extents[n], slice(ends[n], ends[n + 1])
        extent /= typical
        place[part] = strips[n].wave.ravel() / step
        np.divide(pixels[n].sci.ravel(), extent, out=sci[part])
        np.divide(pixels[n].var.ravel(), np.square(extent), out=var[part])
        good[part], use[part] = pixels[n].good.ravel(), (masks[n] & pixels[n].good).ravel()

    parallel.gather(fill, range(len(strips)))
    seen = use.sum() >= LEAST_SKY
    model = slit_sky.sky_spline(place, Pixels(sci, var, good, pixels[0].seconds), use) if seen else np.zeros(ends[-1])
    for n, strip in enumerate(strips):
        yield (model[ends[n] : ends[n + 1]] * extents[n]).reshape(strip.wave.shape)
