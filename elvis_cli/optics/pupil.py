"""The telescope's pupil, with a mask in it or without, and its optical transfer function."""

from __future__ import annotations

import hashlib
import math
import pickle
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.model.telescope import PupilMask, Telescope
from elvis_cli.optics import psf_store
from elvis_cli.optics.cold_stop import stop_amplitude

SIZE = 1024
"""Samples across the autocorrelation."""
ACROSS = SIZE // 2 - 12
"""Samples across the pupil: 8 cm on the ELT; less than half of SIZE, so that the autocorrelation does not wrap."""


@dataclass(frozen=True, slots=True, eq=False)
class Pupil:
    """The OTF of a pupil without aberrations: real, symmetric about the origin."""

    diameter: float
    """Of the smallest circle about the axis that holds the pupil, m: the OTF ends at this shift."""
    step: float
    """Sampling of ``otf``, m."""
    otf: NDArray[np.float32]
    """(SIZE, SIZE), 1 at [SIZE // 2, SIZE // 2]."""
    slope: float
    """-d OTF / d shift at the origin, averaged over directions, 1/m: perimeter over (pi area)."""

    def sample(self, rho: Floats) -> tuple[Floats, Floats]:
        """Return the OTF at the shifts (x, y) = (rho[i], rho[j]) and (rho[i], -rho[j]), m, as (j, i) arrays.

        Cubic interpolation: with a linear one the ghosts of the sampling outshine the far wings.
        """
        at = np.minimum(rho / self.step, SIZE // 2 - 3)
        first, weights = cubic(at)
        right = self.otf[:, SIZE // 2 - 1 :]  # from a shift of -step in x
        plus, minus = (
            sum(weights[k, :, None] * right[SIZE // 2 + sign * (first + k - 1)] for k in range(4)) for sign in (1, -1)
        )
        return _columns(np.asarray(plus), first, weights), _columns(np.asarray(minus), first, weights)

    def radial(self, rho: Floats) -> Floats:
        """Return the OTF at the shifts ``rho`` (m), averaged over directions."""
        angle = (np.arange(48) + 0.5) * (math.pi / 48)
        rings = np.arange(1, SIZE // 2 - 3)[:, None]
        x, y = rings * np.cos(angle), rings * np.sin(angle)
        i, j = np.floor(x).astype(int), np.floor(y).astype(int)
        u, v = x - i, y - j
        upper = self.otf[SIZE // 2 :]
        i += SIZE // 2
        mean = (upper[j, i] * (1 - u) + upper[j, i + 1] * u) * (1 - v)
        mean += (upper[j + 1, i] * (1 - u) + upper[j + 1, i + 1] * u) * v
        known = np.concatenate(([0.0, 1.0], mean.mean(axis=1)))
        known[0] = 2.0 * known[1] - known[2]  # straight on through the cusp
        # straight lines between the samples would show as rings: put 8 points between them
        at = np.arange(0, len(known) - 3, 0.125)
        first, weights = cubic(at)
        table = np.sum([weights[k] * known[first + k] for k in range(4)], axis=0)
        return np.asarray(np.interp(rho, at * self.step, table))


def cubic(at: Floats) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return floor(at) and the weights (4, n) of the samples floor(at) - 1 ... floor(at) + 2.

    Cubic convolution: Keys 1981, IEEE Trans. ASSP 29, 1153.
    """
    first = np.floor(at).astype(np.int64)
    t = at - first
    weights = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    return first, np.array(weights, np.float32)


def _columns(rows: Floats, first: NDArray[np.int64], weights: NDArray[np.float32]) -> Floats:
    return np.asarray(sum(weights[k] * rows[:, first + k] for k in range(4)))


@lru_cache(maxsize=8)
def transfer(telescope: Telescope, mask: PupilMask | None = None) -> Pupil:
    """Return the OTF of a telescope's pupil, which is kept on disk: it is the same for all requests of a telescope.

    With a grating phase plate it is the mean over unpolarised light: the leak's and those of the two handednesses,
    which see opposite phases and so have OTFs that are complex conjugates of each other. The shift of their images
    grows with the wavelength, as the OTF is a function of the shift in the pupil.
    """
    key = hashlib.sha256(pickle.dumps(("pupil", telescope, mask))).digest()
    otf, slope = psf_store.find(key), psf_store.find(key + b"slope")
    if otf is None or slope is None:
        shape, step = raster(telescope, mask)
        plain = correlate(shape)
        otf, slope = plain, np.array(initial_slope(plain, step))
        if mask is not None and mask.sines:
            bent = correlate(shape * np.exp(1j * phase(mask, extent(telescope), step)))
            otf = (mask.leak * plain + (1.0 - mask.leak) * bent).astype(np.float32)
        psf_store.add({key: otf, key + b"slope": slope})
    return Pupil(extent(telescope), sampling(telescope), otf, float(slope))


def initial_slope(otf: NDArray[np.float32], step: float) -> float:
    """Return -d OTF / d shift at the origin, averaged over directions, 1/m."""
    middle = SIZE // 2
    rays = np.array([[otf[middle, middle + n], otf[middle + n, middle + n], otf[middle + n, middle]] for n in (1, 3)])
    fall = (rays[0] - rays[1]) / (2.0 * step)  # within the width of an arm, past the rounding by the samples
    return float((fall[0] + fall[2]) / 4.0 + fall[1] / math.sqrt(8.0))


def correlate(field: NDArray[np.floating[Any] | np.complexfloating[Any]]) -> NDArray[np.float32]:
    """Return the real part of the autocorrelation (SIZE, SIZE) of a field in the pupil, 1 at the origin."""
    # the raster is the pupil averaged over each sample: undo it, or the wings fade
    blur = np.sinc(np.fft.fftfreq(SIZE))[:, None]
    if np.iscomplexobj(field):
        spectrum = np.fft.fft2(field.astype(np.complex64), s=(SIZE, SIZE))
        blur = blur * np.sinc(np.fft.fftfreq(SIZE))
        power = ((spectrum.real**2 + spectrum.imag**2) / (blur * blur)).astype(np.float32)
        otf = np.fft.ifft2(power).real
    else:
        spectrum = np.fft.rfft2(field.astype(np.float32), s=(SIZE, SIZE))
        blur = blur * np.sinc(np.fft.rfftfreq(SIZE))
        power = ((spectrum.real**2 + spectrum.imag**2) / (blur * blur)).astype(np.float32)
        otf = np.fft.irfft2(power, s=(SIZE, SIZE))
    otf = np.fft.fftshift(otf).astype(np.float32)
    return np.asarray(otf / otf[SIZE // 2, SIZE // 2])


def power(field: NDArray[np.floating[Any] | np.complexfloating[Any]]) -> NDArray[np.float32]:
    """Return the power spectrum (SIZE, SIZE) of a field on the raster, whose samples' averaging is undone."""
    from scipy import fft

    spectrum = fft.fft2(field.astype(np.complex64), s=(SIZE, SIZE))
    blur = np.sinc(np.fft.fftfreq(SIZE)).astype(np.float32)
    return np.asarray((spectrum.real**2 + spectrum.imag**2) / (blur * blur[:, None]) ** 2)


def otf_of(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the real part of the autocorrelation (SIZE, SIZE) of fields with this `power`, 1 at the origin."""
    from scipy import fft

    otf = fft.fftshift(fft.ifft2(power).real)
    return np.asarray(otf / otf[SIZE // 2, SIZE // 2])


def extent(telescope: Telescope) -> float:
    """Return the diameter (m) of the circle about the axis that holds the pupil."""
    if not telescope.segments:
        return telescope.diameter
    pitch, _, largest = telescope.segments
    return 2.0 * (largest + pitch / math.sqrt(3.0))


def sampling(telescope: Telescope) -> float:
    """Return the distance (m) of the samples of a telescope's pupil."""
    return extent(telescope) / (ACROSS - 4)


def raster(telescope: Telescope, mask: PupilMask | None = None) -> tuple[Floats, float]:
    """Return the transmission (ACROSS, ACROSS) of the pupil, averaged over each sample, and the step in m.

    Arms run from the axis outwards at position angles counted from +y through -x, as the sky's from North
    through East; a mask turns them by its angle. Segments have flat sides up and down (columns along y); gaps are not
    resolved.
    """
    step = sampling(telescope)
    half = (np.arange(ACROSS // 2) + 0.5) * step
    if telescope.segments:
        fine = (np.arange(ACROSS) + 0.5) * step / 2  # two by two points a sample
        inside = _segments(fine, telescope.segments).T
        quarter = inside.reshape(ACROSS // 2, 2, ACROSS // 2, 2).mean(axis=(1, 3))
    else:
        r = np.hypot(half, half[:, None])
        quarter = np.clip((telescope.diameter / 2 - r) / step + 0.5, 0.0, 1.0)
        quarter -= np.clip((telescope.inner / 2 - r) / step + 0.5, 0.0, 1.0)
    right = np.concatenate([quarter[::-1], quarter])
    shape = np.concatenate([right[:, ::-1], right], axis=1)
    turn = mask.angle if mask is not None else 0.0
    x = np.concatenate([-half[::-1], half])
    y = x[:, None]
    for angle in np.radians(np.asarray(telescope.spider_angles) + turn):
        along = -x * math.sin(angle) + y * math.cos(angle)
        across = np.abs(x * math.cos(angle) + y * math.sin(angle))
        arm = np.clip((telescope.spider_width / 2 - across) / step + 0.5, 0.0, 1.0)
        shape *= 1.0 - np.where(along > 0, np.minimum(arm, telescope.spider_width / step), 0.0)
    if mask is not None and mask.holes:
        u, v = _turned(x, turn)
        shape *= np.max(
            [np.clip((r - np.hypot(u - a, v - b)) / step + 0.5, 0.0, 1.0) for a, b, r in mask.holes], axis=0
        )
    if mask is not None and mask.stop is not None:
        shape *= stop_amplitude(mask.stop, ACROSS, step, turn)
    return shape, step


def phase(mask: PupilMask, diameter: float, step: float) -> Floats:
    """Return the phase (ACROSS, ACROSS) of a mask's plate, rad."""
    x = (np.arange(ACROSS, dtype=float) - (ACROSS - 1) / 2) * step
    u, v = _turned(x, mask.angle)
    cycle = 2 * math.pi / diameter
    right, up = (np.exp(1j * cycle * axis).astype(np.complex64) for axis in (u, v))
    total = np.zeros_like(right)
    for row in reversed(mask.sines):  # Horner's scheme in both powers
        along = np.zeros_like(right)
        for amplitude in reversed(row):
            along = (along + np.float32(amplitude)) * right
        total = total * up + along
    total *= np.exp(-1j * cycle * (len(mask.sines) - 1) / 2 * v)  # the first row is the most negative frequency
    return np.asarray(total.imag + cycle * mask.grating * v)


def _turned(x: Floats, angle: float) -> tuple[Floats, Floats]:
    """Return the coordinates in the pupil, turned by ``angle`` deg, of the points (x[i], x[j]), as (j, i) arrays."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return cos * x + sin * x[:, None], cos * x[:, None] - sin * x


def _segments(x: Floats, segments: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return where a point of the quarter plane (x[i], x[j] >= 0) lies in a segment, for rows of segments along x."""
    pitch, smallest, largest = segments
    row_pitch = pitch * math.sqrt(3.0) / 2
    # axial coordinates, rounded to the nearest centre in the cube form
    r = x[:, None] / row_pitch
    q = x / pitch - r / 2
    rq, rr, rs = np.rint(q), np.broadcast_to(np.rint(r), q.shape), np.rint(-q - r)
    dq, dr, ds = np.abs(rq - q), np.abs(rr - r), np.abs(rs + q + r)
    turn_q = (dq > dr) & (dq > ds)
    turn_r = ~turn_q & (dr > ds)
    q, r = np.where(turn_q, -rr - rs, rq), np.where(turn_r, -rq - rs, rr)
    distance = np.hypot((q + r / 2) * pitch, r * row_pitch)
    return (distance >= smallest) & (distance <= largest)
