"""From photons above the atmosphere to electrons: throughput, thermal emission, rates on the detector."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from elvis_cli.base import spectral_grid
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import BOLTZMANN, LIGHT, PLANCK
from elvis_cli.instrument import optical_models
from elvis_cli.model.request import Request, Target
from elvis_cli.model.setup import Setup
from elvis_cli.model.telescope import Surface
from elvis_cli.scene import spectrum
from elvis_cli.sky import load

ARCSEC2 = math.radians(1 / 3600) ** 2
"""sr per arcsec2."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotonBudget:
    """What reaches the detector within the passband, on the wavelength grid of the sky table.

    Arrays are (n,) on ``wave`` (um); rates are electrons/s.
    """

    wave: Floats
    width: Floats
    """Bin widths, um."""
    atmosphere: Floats
    groups: dict[str, Floats]
    """Throughput of each group of surfaces (telescope, relay, instrument, filter) and of the detector."""
    total: Floats
    """Product of all of them and the atmosphere."""
    area: float
    """Collecting area, m2."""
    flux: Floats
    """Photon/s/m2/um of the target above the atmosphere (per arcsec2 when it is infinite)."""
    emission: Floats
    """Photon/s/m2/um/arcsec2 of the sky at the ground."""
    sky_model: str
    """Where the sky comes from."""
    target: Floats
    """Electrons/s/um of the target, all light (per arcsec2 when it is infinite)."""
    target_rate: float
    """Electrons/s of the target, all light (per arcsec2 when it is infinite)."""
    density: dict[str, Floats]
    """Electrons/s/um/arcsec2 by origin: sky, then each emitting surface."""
    background: dict[str, float]
    """Electrons/s/pixel by origin: `density` over the passband and a pixel."""
    mean_throughput: float
    """Atmosphere to detector, averaged over photons of a flat photon spectrum through the filter alone."""
    notes: tuple[str, ...]

    @property
    def background_rate(self) -> float:
        """Electrons/s/pixel of sky and warm surfaces."""
        return sum(self.background.values())

    def electrons(self, target: Target) -> tuple[float, tuple[str, ...]]:
        """Return the electrons/s of another target through the same optics, all light, and notes."""
        flux, notes = spectrum.flux(target, self.wave)
        return float(np.sum(flux * self.total * self.width)) * self.area, notes

    def psf_samples(self) -> tuple[Floats, Floats]:
        """Return wavelengths (um) and weights (sum 1) that stand for the passband's PSF.

        The target's detected photons are cut into parts of equal number, each represented by its mean wavelength.
        """
        span = self.wave[-1] / self.wave[0]
        parts = 3 if span < 1.35 else 5
        photons = self.target * self.width
        if photons.sum() <= 0:  # nothing detected: the passband itself, or all there is when the beam is closed
            photons = self.total * self.width if self.total.any() else self.width
        cumulative = np.concatenate(([0.0], np.cumsum(photons)))
        moment = np.concatenate(([0.0], np.cumsum(photons * self.wave)))
        cuts = np.linspace(0.0, cumulative[-1], parts + 1)
        at = np.interp(cuts, cumulative, moment)
        return np.diff(at) / np.diff(cuts), np.full(parts, 1.0 / parts)


def black_body(wave: Floats, temperature: float) -> Floats:
    """Return the Planck radiance in photon/s/m2/um/sr at ``wave`` (um), ``temperature`` (K)."""
    metres = wave * 1e-6
    with np.errstate(over="ignore"):
        occupation = 1.0 / np.expm1(PLANCK * LIGHT / (metres * BOLTZMANN * temperature))
    return 2.0 * LIGHT / metres**4 * occupation * 1e-6


def throughput(surfaces: Iterable[Surface], wave: Floats) -> Floats:
    """Return the product of the surfaces' throughputs at ``wave`` (um)."""
    product = np.ones_like(wave)
    for surface in surfaces:
        product *= surface.throughput.at(wave)
    return product


def detect(request: Request, setup: Setup) -> PhotonBudget:
    """Return the light of target, sky and warm optics that the detector sees.

    Each warm surface adds its emissivity times the Planck radiance of its temperature, seen through everything that
    follows it; the beam has the telescope's etendue, area times the solid angle of a pixel.
    """
    wave = spectral_grid.grid(*setup.band)
    width = np.diff(spectral_grid.bin_edges(wave))
    above = load.load(request.sky, setup.site, wave, request.elvis.sky)
    flux, notes = spectrum.flux(request.target, wave)
    qe = setup.detector.qe.at(wave) * optical_models.throughput(request)
    area = setup.telescope.area
    pixel = setup.pixel_scale**2

    groups: dict[str, Floats] = {}
    for surface in setup.surfaces:
        groups[surface.group] = groups.get(surface.group, np.ones_like(wave)) * surface.throughput.at(wave)
    groups["detector"] = qe
    optics = throughput(setup.surfaces, wave) * qe
    total = above.transmission * optics

    density = {"sky": above.emission * optics * area}
    behind = qe
    for surface in reversed(setup.surfaces):
        emissivity = surface.emissivity.at(wave)
        if emissivity.any():
            emission = emissivity * black_body(wave, surface.temperature) * ARCSEC2 * behind * area
            density[surface.name] = density.get(surface.name, 0.0) + emission
        behind = behind * surface.throughput.at(wave)

    target = flux * total * area
    passband = groups.get("filter", np.ones_like(wave)) * width
    return PhotonBudget(
        wave=wave,
        width=width,
        atmosphere=above.transmission,
        groups=groups,
        total=total,
        area=area,
        flux=flux,
        emission=above.emission,
        sky_model=above.model,
        target=target,
        target_rate=float(np.sum(target * width)),
        density=density,
        background={origin: float(np.sum(light * width)) * pixel for origin, light in density.items()},
        mean_throughput=float(np.sum(total * width) / passband.sum()) if passband.sum() > 0 else 0.0,
        notes=(*above.notes, *notes),
    )
