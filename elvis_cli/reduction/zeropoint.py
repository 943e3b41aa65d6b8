"""The zero point from a standard star, with its error, and the encircled energy of its image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.detection import apertures, sources
from elvis_cli.errors import ResourceError
from elvis_cli.reduction.combine import UNSEEN
from elvis_cli.reduction.frame import DEAD, HOT, SATURATED
from elvis_cli.reduction.stored_stack import AnyStack
from elvis_cli.scene import standards
from elvis_cli.scene.standards import StandardStar

AB_MINUS_VEGA = {
    "u": 0.91, "b": -0.09, "g": 0.0, "v": 0.02, "r": 0.21, "i": 0.45, "z": 0.54, "y": 0.634, "j": 0.91, "h": 1.39,
    "k": 1.85, "l": 2.76, "m": 3.40, "n": 5.20,
}  # fmt: skip
"""m(AB) - m(Vega) of the band that a filter's first letter names: Blanton & Roweis 2007, AJ 133, 734, table 1 (u to K),
Hewett et al. 2006, MNRAS 367, 454 (z, Y); L, M, N from the flux of Vega, 3631 Jy over 285, 158 and 30 Jy."""
PRECISION = 0.003
"""Relative error of a star's light that is good enough to go on outwards."""
MAX_ERROR = 0.03
"""The same where the light still grows by more than its error: haloes of adaptive optics."""
SPLINE_REACH = 12
"""Pixels from a place up to which a cubic spline is fitted: what is further adds 1e-7 (0.27 a pixel)."""
WELL_SAMPLED = 2.2
"""Pixels of FWHM from which an image is well sampled."""
MIN_FWHM = 3.0
"""FWHM: radius of the smallest circle that counts as all light."""
ALIASES = {
    "xi": "i",
    "xy": "y",
    "xj": "j",
    "xh": "h",
    "xk": "k",
    "br": "k",
    "paschen": "j",
    "pa": "j",
    "fe": "h",
    "he": "j",
}


@dataclass(frozen=True, slots=True, eq=False)
class ZeroPoint:
    """Magnitude of 1 electron/s of all of a star's light."""

    vega: float
    error: float
    ab: float | None
    star: str
    growth: apertures.GrowthCurve
    """Of the star's image."""
    fwhm: float
    """Pixels, of the star's image."""
    peak: float
    """Peak of the filtered image (`detection.sources`) of a star of light 1."""
    brightest: float
    """Light of the brightest pixel of a star of light 1."""

    def peak_at(self, fwhm: float) -> float:
        """Return the peak on an image of ``fwhm`` pixels."""
        return self.peak * (self.fwhm / fwhm) ** 2

    def growth_at(self, fwhm: float) -> apertures.GrowthCurve:
        """Return the curve of growth on an image of ``fwhm`` pixels: that of the standard star in units of its FWHM.

        That of an undersampled image is taken as it is: its FWHM differs by where in a pixel the stars lie.
        """
        if min(self.fwhm, fwhm) < WELL_SAMPLED:
            return self.growth
        return apertures.GrowthCurve(self.growth.radii * fwhm / self.fwhm, self.growth.encircled)

    def correction(self, radius: float, fwhm: float, ring: tuple[float, float]) -> float:
        """Return the magnitudes to add to one in a circle of ``radius``, sky in ``ring``; all in pixels."""
        return self.growth_at(fwhm).correction(radius, ring)


def band_of(filters: str) -> str | None:
    """Return the letter of the band of a filter, None if its name tells none."""
    for word in filters.split():
        name = word.lower()
        for alias, band in ALIASES.items():
            if name.startswith(alias):
                return band
        if name[:1] in AB_MINUS_VEGA and name not in ("open", "nond", "none"):
            return name[:1]
    return None


def ab_offset(filters: str) -> float | None:
    """Return m(AB) - m(Vega) of a filter, None if its name tells no band."""
    band = band_of(filters)
    return None if band is None else AB_MINUS_VEGA[band]


def select(names: Sequence[str], stars: Sequence[StandardStar], filters: str) -> StandardStar | None:
    """Return the standard that the first of ``names`` is, in the band of a filter.

    None if none is, or if it has no magnitude there. A star of type A0V has the same Vega magnitude in all bands.
    """
    band = band_of(filters)
    rows = standards.named(names, stars)
    for star in rows:
        if band is not None and star.band[:1].lower() == band:
            return star
    return next((star for star in rows if star.sed == "Pickles:A0V" and star.system.lower() == "vega"), None)


def measure(stack: AnyStack, place: tuple[float, float], star: StandardStar, filters: str, fwhm: float) -> ZeroPoint:
    """Return the zero point from the image of a star near ``place`` (pixels from 0).

    All its light is that within the largest circle that fits with its annulus of sky into the image and whose error is
    below 0.3 %, or twice the least there is, but no smaller than 3 FWHM; further out, up to 3 %, if the light still
    grows by more than its error. Its profile inside is its curve of growth: no magnitude depends on the circle.

    Raises
    ------
    ResourceError
        There is no star.
    """
    good = (stack.dq & UNSEEN) == 0
    found = sources.find(stack.sci, stack.err, good, fwhm, 20.0)
    near = np.hypot(found.x - place[0], found.y - place[1])
    candidates = np.flatnonzero(near < max(20.0 * fwhm, 40.0))
    if _saturated(stack, place, fwhm):
        raise ResourceError(f"the standard star {star.name} is saturated")
    if candidates.size == 0:
        raise ResourceError(f"the standard star {star.name} is not in its frame")
    best = candidates[np.argmax(found.significance[candidates])]
    x, y = found.x[best : best + 1], found.y[best : best + 1]
    for _ in range(2):  # of this star alone: the image's may be that of what is left of cosmic rays
        fwhm = max(sources.shape(stack.sci, good, x, y, fwhm).fwhm, 1.2)
    growth, rate, error = _growth(stack, x, y, fwhm)
    peak = _filtered_peak(np.where(good, stack.sci, np.float32(0.0)), float(x[0]), float(y[0]), fwhm)
    # stars lie anywhere between pixels: the mean of Gaussians
    peak *= math.exp(-4.0 * math.log(2.0) / 6.0 / (2.0 * fwhm**2))
    i, j = round(float(x[0])), round(float(y[0]))
    brightest = float(stack.sci[max(j - 1, 0) : j + 2, max(i - 1, 0) : i + 2].max())
    magnitude = star.mag
    offset = ab_offset(filters)
    if star.system.lower() == "ab":
        magnitude -= offset or 0.0
    zero = magnitude + 2.5 * math.log10(rate)
    sigma = math.hypot(2.5 / math.log(10) * error / rate, star.error)
    return ZeroPoint(
        zero,
        sigma,
        None if offset is None else zero + offset,
        star.name,
        growth,
        fwhm,
        peak / rate,
        brightest / rate,
    )


def _filtered_peak(image: Image, x: float, y: float, fwhm: float) -> float:
    """Return the value of the filtered image at a place between its pixels, by a cubic spline."""
    reach = math.ceil(4.0 * sources.filter_sigma(fwhm)) + SPLINE_REACH
    corner = [max(round(at) - reach, 0) for at in (y, x)]
    part = image[tuple(slice(low, low + 2 * reach + 1) for low in corner)]
    value: Any = sources.filtered(part, fwhm).astype(float)
    for at in (y - corner[0], x - corner[1]):  # along one axis and then the other
        size = len(value)
        inverse = np.linalg.inv((4.0 * np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)) / 6.0)
        distance = np.abs(np.arange(size) - at)
        near, far = 2.0 / 3.0 - distance**2 + distance**3 / 2.0, np.maximum(2.0 - distance, 0.0) ** 3 / 6.0
        value = np.where(distance < 1.0, near, far) @ inverse @ value
    return float(value)


def _growth(stack: AnyStack, x: Floats, y: Floats, fwhm: float) -> tuple[apertures.GrowthCurve, float, float]:
    """Return the curve of growth of a star, all its light (electron/s) and the error of that."""
    good = (stack.dq & UNSEEN) == 0
    ny, nx = stack.sci.shape
    room = min(float(x[0]), float(y[0]), nx - 1 - float(x[0]), ny - 1 - float(y[0]))
    most = max(room / 1.35, 3.0 * fwhm)
    radii = np.geomspace(max(1.0, 0.5 * fwhm), most, 24)
    ring = (most * 1.05, most * 1.35)
    fluxes = apertures.measure_all(stack.sci, stack.err, good, x, y, radii.tolist(), ring)
    curve, errors = (np.array([float(getattr(each, name)[0]) for each in fluxes]) for name in ("flux", "error"))
    relative = errors / np.maximum(curve, 1e-30)
    precise = np.flatnonzero(relative < max(PRECISION, 2.0 * float(relative.min())))
    last = min(max(int(precise[-1]), int(np.searchsorted(radii, MIN_FWHM * fwhm))), radii.size - 1)
    between = np.sqrt(np.maximum(np.diff(np.square(errors)), 0.0))
    grows = (np.diff(curve) > between) & (relative[1:] < MAX_ERROR)
    while last < radii.size - 1 and grows[last]:
        last += 1
    curve = curve[: last + 1]
    rate = float(curve[-1])
    return apertures.GrowthCurve(radii[: last + 1], curve / rate), rate, float(errors[last])


def _saturated(stack: AnyStack, place: tuple[float, float], fwhm: float) -> bool:
    """Return whether pixels about a place are saturated, hot and dead ones left out."""
    reach = max(round(5.0 * fwhm), 10)
    x, y = (round(value) for value in place)
    near = stack.dq[max(y - reach, 0) : max(y + reach + 1, 0), max(x - reach, 0) : max(x + reach + 1, 0)]
    return bool(np.any((near & (SATURATED | HOT | DEAD)) == SATURATED))
