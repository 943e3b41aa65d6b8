"""Spectra from strips: where the object is, the sky beside it, box and optimal extraction.

Nothing is resampled: the sky is taken along the curved lines (Kelson 2003, PASP 115, 688) and the object weighted pixel
by pixel (Horne 1986, PASP 98, 609).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import medians
from elvis_cli.kernels import spline as kernel
from elvis_cli.reduction.layout import Strip, along

Mask = NDArray[np.bool_]

BLOCKS = 16
"""Parts of a strip in which the object's place is measured."""
PROFILE_ROWS = 128
"""Rows over which the profile is taken to be the same."""
FLUX_ROWS = 15
"""Rows of the running median of the light from which the profile is measured first."""
REJECT = 5.0
"""Sigma beyond which a pixel is not of the object."""
PASSES = 6
OBJECT = 4.0
"""FWHM to either side of the object that are not sky."""
SKY_REACH = 150
"""Pixels to either side of the object from which the sky is taken: more of a long slit adds nothing."""
SKY_ERROR = 0.1
"""Relative error of the light of bright lines, by the response and the wavelengths, that is no cosmic ray."""
STIFF = 1e-4
"""Weight of a spline's second differences against that of the pixels of a knot."""
STRAIGHT = 0.02
"""Pixels by which lines may bend before the sky is a spline of the wavelength."""
LOST = 0.5
"""Part of the profile in bad pixels from which a spectral pixel is flagged."""


@dataclass(slots=True, eq=False)
class Pixels:
    """A strip's pixels: electron/s, their variance without the light in ``sci``, and which are good, each (n, m)."""

    sci: Floats
    var: Floats
    good: Mask
    seconds: float
    """All integrations: a rate f has the variance f / seconds."""

    def part(self, columns: slice) -> Pixels:
        """Return some of the pixels across."""
        return Pixels(self.sci[:, columns], self.var[:, columns], self.good[:, columns], self.seconds)


@dataclass(slots=True, eq=False)
class Place:
    """Where an object is on a strip."""

    s: Floats
    """arcsec along the aperture (n,)."""
    fwhm: float
    """arcsec."""


@dataclass(slots=True, eq=False)
class Spectrum:
    """A spectrum: one value for each row of a strip (n,); electron/s on a row."""

    order: int
    aperture: int
    wave: Floats
    """um."""
    width: Floats
    """um of a row."""
    flux: Floats
    err: Floats
    """Optimal extraction."""
    box: Floats
    box_err: Floats
    sky: Floats
    """electron/s of a pixel of sky."""
    bad: Mask
    rejected: int
    blaze: Floats | None = None
    """Light of the flat lamp, the greatest of the chip 1."""

    @property
    def signal(self) -> float:
        """All light over its error."""
        good = ~self.bad
        return float(self.flux[good].sum() / max(float(np.sqrt(np.square(self.err[good]).sum())), 1e-30))


def _binned(x: Floats, values: Floats, use: Mask, edges: Floats) -> Floats:
    """Return the means of values in bins of ``x`` without what is 4 sigma off; NaN where there is none."""
    which = np.digitize(x[use], edges) - 1
    inside = (which >= 0) & (which < edges.size - 1)
    which, v = which[inside], values[use][inside]
    count = edges.size - 1
    keep = np.ones(v.size, bool)
    mean = np.full(count, np.nan)
    for _ in range(3):
        n = np.bincount(which[keep], minlength=count)
        total = np.bincount(which[keep], v[keep], minlength=count)
        square = np.bincount(which[keep], v[keep] ** 2, minlength=count)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = total / n
            spread = np.sqrt(np.maximum(square / n - mean**2, 0.0))
        keep = np.abs(v - mean[which]) <= 4.0 * spread[which] + 1e-30
    return mean


def find(strip: Strip, pixels: Pixels, near: float | None = None) -> Place | None:
    """Return where the brightest object of a strip is, or the one next to ``near`` arcsec; None without any.

    The place is a polynomial along the dispersion through the centroids of 16 parts, so that it follows refraction.
    """
    slit = strip.slit
    edges = np.arange(slit.offset - slit.length / 2, slit.offset + slit.length / 2 + strip.scale, strip.scale)
    centres = (edges[1:] + edges[:-1]) / 2
    if centres.size < 5:
        return None
    inside = strip.inside & pixels.good
    level = row_medians(pixels.sci, inside)
    away = pixels.sci - level[:, None]
    profile = np.nan_to_num(_binned(strip.s, away, inside, edges))
    profile -= np.median(profile)
    smooth = np.convolve(profile, [0.25, 0.5, 0.25], "same")
    if near is not None:
        smooth = np.where(np.abs(centres - near) < 3 * strip.scale, smooth, -np.inf)
    top = int(np.argmax(smooth))
    peak = profile[top]
    noise = 1.4826 * float(np.median(np.abs(profile))) + 1e-30
    if peak <= 3.0 * noise:
        return None
    above = profile > peak / 2
    left, right = top, top
    while left > 0 and above[left - 1]:
        left -= 1
    while right < above.size - 1 and above[right + 1]:
        right += 1
    fwhm = max(_half_width(profile, left, right, peak) * strip.scale, 1.5 * strip.scale)
    s = _follow(strip, away, inside, float(centres[top]), fwhm)
    return Place(s, fwhm)


def _half_width(profile: Floats, left: int, right: int, peak: float) -> float:
    """Return the full width (bins) at half maximum between the crossings."""

    def crossing(inner: int, outer: int) -> float:
        if not 0 <= outer < profile.size or profile[inner] == profile[outer]:
            return 0.5
        return float(np.clip((profile[inner] - peak / 2) / (profile[inner] - profile[outer]), 0.0, 1.0))

    return right - left + crossing(left, left - 1) + crossing(right, right + 1)


def _follow(strip: Strip, away: Floats, inside: Mask, start: float, fwhm: float) -> Floats:
    """Return the object's place (n,) by centroids under a Gaussian window in parts of the strip."""
    n = strip.row.size
    rows, places, weights = [], [], []
    for part in np.array_split(np.arange(n), BLOCKS):
        x, v = strip.s[part], np.where(inside[part], away[part], 0.0)
        centre = start
        for _ in range(8):
            window = np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2) * inside[part]
            norm = float((window * v).sum())
            if norm <= 0:
                break
            centre += float(np.clip(2 * (window * v * (x - centre)).sum() / norm, -fwhm / 2, fwhm / 2))
        else:
            if abs(centre - start) < 2 * fwhm:
                rows.append(float(part.mean()))
                places.append(centre)
                weights.append(norm)
    if len(rows) < 3:
        return np.full(n, start)
    x, y, w = np.array(rows), np.array(places), np.sqrt(np.array(weights))
    unit = 2 * x / n - 1
    keep = np.ones(x.size, bool)
    fit = np.zeros(1)
    for _ in range(4):
        degree = min(2, int(keep.sum()) - 2)
        fit = np.polyfit(unit[keep], y[keep], max(degree, 0), w=w[keep])
        rest = np.abs(y - np.polyval(fit, unit))
        keep = rest <= max(3 * 1.4826 * float(np.median(rest[keep])), 0.02 * strip.scale)
        if keep.sum() < 4:
            break
    return np.asarray(np.polyval(fit, 2 * np.arange(n) / n - 1))


def sky_beside(strip: Strip, pixels: Pixels, object_: Mask) -> Floats | None:
    """Return the sky (n, m) from the slit outside the object, on the lines as they bend; None if there is too little.

    Where lines are straight it is the mean of each row, else a cubic spline of the wavelength with a knot a pixel.
    """
    slit = strip.slit
    usable = pixels.good & (np.abs(strip.s - slit.offset) < slit.length / 2 - strip.scale) & ~object_
    place = float(np.median(strip.s[object_])) if object_.any() else slit.offset
    usable &= np.abs(strip.s - place) < SKY_REACH * strip.scale
    if np.median(usable.sum(axis=1)) < 6:
        return None
    rows = np.arange(strip.row.size, dtype=float)
    middle = strip.middle(slit.offset)
    ascending = middle[-1] > middle[0]
    grid, at = (middle, rows) if ascending else (middle[::-1], rows[::-1])
    position = np.interp(strip.wave, grid, at)
    bend = np.abs(position - rows[:, None])[usable]
    if np.percentile(bend, 99) < STRAIGHT:
        return _row_means(strip, pixels, usable)
    return _spline_sky(position, pixels, usable)


def _row_means(strip: Strip, pixels: Pixels, usable: Mask) -> Floats:
    """Return the sky of each row: a straight line along the slit, without what is 5 sigma off."""
    rows = np.broadcast_to(np.arange(strip.row.size)[:, None], usable.shape)
    keep = _near_median(pixels, usable, rows, slopes=False)
    x = (strip.s - strip.slit.offset) / strip.slit.length
    x = np.where(np.abs(x) < 10, x, 0.0)
    model = np.zeros_like(pixels.sci)
    for _ in range(3):
        w = keep.astype(float)
        n, sx, sxx = w.sum(1), (w * x).sum(1), (w * x * x).sum(1)
        sy, sxy = (w * pixels.sci).sum(1), (w * x * pixels.sci).sum(1)
        determinant = n * sxx - sx**2
        flat = (n < 12) | (determinant <= 0)
        safe = np.where(flat, 1.0, determinant)
        b = np.where(flat, 0.0, (n * sxy - sx * sy) / safe)
        a = np.where(n > 0, (sy - b * sx) / np.maximum(n, 1), 0.0)
        model = a[:, None] + b[:, None] * x
        keep = usable & (np.abs(pixels.sci - model) <= REJECT * np.sqrt(pixels.var + np.abs(model) / pixels.seconds))
    return model


def _spline_sky(position: Floats, pixels: Pixels, usable: Mask) -> Floats:
    """Return the sky (n, m): a cubic spline of the place ``position`` (rows) of each pixel's wavelength."""
    columns = np.flatnonzero(usable.any(axis=0))
    near = slice(int(columns[0]), int(columns[-1]) + 1)
    whole = np.zeros_like(pixels.sci)
    whole[:, near] = sky_spline(position[:, near], pixels.part(near), usable[:, near])
    return whole


def sky_spline(position: Floats, pixels: Pixels, usable: Mask) -> Floats:
    """Return the sky of pixels of any shape: a cubic spline of ``position`` with a knot a unit, without outliers."""
    low, high = (float(each) for each in (position[usable].min(), position[usable].max()))
    x = np.clip(position.ravel() - low, 0.0, high - low)
    y, dark = (np.asarray(each, float).ravel() for each in (pixels.sci, pixels.var))
    flat, use = Pixels(y, dark, pixels.good.ravel(), pixels.seconds), usable.ravel()
    keep = _near_median(flat, use, x.astype(np.int64), slopes=True)
    weight, model = 1.0 / (dark + 1e-30), y
    for _ in range(3):
        coefficients = _coefficients(x, y, weight, keep)
        model = kernel.refine(x, y, dark, pixels.seconds, coefficients, use, REJECT, SKY_ERROR, weight, keep)
    return np.asarray(model.reshape(position.shape))


def spline(
    at: Floats, value: Floats, var: Floats, good: Mask
) -> tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]:
    """Return the cubic spline with a knot at each whole number through values at ``at`` (n,), and its error."""
    low, high = float(at[good].min()), float(at[good].max())
    x = np.clip(at - low, 0.0, high - low)
    knot = np.floor(x).astype(np.int64)
    keep = _near_median(Pixels(value, var, good, np.inf), good, knot, slopes=True)
    coefficients = np.zeros(int(high - low) + 4)
    for _ in range(3):
        coefficients = _coefficients(x, value, 1.0 / (var + 1e-30), keep)
        keep = good & (np.abs(value - kernel.evaluate(x, coefficients)) <= REJECT * np.sqrt(var))
    weight = np.bincount(knot[keep], 1.0 / (var[keep] + 1e-30), coefficients.size)

    def curve(place: Floats) -> Floats:
        return np.asarray(kernel.evaluate(np.clip(place - low, 0.0, high - low), coefficients))

    def error(place: Floats) -> Floats:
        return 1.0 / np.sqrt(np.maximum(np.interp(place - low - 0.5, np.arange(weight.size), weight), 1e-30))

    return curve, error


def _coefficients(x: Floats, y: Floats, weight: Floats, use: Mask) -> Floats:
    """Return the coefficients of uniform cubic B-splines through points from 0 on: banded normal equations.

    scipy's `make_lsq_spline` takes a hundred times as long for the pixels of a long slit.
    """
    from scipy.linalg import solveh_banded

    count = int(x.max()) + 4
    band, right = kernel.normal_equations(x, y, weight, use, count)
    # over knots without pixels it is straight (Eilers & Marx 1996, Stat. Sci. 11, 89): a penalty on second differences
    lit = band[3][band[3] > 0]
    stiff = STIFF * float(np.median(lit)) if lit.size else 1.0
    for first, factors in ((3, (1.0, 4.0, 1.0)), (2, (-2.0, -2.0)), (1, (1.0,))):
        for n, factor in enumerate(factors):
            band[first, 3 - first + n : count - len(factors) + n + 1] += stiff * factor
    band[3] += 1e-9 * band[3].max()
    return np.asarray(solveh_banded(band, right), float)


def _near_median(pixels: Pixels, usable: Mask, group: NDArray[np.int64], *, slopes: bool) -> Mask:
    """Return which usable pixels (n, m) are near the median of their ``group``: cosmic rays would pull a mean of all.

    With ``slopes`` the light changes within a group as it does between its neighbours.
    """
    values, which, use = (np.ascontiguousarray(each).ravel() for each in (pixels.sci, group, usable))
    middle = medians.of_groups(values, which, use, int(which.max()) + 1)
    spread = np.zeros(middle.size)
    if slopes and middle.size > 2:
        spread[1:-1] = np.maximum(np.abs(np.diff(middle)[1:]), np.abs(np.diff(middle)[:-1]))
    dark = np.ascontiguousarray(pixels.var).ravel()
    keep = kernel.near_median(values, dark, pixels.seconds, which, middle, spread, use, REJECT, SKY_ERROR)
    return np.asarray(keep.reshape(usable.shape))


def box_weights(strip: Strip, s: Floats, radius: float) -> Floats:
    """Return how much (n, m) of each pixel is within ``radius`` arcsec of ``s`` (n,)."""
    x = strip.s - s[:, None]
    inside = np.minimum(x + strip.scale / 2, radius) - np.maximum(x - strip.scale / 2, -radius)
    return np.asarray(np.clip(inside / strip.scale, 0.0, 1.0))


def profile(strip: Strip, pixels: Pixels, s: Floats, radius: float) -> Floats:
    """Return the share (n, m) of each pixel in the object's light within ``radius``: smooth along the dispersion."""
    from scipy.ndimage import median_filter

    x = (strip.s - s[:, None]) / strip.scale
    window = np.abs(x) <= radius / strip.scale + 0.5
    total = np.where(window & pixels.good, pixels.sci, 0.0).sum(axis=1)
    shares = _shares(x, pixels, window, median_filter(total, FLUX_ROWS, mode="nearest"))
    return _shares(x, pixels, window, optimal(pixels, shares)[0])


def _shares(x: Floats, pixels: Pixels, window: Mask, total: Floats) -> Floats:
    """Return the shares (n, m) of pixels at ``x`` from the object in the light ``total`` (n,) of their rows."""
    n = total.size
    shares = np.zeros_like(pixels.sci)
    step = PROFILE_ROWS
    for start in range(0, n, step):
        rows = slice(max(start - step // 2, 0), min(start + step + step // 2, n))
        use = window[rows] & pixels.good[rows] & (total[rows] > 0)[:, None]
        own = slice(start, min(start + step, n))
        if not use.any():
            shares[own] = np.exp(-0.5 * x[own] ** 2) * window[own]
            continue
        phase = (x[rows] - np.round(x[rows]))[use]
        fine = np.mean(np.histogram(phase, 4, (-0.5, 0.5))[0] > 0.1 * phase.size / 4) > 0.8
        light = np.broadcast_to(total[rows, None], use.shape)[use]
        part = Pixels(pixels.sci[rows][use], pixels.var[rows][use], use, pixels.seconds)
        shares[own] = _smooth_profile(x[rows][use], part, light, x[own], 0.5 if fine else 1.0)
    shares = np.where(window, np.maximum(shares, 0.0), 0.0)
    norm = shares.sum(axis=1)
    return np.asarray(shares / np.where(norm > 0, norm, 1.0)[:, None])


def _smooth_profile(x: Floats, pixels: Pixels, total: Floats, at: Floats, step: float) -> Floats:
    """Return the mean of light over the row's light ``total`` against ``x`` (pixels), at other places."""
    from scipy.interpolate import PchipInterpolator

    share, weight = pixels.sci / total, np.square(total)
    which = np.floor(x / step - np.floor(x.min() / step) + (0.5 if step == 1.0 else 0.0)).astype(int)
    count = int(which.max()) + 1
    bright = total >= 0.5 * np.percentile(total, 90)
    mean = group_medians(share[bright], which[bright], count)
    keep = np.ones(x.size, bool)
    for _ in range(4):
        # what a cosmic ray adds is no share of the object's light
        model = np.maximum(mean[which], 0.0) * total
        keep = np.abs(pixels.sci - model) <= REJECT * np.sqrt(pixels.var + model / pixels.seconds) + 0.1 * model
        norm = np.bincount(which, weight * keep, count)
        mean = np.bincount(which, weight * share * keep, count) / np.where(norm > 0, norm, 1.0)
    seen = norm > 0
    place = np.bincount(which, weight * x * keep, count)[seen] / norm[seen]
    if place.size < 2:
        return np.zeros_like(at)
    smooth = PchipInterpolator(place, mean[seen], extrapolate=False)
    return np.nan_to_num(smooth(np.clip(at, place[0], place[-1])))


def row_medians(values: Floats, use: Mask) -> Floats:
    """Return the median (n,) of the used values of each row (n, m), the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_rows(values, use))


def group_medians(values: Floats, which: NDArray[np.int64], count: int) -> Floats:
    """Return the medians (count,) of the values of each group, the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_groups(values, which, np.ones(values.size, bool), count))


def optimal(pixels: Pixels, shares: Floats) -> tuple[Floats, Floats, Mask, int]:
    """Return flux, its error (n,), the pixels that were used (n, m) and how many were rejected: Horne 1986, eq. 8.

    The variance is that expected of the flux and the profile, not that of the pixels' own values.
    """
    good = pixels.good & (shares > 0)
    d = pixels.sci
    total = np.where(good, shares, 0.0).sum(axis=1)
    flux = np.where(good, d, 0.0).sum(axis=1) / np.where(total > 0.05, total, np.inf)
    first = int(good.sum())
    variance = pixels.var
    for _ in range(PASSES):
        variance = pixels.var + np.maximum(flux[:, None] * shares, 0.0) / pixels.seconds
        weight = np.where(good, shares / np.maximum(variance, 1e-30), 0.0)
        norm = (weight * shares).sum(axis=1)
        flux = (weight * d).sum(axis=1) / np.where(norm > 0, norm, np.inf)
        model = flux[:, None] * shares
        # the profile is known to a few per cent: what it gets wrong of a bright star is no cosmic ray
        away = np.abs(d - model) / np.sqrt(np.maximum(variance, 1e-30) + np.square(0.05 * np.maximum(model, 0.0)))
        worst = np.where(good, away, 0.0)
        again = good & ~((worst > REJECT) & (worst >= worst.max(axis=1, keepdims=True)))
        if np.array_equal(again, good):
            break
        good = again
    weight = np.where(good, shares / np.maximum(variance, 1e-30), 0.0)
    norm = (weight * shares).sum(axis=1)
    err = np.where(norm > 0, 1.0 / np.sqrt(np.where(norm > 0, norm, 1.0)), 0.0)
    return flux, err, good, first - int(good.sum())


def extract(strip: Strip, pixels: Pixels, sky: Floats, place: Place, radius: float) -> Spectrum:
    """Return the spectrum of an object: ``radius`` (arcsec) of the box, ``sky`` (n, m) already subtracted."""
    reach = max(radius, 1.5 * place.fwhm)
    shares = profile(strip, pixels, place.s, reach)
    flux, err, used, rejected = optimal(pixels, shares)
    weights = box_weights(strip, place.s, radius)
    model = flux[:, None] * shares
    filled = np.where(used | (shares <= 0) & pixels.good, pixels.sci, model)  # what is bad has the profile's light
    variance = pixels.var + np.maximum(model, 0.0) / pixels.seconds
    lost = np.where(used, 0.0, shares).sum(axis=1)
    wave = along(strip.s, strip.wave, place.s)
    return Spectrum(
        strip.order, strip.aperture, wave, np.abs(np.gradient(wave)), flux, err,
        (weights * filled).sum(axis=1), np.sqrt((np.square(weights) * variance).sum(axis=1)),
        along(strip.s, sky, place.s), (lost > LOST) | (err <= 0), rejected,
    )  # fmt: skip
