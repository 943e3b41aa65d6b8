"""The field behind a coronagraph, on the raster of the pupil: apodiser, focal-plane mask, cold stop.

Fields are (n, n) arrays on a raster of ``step`` m, (ACROSS, ACROSS) at full sampling, which an even ``n`` shares out
coarser. Tilts are in units of lambda / D.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.model.coronagraph import Coronagraph
from elvis_cli.model.telescope import PupilMask, Telescope
from elvis_cli.optics import pupil
from elvis_cli.optics.cold_stop import pixel_amplitude, ring_amplitude, stop_amplitude

Field = NDArray[np.complexfloating[Any, Any]]

TAPER = 0.25
"""Cycles per sample from which on, up to the raster's last of 0.5, the kernel's means are undone less and less."""
NEAR_AXIS = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0])
FAR = np.array([15.0, 25.0, 40.0])
"""Distances from the axis, lambda / D, at which transmissions are tabulated; beyond the last they are 1."""
NEAR = np.linspace(-1.5, 1.5, 31)
"""Places about a point, on its line from the axis, lambda / D, at which the peak of its image is looked for."""
BLOCK = 5
"""Samples across that are taken together for this: 50 or 100 across the pupil are left."""
DIRECTIONS = np.radians([0.0, 60.0, 120.0])
"""From +x, over which transmissions are averaged: behind four arms they differ by 0.015 from one to another."""


@dataclass(frozen=True, slots=True, eq=False)
class Transmission:
    """What a mask lets through of a point at ``distance`` (lambda / D) from its centre, over what passes without it."""

    distance: Floats
    peak: Floats
    """Of the image's peak."""
    energy: Floats
    """Of all light behind the stop."""

    def of_peak(self, distance: Floats) -> Floats:
        """Return the transmission of the peak at some distances, lambda / D."""
        return np.asarray(np.interp(distance, self.distance, self.peak, right=1.0))

    def of_energy(self, distance: Floats) -> Floats:
        """Return the transmission of all light at some distances, lambda / D."""
        return np.asarray(np.interp(distance, self.distance, self.energy, right=1.0))


class Operator:
    """A telescope's pupil with a coronagraph behind it: the field before (``entrance``) and behind the stop."""

    def __init__(self, telescope: Telescope, coronagraph: Coronagraph, diameter: float) -> None:
        """``diameter`` (m) is that of the unit lambda / D."""
        self.coronagraph, self.diameter, self.coarser = coronagraph, diameter, 1
        self.pupil, self.step = pupil.raster(telescope, PupilMask(coronagraph.name, coronagraph.angle))
        ring = ring_amplitude(coronagraph.ring, pupil.ACROSS, self.step)
        if coronagraph.pixels:
            ring *= pixel_amplitude(coronagraph.pixels, coronagraph.pitch, pupil.ACROSS, self.step)
        self.entrance = np.asarray(self.pupil * ring, np.float32)
        self.stop = stop_amplitude(coronagraph.stop, pupil.ACROSS, self.step, coronagraph.angle).astype(np.float32)

    def coarsened(self, coarser: int) -> Operator:
        """Return the same with ``coarser`` samples across taken together."""
        result = copy.copy(self)
        result.coarser, result.step = coarser, self.step * coarser
        result.pupil, result.entrance, result.stop = (
            _together(part, coarser) for part in (self.pupil, self.entrance, self.stop)
        )
        return result

    @property
    def plain(self) -> NDArray[np.floating[Any]]:
        """Return the amplitude behind the stop without a mask."""
        return self.entrance * self.stop

    @property
    def x(self) -> Floats:
        """Return the coordinates (n,) of the samples along either axis, m."""
        return np.asarray((np.arange(len(self.stop)) - (len(self.stop) - 1) / 2) * self.step, float)

    @property
    def throughput(self) -> float:
        """Return the fraction of the light from the telescope that passes apodiser and stop without a mask."""
        return energy(self.plain) / energy(self.pupil)

    def tilt(self, x: float, y: float) -> Field:
        """Return the field of a point at (x, y) lambda / D, of amplitude 1."""
        cycle = 2j * math.pi / self.diameter
        up, right = (np.exp(cycle * one * self.x).astype(np.complex64) for one in (y, x))
        return np.asarray(up[:, None] * right)

    def behind(self, wavefront: Field | float, radius: float = 0.0) -> Field:
        """Return the field behind the stop; ``wavefront`` is that of the star before the apodiser, amplitude 1.

        ``radius`` (lambda / D) is that of a disc.
        """
        field = self.entrance * wavefront
        match self.coronagraph.mask:
            case "vortex":
                field = vortex(field, sharpened=self.coarser > 1)
            case "disc":
                field = field - _convolved(field, _hole_spectrum(len(field), radius * self.step / self.diameter))
        return np.asarray(self.stop * field)

    def transmission(self, distances: Floats, radius: float = 0.0) -> Floats:
        """Return the transmission (2, n) of peak and energy at ``distances`` (n,), lambda / D, mean of DIRECTIONS."""
        if self.coronagraph.mask == "none":
            return np.ones((2, distances.size))
        places = [(float(distance), float(angle)) for distance in distances for angle in DIRECTIONS]
        first = self._point_transmission(*places[0], radius)  # alone: it makes what all share
        parts = [first, *parallel.gather(lambda place: self._point_transmission(*place, radius), places[1:])]
        return np.asarray(np.array(parts).reshape(distances.size, DIRECTIONS.size, 2).mean(axis=1).T)

    def _point_transmission(self, distance: float, angle: float, radius: float) -> tuple[float, float]:
        """Return the transmission of peak and energy of one point; ``angle`` (rad) is from +x."""
        cos, sin = math.cos(angle), math.sin(angle)
        tilt = self.tilt(distance * cos, distance * sin)
        field = self.behind(tilt, radius)
        flat = _together(field * np.conj(tilt), BLOCK)  # the point in the middle: few samples show what is near it
        cycle = -2j * math.pi / self.diameter * np.outer(self.x.reshape(-1, BLOCK).mean(axis=1), NEAR)
        image = np.abs(((flat @ np.exp(cos * cycle)) * np.exp(sin * cycle)).sum(axis=0)) * BLOCK**2
        return float(image.max() / self.plain.sum()) ** 2, energy(field) / energy(self.plain)


def energy(field: NDArray[Any]) -> float:
    """Return the light of a field, the sum of its squares."""
    return float((field.real**2 + field.imag**2).sum(dtype=float))


def _together(values: NDArray[Any], coarser: int) -> NDArray[Any]:
    """Return the means of squares of ``coarser`` samples."""
    n = len(values) // coarser
    return np.asarray(values.reshape(n, coarser, n, coarser).mean(axis=(1, 3)))


def vortex(field: Field, sharpened: bool = False) -> Field:
    """Return the field in the next pupil behind a vortex of charge 2 in the focus between.

    That is the Beurling transform of the field, a convolution with -1 / (pi conj(z)^2): exp(2 i theta) is its Fourier
    transform (Mawet et al. 2005, ApJ 633, 1191, for the vortex; Astala, Iwaniec & Martin 2009, ch. 4, for the kernel).
    Its means over samples empty the pupil of a star up to its rim, but dim what is far from the axis: a fifth at
    40 lambda / D along diagonals on a coarse raster. ``sharpened`` undoes that.
    """
    return _convolved(field, _vortex_spectrum(len(field), sharpened))


def _convolved(field: Field, spectrum: Field) -> Field:
    """Return a field (n, n) convolved with a kernel, whose Fourier transform is (2 n, 2 n); in single precision."""
    from scipy import fft

    n = len(field)
    along = fft.fft(field.astype(np.complex64), 2 * n, axis=1)  # rows that are empty need no transform
    product = fft.fft(along, 2 * n, axis=0, overwrite_x=True)
    product *= spectrum
    return np.asarray(fft.ifft(fft.ifft(product, axis=0, overwrite_x=True)[:n], axis=1)[:, :n])


@lru_cache(maxsize=2)
def _hole_spectrum(n: int, radius: float) -> Field:
    """Return the Fourier transform (2 n, 2 n) of what a hole in the focus convolves the pupil with.

    ``radius`` is in cycles per sample. The kernel is radius J1(2 pi radius r) / r, and pi radius^2 in the middle.
    """
    from scipy import fft
    from scipy.special import j1

    offset = np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)).astype(float)
    r = np.hypot(offset, offset[:, None])
    r[0, 0] = 1.0
    kernel = radius * j1(2.0 * math.pi * radius * r) / r
    kernel[0, 0] = math.pi * radius**2
    return np.asarray(fft.fft2(kernel.astype(np.float32)))


@lru_cache(maxsize=3)
def _vortex_spectrum(n: int, sharpened: bool) -> Field:
    """Return the Fourier transform (2 n, 2 n) of the kernel, whose mean over each sample is exact.

    The integral of z^-2 over a sample is -(i/2) times that of d conj(z) / z about it: logarithms of its corners.
    """
    from scipy import fft

    edge = np.arange(n + 1) - 0.5  # of the samples 0 ... n - 1 of a quadrant
    corner = edge + 1j * edge[:, None]
    # along x d conj(z) = dz, along y it is -dz; each ratio's angle is below pi
    along = np.log(corner[:, 1:] / corner[:, :-1])
    up = np.log(corner[1:] / corner[:-1])
    around = along[:-1] - along[1:] - up[:, 1:] + up[:, :-1]
    quadrant = np.conj(-0.5j * around) / -math.pi
    quadrant[0, 0] = 0.0
    kernel = np.zeros((2 * n, 2 * n), np.complex64)
    kernel[:n, :n] = quadrant
    kernel[:n, n + 1 :] = np.conj(quadrant[:, :0:-1])
    kernel[n + 1 :, :n] = np.conj(quadrant[:0:-1])
    kernel[n + 1 :, n + 1 :] = quadrant[:0:-1, :0:-1]
    spectrum = fft.fft2(kernel)
    return np.asarray(spectrum * _sharpening(n) if sharpened else spectrum)


def _sharpening(n: int) -> Field:
    """Return exp(2 i theta) over the transform (2 n, 2 n) of the endless kernel of means; 1 at the last frequencies.

    That transform is the sum over all aliases (u + k, v + m) of sinc(u + k) sinc(v + m) exp(2 i theta(u + k, v + m));
    with exp(2 i theta) = -1 + 2 u / (u - i v) the sum over k is a cosecant, and that over m converges at once.
    """
    u = np.arange(n + 1) / (2 * n)
    v = u[:, None]
    total = np.full((n + 1, n + 1), -1.0 + 0.0j)
    with np.errstate(divide="ignore", invalid="ignore"):
        for m in range(-3, 3):
            y = math.pi * (v + m)
            sine = np.sin(math.pi * u) * np.cosh(y) - 1j * np.cos(math.pi * u) * np.sinh(y)  # of pi u - i y
            total += 2.0 * np.sin(math.pi * u) * np.sinc(v + m) / sine
        undone = (u + 1j * v) / (u - 1j * v) / total - 1.0
    undone[0, 0] = 0.0
    held = 0.5 + 0.5 * np.cos(math.pi * np.clip((u - TAPER) / (0.5 - TAPER), 0.0, 1.0))
    quadrant = 1.0 + np.where(held * held[:, None] > 0.0, undone, 0.0) * held * held[:, None]
    half = np.concatenate([quadrant, np.conj(quadrant[:, -2:0:-1])], axis=1)
    return np.concatenate([half, np.conj(half[-2:0:-1])]).astype(np.complex64)
