"""The wavelength of each pixel from an arc: lines are found near where the layout has them, and their places fitted.

What is fitted is the difference, in pixels along the dispersion, between a line and the layout: a polynomial in the
place along the dispersion, along the slit and in the order, all traces of an echelle together (as the residuals of a
physical model are: Ballester & Rosa 1997, A&AS 126, 563), each aperture of a slicer or a mask by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import gather
from elvis_cli.model.calibration import Lamp
from elvis_cli.reduction.layout import ChipLayout, Strip, along
from elvis_cli.reduction.line_polynomial import LinePolynomial, unit

SEARCH = 12
"""Pixels to either side in which a common shift is looked for."""
PLACES = 7
"""Along a slit, at which lines are measured."""
BLENDED = 0.1
"""Most of a line's width by which others within its window may move its centroid."""
STRENGTH = 0.3
"""Relative error of the strengths of lines, from which it is known how far that is."""
FLOOR = 0.01
"""Pixels: error of the brightest line's centroid."""
LEAST_SEEN = 0.8
"""Part of a place's pixels that a window holds in a row, from which lines are measured there."""
SIGNIFICANT = 12.0
"""Least peak of a line over the noise."""
CLIP = 3.5
PASSES = 5
FEW = 3
"""Points below which an aperture is not fitted by itself, and an arc tells nothing."""


@dataclass(slots=True, eq=False)
class Solution:
    """The scatter and the number of the lines behind the wavelengths of one chip."""

    rms: float
    """Pixels."""
    rms_nm: float
    lines: int
    """Lines times places along the slit that were used; too few for more than a shift below 3 of a trace."""
    shift: float
    """Pixels, median of layout to arc."""


@dataclass(slots=True, eq=False)
class _Measured:
    """Lines on the strips: arrays (n,)."""

    strip: Floats
    u: Floats
    """Along the dispersion, -1 to 1."""
    w: Floats
    """Along the aperture, -1 to 1."""
    order: Floats
    line: Floats
    """um: its wavelength."""
    away: Floats
    """Pixels from where the layout has the line."""
    sigma: Floats
    """Pixels: error of ``away``."""
    um: Floats
    """um of a pixel there."""


Cut = list[tuple[float, Floats, Floats, Floats]]
"""Spectra of an arc along a strip: place (arcsec), its spectrum (n,), the noise of that, the layout's wavelengths."""


def solve(arc: Image, sigma: Image, layout: ChipLayout, lamps: Sequence[Lamp]) -> Solution | None:
    """Correct the wavelengths of the strips in place by an arc (ny, nx), turned, whose noise is ``sigma``.

    Returns None where too few lines are seen.
    """
    return solve_cuts(gather(lambda strip: _spectra(strip, arc, sigma), layout.strips), layout, lamps)


def solve_cuts(cuts: Sequence[Cut], layout: ChipLayout, lamps: Sequence[Lamp]) -> Solution | None:
    """Correct the wavelengths of the strips in place by the spectra of an arc along each of them."""
    if not layout.strips:
        return None
    strength = np.concatenate([lamp.strength for lamp in lamps]) if lamps else np.empty(0)
    wave = np.concatenate([lamp.wave for lamp in lamps]) if lamps else np.empty(0)
    order = np.argsort(wave)
    wave, strength = wave[order], strength[order]
    shift = _common_shift(layout.strips, cuts, wave, strength)
    parts = gather(
        lambda number: _lines(number, layout.strips[number], cuts[number], wave, strength, shift),
        range(len(layout.strips)),
    )
    seen = _Measured(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Measured.__slots__))
    if seen.away.size < FEW:  # as likely noise as a line
        return None
    traces = {(strip.aperture, strip.order) for strip in layout.strips}
    together = len({aperture for aperture, _ in traces}) < len(traces) or len(layout.strips) == 1
    residuals, used = np.full(seen.away.size, np.nan), 0
    for group in [np.arange(len(layout.strips))] if together else [np.array([n]) for n in range(len(layout.strips))]:
        mine = np.isin(seen.strip, group)
        if np.count_nonzero(mine) < FEW:
            common = float(np.median(seen.away))  # too few lines: the shift that all have in common
            residuals[mine] = seen.away[mine] - common
            for n in group:
                _move(layout.strips[n], np.full(layout.strips[n].s.shape, common))
            continue
        fit, kept = _fit(seen, mine, len(group) > 3)
        residuals[np.flatnonzero(mine)[kept]] = (
            seen.away[mine] - fit.at(seen.u[mine], seen.w[mine], seen.order[mine])
        )[kept]
        used += int(kept.sum())
        for n in group:
            strip = layout.strips[n]
            _move(strip, fit.of_strip(strip))
    good = np.isfinite(residuals)
    return Solution(
        float(np.std(residuals[good])),
        float(np.std((residuals * seen.um)[good]) * 1e3),
        used,
        float(np.median(seen.away)),
    )


def _move(strip: Strip, away: Floats) -> None:
    """Move the light of a strip by ``away`` (n, m) pixels along the dispersion."""
    strip.wave = strip.wave - away * strip.dispersion()


def _spectra(strip: Strip, arc: Image, sigma: Image) -> Cut:
    """Return the arc at places along a strip."""
    values, noise = strip.cut(arc), strip.cut(sigma)
    slit = strip.slit
    seen = strip.s[strip.inside]
    if not seen.size:
        return []
    low, high = (float(end) for end in np.percentile(seen, (8, 92)))
    places = [slit.offset] if slit.fibre else list(np.linspace(low, high, PLACES))
    half = slit.length / 2 if slit.fibre else max(1.5 * strip.scale, slit.length / 40)
    spectra = []
    for place in places:
        there = np.abs(strip.s - place) <= half
        near, whole = there & strip.on_chip, there.sum(axis=1)
        seen_by = np.flatnonzero(near.any(axis=0))
        if not seen_by.size:
            continue
        columns = slice(int(seen_by[0]), int(seen_by[-1]) + 1)
        near = near[:, columns]
        count = near.sum(axis=1)
        if np.median(count) < 1:
            continue
        total = np.where(near, values[:, columns], 0.0).sum(axis=1)
        error = np.sqrt(np.square(np.where(near, noise[:, columns], 0.0)).sum(axis=1))
        per = np.maximum(count, 1)
        # lines lean: where a window cuts the place, its pixels see another wavelength than its middle
        seen_at = np.where(count > 0, np.where(near, strip.s[:, columns], 0.0).sum(axis=1) / per, place)
        error = np.where(count > LEAST_SEEN * whole, error / per, np.inf)
        spectra.append((place, total / per, error, along(strip.s, strip.wave, seen_at)))
    return spectra


def _common_shift(strips: Sequence[Strip], cuts: Sequence[Cut], wave: Floats, strength: Floats) -> int:
    """Return the pixels by which all lines are shifted: the maximum of the correlation with the lines expected."""
    shifts = np.arange(-SEARCH, SEARCH + 1)
    score = np.zeros(shifts.size)
    for strip, spectra in zip(strips, cuts, strict=True):
        for _, values, error, at in spectra[len(spectra) // 2 : len(spectra) // 2 + 1]:
            place, _, light = _expected(strip, at, wave, strength)
            if not place.size:
                continue
            model = _drawn(place, np.sqrt(light), strip.line_width, values.size)
            seen = np.isfinite(error)
            if not seen.any():
                continue
            level, noise = np.median(values[seen]), np.maximum(np.median(error[seen]), 1e-9)
            data = np.sqrt(np.where(seen, np.maximum(values - level, 0.0), 0.0) / noise)
            score += [float(np.sum(np.roll(data, -k) * model)) for k in shifts]
    return int(shifts[int(np.argmax(score))]) if score.any() else 0


def _expected(strip: Strip, at: Floats, wave: Floats, strength: Floats) -> tuple[Floats, Floats, Floats]:
    """Return rows, wavelengths and strengths of the lines that fall onto a strip with wavelengths ``at`` (n,)."""
    up = at[-1] > at[0]
    grid = at if up else at[::-1]
    on = (wave > grid[0]) & (wave < grid[-1])
    rows = np.interp(wave[on], grid, np.arange(at.size) if up else np.arange(at.size)[::-1])
    return rows, wave[on], strength[on]


def _lines(
    number: int,
    strip: Strip,
    spectra: Cut,
    wave: Floats,
    strength: Floats,
    shift: int,
) -> _Measured:
    """Return the lines of a strip that stand out of the noise and that others move by little."""
    rows: list[tuple[float, ...]] = []
    width = strip.line_width
    for s, values, error, at in spectra:
        x, line, light = _expected(strip, at, wave, strength)
        if not x.size:
            continue
        # neighbours move a line's centroid, as they do in the spectrum that the list of lines leads to
        blend = _centroids(_drawn(x, light, width, values.size), x, width)[0] - x
        seen = np.isfinite(blend) & (np.abs(blend) < BLENDED * width)
        x, line, blend = x[seen], line[seen], blend[seen]
        start = x + blend
        place, peak = _centroids(values, start + shift, width)
        noise = np.interp(place, np.arange(error.size), error)
        slope = np.abs(np.gradient(at))
        good = np.isfinite(place) & (peak > SIGNIFICANT * noise) & (np.abs(place - start - shift) < 1.5 * width)
        good &= (place > 3 * width) & (place < values.size - 1 - 3 * width)
        sigma = np.sqrt(FLOOR**2 + (STRENGTH * blend) ** 2 + width * (0.5 * noise / np.maximum(peak, 1e-30)) ** 2)
        u = np.interp(place, np.arange(values.size), unit(strip))
        w = (s - strip.slit.offset) / (strip.slit.length / 2)
        rows += [
            (number, u[n], w, strip.order, line[n], place[n] - start[n], sigma[n], slope[int(place[n])])
            for n in np.flatnonzero(good)
        ]
    return _Measured(*(np.array(rows, float).reshape(-1, 8).T))


def _drawn(x: Floats, light: Floats, width: float, size: int) -> Floats:
    """Return the light (size,) of Gaussian lines at ``x`` (pixels) with peaks ``light`` and a FWHM ``width``."""
    reach = int(np.ceil(1.7 * width)) + 1
    index = np.round(x).astype(int)[:, None] + np.arange(-reach, reach + 1)
    shape = light[:, None] * np.exp(-4 * np.log(2) * np.square((index - x[:, None]) / width))
    on = (index >= 0) & (index < size)
    return np.asarray(np.bincount(index[on], shape[on], minlength=size), float)


def _centroids(values: Floats, start: Floats, width: float) -> tuple[Floats, Floats]:
    """Return the places of lines near ``start`` and their peaks: centroids under a Gaussian window as wide as the line.

    The window moves with the centroid until it rests (Bertin & Arnouts 1996; "windowed" places of SExtractor).
    """
    reach = int(np.ceil(1.5 * width)) + 1
    offsets = np.arange(-reach, reach + 1)
    sigma2 = (width / 2.355) ** 2
    x = start.astype(float).copy()
    inside = (x > reach + 1) & (x < values.size - reach - 2)
    peak = np.zeros(x.size)
    for _ in range(12):
        middle = np.round(np.where(inside, x, reach + 2)).astype(int)
        index = np.clip(middle[:, None] + offsets, 0, values.size - 1)
        data = values[index]
        data = data - np.minimum(data[:, 0], data[:, -1])[:, None]
        away = index - x[:, None]
        weight = np.exp(-0.5 * away**2 / sigma2)
        total = (data * weight).sum(axis=1)
        step = 2.0 * (data * weight * away).sum(axis=1) / np.where(total > 0, total, np.inf)
        x = x + np.clip(step, -1.0, 1.0)
        inside &= (x > reach + 1) & (x < values.size - reach - 2) & (total > 0)
        peak = data.max(axis=1)
    return np.where(inside, x, np.nan), peak


def _fit(seen: _Measured, mine: NDArray[np.bool_], orders: bool) -> tuple[LinePolynomial, NDArray[np.bool_]]:
    """Return the polynomial through the lines and which were kept."""
    u, w, order, away, sigma = (getattr(seen, name)[mine] for name in ("u", "w", "order", "away", "sigma"))
    low, high = float(order.min()), float(order.max())
    slit = np.unique(w).size > 2
    powers = [
        (a, b, c)
        for a in range(4)
        for b in range(3 if slit else 1)
        for c in range(3 if orders and high > low else 1)
        if a + b + c <= 4 and b * a <= 2
    ]
    # the lowest first, a slope from four lines on and a term for each three: a polynomial with more runs away
    powers = sorted(powers, key=lambda power: (power[0] + power[2], power[1]))
    lines = np.unique(np.stack([order, seen.line[mine]]), axis=1).shape[1]
    terms = list(dict.fromkeys((a, c) for a, _, c in powers))[: max(lines // 3, min(lines - 2, 2), 1)]
    powers = [one for one in powers if (one[0], one[2]) in terms]

    kept = np.ones(away.size, bool)
    design = LinePolynomial(powers, (low, high), np.zeros(len(powers))).design(u, w, order) / sigma[:, None]
    for _ in range(PASSES):
        count = _terms(design[kept], away[kept] / sigma[kept])
        fit = np.linalg.lstsq(design[kept, :count], away[kept] / sigma[kept], rcond=1e-8)[0]
        rest = away / sigma - design[:, :count] @ fit
        spread = 1.4826 * float(np.median(np.abs(rest[kept])))
        again = np.abs(rest) <= CLIP * max(spread, 1e-2)
        if np.array_equal(again, kept):
            break
        kept = again
    return LinePolynomial(powers[:count], (low, high), np.asarray(fit, float)), kept


def _terms(design: Floats, values: Floats) -> int:
    """Return how many of the first columns of a design (n, k) the values (n,) ask for.

    It is the number with the least information criterion of Akaike, corrected for few values (Hurvich & Tsai 1989,
    Biometrika 76, 297): terms that only follow the noise run away where there are no lines.
    """
    n = values.size
    part = np.square(np.linalg.qr(design)[0].T @ values)
    k = np.arange(1, part.size + 1)
    k = k[k < n - 1]
    if not k.size:
        return 1
    rest = np.maximum(np.square(values).sum() - np.cumsum(part)[: k.size], 1e-12 * n)
    return int(k[np.argmin(n * np.log(rest / n) + 2.0 * k * n / (n - k - 1.0))])
