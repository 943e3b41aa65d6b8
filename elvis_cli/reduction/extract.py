"""Spectra from strips: box and optimal extraction (Horne 1986, PASP 98, 609). Nothing is resampled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import spline
from elvis_cli.reduction.layout import Strip, along
from elvis_cli.reduction.object_place import Place
from elvis_cli.reduction.strip_pixels import REJECT, Mask, Pixels, group_medians, running_median

PROFILE_ROWS = 128
"""Rows over which the profile is taken to be the same."""
FLUX_ROWS = 15
"""Rows of the running median of the light from which the profile is measured first."""
PASSES = 6
LOST = 0.5
"""Part of the profile in bad pixels from which a spectral pixel is flagged."""


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
    sky_err: Floats = field(default_factory=lambda: np.zeros(0))
    """Part (n,) of ``err`` by the error of the sky that was subtracted, which pixels or fibres have in common."""
    box_sky_err: Floats = field(default_factory=lambda: np.zeros(0))
    """That of ``box_err``."""

    @property
    def signal(self) -> float:
        """All light over its error."""
        good = ~self.bad
        return float(self.flux[good].sum() / max(float(np.sqrt(np.square(self.err[good]).sum())), 1e-30))


def box_weights(strip: Strip, s: Floats, radius: float) -> Floats:
    """Return how much (n, m) of each pixel is within ``radius`` arcsec of ``s`` (n,)."""
    x = strip.s - s[:, None]
    inside = np.minimum(x + strip.scale / 2, radius) - np.maximum(x - strip.scale / 2, -radius)
    return np.asarray(np.clip(inside / strip.scale, 0.0, 1.0))


def _near(strip: Strip, s: Floats, reach: float) -> slice:
    """Return the columns with pixels within ``reach`` arcsec of ``s`` (n,) on any row, all columns if there are none.

    A long slit has a hundred times as many.
    """
    seen = np.flatnonzero((np.abs(strip.s - s[:, None]) < reach + strip.scale / 2).any(axis=0))
    return slice(int(seen[0]), int(seen[-1]) + 1) if seen.size else slice(None)


def profile(strip: Strip, pixels: Pixels, s: Floats, radius: float) -> Floats:
    """Return the share (n, m) of each pixel in the object's light within ``radius``: smooth along the dispersion."""
    x = (strip.s - s[:, None]) / strip.scale
    part = box_weights(strip, s, radius) * (np.abs(strip.s - strip.slit.offset) <= strip.slit.length / 2)
    total = np.where(pixels.good, part * pixels.sci, 0.0).sum(axis=1)
    shares = _shares(x, pixels, part, running_median(total, FLUX_ROWS))
    return _shares(x, pixels, part, optimal(pixels, shares)[0])


def _shares(x: Floats, pixels: Pixels, part: Floats, total: Floats) -> Floats:
    """Return the shares (n, m) of pixels at ``x`` from the object in the light ``total`` (n,) of their rows.

    The light is that of the ``part`` (n, m) of each pixel within a reach: as many whole pixels as there are would see
    more of the object's wings where it stands between two.
    """
    n, window = total.size, part > 0
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
        seen = Pixels(pixels.sci[rows][use], pixels.var[rows][use], use, pixels.seconds)
        shares[own] = _smooth_profile(x[rows][use], seen, light, x[own], 0.5 if fine else 1.0)
    shares = np.where(window, shares, 0.0)
    plain, shares = (part * shares).sum(axis=1), np.maximum(shares, 0.0)
    # noise in the wings of a faint object adds up to nothing, what of it is above 0 does not
    norm = np.maximum(plain, 0.5 * (part * shares).sum(axis=1))
    return np.asarray(shares / np.where(norm > 0, norm, 1.0)[:, None])


def _smooth_profile(x: Floats, pixels: Pixels, total: Floats, at: Floats, step: float) -> Floats:
    """Return the mean of light over the row's light ``total`` against ``x`` (pixels), at other places."""
    share, weight = pixels.sci / total, np.square(total)
    # bins are centred on where the pixels are: one that begins there mixes both sides of a narrow profile
    phase = float(np.angle(np.mean(np.exp(2j * np.pi * x / step)))) / (2 * np.pi)
    which = np.round(x / step - phase).astype(int)
    which -= which.min()
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
    return np.asarray(np.nan_to_num(spline.monotone(place, mean[seen], at)))


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


def extract(
    strip: Strip, pixels: Pixels, sky: Floats, place: Place, radius: float, sky_err: Floats | float = 0.0
) -> Spectrum:
    """Return the spectrum of an object: ``radius`` (arcsec) of the box, ``sky`` (n, m) already subtracted.

    ``sky_err`` is an error (n,) of that sky that all pixels of a row have in common.
    """
    reach = max(radius, 1.5 * place.fwhm)
    wave, sky = along(strip.s, strip.wave, place.s), along(strip.s, sky, place.s)
    near = _near(strip, place.s, reach)
    strip, pixels = strip.part(near), pixels.part(near)
    shares = profile(strip, pixels, place.s, reach)
    flux, err, used, rejected = optimal(pixels, shares)
    weights = box_weights(strip, place.s, radius)
    model = flux[:, None] * shares
    kept = used | (shares <= 0) & pixels.good
    box = (weights * np.where(kept, pixels.sci, model)).sum(axis=1)  # what is bad has the profile's light
    variance = np.where(kept, pixels.var + np.maximum(model, 0.0) / pixels.seconds, 0.0)
    # and its noise, which the other pixels of the box have too
    filled, own = (np.where(mask, weights * shares, 0.0).sum(axis=1) for mask in (~kept, used))
    variance = (np.square(weights) * variance).sum(axis=1) + np.square(err) * filled * (filled + 2.0 * own)
    common = sky_err * _for_a_level(pixels, shares, flux, used)
    box_common = sky_err * np.where(kept, weights, 0.0).sum(axis=1) + common * filled
    lost = np.where(used, 0.0, shares).sum(axis=1)
    return Spectrum(
        strip.order, strip.aperture, wave, np.abs(np.gradient(wave)), flux, np.hypot(err, common),
        box, np.sqrt(variance + np.square(box_common)),
        sky, (lost > LOST) | (err <= 0), rejected, sky_err=common, box_sky_err=box_common,
    )  # fmt: skip


def _for_a_level(pixels: Pixels, shares: Floats, flux: Floats, used: Mask) -> Floats:
    """Return the flux (n,) of optimal extraction for a light of 1 in every pixel."""
    variance = pixels.var + np.maximum(flux[:, None] * shares, 0.0) / pixels.seconds
    weight = np.where(used, shares / np.maximum(variance, 1e-30), 0.0)
    norm = (weight * shares).sum(axis=1)
    return np.asarray(weight.sum(axis=1) / np.where(norm > 0, norm, np.inf))
