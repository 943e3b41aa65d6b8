"""The Gaussian of the ESO ETC's image quality."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.setup import Optics
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics.psf_types import Psf, Stack, power_of_two
from elvis_cli.sky.turbulence import REFERENCE

ETC_OUTER_SCALE = 46.0
"""Outer scale in the ESO ETC's image quality, m."""


def image_quality(
    seeing: float, airmass: float, wavelength: float, telescope: Telescope, outer_scale: float = ETC_OUTER_SCALE
) -> float:
    """Return the ESO ETC's image quality, FWHM in arcsec, at ``wavelength`` um.

    FWHM_atm = s X^0.6 (l/500)^-0.2 sqrt(1 + F 2.183 (r0/L0)^0.356), F = 1/(1 + 300 D/L0) - 1,
    r0 = 0.100/s (l/500)^1.2 X^-0.6 m; FWHM_tel = 0.000212 l/D; l in nm (ESO ETC 2.0, after Martinez et al. 2010).
    D is the primary mirror, even where another one stops it down.
    """
    diameter = telescope.mirror or telescope.diameter
    scaled = wavelength * 1e3 / REFERENCE
    r0 = 0.100 / seeing * scaled**1.2 * airmass**-0.6
    size = 1.0 / (1.0 + 300.0 * diameter / outer_scale) - 1.0
    atmosphere = seeing * airmass**0.6 * scaled**-0.2
    atmosphere *= math.sqrt(max(0.0, 1.0 + size * 2.183 * (r0 / outer_scale) ** 0.356))
    return math.hypot(atmosphere, 0.000212 * wavelength * 1e3 / diameter)


def build(optics: Optics, atmosphere: Atmosphere, count: int) -> Psf:
    """Return the Gaussian of the ETC's image quality, integrated over pixels, for ``count`` positions."""
    fwhm = image_quality(atmosphere.seeing, atmosphere.airmass, optics.filter_centre, optics.telescope)
    width = fwhm / optics.pixel_scale  # pixels
    oversample = max(2, power_of_two(8.0 / width))
    box = power_of_two(10.0 * width)
    step = max(1, box // 32)
    slope = 2.0 * math.sqrt(math.log(2.0)) / width

    def profile(size: int, pitch: float) -> Stack:
        offset = (np.arange(size) - size // 2) * pitch
        line = np.array([0.5 * (math.erf(slope * (x + 0.5)) - math.erf(slope * (x - 0.5))) for x in offset])
        return np.repeat(np.outer(line, line).astype(np.float32)[None], count, axis=0)

    return Psf(
        fine=profile(box * oversample, 1.0 / oversample),
        coarse=profile(64, float(step)),
        oversample=oversample,
        step=step,
        fine_radius=box / 2 - 2.0,
        pixel_scale=optics.pixel_scale,
        strehl=0.0,
        fwhm=fwhm,
        gaussian=True,
    )
