"""Aperture photometry, and the noise of empty apertures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image

SAMPLES = 16
"""Points along the side of a pixel on the rim of an aperture: area to 1e-3 of a pixel."""
SKY_CLIP = 3.0
"""Robust standard deviations beyond which a pixel of an annulus is no sky."""
SKY_ROUNDS = 5
MAX_EMPTY = 2000
MIN_EMPTY = 20


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """Noise of apertures over that of independent pixels with the same errors, by radius."""

    radii: Floats
    """Pixels, rising."""
    factors: Floats

    def at(self, radius: float) -> float:
        """Return the factor of an aperture of ``radius`` pixels; beyond the ends that of the end."""
        return float(np.interp(radius, self.radii, self.factors))


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCurve:
    """Encircled energy of a star: the part of all its light in circles about it."""

    radii: Floats
    """Pixels, rising."""
    encircled: Floats

    def at(self, radius: float) -> float:
        """Return the part in a circle of ``radius`` pixels; beyond the ends that of the end."""
        return float(np.interp(radius, self.radii, self.encircled))

    def correction(self, radius: float, ring: tuple[float, float]) -> float:
        """Return the magnitudes to add to a magnitude in a circle of ``radius`` pixels, the sky taken in ``ring``.

        The star's light in the ring (inner, outer radius, pixels) was subtracted with the sky.
        """
        lost = (self.at(ring[1]) - self.at(ring[0])) * radius**2 / (ring[1] ** 2 - ring[0] ** 2)
        return 2.5 * math.log10(max(self.at(radius) - lost, 1e-6))


INDEPENDENT = Correlation(np.array([1.0]), np.array([1.0]))
"""Of an image whose pixels share no noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Fluxes:
    """Aperture photometry of n places: each (n,)."""

    flux: Floats
    """Sum above the local sky, in the image's unit."""
    error: Floats
    sky: Floats
    """Per pixel."""
    fraction: Floats
    """Fraction of the aperture that is good pixels."""


def measure(
    image: Image,
    err: Image,
    good: NDArray[np.bool_],
    x: Floats,
    y: Floats,
    radius: float,
    annulus: tuple[float, float] | None = None,
    correlation: float = 1.0,
) -> Fluxes:
    """Return the fluxes in circles of ``radius`` pixels about (x, y), pixel centres at whole numbers.

    The sky is the clipped median of the ``annulus`` (inner, outer radius, pixels), 0 without. ``correlation`` is the
    noise of an aperture over that of independent pixels (`correlation_factor`). Pixels that are not good are replaced
    by the mean of the good ones.
    """
    return measure_all(image, err, good, x, y, (radius,), annulus, correlation)[0]


def measure_all(
    image: Image,
    err: Image,
    good: NDArray[np.bool_],
    x: Floats,
    y: Floats,
    radii: Sequence[float],
    annulus: tuple[float, float] | None = None,
    correlation: float = 1.0,
) -> list[Fluxes]:
    """Return the fluxes of `measure` in circles of each radius, pixels; the sky is measured once for all."""
    from elvis_cli.kernels.apertures import annulus_means, aperture_sums

    x, y = (np.ascontiguousarray(places, np.float64) for places in (x, y))  # else the kernels are compiled once more
    var = np.square(err)
    sky, sky_var = np.zeros(x.size), np.zeros(x.size)
    if annulus is not None:
        sky, sky_var = annulus_means(image, good, x, y, *map(float, annulus), SKY_CLIP, SKY_ROUNDS).T
    fluxes = []
    for radius in radii:
        total, variance, used, area = aperture_sums(image, var, good, x, y, float(radius), SAMPLES).T
        full = np.where(area > 0, area / np.maximum(used, 1e-9), 0.0)
        variance = variance * full**2 * correlation**2 + sky_var * area**2
        fluxes.append(Fluxes(total * full - sky * area, np.sqrt(variance), sky, used / (np.pi * radius**2)))
    return fluxes


def empty_sums(
    image: Image, var: Image, good: NDArray[np.bool_], mask: NDArray[np.bool_], radius: float, seed: int = 0
) -> Floats:
    """Return sum and variance, (n, 2), of circles of ``radius`` pixels on empty sky.

    ``mask`` are the pixels of objects. At most 2000 circles, none overlapping another, at places that follow from
    ``seed``.
    """
    from elvis_cli.kernels.apertures import aperture_sums
    from elvis_cli.kernels.masks import clear_places

    reach = int(np.ceil(radius)) + 1
    random = np.random.default_rng(seed)
    y0, x0 = random.integers(0, 2 * reach, 2)
    x, y = clear_places(good, mask, reach, int(x0), int(y0), 2 * reach)
    if y.size > MAX_EMPTY:
        chosen = np.sort(random.choice(y.size, MAX_EMPTY, replace=False))
        y, x = y[chosen], x[chosen]
    places = x.astype(np.float64), y.astype(np.float64)
    return np.asarray(aperture_sums(image, var, good, *places, float(radius), SAMPLES)[:, :2])


def empty_noise(image: Image, good: NDArray[np.bool_], mask: NDArray[np.bool_], radius: float, seed: int = 0) -> float:
    """Return the robust standard deviation of sums in circles of ``radius`` pixels on empty sky; NaN if few."""
    sums = empty_sums(image, image, good, mask, radius, seed)[:, 0]
    return _spread(sums) if sums.size >= MIN_EMPTY else float("nan")


def _spread(values: Floats) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def correlation_factor(
    image: Image, err: Image, good: NDArray[np.bool_], mask: NDArray[np.bool_], radius: float, seed: int = 0
) -> float:
    """Return the noise of empty circles over that of as many independent pixels with the same errors; 1 if unknown."""
    sums = empty_sums(image, np.square(err), good, mask, radius, seed)
    sums = sums[sums[:, 1] > 0]
    return _spread(sums[:, 0] / np.sqrt(sums[:, 1])) if len(sums) >= MIN_EMPTY else 1.0


def independent_noise(radius: float) -> float:
    """Return the noise of a circle of ``radius`` pixels on independent pixels of noise 1."""
    from elvis_cli.kernels.apertures import aperture_sums

    side = 2 * int(np.ceil(radius)) + 3
    ones, middle = np.ones((side, side), np.float32), np.array([side // 2], np.float64)
    return float(aperture_sums(ones, ones, ones > 0, middle, middle, float(radius), SAMPLES)[0, 1] ** 0.5)
