"""The field behind a coronagraph, on the raster of the pupil: apodiser, focal-plane mask, cold stop.

Fields are (n, n) arrays on a raster of ``step`` m, (ACROSS, ACROSS) at full sampling, which an even ``n`` shares out
coarser. Tilts are in units of lambda / D.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.model.coronagraph import Coronagraph
from elvis_cli.model.telescope import PupilMask, Telescope
from elvis_cli.optics import pupil
from elvis_cli.optics.cold_stop import ring_amplitude, stop_amplitude

Field = NDArray[np.complexfloating[Any, Any]]

TABLE = np.array([0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 15.0, 25.0, 40.0])
"""Distances from the axis, lambda / D, at which transmissions are tabulated; beyond the last they are 1."""
NEAR = np.linspace(-1.5, 1.5, 31)
"""Places along x about a point, lambda / D, at which the peak of its image is looked for."""


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

    def __init__(self, telescope: Telescope, coronagraph: Coronagraph, diameter: float, coarser: int = 1) -> None:
        """``diameter`` (m) is that of the unit lambda / D; ``coarser`` samples of the raster are taken together."""
        self.coronagraph, self.diameter = coronagraph, diameter
        self.pupil, step = pupil.raster(telescope, PupilMask(coronagraph.name, coronagraph.angle))
        ring = ring_amplitude(coronagraph.ring, pupil.ACROSS, step)
        stop = stop_amplitude(coronagraph.stop, pupil.ACROSS, step, coronagraph.angle)
        self.entrance, self.stop = (_together(part, coarser) for part in (self.pupil * ring, stop))
        self.pupil = _together(self.pupil, coarser)
        self.step = step * coarser
        self.plain = self.entrance * self.stop
        self.x = (np.arange(len(self.stop)) - (len(self.stop) - 1) / 2) * self.step

    @property
    def throughput(self) -> float:
        """Return the fraction of the light from the telescope that passes apodiser and stop without a mask."""
        return float((self.plain**2).sum() / (self.pupil**2).sum())

    def tilt(self, x: float, y: float) -> Field:
        """Return the field of a point at (x, y) lambda / D, of amplitude 1."""
        cycle = 2j * math.pi / self.diameter
        return np.asarray(np.exp(cycle * y * self.x)[:, None] * np.exp(cycle * x * self.x))

    def behind(self, wavefront: Field | float, radius: float = 0.0) -> Field:
        """Return the field behind the stop; ``wavefront`` is that of the star before the apodiser, amplitude 1.

        ``radius`` (lambda / D) is that of a disc.
        """
        field = self.entrance * wavefront
        match self.coronagraph.mask:
            case "vortex":
                field = vortex(field)
            case "disc":
                field = field - _convolved(field, _hole_spectrum(len(field), radius * self.step / self.diameter))
        return np.asarray(self.stop * field)

    def transmission(self, radius: float = 0.0) -> Transmission:
        """Return the table of transmissions along x."""
        if self.coronagraph.mask == "none":
            return Transmission(TABLE, np.ones_like(TABLE), np.ones_like(TABLE))
        wave = np.exp(-2j * math.pi / self.diameter * np.outer(NEAR, self.x))
        peaks, energies = [], []
        for distance in TABLE:
            tilt = self.tilt(distance, 0.0)
            field = self.behind(tilt, radius)
            image = np.abs(wave @ (field * np.conj(tilt)).sum(axis=0))
            peaks.append(float(image.max()) ** 2 / self.plain.sum() ** 2)
            energies.append(float((np.abs(field) ** 2).sum()) / float((self.plain**2).sum()))
        return Transmission(TABLE, np.array(peaks), np.array(energies))


def _together(values: Floats, coarser: int) -> Floats:
    """Return the means of squares of ``coarser`` samples."""
    n = len(values) // coarser
    return np.asarray(values.reshape(n, coarser, n, coarser).mean(axis=(1, 3)))


def vortex(field: Field) -> Field:
    """Return the field in the next pupil behind a vortex of charge 2 in the focus between.

    That is the Beurling transform of the field, a convolution with -1 / (pi conj(z)^2): exp(2 i theta) is its Fourier
    transform (Mawet et al. 2005, ApJ 633, 1191, for the vortex; Astala, Iwaniec & Martin 2009, ch. 4, for the kernel).
    """
    return _convolved(field, _vortex_spectrum(len(field)))


def _convolved(field: Field, spectrum: Field) -> Field:
    """Return a field (n, n) convolved with a kernel, whose Fourier transform is (2 n, 2 n)."""
    from scipy import fft

    n = len(field)
    product = fft.fft2(field, s=(2 * n, 2 * n))
    product *= spectrum
    return np.asarray(fft.ifft2(product, overwrite_x=True)[:n, :n])


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
    return np.asarray(fft.fft2(kernel))


@lru_cache(maxsize=2)
def _vortex_spectrum(n: int) -> Field:
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
    kernel = np.zeros((2 * n, 2 * n), complex)
    kernel[:n, :n] = quadrant
    kernel[:n, n + 1 :] = np.conj(quadrant[:, :0:-1])
    kernel[n + 1 :, :n] = np.conj(quadrant[:0:-1])
    kernel[n + 1 :, n + 1 :] = quadrant[:0:-1, :0:-1]
    return np.asarray(fft.fft2(kernel))
