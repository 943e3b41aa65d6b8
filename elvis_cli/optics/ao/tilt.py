"""Image motion beside laser guide stars, which cannot tell it: natural stars in the field must."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.telescope import AoSystem
from elvis_cli.optics.ao.loop import Loop
from elvis_cli.sky.turbulence import Air, Real

GAINS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""The loop takes the best of these, with DELAY frames."""
DELAY = 2.0


class Tilt:
    """The tilt of the pupil as several stars tell it, with the least mean error at any place in the field."""

    def __init__(self, system: AoSystem, air: Air, diameter: float, area: float, stars: Floats) -> None:
        """``stars`` (n, 3) are x, y (arcsec) and magnitude, ``area`` (m2) that of the whole pupil."""
        self.air, self.diameter = air, diameter
        self.f = np.linspace(0.0, 6.0 / diameter, 401)[1:]
        self.stars = stars[:, :2]
        noise = [self._centroid(system, area, float(magnitude)) for magnitude in stars[:, 2]]
        apart = np.hypot(*(self.stars[:, None] - self.stars).transpose(2, 0, 1))
        self.alike = self._covariance(apart)
        choices = []
        for gain in GAINS:
            loop = Loop(system.tiptilt_rate, gain, DELAY)
            lag, _ = loop.averaged(air.wind[:, None] * self.f)
            choices.append((float(self._variance(air.weight @ lag)), loop.noise_gain))
        self.lag, passed = min(choices, key=lambda choice: choice[0] + choice[1] * min(noise))
        self.noisy = self.alike + np.diag(passed * np.array(noise))

    def towards(self, position: Floats) -> float:
        """Return the variance (arcsec2, per axis) of what remains of the tilt at ``position``, arcsec."""
        known = self._covariance(np.hypot(*(self.stars - position).T))
        whole = float(self._covariance(np.zeros(1))[0])
        return max(0.0, whole - float(known @ np.linalg.solve(self.noisy, known))) + min(self.lag, whole)

    def _covariance(self, apart: Floats) -> Floats:
        """Return the covariance (arcsec2, per axis) of the tilts of stars ``apart`` arcsec.

        With exp(-(pi f h a)^2) in place of the mean of cos(2 pi h f.a) over directions it stays a covariance.
        """
        path = math.pi * ARCSEC * self.air.height * apart[..., None]
        shape = np.exp(-((path[..., None] * self.f) ** 2))
        return np.asarray(self._variance(np.einsum("l,...lf->...f", self.air.weight, shape)))

    def _variance(self, fraction: Floats) -> Floats:
        """Return the variance (arcsec2, per axis) of ``fraction`` (..., f) of the atmosphere's tilt."""
        density = self.air.spectrum(self.f) * part(math.pi * self.diameter * self.f) * self.f
        one_axis = math.pi * (fraction @ density) * (self.f[1] - self.f[0])  # nm2, half of 2 pi f df
        return np.asarray(one_axis * (4e-9 / self.diameter / ARCSEC) ** 2)

    def _centroid(self, system: AoSystem, area: float, magnitude: float) -> float:
        """Return the variance (arcsec2) of a star's centroid: 3 pi/16 lambda/D over its S/N (Tyler & Fried 1982)."""
        photons = light(system, magnitude) * area / system.tiptilt_rate
        width = 3 * math.pi / 16 * system.tiptilt_wavelength * 1e-6 / self.diameter / ARCSEC
        return width**2 * (1.0 / photons + 4 * (system.tiptilt_ron / photons) ** 2)


def part(u: Real) -> Floats:
    """Return the part of a wavefront that is tilt, both axes, at the spatial frequency f = u / (pi D).

    16 (J2(u)/u)^2 (Noll 1976, JOSA 66, 207) is u^2/4 exp(-u^2/6) while it matters.
    """
    return np.asarray(u**2 / 4 * np.exp(-(u**2) / 6))


def light(system: AoSystem, magnitude: float) -> float:
    """Return the photons/s/m2 that a natural guide star sends to its sensor."""
    return system.zero_point * math.pow(10.0, -0.4 * min(magnitude, 60.0)) * system.wfs_throughput
