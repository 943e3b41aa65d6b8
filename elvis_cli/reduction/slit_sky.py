"""The sky along the curved lines of a slit (Kelson 2003, PASP 115, 688), and splines of the wavelength."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.parallel import gather
from elvis_cli.kernels import medians
from elvis_cli.kernels import spline as kernel
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import REJECT, Mask, Pixels

OBJECT = 4.0
"""FWHM to either side of the object that are not sky."""
SKY_REACH = 150
"""Pixels to either side of the object from which the sky is taken: more of a long slit adds nothing."""
SKY_ERROR = 0.1
"""Relative error of the light of bright lines, by the response and the wavelengths, that is no cosmic ray."""
SLOPE_ERROR = 0.01
"""Part of the sky by which a spline may be wrong between rows."""
STIFF = 1e-4
"""Weight of a spline's second differences against that of the pixels of a knot."""
STRAIGHT = 0.02
"""Pixels by which lines may bend before the sky is a spline of the wavelength."""
BEND_ERROR = 0.1
"""Pixels: error of the bend of lines by an arc, within which the sky's own lines correct it."""
BLOCK = 1 << 18
"""Pixels that a thread works on at once."""


@dataclass(frozen=True, slots=True, eq=False)
class SlitSky:
    """The sky of a slit."""

    light: Floats
    """electron/s of each pixel (n, m)."""
    err: Floats
    """Its error (n,) where the object is, which all pixels of a row have in common."""


def sky_beside(strip: Strip, pixels: Pixels, object_: Mask) -> SlitSky | None:
    """Return the sky from the slit outside the object, on the lines as they bend; None if there is too little.

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
    # the object's own columns too: at an end of the slit it has sky on one side alone
    columns = np.flatnonzero((usable | object_).any(axis=0))
    near = slice(int(columns[0]), int(columns[-1]) + 1)
    position, use = np.interp(strip.wave[:, near], grid, at), usable[:, near]
    bend = np.abs(position - rows[:, None])[use]
    if np.percentile(bend, 99) < STRAIGHT:
        model = _row_means(strip, pixels, usable)
        return SlitSky(model, _error(strip.s - place, pixels, usable, model, slopes=True))
    x = strip.s[:, near] - place
    whole = np.zeros_like(pixels.sci)
    whole[:, near] = _spline_sky(position, np.clip(x / np.abs(x[use]).max(), -1.0, 1.0), pixels.part(near), use)
    return SlitSky(whole, _error(strip.s - place, pixels, usable, whole, slopes=False))


def _error(x: Floats, pixels: Pixels, usable: Mask, model: Floats, *, slopes: bool) -> Floats:
    """Return the error (n,) at 0 of the mean of each row's usable pixels at ``x``, or of a straight line through them.

    A spline with a knot a row is as uncertain as the mean.
    """
    weight = usable / (pixels.var + np.maximum(model, 0.0) / pixels.seconds + 1e-30)
    total = np.maximum(weight.sum(axis=1), 1e-30)
    variance = 1.0 / total
    if slopes:
        middle = (weight * x).sum(axis=1) / total
        spread = (weight * np.square(x - middle[:, None])).sum(axis=1)
        variance += np.square(middle) / np.maximum(spread, 1e-30)
    return np.asarray(np.where(usable.any(axis=1), np.sqrt(variance), 0.0))


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


def _spline_sky(position: Floats, place: Floats, pixels: Pixels, usable: Mask) -> Floats:
    """Return the sky (n, m): a cubic spline of the ``position`` (rows) of each pixel's wavelength.

    ``place`` along the slit is -1 to 1.
    """
    model = sky_spline(position, pixels, usable, place)
    rows = np.arange(len(position), dtype=float)[:, None]
    if np.abs(position - rows)[usable].max() < 1.0:
        model = model + _between_rows(position, pixels, usable, model)
    return model


def _between_rows(position: Floats, pixels: Pixels, usable: Mask, model: Floats) -> Floats:
    """Return the light (n, m) of lines bent by less than a pixel that a spline leaves: linear in ``position`` in a row.

    Pixels see no more of a line than its light in them, so that a spline has another slope between the rows than the
    line. The error of the slope is a Gaussian as wide as fourth differences of the rows tell: none where there are no
    lines, and no noise of it either.
    """
    variance = pixels.var + np.maximum(model, 0.0) / pixels.seconds
    away, extra = pixels.sci - model, np.zeros_like(model)
    keep = usable & (np.abs(away) <= REJECT * np.sqrt(variance) + SLOPE_ERROR * np.abs(model))
    middle = np.sum(np.where(usable, model, 0.0), axis=1) / np.maximum(usable.sum(axis=1), 1)
    sharp = np.square(np.convolve(np.pad(middle, 2, "edge"), (1.0, -4.0, 6.0, -4.0, 1.0), "valid"))
    for _ in range(2):
        weight = keep / variance
        total = np.maximum(weight.sum(axis=1), 1e-30)
        x, y = (each - (weight * each).sum(axis=1, keepdims=True) / total[:, None] for each in (position, away))
        information = (weight * np.square(x)).sum(axis=1)
        seen = information > 0.1 * np.median(information)
        noise = 1.0 / np.where(seen, information, np.inf)
        slope = (weight * x * y).sum(axis=1) * noise
        ratio = float(np.sum(np.square(slope) - noise)) / max(float(np.sum(sharp[seen])), 1e-30)
        width = np.maximum(ratio, 0.0) * sharp
        extra = (slope * width / np.maximum(width + noise, 1e-30))[:, None] * x
        keep = usable & (np.abs(away - extra) <= REJECT * np.sqrt(variance))
    return np.asarray(extra)


def sky_spline(position: Floats, pixels: Pixels, usable: Mask, place: Floats | None = None) -> Floats:
    """Return the sky of pixels of any shape: a cubic spline of ``position`` with a knot a unit, without outliers.

    With the ``place`` along a slit (-1 to 1) the bend of the lines and the evenness of the light along them are those
    of the sky, by least squares of what the spline leaves: a star before the thermal sky has a hundredth of its light,
    which an error of a few hundredths of a pixel would leave a tenth wrong. Where there are no lines none bends more.
    """
    low, high = (float(each) for each in (position[usable].min(), position[usable].max()))
    x = np.clip(position.ravel() - low, 0.0, high - low)
    y, dark = (np.asarray(each, float).ravel() for each in (pixels.sci, pixels.var))
    flat, use = Pixels(y, dark, pixels.good.ravel(), pixels.seconds), usable.ravel()
    keep = _near_median(flat, use, x.astype(np.int64), slopes=True)
    weight, model, even = 1.0 / (dark + 1e-30), np.empty_like(y), None
    along = None if place is None else place.ravel()
    for n in range(3):
        scaled = y if even is None else y / even
        coefficients = _coefficients(x, scaled, weight, keep, int(high - low) + 4)
        if along is not None and n < 2:
            matrix, right = kernel.bend_equations(x, scaled, weight, keep, coefficients, along)
            fit = np.linalg.solve(matrix + np.diag([BEND_ERROR**-2] * 3 + [SKY_ERROR**-2]), right)
            x = np.clip(x + np.polyval(fit[2::-1], along), 0.0, high - low)
            even = (1.0 if even is None else even) * (1.0 + fit[3] * along)
            scaled = y / even
        refine = partial(_refine, x, scaled, dark, pixels.seconds, coefficients, use, weight, keep, model)
        gather(refine, _blocks(x.size))
    return np.asarray((model if even is None else model * even).reshape(position.shape))


def _blocks(size: int) -> list[slice]:
    """Return the pixels that threads work on at once."""
    return [slice(first, min(first + BLOCK, size)) for first in range(0, size, BLOCK)]


def _refine(
    x: Floats,
    y: Floats,
    dark: Floats,
    seconds: float,
    coefficients: Floats,
    use: Mask,
    weight: Floats,
    keep: Mask,
    model: Floats,
    p: slice,
) -> None:
    """Fill the part ``p`` of weight, keep and model, as the kernel has it."""
    own = x[p], y[p], dark[p], seconds, coefficients, use[p], REJECT, SKY_ERROR
    kernel.refine(*own, weight[p], keep[p], model[p])


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
        coefficients = _coefficients(x, value, 1.0 / (var + 1e-30), keep, coefficients.size)
        keep = good & (np.abs(value - kernel.evaluate(x, coefficients)) <= REJECT * np.sqrt(var))
    weight = np.bincount(knot[keep], 1.0 / (var[keep] + 1e-30), coefficients.size)

    def curve(place: Floats) -> Floats:
        return np.asarray(kernel.evaluate(np.clip(place - low, 0.0, high - low), coefficients))

    def error(place: Floats) -> Floats:
        return 1.0 / np.sqrt(np.maximum(np.interp(place - low - 0.5, np.arange(weight.size), weight), 1e-30))

    return curve, error


def _coefficients(x: Floats, y: Floats, weight: Floats, use: Mask, count: int) -> Floats:
    """Return the coefficients (count,) of uniform cubic B-splines through points from 0 on: banded normal equations.

    scipy's `make_lsq_spline` takes a hundred times as long for the pixels of a long slit.
    """
    parts = gather(lambda p: kernel.normal_equations(x[p], y[p], weight[p], use[p], count), _blocks(x.size))
    band, right = (np.sum(each, axis=0) for each in zip(*parts, strict=True))
    # over knots without pixels it is straight (Eilers & Marx 1996, Stat. Sci. 11, 89): a penalty on second differences
    lit = band[3][band[3] > 0]
    stiff = STIFF * float(np.median(lit)) if lit.size else 1.0
    for first, factors in ((3, (1.0, 4.0, 1.0)), (2, (-2.0, -2.0)), (1, (1.0,))):
        for n, factor in enumerate(factors):
            band[first, 3 - first + n : count - len(factors) + n + 1] += stiff * factor
    band[3] += 1e-9 * band[3].max()
    return np.asarray(kernel.solve(band, right))


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
