"""Orders of a spectrum as one: flux densities on one grid of wavelengths, weighted by their inverse variance.

Values between the pixels of an order are interpolated, their errors too: neighbours share noise, so that single pixels
scatter by 0.8 of their error and sums of several by theirs. The orders themselves are not resampled.
Where no standard star gives the flux, each order is divided by the flat lamp's light first, so that orders join.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.reduction.extract import Spectrum

FAINT = 0.02
"""Part of the flat's maximum below which an order's ends are left out."""


@dataclass(slots=True, eq=False)
class Merged:
    """One spectrum: (n,) against ascending wavelengths, um; densities in electron/s/um or erg/s/cm2/um."""

    wave: Floats
    flux: Floats
    err: Floats
    sky: Floats
    """Of a pixel along the slit, the same unit."""
    snr: Floats
    """Of a pixel along the dispersion."""
    quality: Floats
    """0 good; 1 bad pixels under the profile; 2 no data."""


def merge(
    spectra: Sequence[Spectrum], responses: Sequence[Floats | None], noise: Sequence[Floats | float] | None = None
) -> Merged:
    """Return the spectra of one object as one; ``responses`` turn electron/s/um into flux, None leaves an order out.

    ``noise`` is the relative noise of the responses.
    """
    more = [0.0] * len(spectra) if noise is None else noise
    triples = zip(spectra, responses, more, strict=True)
    parts = [_density(one, factor, each) for one, factor, each in triples if factor is not None]
    if len(parts) == 1:
        return parts[0]
    step = min(float(np.median(np.diff(np.log(part.wave)))) for part in parts)
    low, high = min(part.wave[0] for part in parts), max(part.wave[-1] for part in parts)
    wave = np.exp(np.arange(np.log(low), np.log(high), step))
    total, weight, sky, ratio2, bad = np.zeros((5, wave.size))
    for part in parts:
        on = (wave >= part.wave[0]) & (wave <= part.wave[-1])
        at = wave[on]
        good = np.interp(at, part.wave, part.quality) == 0
        err = np.interp(at, part.wave, part.err)
        w = np.where(good & (err > 0), 1.0 / np.square(np.where(err > 0, err, 1.0)), 0.0)
        total[on] += w * np.interp(at, part.wave, part.flux)
        sky[on] += w * np.interp(at, part.wave, part.sky)
        weight[on] += w
        ratio2[on] += np.where(good, np.square(np.interp(at, part.wave, part.snr)), 0.0)
        bad[on] += ~good
    safe = np.where(weight > 0, weight, 1.0)
    quality = np.where(weight > 0, 0, np.where(bad > 0, 1, 2))
    return Merged(
        wave, total / safe, np.where(weight > 0, 1 / np.sqrt(safe), 0.0), sky / safe, np.sqrt(ratio2), quality
    )


def _density(one: Spectrum, factor: Floats, noise: Floats | float) -> Merged:
    """Return a spectrum as flux density, ascending, without ends that have no light."""
    order = np.argsort(one.wave, kind="stable")
    scale = factor / one.width
    quality = np.where(one.bad, 1, 0)
    unknown = ~np.isfinite(scale)
    quality[unknown], scale = 2, np.where(unknown, 0.0, scale)
    if one.blaze is not None:
        quality = np.where(one.blaze < FAINT * one.blaze.max(), 2, quality)
    counts_err = np.where(one.err > 0, np.hypot(one.err, one.flux * noise), 0.0)
    err = np.abs(counts_err * scale)
    snr = np.divide(one.flux, counts_err, out=np.zeros_like(one.flux), where=counts_err > 0)
    columns = (one.wave, one.flux * scale, err, one.sky * scale, snr, quality)
    arrays = [np.asarray(column)[order] for column in columns]
    lit = np.flatnonzero(arrays[-1] != 2)
    ends = slice(int(lit[0]), int(lit[-1]) + 1) if lit.size else slice(None)
    return Merged(*(array[ends] for array in arrays))


def blaze_factors(spectra: Sequence[Spectrum]) -> list[Floats | None]:
    """Return the factors (n,) that take the blaze out of each order; a single order is left as it is.

    They are the lamp's maxima of all orders, joined by straight lines, over its light: 1 at each maximum. Two orders
    have the same line where they overlap, so that their fluxes join whatever the lamp's colour.
    """
    if len({one.order for one in spectra}) < 2 or any(one.blaze is None for one in spectra):
        return [np.ones_like(one.flux) for one in spectra]
    most: dict[int, tuple[float, float]] = {}
    lamps = [one.blaze / one.width for one in spectra]  # type: ignore[operator]
    for one, lamp in zip(spectra, lamps, strict=True):
        top = int(np.argmax(lamp))
        if one.order not in most or lamp[top] > most[one.order][1]:
            most[one.order] = float(one.wave[top]), float(lamp[top])
    wave, light = np.array(sorted(most.values())).T
    factors: list[Floats | None] = []
    for one, lamp in zip(spectra, lamps, strict=True):
        envelope = np.interp(one.wave, wave, light)
        factors.append(envelope / np.maximum(lamp, 1e-3 * envelope))
    return factors
