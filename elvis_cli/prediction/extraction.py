"""The spectra that are extracted of what falls on the detector: electrons and noise of every spectral pixel.

The ETC sums an aperture about the target, S / sqrt(S + npix (sky + dark + RON^2)); optimal extraction weights every
pixel by its own signal and variance, (S/N)^2 = sum S_i^2 / V_i (Horne 1986, PASP 98, 609, eq. 8). The traces of one
order (slices, fibres) are summed at the same wavelength. Nothing here draws: see `elvis_cli.focalplane`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane.samples import Samples
from elvis_cli.model.detector import Detector
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.prediction import noise

SMOOTH = 65
"""Pixels over which the fraction of the light in the aperture is taken."""
FAINT = 1e-6
"""Of the most light there: below this nothing is told of the fraction."""
PARTS = 16
"""Strips of a slice, across, in which a round aperture is cut."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """The mean share of the target's light in each row of pixels, on one chip."""

    chip: int
    s: Floats
    """Rows along the aperture, arcsec from the target (m,)."""
    share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """What is extracted of one order: arrays (n,), ascending in wavelength, electrons of one integration."""

    order: int
    wave: Floats
    """um."""
    dispersion: Floats
    """um/pixel."""
    chip: NDArray[np.int64]
    target: Floats
    """In the aperture."""
    sky: Floats
    """In the aperture, warm optics included."""
    dark: Floats
    """In the aperture."""
    ron2: Floats
    """Variance of the read-out in the aperture."""
    npix: Floats
    """Pixels in the aperture."""
    ideal: Floats
    """Square of the signal-to-noise ratio of optimal extraction."""
    peak_target: Floats
    """In the pixel that the target makes brightest."""
    peak_sky: Floats
    """In the pixel that the background makes brightest."""
    peak: Floats
    """In the brightest pixel, dark current included."""
    enslitted: Floats
    """Fraction of the scene's light that is in the slit, slices or fibres (arcsec2 of a target without end)."""
    encircled: Floats
    """Fraction of the target's light that is in the aperture (arcsec2 of a target without end)."""
    total: Floats
    """Throughput from the atmosphere to the detector, without slit and aperture."""
    efficiency: Floats
    """The order's own part of it."""
    shot: float
    """Variance of an electron (`elvis_cli.model.sampling`)."""
    profiles: tuple[Profile, ...] = ()
    """One a chip."""

    @property
    def single(self) -> Floats:
        """Signal-to-noise ratio of one integration in the aperture."""
        return self.scaled(1.0)

    def scaled(self, factor: float) -> Floats:
        """Return ``single`` for a target that is ``factor`` times as bright."""
        target = factor * self.target
        return noise.ratios(target, noise.variance(target, self.sky, self.dark, ron2=self.ron2, shot=self.shot))

    def once(self, count: int) -> Floats:
        """Return the ratio after ``count`` integrations whose read noise counts as that of one."""
        shot = count * self.shot
        return noise.ratios(
            count * self.target, noise.variance(self.target, self.sky, self.dark, ron2=self.ron2, shot=shot)
        )

    def noise(self) -> dict[str, Floats]:
        """Return the electrons rms in the aperture by origin, and their quadratic sum."""
        return noise.components(self.target, self.sky, self.dark, self.ron2, self.shot)

    def where(self, use: NDArray[Any]) -> Spectrum:
        """Return some of the spectral pixels, by mask or index."""
        if use.dtype == bool and use.all():
            return self
        return replace(self, **{name: getattr(self, name)[use] for name in _ARRAYS})


_SUMS = ("target", "sky", "dark", "ron2", "npix", "ideal")
"""What slices add up, per wavelength."""
_OWN = ("dispersion", "peak_target", "peak_sky", "peak", "enslitted", "encircled", "total", "efficiency")
_ARRAYS = ("wave", "chip", *_OWN, *_SUMS)


def rows(s: Floats, pixel: float, half: float | Floats) -> Floats:
    """Return how much of each row at ``s`` (m,), ``pixel`` wide, is within ``half`` of 0: 0..1, (..., m)."""
    half = np.asarray(half)[..., None]
    inside = np.minimum(s + pixel / 2, half) - np.maximum(s - pixel / 2, -half)
    return np.clip(inside / pixel, 0.0, 1.0)


def disc(s: Floats, pixel: float, x: float, width: float, radius: float) -> Floats:
    """Return how much of each row (m,) of a slice at ``x``, ``width`` wide, is within ``radius`` of the target."""
    across = x + width * ((np.arange(PARTS) + 0.5) / PARTS - 0.5)
    chord = np.sqrt(np.maximum(radius**2 - across**2, 0.0))
    return np.asarray(rows(s, pixel, chord).mean(axis=0))


def weights(
    aperture: Aperture, s: Floats, place: tuple[float, float], pixel: float, radius: float, *, ifu: bool
) -> Floats:
    """Return how much of each row (m,) is in the ETC's aperture about the target, which is at ``place`` in the slit.

    That is a circle (``radius``, arcsec) on the slices of an integral field, a length of a slit, and all of a fibre
    whose middle is in the circle or that the target is in.
    """
    if aperture.fibre:  # which does not remember where in it the light fell
        return np.full(s.size, float(math.hypot(*place) <= max(radius, aperture.extent[0] / 2)))
    return disc(s, pixel, -place[0], aperture.width, radius) if ifu else rows(s, pixel, radius)


def extract(
    order: int,
    samples: Samples,
    weight: Floats,
    efficiency: Floats,
    everything: Floats,
    detector: Detector,
    dit: float,
) -> Spectrum:
    """Return the spectrum in one trace; off the chips there is nothing.

    ``weight`` (m,) is how much of each row is in the aperture, ``efficiency`` (n,) that of the order, ``everything``
    (n,) all light of the target, electrons/s on a pixel along the trace, had the aperture no edges.
    """
    chips = {chip.id: chip for chip in detector.chips}
    numbers, which = np.unique(np.asarray(samples.chip, np.int64), return_inverse=True)
    lit = numbers[which] > 0
    dark = np.array([chips[n].dark if n > 0 else 0.0 for n in numbers])[which] * dit
    ron2 = np.array([chips[n].ron ** 2 if n > 0 else 0.0 for n in numbers])[which]
    shot = detector.sampling.shot
    target = np.maximum(samples.target, 0.0) * dit  # a transform's nought is not quite 0
    sky = samples.background * dit
    if not lit.all():
        target, sky = (np.where(lit[:, None], one, 0.0) for one in (target, sky))
    level = target + sky + dark[:, None]
    variance = noise.variance(level, ron2=ron2[:, None], shot=shot)
    ideal = np.divide(target**2, variance, out=np.zeros_like(variance), where=variance > 0).sum(axis=1)
    inside = (target * weight).sum(axis=1)
    npix = lit * weight.sum()
    spectrum = Spectrum(
        order=order,
        wave=samples.wave,
        dispersion=samples.dispersion,
        chip=numbers[which],
        target=inside,
        sky=(sky * weight).sum(axis=1),
        dark=npix * dark,
        ron2=npix * ron2,
        npix=npix,
        ideal=ideal,
        peak_target=_brightest(target),
        peak_sky=_brightest(sky),
        peak=_brightest(level),
        enslitted=samples.enslitted,
        encircled=_fraction(inside, everything * dit * lit),
        total=samples.total,
        efficiency=efficiency,
        shot=shot,
        profiles=tuple(
            Profile(int(n), samples.s - samples.centre, _shares(target[numbers[which] == n])) for n in numbers if n > 0
        ),
    )
    return _ascending(spectrum)


def _brightest(image: NDArray[Any]) -> NDArray[Any]:
    """Return the greatest of each row of (n, m), of which m is small: looked for down the columns, which is quicker."""
    return np.asarray(np.ascontiguousarray(image.T).max(axis=0))


def _fraction(part: Floats, whole: Floats) -> Floats:
    """Return part / whole (n,) over SMOOTH pixels, as lines are wider in ``part``; 0 where there is no light."""
    near = np.ones(min(SMOOTH, part.size))
    part, whole = np.convolve(part, near, "same"), np.convolve(whole, near, "same")
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > FAINT * whole.max(initial=0.0))


def _shares(target: Floats) -> Floats:
    """Return the share (m,) of each row in all light of (n, m)."""
    rate = target.sum(axis=0)
    total = float(rate.sum())
    return np.asarray(rate / total if total > 0 else rate)


def join(spectra: Sequence[Spectrum]) -> Spectrum:
    """Return the spectral pixels of several spectra as if they were one, ascending in wavelength."""
    if len(spectra) == 1:
        return spectra[0]
    arrays: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in spectra]) for name in _ARRAYS}
    joined = replace(spectra[0], profiles=tuple(p for one in spectra for p in one.profiles), **arrays)
    return _ascending(joined)


def _ascending(spectrum: Spectrum) -> Spectrum:
    """Return a spectrum in the order of its wavelengths."""
    sorted_already = np.all(spectrum.wave[1:] >= spectrum.wave[:-1])
    return spectrum if sorted_already else spectrum.where(np.argsort(spectrum.wave, kind="stable"))


def light(spectrum: Spectrum) -> float:
    """Return the target's electrons in the aperture."""
    return float(spectrum.target.sum())


def add(spectra: Sequence[Spectrum]) -> Spectrum:
    """Return the sum of the spectra of one order on the pixels of that with the most light.

    What adds up is a density in wavelength, so that the sum does not depend on the pixels of the others.
    """
    main = max(spectra, key=light)
    total = {name: getattr(main, name) for name in (*_SUMS, "enslitted", "encircled")}
    for other in spectra:
        if other is main or other.wave.size < 2:
            continue
        gaps = _gaps(other, main.wave)
        for name in _SUMS:
            density = _resampled(getattr(other, name) / other.dispersion, other.wave, main.wave, gaps)
            total[name] = total[name] + density * main.dispersion
        for name in ("enslitted", "encircled"):
            total[name] = total[name] + _resampled(getattr(other, name), other.wave, main.wave, gaps)
    return replace(main, **total)


def _gaps(spectrum: Spectrum, wave: Floats) -> NDArray[np.bool_]:
    """Return whether each of ``wave`` (n,) is in a gap between the pixels of a spectrum."""
    after = np.clip(np.searchsorted(spectrum.wave, wave), 1, spectrum.wave.size - 1)
    return np.asarray(spectrum.wave[after] - spectrum.wave[after - 1] > 2.0 * spectrum.dispersion[after])


def _resampled(values: Floats, at: Floats, wave: Floats, gaps: NDArray[np.bool_]) -> Floats:
    """Return values given ``at`` some wavelengths at others, ``wave``: 0 outside and in the gaps."""
    # the fibres of an order share their pixels
    there = values if np.array_equal(at, wave) else np.interp(wave, at, values, left=0.0, right=0.0)
    return np.where(gaps, 0.0, there)
