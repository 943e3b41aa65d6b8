"""The light of one trace as a sum of products: profiles along the aperture times spectra, moved by their strip."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.focalplane.trace import FINE

PITCH = 0.5
"""Pixels between the samples of a straightened trace, whose light is blurred by a pixel at least."""
WING = 2e-3
"""Fraction of a profile's peak below which its light counts as wings."""
BLOCK = 2048
"""Samples along the dispersion that are summed at once: hats leave most layers dark in most of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """The layers of one trace: r is ``profiles[r]`` times ``spectra[which[r]]``, moved by ``shift[r]``, times a hat."""

    part: NDArray[np.str_]
    """Part of the light (`imager.PARTS`) of each layer (r,)."""
    profiles: Image
    """(r, m) per arcsec (of what is uniform: arcsec2 per arcsec) at the samples of s."""
    which: NDArray[np.int64]
    shift: Floats
    """Pixels along the dispersion (r,): the strip's place in the aperture."""
    spectra: Image
    """(b, n) electrons/s/pixel (of what is uniform: and arcsec2) at the samples of the trace, averaged over a pixel
    and a strip."""
    hat: NDArray[np.int64]
    """Which of ``hats`` (r,)."""
    hats: Image
    """(h, n): weights of the wavelengths for which profiles were made; 1 where they hold for all."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.profiles.nbytes + self.spectra.nbytes + self.hats.nbytes

    def straight(self, s: slice, p: Floats, parts: Collection[str]) -> Image:
        """Return the sum of the layers of some parts, electrons/s/pixel/arcsec, at samples ``s`` (of profiles).

        ``p`` is the place along the trace in its samples, ascending evenly.
        """
        from elvis_cli.kernels import dispersion

        out = np.zeros((s.stop - s.start, p.size), np.float32)
        shift_reach = math.ceil(float(np.abs(self.shift).max(initial=0.0)) * FINE) + 1
        wanted = np.isin(self.part, list(parts)) & self.profiles[:, s].any(axis=1)
        for first in range(0, p.size if wanted.any() else 0, BLOCK):
            at = p[first : first + BLOCK]
            near = slice(max(math.floor(at[0]) - shift_reach, 0), max(math.ceil(at[-1]) + shift_reach + 1, 0))
            bright, hat_near = (np.asarray(np.any(some[:, near], axis=1)) for some in (self.spectra, self.hats))
            chosen = np.flatnonzero(wanted & bright[self.which] & hat_near[self.hat])
            moved = np.zeros((chosen.size, at.size), np.float32)
            shift = self.shift[chosen] * FINE
            dispersion.moved(moved, self.spectra, self.which[chosen], self.hats, self.hat[chosen], shift, at)
            # contiguous: a part of ``out`` would take four times as long
            block = np.zeros((len(out), at.size), np.float32)
            dispersion.outer(block, np.ascontiguousarray(self.profiles[chosen, s]), moved)
            out[:, first : first + BLOCK] = block
        return out


@dataclass(eq=False)
class LayerBuilder:
    """Collects the layers of one trace."""

    blur: float
    """Standard deviation of the optics' blur, pixels."""
    hats: Floats
    """(h, n)."""

    def __post_init__(self) -> None:
        self.part: list[str] = []
        self.profiles: list[Floats] = []
        self.which: list[int] = []
        self.shift: list[float] = []
        self.hat: list[int] = []
        self.spectra: list[Image] = []

    def spectrum(self, values: Floats | Image) -> int:
        """Add a spectrum (n,) and return its number."""
        self.spectra.append(np.asarray(values, np.float32))
        return len(self.spectra) - 1

    def add(self, part: str, profiles: Floats, shifts: Floats, spectrum: int, hat: int) -> None:
        """Add the strips (k, m) of a spectrum under a hat."""
        if not profiles.any():
            return
        self.part += [part] * len(profiles)
        self.profiles += list(profiles)
        self.which += [spectrum] * len(profiles)
        self.hat += [hat] * len(profiles)
        self.shift += list(shifts)

    def layers(self) -> Layers:
        """Return the layers, blurred along the aperture."""
        profiles = np.array(self.profiles) if self.profiles else np.zeros((0, 1))
        if self.blur and self.profiles:
            profiles = gaussian(profiles, self.blur / PITCH)
        spectra = np.array(self.spectra, np.float32) if self.spectra else np.zeros((0, 1), np.float32)
        return Layers(
            np.array(self.part, np.str_), profiles.astype(np.float32), np.array(self.which, np.int64),
            np.array(self.shift, float), spectra, np.array(self.hat, np.int64), self.hats.astype(np.float32),
        )  # fmt: skip


def split_wings(profiles: list[Floats], spectra: list[Image]) -> tuple[list[Floats], Floats, Image]:
    """Return the strips (k, m) of many sources without their wings, the wings together and their mean spectrum (n,).

    No light is lost; how the wings' spectra differ along the aperture is.
    """
    cores, together, mean = [], np.zeros_like(profiles[0]), np.zeros(spectra[0].size)
    for strips, spectrum in zip(profiles, spectra, strict=True):
        noisy = strips.min() < -WING * strips.max()  # negative elements of an image: each at its own wavelength
        faint = np.zeros_like(strips) if noisy else np.where(strips < WING * strips.max(), strips, 0.0)
        cores.append(strips - faint)
        together += faint * float(spectrum.sum(dtype=float))
        mean += faint.sum() * spectrum
    total = together.sum()
    return cores, together, (mean / total if total > 0 else mean).astype(np.float32)


def smoothed(density: Floats, width: float, blur: float) -> Floats:
    """Return densities (..., n), each 1/FINE pixel, averaged over a pixel and ``width`` pixels, and blurred (sigma)."""
    count = density.shape[-1]
    size = _fast(count + math.ceil((width + 1 + 8 * blur) * FINE))
    spectrum = np.fft.rfft(density, size) * _response(size, width, blur)
    return np.asarray(np.fft.irfft(spectrum, size)[..., :count])


@lru_cache(maxsize=8)
def _response(size: int, width: float, blur: float) -> Floats:
    """Return the factors on the Fourier transform of ``size`` samples for `smoothed`."""
    f = np.fft.rfftfreq(size, 1 / FINE)
    response = np.sinc(f) * np.sinc(f * width) * np.exp(-2.0 * (math.pi * blur * f) ** 2)
    response.flags.writeable = False
    return np.asarray(response)


@cache
def _fast(length: int) -> int:
    """Return the least product of 2, 3 and 5 that is not below ``length``: transforms of it are fast."""
    most = range(length.bit_length())
    odd = (int(3**b * 5**c) for b in most for c in most)
    return min(n << (math.ceil(length / n) - 1).bit_length() for n in odd)


def gaussian(profiles: Floats, sigma: float) -> Floats:
    """Return profiles (n, m) blurred by a Gaussian, ``sigma`` in samples; beyond their ends is nothing."""
    reach = math.ceil(5 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    wide = np.pad(profiles, ((0, 0), (reach, reach)))
    blurred = np.zeros_like(profiles)
    for first, weight in enumerate(kernel):
        blurred += weight * wide[:, first : first + profiles.shape[1]]
    return blurred
