"""Choices of the user for spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SpectrumOptions:
    """Choices of the user."""

    aperture: float | None = None
    """Pixels along the slit of the box; None = 2.5 FWHM."""
    standards: Any = None
    barycentric: bool = False
    """Wavelengths in the rest frame of the Solar System's barycentre."""
    telluric: str = "none"
    """How the air's lines are taken out: none, standard or sky."""
