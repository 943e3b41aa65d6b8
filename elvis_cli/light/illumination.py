"""The light of one exposure: target, sky and warm optics as the detector gets them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.light import budget, lamps
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.light.uniform import UniformSource, background
from elvis_cli.model.request import Request, Target
from elvis_cli.model.setup import Setup
from elvis_cli.scene import spectrum


@dataclass(frozen=True, slots=True, eq=False)
class TargetLight:
    """The target through a photon budget; arrays (n,) on its ``wave``. All is per arcsec2 where it is infinite."""

    flux: Floats
    """Photon/s/m2/um above the atmosphere."""
    density: Floats
    """Electrons/s/um, all light."""
    rate: float
    """Electrons/s, all light."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Illumination:
    """Everything that shines in one exposure, but for the places of the sources."""

    setup: Setup
    """As the light meets it: without what stands before a calibration unit."""
    budget: PhotonBudget
    target: TargetLight
    uniform: tuple[UniformSource, ...]
    """Sources that fill the field of a spectrograph."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the sky and on the target's spectrum."""
        return *self.budget.notes, *self.target.notes

    def psf_samples(self) -> tuple[Floats, Floats]:
        """Return wavelengths (um) and weights (sum 1) that stand for the passband's PSF.

        The target's detected photons are cut into parts of equal number, each represented by its mean wavelength.
        """
        light = self.budget
        span = light.wave[-1] / light.wave[0]
        parts = 3 if span < 1.35 else 5
        photons = self.target.density * light.width
        if photons.sum() <= 0:  # nothing detected: the passband itself, or all there is when the beam is closed
            photons = light.total * light.width if light.total.any() else light.width
        cumulative = np.concatenate(([0.0], np.cumsum(photons)))
        moment = np.concatenate(([0.0], np.cumsum(photons * light.wave)))
        cuts = np.linspace(0.0, cumulative[-1], parts + 1)
        at = np.interp(cuts, cumulative, moment)
        return np.diff(at) / np.diff(cuts), np.full(parts, 1.0 / parts)


def through(target: Target, light: PhotonBudget) -> TargetLight:
    """Return a target through a photon budget.

    Raises
    ------
    RequestError
        The spectrum cannot be scaled to its brightness.
    """
    flux, notes = spectrum.flux(target, light.wave)
    density = flux * light.total * light.area
    return TargetLight(flux, density, float(np.sum(density * light.width)), notes)


def of_target(request: Request, setup: Setup) -> Illumination:
    """Return the light of the request's target, the sky and the warm optics.

    Raises
    ------
    RequestError
        The target's spectrum cannot be scaled to its brightness.
    ResourceError
        SkyCalc is asked for, and there is no atmosphere.
    """
    light = budget.compute(request.sky, setup, request.elvis.sky)
    uniform = (*background(light), *lamps.reference(light, setup))
    return Illumination(setup, light, through(request.target, light), uniform)
