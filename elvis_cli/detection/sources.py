"""Sources of an image: found by a matched filter, centred by a windowed centroid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.detection.apertures import INDEPENDENT, Correlation

FWHM = 2.0 * (2.0 * np.log(2.0)) ** 0.5
"""FWHM of a Gaussian of sigma 1."""


REACH = 25.0
"""FWHM from a source up to which its diffraction is looked for."""
ENVELOPE = 2.0
"""Diffraction at 1 FWHM over the peak, from which its envelope falls (about ten times Airy's)."""
CLOSE = 1.5
"""FWHM: a neighbour as near as that moves a centroid."""
SEPARATIONS = 25
"""Iterations of the centroids of neighbours, unless they move by less than 0.003 pixels."""
STEPS = 30
"""Iterations of a centroid, at most."""
ROWS = 256
"""That are smoothed at once."""
REFLECTION_SIGMA = 4.0
"""Significance from which on the point opposite to a peak is light, not noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """n sources, the brightest peak first: each (n,)."""

    x: Floats
    """Pixels from 0, of the image."""
    y: Floats
    significance: Floats
    """Peak of the filtered image over its noise."""


def find(
    image: Image,
    err: Image,
    good: NDArray[np.bool_],
    fwhm: float,
    threshold: float = 5.0,
    correlation: Correlation = INDEPENDENT,
) -> Sources:
    """Return the sources of an image without sky whose peak is ``threshold`` sigma above the noise.

    The image is filtered by a Gaussian of ``fwhm`` pixels, which is the best filter of a star on white noise; a source
    is a local maximum within one FWHM. ``correlation`` is taken at the circle that has as many pixels as the filter.
    """
    from elvis_cli.kernels import smooth as kernels

    sigma = filter_sigma(fwhm)
    clean = np.where(good, image, np.float32(0.0))
    smooth = smoothed(clean, sigma)
    scale = correlation.at(2.0 * sigma) / (2.0 * sigma * math.pi**0.5)  # sum of the kernel's squares: 1 / (4 pi sigma2)
    taps, half = kernels.gaussian_taps(sigma), max(round(fwhm / 2), 1)
    x, y, significance = kernels.peaks(smooth, np.asarray(err, np.float32), good, taps, scale, float(threshold), half)
    order = np.argsort(-significance, kind="stable")
    x, y, significance = x[order], y[order], significance[order]
    real = ~diffraction(smooth, x, y, significance, fwhm)
    x, y, significance = x[real], y[real], significance[real]
    places = centre_apart(clean, np.stack([x, y], axis=1), fwhm)
    return Sources(places[:, 0], places[:, 1], significance.astype(np.float64))


def filter_sigma(fwhm: float) -> float:
    """Return the sigma of the filter, pixels."""
    return float(max(fwhm / FWHM, 0.6))


def filtered(image: Image, fwhm: float) -> Image:
    """Return the image convolved with the filter of sum 1."""
    return smoothed(image, filter_sigma(fwhm))


def smoothed(image: Image, sigma: float, good: NDArray[np.bool_] | None = None, level: float = 0.0) -> Image:
    """Return the image less a ``level``, convolved with a Gaussian of ``sigma`` pixels, mirrored at its borders.

    Pixels that are not ``good`` count 0.
    """
    from elvis_cli.kernels import smooth as kernels

    image, taps = np.asarray(image, np.float32), kernels.gaussian_taps(sigma)
    out, use = np.empty(image.shape, np.float32), np.empty((0, 0), np.bool_) if good is None else good
    for_rows(len(out), lambda _, rows: kernels.gaussian(image, use, level, taps, rows.start, rows.stop, out), ROWS)
    return out


def limiting_flux(noise: float, fwhm: float, peak: float, threshold: float = 5.0) -> float:
    """Return the light of a star whose filtered peak is as often above ``threshold`` times the noise as below.

    ``noise`` is that of a pixel, correlation included; ``peak`` that of a star of light 1 in the filtered image. The
    highest value about a star of S sigma is 1 / S above S, as noise moves it in x and y: 1 / (2 S) for each.
    """
    return float((threshold - 1.0 / threshold) * noise / (2.0 * filter_sigma(fwhm) * math.pi**0.5) / peak)


def diffraction(
    smooth: Image, x: NDArray[np.int64], y: NDArray[np.int64], significance: Floats, fwhm: float
) -> NDArray[np.bool_]:
    """Return which peaks (n,), the brightest first, are diffraction of a brighter one.

    Such a peak is within 25 FWHM of a source ten times brighter, or so much that diffraction, whose envelope falls by
    the third power of the distance, can be its cause; and the image opposite to it, at the point reflected
    in the source, is more than half as bright, and 4 sigma: PSFs are nearly point-symmetric, companions are not.
    """
    from elvis_cli.kernels import sources as kernels

    if x.size < 2:
        return np.zeros(x.size, np.bool_)
    fake = kernels.diffraction(smooth, x, y, significance, float(fwhm), REACH, ENVELOPE, REFLECTION_SIGMA)
    return np.asarray(fake)


def centre(image: Image, x: Floats, y: Floats, fwhm: float) -> Floats:
    """Return windowed centroids (n, 2) of sources near (x, y), pixels from 0."""
    from elvis_cli.kernels.apertures import centroids

    places = (np.ascontiguousarray(each, np.float64) for each in (x, y))
    return np.asarray(centroids(np.asarray(image, np.float32), *places, filter_sigma(fwhm), STEPS))


MAX_RATIO = 0.7
"""Axes b/a of a core below which it is two stars that touch: its width is b."""
MIN_GOOD = 0.9
"""Part of a star's stamp that must be good pixels."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Mean shape of the stars of an image."""

    fwhm: float
    """Pixels; of the core, by a Gaussian fit."""
    ellipticity: float
    """1 - b/a of the core."""
    count: int
    """Stars behind it."""


def shape(image: Image, good: NDArray[np.bool_], x: Floats, y: Floats, guess: float, most: int = 30) -> Shape:
    """Return the median shape of the brightest stars at (x, y): a Gaussian fit to each core within a FWHM.

    Stars with more than a tenth of bad pixels within a FWHM, or at the border, are left out; without any the shape is
    the guess.
    """
    reach = max(int(np.ceil(guess)), 2)
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    widths, ratios = [], []
    taken: list[tuple[float, float]] = []
    for cx, cy in zip(x, y, strict=True):
        if any(abs(cx - u) + abs(cy - v) < 10.0 * guess for u, v in taken):
            continue  # too near to a brighter one
        taken.append((float(cx), float(cy)))
        i, j = round(float(cx)), round(float(cy))
        part = (slice(j - reach, j + reach + 1), slice(i - reach, i + reach + 1))
        if j < reach or i < reach or image[part].shape != rows.shape or good[part].mean() < MIN_GOOD:
            continue
        fit = _fit(image[part], columns - (cx - i), rows - (cy - j), good[part])
        if fit is not None:
            narrow, wide = sorted(fit)
            blend = narrow < MAX_RATIO * wide
            widths.append(narrow if blend else (narrow * wide) ** 0.5)
            ratios.append(1.0 - fit[1] / fit[0])
        if len(widths) >= most:
            break
    if not widths:
        return Shape(guess, 0.0, 0)
    return Shape(float(np.median(widths)), float(np.median(ratios)), len(widths))


def _fit(stamp: Image, u: Floats, v: Floats, good: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return the FWHM (pixels) along both axes of a Gaussian fit to the upper half of a star: log of its values."""
    peak = float(
        stamp[
            stamp.shape[0] // 2 - 1 : stamp.shape[0] // 2 + 2, stamp.shape[1] // 2 - 1 : stamp.shape[1] // 2 + 2
        ].max()
    )
    if peak <= 0:
        return None
    levels = (
        stamp > part * peak for part in (0.3, 0.1, 0.03)
    )  # undersampled stars have few pixels in their upper half
    use = next((above & good for above in levels if (above & good).sum() >= 7), None)
    if use is None:
        return None
    value, a, b = stamp[use].astype(np.float64), u[use], v[use]
    design = np.stack([np.ones(a.size), a, b, a * a, a * b, b * b], axis=1) * value[:, None]
    p = np.linalg.lstsq(design, np.log(value) * value, rcond=None)[0]
    matrix = -np.array([[2 * p[3], p[4]], [p[4], 2 * p[5]]])
    low, high = np.linalg.eigvalsh(matrix)
    if low <= 0:
        return None
    return FWHM / low**0.5, FWHM / high**0.5


def centre_apart(image: Image, places: Floats, fwhm: float) -> Floats:
    """Return centroids (n, 2) of sources near ``places``, each without the light of neighbours within 1.5 FWHM.

    A neighbour's light is its own image reflected in its centre, from the side that is away: PSFs are nearly
    point-symmetric. Sources without such neighbours have the centroid of `centre`.
    """
    from elvis_cli.kernels import sources as kernels
    from elvis_cli.kernels.apertures import centroids_apart

    found = centre(image, places[:, 0], places[:, 1], fwhm)
    if len(places) < 2:
        return found
    pairs = kernels.neighbours(*np.ascontiguousarray(places.T, np.float64), CLOSE * fwhm)
    close, apart, reach = np.unique(pairs[0]), places.astype(np.float64), math.ceil(2.0 * fwhm)
    for _ in range(SEPARATIONS if close.size else 0):
        moved = centroids_apart(image, *np.ascontiguousarray(apart.T), pairs, reach, filter_sigma(fwhm), STEPS)
        step = np.abs(moved - apart[close]).max()
        apart[close] = moved
        if step < 0.003:
            break
    found[close] = apart[close]
    return found
