"""Shapes on the sky: the Sersic profile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats

CORE = 4.0
"""Pixels: inside this elliptical radius light is placed ring by ring, since the cusp cannot be sampled."""


@dataclass(frozen=True, slots=True)
class Sersic:
    """A Sersic profile in pixels: I(r) = I_e exp(-b ((r/R_e)^(1/n) - 1)), flux 1 integrated to infinity.

    b solves gamma(2n, b) = Gamma(2n)/2, so that R_e, along the major axis, holds half of the light
    (Ciotti & Bertin 1999; Graham & Driver 2005, eq. 1-4).
    """

    index: float
    radius: float
    """R_e along the major axis, pixels."""
    ellipticity: float = 0.0
    angle: float = 0.0
    """Direction of the major axis from the x axis towards the y axis, rad."""

    @property
    def b(self) -> float:
        """Return the constant b of the index."""
        from scipy.special import gammaincinv

        return float(gammaincinv(2.0 * self.index, 0.5))

    def intensity(self) -> float:
        """Return I_e per pixel for unit total flux (Graham & Driver 2005, eq. 4)."""
        n, b = self.index, self.b
        log_total = math.log(2.0 * math.pi * n * (1.0 - self.ellipticity)) + 2 * math.log(self.radius)
        log_total += b - 2.0 * n * math.log(b) + math.lgamma(2.0 * n)
        return math.exp(-log_total)

    def enclosed(self, radius: Floats) -> Floats:
        """Return the fraction of the flux inside the elliptical radius (pixels) (Graham & Driver 2005, eq. 2)."""
        from scipy.special import gammainc

        return np.asarray(gammainc(2.0 * self.index, self.b * (radius / self.radius) ** (1.0 / self.index)))

    def rings(self, outer: float, rings: int = 128, angles: int = 96) -> tuple[Floats, Floats, Floats]:
        """Return points (dx, dy, flux) that hold the light inside the elliptical radius ``outer`` (pixels)."""
        from scipy.special import gammaincinv

        inside = float(self.enclosed(np.array([outer]))[0])
        middle = inside * (np.arange(rings) + 0.5) / rings
        r = self.radius * (gammaincinv(2.0 * self.index, middle) / self.b) ** self.index
        ring, step = np.meshgrid(np.arange(rings), np.arange(angles), indexing="ij")
        phi = 2.0 * math.pi * (step + 0.618 * ring) / angles
        major = r[:, None] * np.cos(phi)
        minor = r[:, None] * np.sin(phi) * (1.0 - self.ellipticity)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        flux = np.full(phi.size, inside / phi.size)
        return (major * cos - minor * sin).ravel(), (major * sin + minor * cos).ravel(), flux

    def core(self, shape: tuple[int, int], x: float, y: float) -> NDArray[np.float32]:
        """Return the light within CORE of (x, y) on pixels (ny, nx), shared bilinearly between neighbours."""
        from elvis_cli.kernels.stamp import deposit

        image = np.zeros(shape, np.float32)
        dx, dy, flux = self.rings(CORE)
        deposit(image, x + dx, y + dy, flux)
        return image

    def rest(self, shape: tuple[int, int], x: float, y: float) -> NDArray[np.float32]:
        """Return the light outside CORE about (x, y), averaged over each pixel of (ny, nx)."""
        from elvis_cli.kernels.sersic import add_sersic

        image = np.zeros(shape, np.float32)
        intensity, power, b = self.intensity(), 1.0 / self.index, self.b
        cos, sin = math.cos(self.angle), math.sin(self.angle)

        def work(_: int, rows: slice) -> None:
            add_sersic(
                image[rows],
                x,
                y - rows.start,
                intensity,
                self.radius,
                power,
                b,
                1.0 - self.ellipticity,
                cos,
                sin,
                CORE,
            )

        parallel.for_rows(shape[0], work)
        return image
