"""The sampled point-spread function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.sky.turbulence import Real

Stack = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Psf:
    """The PSF of each field position on two grids: the fraction of the star's light in a pixel centred there."""

    fine: Stack
    """(n, nf, nf): every 1/``oversample`` pixel, the star at [nf // 2, nf // 2]."""
    coarse: Stack
    """(n, nc, nc): every ``step`` pixels, the star at [nc // 2, nc // 2]; smoothed over about two steps, the arms of
    the diffraction pattern spread over all directions."""
    oversample: int
    step: int
    fine_radius: float
    """Pixels from the star up to which ``fine`` is to be used, ``coarse`` beyond."""
    pixel_scale: float
    """arcsec."""
    strehl: float
    """Of the first position, mean over the wavelengths."""
    fwhm: float
    """Of the first position, before the pixels, arcsec."""
    gaussian: bool = False
    """The PSF is the ETC's Gaussian of ``fwhm``."""

    def encircled(self, diameter_pix: float, index: int = 0) -> float:
        """Return the fraction of the light in a circle (diameter in pixels) about the star.

        The pixels' own blur is part of the light's distribution, except for the ETC's Gaussian, where the
        fraction is the ETC's 1 - 2^-((d / FWHM)^2).
        """
        if self.gaussian:
            return 1.0 - math.exp2(-((diameter_pix * self.pixel_scale / self.fwhm) ** 2))
        radius = 0.5 * diameter_pix
        inner = min(radius, self.fine_radius)
        total = disc(self.fine[index], inner * self.oversample) / self.oversample**2
        if radius > inner:
            coarse = self.coarse[index]
            ring = disc(coarse, radius / self.step) - disc(coarse, inner / self.step)
            total += ring * self.step**2
        return min(total, 1.0)


def power_of_two(x: float) -> int:
    """Return the smallest power of two that is at least ``x``."""
    return 1 << max(0, math.ceil(math.log2(x)))


def disc(image: Real, radius: float) -> float:
    """Return the sum inside a circle about [n // 2, n // 2], radius in samples, samples at its border shared."""
    middle = image.shape[0] // 2
    reach = min(middle, math.ceil(radius) + 1)
    cut = slice(middle - reach, min(middle + reach + 1, image.shape[0]))
    offset = np.arange(cut.start, cut.stop) - middle
    inside = np.clip(radius + 0.5 - np.hypot(offset, offset[:, None]), 0.0, 1.0)
    return float((image[cut, cut] * inside).sum(dtype=np.float64))
