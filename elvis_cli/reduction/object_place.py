"""The place of an object along an aperture, which follows refraction, and its width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import bins
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import Mask, Pixels, row_medians

BLOCKS = 16
"""Parts of a strip in which the object's place is measured."""
NEAR = 5.0
"""FWHM from the first place within which an object is followed: the window of one at 2 FWHM is 1e-11 there."""
CLIP, PASSES = 4.0, 3
"""Sigma beyond which a pixel is no part of the light along an aperture, and how often that is looked at."""


@dataclass(slots=True, eq=False)
class Place:
    """Where an object is on a strip."""

    s: Floats
    """arcsec along the aperture (n,)."""
    fwhm: float
    """arcsec."""


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
    profile = np.nan_to_num(bins.clipped_means(strip.s, away, inside, edges, CLIP, PASSES))
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
        seen = inside[part] & (np.abs(strip.s[part] - start) < NEAR * fwhm)
        x, v = strip.s[part][seen], away[part][seen]
        centre = start
        for _ in range(8):
            window = np.exp(-4 * np.log(2) * ((x - centre) / fwhm) ** 2)
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
