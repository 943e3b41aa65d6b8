"""The observatory and the turbulence above it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """An observatory."""

    name: str
    latitude: float
    """deg North."""
    longitude: float
    """deg East."""
    elevation: float
    """m."""
    temperature: float
    """K."""
    pressure: float
    """hPa."""
    humidity: float
    """0..1."""
    space: bool = False
    """No atmosphere, no horizon: the sky is the zodiacal light, and the figures above are 0."""
    zodiacal: tuple[float, float] | None = None
    """In space: its AB magnitude per arcsec2, stray light included, and the wavelength (um) where it has it."""


@dataclass(frozen=True, slots=True)
class Turbulence:
    """Profile of the turbulence at zenith."""

    height: tuple[float, ...]
    """m above the telescope."""
    weight: tuple[float, ...]
    """Fraction of Cn2 dh; sums to 1."""
    wind: tuple[float, ...]
    """m/s."""
    outer_scale: float
    """L0, m."""
    name: str = ""
    """Of the profile among the site's."""


@dataclass(frozen=True, slots=True)
class Atmosphere:
    """The air between target and telescope."""

    site: Site
    turbulence: Turbulence
    seeing: float
    """Zenith seeing FWHM at 500 nm, arcsec."""
    airmass: float
    """Of the target."""
