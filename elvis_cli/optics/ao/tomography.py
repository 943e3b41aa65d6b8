"""What several guide stars and deformable mirrors leave of each spatial frequency of the turbulence.

Per spatial frequency f a layer at height h moves towards a star at the angle a by the phase 2 pi h f.a. From the
sensors' signals the layers are estimated with the least mean error, from these the mirrors that are best over the
corrected field; what remains towards any direction is then one quadratic form (Neichel, Fusco & Conan 2008, JOSA A
26, 219, eq. 10 to 17). The beams are as wide as the pupil is assumed to be: infinitely.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.telescope import AoSystem
from elvis_cli.sky.turbulence import Air

RADII, ANGLES = 64, 32
"""Nodes in |f| and in the direction of f over half a turn; what remains is real, thus the same at -f."""
CONDITION = 4e-3
"""Of the mirrors' normal matrix: keeps mirrors that see nearly the same from working against each other. Chosen so
that the Strehl at 2.2 um runs as TIPTOP's for MORFEO: 0.60, 0.605, 0.55, 0.45 and 0.33 at 0, 10, 20, 30, 45 arcsec."""
EDGE = 8
"""Directions on the border of the corrected field, each twice the weight of its centre (as TIPTOP's for MORFEO)."""


class Tomography:
    """LTAO, MCAO and GLAO with several guide stars of one kind, which stand evenly on a circle about the axis."""

    def __init__(self, system: AoSystem, air: Air, cutoffs: Floats, noise: Floats) -> None:
        """``cutoffs`` (1/m) are the mirrors', ``noise`` (RADII) a sensor's over the turbulence, at `nodes`."""
        self.weight = air.weight
        top = float(np.max(cutoffs))
        self.radius = nodes(top)
        angle = (np.arange(ANGLES) + 0.5) * math.pi / ANGLES
        self.fx = (self.radius[:, None] * np.cos(angle)).ravel()
        self.fy = (self.radius[:, None] * np.sin(angle)).ravel()
        self.height = air.height
        self.mirrors = np.array(system.dm_heights)
        self.moves = np.repeat(self.radius, ANGLES)[:, None] <= cutoffs
        count = max(system.lasers, 1)
        stars = system.asterism_radius * _circle(count)
        seen = np.stack([self._phase(self.height, star) for star in stars], axis=1)  # (f, stars, layers)
        signal = seen * self.weight
        covariance = signal @ seen.conj().transpose(0, 2, 1)
        covariance += np.repeat(noise, ANGLES)[:, None, None] * np.eye(count)
        self.covariance, self.signal = covariance, signal
        if system.kind == "glao":
            shape = (len(self.fx), len(self.mirrors), count)
            self.command = np.full(shape, 1.0 / (count * len(self.mirrors)), complex)
        else:
            estimate = np.linalg.solve(covariance, signal).conj().transpose(0, 2, 1)  # (f, layers, stars)
            self.command = self._fit(system.field_radius if system.kind == "mcao" else 0.0) @ estimate

    def _phase(self, height: Floats, towards: Floats) -> NDArray[np.complex128]:
        """Return exp(2 pi i h f.a), (f, heights)."""
        path = (self.fx * towards[0] + self.fy * towards[1]) * (2 * math.pi * ARCSEC)
        return np.asarray(np.exp(1j * path[:, None] * height))

    def _fit(self, field: float) -> NDArray[np.complex128]:
        """Return the mirrors (f, mirrors, layers) that fit the layers best over a field, radius in arcsec."""
        places = [np.zeros(2), *(field * _circle(EDGE))] if field else [np.zeros(2)]
        left: NDArray[np.complex128] = np.zeros((len(self.fx), len(self.mirrors), len(self.mirrors)), complex)
        right: NDArray[np.complex128] = np.zeros((len(self.fx), len(self.mirrors), len(self.height)), complex)
        for weight, place in zip([1.0, *[2.0] * EDGE], places, strict=False):
            mirror = self._phase(self.mirrors, place) * self.moves
            layer = self._phase(self.height, place)
            left += weight * mirror.conj()[:, :, None] * mirror[:, None, :]
            right += weight * mirror.conj()[:, :, None] * layer[:, None, :]
        left += CONDITION * (1.0 + 2.0 * (len(places) - 1)) * np.eye(len(self.mirrors))
        return np.asarray(np.linalg.solve(left, right))

    def lost(self, position: Floats) -> Floats:
        """Return what remains towards ``position`` (arcsec from the axis) as a fraction of the turbulence.

        (RADII, ANGLES), noise included.
        """
        mirror = self._phase(self.mirrors, position) * self.moves
        filtered = (mirror[:, None, :] @ self.command)[:, 0]  # (f, stars)
        seen = (self.signal @ self._phase(self.height, position).conj()[:, :, None])[..., 0]
        kept = 2.0 * (filtered * seen).sum(axis=1).real
        spent = (filtered * (self.covariance @ filtered.conj()[:, :, None])[..., 0]).sum(axis=1).real
        return np.asarray(1.0 - kept + spent).reshape(RADII, ANGLES)


def nodes(top: float) -> Floats:
    """Return the spatial frequencies |f| (RADII), 1/m, at which the tomography is solved."""
    return np.asarray((np.arange(RADII) + 0.5) * (top / RADII), float)


def _circle(count: int) -> Floats:
    """Return ``count`` directions evenly around, the first to +x."""
    angle = 2 * math.pi * np.arange(count) / count
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
