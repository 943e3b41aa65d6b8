"""Bundles of fibres that see one target, and their spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.frame import Flags

SHARE_ROWS = 256
"""Pixels along the dispersion over which a fibre's share of the light is the same, at least."""
SHARE_SIGNAL = 50.0
"""Signal-to-noise ratio of the light from which it is measured."""


@dataclass(slots=True, eq=False)
class FibreSpectrum(Spectrum):
    """The spectrum of one fibre, or of a bundle."""

    trace: int = 0
    """Number on the chip, from left to right."""
    information: Floats = field(default_factory=lambda: np.zeros((0, 1)))
    """Inverse covariance (n, m) of the flux with itself and that of the next traces, without the sky's noise."""
    correlation: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    """Coefficients (n, m) of its errors with those of the next traces."""
    joint: Floats = field(default_factory=lambda: np.zeros(0))
    """Its part (n,) of the variance of the sum of all fibres of a chip, over its own variance."""
    flags: Flags = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Those (n,) of the chip's pixels that made it ``bad``."""


def bundles(apertures: Sequence[Aperture]) -> list[int]:
    """Return the number of the bundle of each fibre: neighbours in the slit that touch on the sky are one."""
    numbers: list[int] = []
    for n, one in enumerate(apertures):
        same = n > 0 and any(
            math.hypot(one.x - other.x, one.y - other.y) < 1.5 * one.extent[0]
            for k, other in enumerate(apertures[:n])
            if numbers[k] == numbers[n - 1]
        )
        numbers.append(numbers[-1] if same else n)
    return numbers


def together(spectra: Sequence[FibreSpectrum]) -> FibreSpectrum:
    """Return the spectrum of a bundle in one order, each fibre weighted by its share of the light.

    Horne's formula with fibres in place of pixels, on the pixels of the fibre with the most light: where fibres overlap
    on the chip, the inverse of their covariance takes the place of the inverse variances. The box is their sum.
    """
    if len(spectra) == 1:
        return spectra[0]
    main = max(spectra, key=lambda one: float(np.median(one.flux)))
    parts = [_on_pixels(one, main) for one in spectra]
    flux, sky, sky_err, bad = (np.array([part[k] for part in parts]) for k in range(4))
    weight = np.array([part[4] for part in parts])
    good = (bad == 0) & (weight[..., 0] > 0)
    for step in range(weight.shape[2]):
        for n, one in enumerate(spectra):
            next_ = n + step < len(spectra) and spectra[n + step].trace == one.trace + step
            weight[n, :, step] *= good[n] & good[n + step] if next_ else False
    share = _shares(np.where(good, flux, 0.0), weight[..., 0])
    part = weight[..., 0] * share
    for step in range(1, min(weight.shape[2], len(spectra))):
        part[:-step] += weight[:-step, :, step] * share[step:]
        part[step:] += weight[:-step, :, step] * share[:-step]
    norm = (part * share).sum(axis=0)
    seen = norm > 0
    safe = np.where(seen, norm, 1.0)
    total, common = (part * flux).sum(axis=0) / safe, (part * sky_err).sum(axis=0) / safe
    plain = np.where(good, flux, 0.0).sum(axis=0)
    plain_common = np.where(good, sky_err, 0.0).sum(axis=0)
    plain_err = np.sqrt(_variance_of_sum(weight) + np.square(plain_common))
    err = np.where(seen, np.sqrt(1.0 / safe + np.square(common)), 0.0)
    return replace(
        main, flux=total, err=err, box=plain, box_err=plain_err, sky=sky.sum(axis=0), bad=~seen,
        rejected=sum(one.rejected for one in spectra), sky_err=common, box_sky_err=plain_common,
    )  # fmt: skip


def _on_pixels(one: FibreSpectrum, main: FibreSpectrum) -> list[Floats]:
    """Return flux, sky, the sky's error and what is bad (n,), the information (n, m), on the pixels of ``main``."""
    order = np.argsort(one.wave)

    def at(values: Floats) -> Floats:
        return np.interp(main.wave, one.wave[order], values[order])

    ratio = main.width / at(one.width)
    weights = np.stack([at(column) / ratio**2 for column in one.information.T], axis=1)
    bad = np.ceil(at(one.bad.astype(float)))
    return [*(at(each) * ratio for each in (one.flux, one.sky, one.sky_err)), bad, weights]


def _shares(flux: Floats, weight: Floats) -> Floats:
    """Return each fibre's share (k, n) of the light, as it changes along the dispersion: medians of many pixels.

    Refraction and seeing move light from fibre to fibre; noise must not.
    """
    k, n = flux.shape
    ratio = float(np.median(flux.sum(axis=0))) * float(np.sqrt(np.median(weight.max(axis=0))))
    rows = max(SHARE_ROWS, int((SHARE_SIGNAL / ratio) ** 2)) if ratio > SHARE_SIGNAL / math.sqrt(n) else n
    blocks = np.array_split(np.arange(n), max(n // rows, 1))
    level = np.maximum([np.median(flux[:, block], axis=1) for block in blocks], 0.0)
    level /= np.maximum(level.sum(axis=1, keepdims=True), 1e-30)
    middles = [float(block.mean()) for block in blocks]
    return np.array([np.interp(np.arange(n), middles, level[:, fibre]) for fibre in range(k)])


def _variance_of_sum(information: Floats) -> Floats:
    """Return the variance (n,) of the sum of fibres: that of all elements of the inverse of a band (k, n, m).

    With L D L^T for the band and z for the solution of L z = 1 it is the sum of z^2 / D.
    """
    a = information.copy()
    k, n, width = a.shape
    dark = a[..., 0] <= 0
    z = np.where(dark, 0.0, np.ones((k, n)))
    a[dark] = 0.0
    a[..., 0] = np.where(dark, 1.0, a[..., 0])
    for i in range(k):
        for j in range(1, min(width, k - i)):
            factor = a[i, :, j] / a[i, :, 0]
            a[i + j, :, : width - j] -= a[i, :, j:] * factor[:, None]
            z[i + j] -= z[i] * factor
    return np.asarray((np.square(z) / a[..., 0]).sum(axis=0))
