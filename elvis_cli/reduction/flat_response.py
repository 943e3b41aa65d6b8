"""The edges of a slit, the light of the lamp along an order and the response of single pixels, from a flat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import group_medians, row_medians, running_median

PARTS = 16
"""Of a strip, in which the edges are looked for."""
SMOOTH = 31
"""Rows of the running median that tells the lamp's spectrum from the response of single pixels."""
EVEN = 1
"""Degree of the polynomial of a slit's evenness: what the sky's straight line beside the object takes away."""
DARK = 0.25
"""Of the light inside a slit, to which it falls beside an edge."""
LEAST_LIGHT = 0.02
"""Of the brightest row: below, there is no response to be measured."""


def find_aperture(strip: Strip, flat: Image) -> None:
    """Correct the places along a slit in place by its image in a flat, whose edges are where the light falls to half.

    The shift is a straight line along the dispersion; there is none where a window has not both edges.
    """
    values = strip.cut(flat)
    rows, shifts = [], []
    for part in np.array_split(np.arange(strip.row.size), PARTS):
        shift = _edge_shift(strip, values, part)
        if shift is not None:
            rows.append(float(part.mean()))
            shifts.append(shift)
    if len(rows) < 4:
        return
    x, y = np.array(rows), np.array(shifts)
    keep = np.abs(y - np.median(y)) <= max(4 * 1.4826 * float(np.median(np.abs(y - np.median(y)))), 0.02 * strip.scale)
    line = np.polyfit(x[keep], y[keep], 1)
    strip.s = strip.s - np.polyval(line, np.arange(strip.row.size))[:, None]


def _profile(strip: Strip, values: Floats, part: NDArray[np.int64]) -> tuple[Floats, Floats] | None:
    """Return places (arcsec) and the median light of some rows there, relative to the inside."""
    s, on = strip.s[part], strip.on_chip[part]
    # pixels of a straight slit are in the middle of a bin, not where two meet
    edges = np.arange(s[on].min() - strip.scale / 2, s[on].max() + strip.scale / 2, strip.scale)
    which = np.where(on, np.digitize(s, edges), 0)
    light = _medians(values[part], which, edges.size - 1)
    inner = np.abs(edges[:-1] + strip.scale / 2 - strip.slit.offset) < 0.35 * strip.slit.length
    level = np.nanmedian(light[inner]) if inner.any() else np.nanmax(light)
    if not level > 0:
        return None
    return edges[:-1] + strip.scale / 2, np.nan_to_num(light / level)


def _medians(values: Floats, which: NDArray[np.int64], count: int) -> Floats:
    """Return the medians (count,) of the values that belong to 1, 2, ... count; NaN of none."""
    use = (which >= 1) & (which <= count)
    numbers = which[use]
    if not numbers.size:
        return np.full(count, np.nan)
    medians = group_medians(values[use], numbers - 1, count)
    return np.where(np.bincount(numbers - 1, minlength=count) > 0, medians, np.nan)


def _edge_shift(strip: Strip, values: Floats, part: NDArray[np.int64]) -> float | None:
    """Return how far (arcsec) the slit's edges are from the layout's in some rows, None if one is not seen."""
    profile = _profile(strip, values, part)
    if profile is None:
        return None
    s, light = profile
    low, high = strip.slit.offset - strip.slit.length / 2, strip.slit.offset + strip.slit.length / 2
    found = []
    for edge, rising in ((low, True), (high, False)):
        near = np.flatnonzero(np.abs(s - edge) < 4 * strip.scale)
        if light[near].min(initial=np.inf) > DARK:  # half of it is not the edge where the next slice is a pixel away
            return None
        for k in near[:-1]:
            a, b = light[k], light[k + 1]
            if (a - 0.5) * (b - 0.5) <= 0 and (b > a) == rising and a != b:
                found.append(s[k] + (0.5 - a) / (b - a) * strip.scale - edge)
                break
    return float(np.mean(found)) if len(found) == 2 else None


def _evenness(places: Floats, light: Floats, at: Floats) -> Floats:
    """Return the polynomial through the ``light`` at ``places`` along a slit (arcsec), NaN of none, at other places."""
    seen = np.isfinite(light)
    if not seen.any():
        return np.ones_like(at)
    middle, half = float(np.mean(places)), max(float(np.ptp(places)) / 2, 1e-9)
    degree = min(EVEN, int(seen.sum()) // 4)
    curve = np.polyfit((places[seen] - middle) / half, light[seen], degree)
    return np.asarray(np.polyval(curve, np.clip((at - middle) / half, -1.0, 1.0)))


def lamp(strip: Strip, flat: Image) -> Floats:
    """Return the light of the lamp along the strip (n,): the running median of the rows' medians."""
    inside = strip.within(strip.scale)
    rows = row_medians(strip.cut(flat), inside if inside.any() else strip.inside)
    half = SMOOTH // 4
    padded = np.pad(running_median(rows, SMOOTH), half, "edge")
    return np.asarray(np.convolve(padded, np.full(2 * half + 1, 1 / (2 * half + 1)), "valid"))


def response(strip: Strip, flat: Image, lamp: Floats, shown: Floats) -> Floats:
    """Return the response of each pixel (n, m), 1 on average; ``shown`` (n, m) is the part of even light that it gets.

    The slit's own evenness is a straight line through the medians along it. These themselves would leave in the light
    what 400 pixels of a column have in common by chance, 0.06 %, which is a hundredth of a star's light before the sky
    in M. Where ``shown`` is NaN the response is 1.
    """
    inside = strip.inside & np.isfinite(shown)
    if not inside.any():
        inside, shown = strip.inside, np.ones_like(shown)
    lit = lamp > LEAST_LIGHT * lamp.max()
    relative = strip.cut(flat) / (np.where(lit, lamp, 1.0)[:, None] * shown)
    edges = np.arange(strip.slit.offset - strip.slit.length / 2, strip.slit.offset + strip.slit.length / 2, strip.scale)
    which = np.digitize(strip.s, edges)
    use = inside & lit[:, None]
    even = _evenness(edges + strip.scale / 2, _medians(relative, np.where(use, which, 0), edges.size), strip.s)
    pixels = np.where(use, relative / np.where(even > 0.05, even, 1.0), 1.0)
    return np.asarray(np.clip(pixels, 0.05, 20.0))
