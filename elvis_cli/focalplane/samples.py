"""Wavelengths of the pixels of a spectrometer, and the light around its target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image

MIN_REACH = 32
"""Pixels to either side of the target from which its light is taken, or half the aperture if that is more."""


@dataclass(frozen=True, slots=True, eq=False)
class Wavelengths:
    """Wavelength and aperture of each pixel of a window (ny, nx) of a chip; where traces overlap, the later."""

    wave: Image
    """um; NaN where there is no trace."""
    order: NDArray[np.int16]
    """0 where there is none."""
    aperture: NDArray[np.int16]
    """-1 where there is none."""
    s: Image
    """arcsec along the aperture."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The light around the target along one trace, pixel by pixel, wherever chips are; noiseless."""

    wave: Floats
    """um (n,)."""
    dispersion: Floats
    """um per pixel, above 0 (n,)."""
    chip: NDArray[np.int64]
    """Number of the chip (n,); 0 in a gap."""
    s: Floats
    """arcsec (m,) of the pixels along the aperture, ascending; the target is at ``centre``."""
    centre: float
    target: Image
    """Electrons/s/pixel of the scene (n, m)."""
    background: Image
    """The same of sky and warm optics."""
    enslitted: Floats
    """Fraction of the scene's light that is inside the aperture (n,)."""
    total: Floats
    """Throughput from the atmosphere to the detector, the order's efficiency included (n,)."""
