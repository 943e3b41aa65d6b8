"""Angular differential imaging of a pupil-tracking sequence, and the contrast that it reaches.

Classical ADI (Marois et al. 2006, ApJ 641, 556): the median of all exposures is the star, which stands still with the
pupil; it is subtracted, the rests are turned to North up and averaged. Noise is that of apertures of one FWHM in a
ring, with the penalty sqrt(1 + 1/n) of few apertures (Mawet et al. 2014, ApJ 792, 97). Companions are injected to
find how much of them the subtraction leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import gather

SIGMAS = 5.0
INJECTED = 20.0
"""Signal-to-noise ratio with which companions are injected."""
GOLDEN = 137.508
"""deg between the position angles of companions at one distance and the next."""
ROWS = 16
"""Rows of all exposures whose medians are taken at once."""
TURNED = 8
"""Exposures that are turned at once."""
LEAST_APERTURES = 5
ROBUST_APERTURES = 12
"""Apertures in a ring from which on their scatter is taken from the median."""


@dataclass(slots=True, eq=False)
class Sequence:
    """Exposures (n, s, s), electron/s without sky, with the star in the middle [s // 2, s // 2]."""

    frames: Image
    matrix: Floats
    """(n, 2, 2): East and North (arcsec) from pixels along x and y, at the middle of each exposure."""
    turn: Floats
    """(n,) by how much the position angle grows within an exposure, deg."""
    scale: float
    """arcsec per pixel."""


@dataclass(slots=True, eq=False)
class Companion:
    """A companion that was put in and found again."""

    radius: float
    angle: float
    """Distance (arcsec) and position angle (deg)."""
    flux: float
    """Electron/s in an aperture of one FWHM."""
    found: float
    offset: float
    """Pixels between where it was put and where its light is."""
    snr: float


@dataclass(slots=True, eq=False)
class Curve:
    """What a residual map reaches at each ``radius``, arcsec (n,)."""

    radius: Floats
    noise: Floats
    """Of apertures of one FWHM, electron/s."""
    apertures: Floats
    throughput: Floats
    """Part of a companion that the subtraction leaves."""
    companions: list[Companion]

    @property
    def limit(self) -> Floats:
        """Return the flux in an aperture, before the subtraction, of what is detected at 5 sigma, electron/s."""
        return np.asarray(SIGMAS * self.noise * np.sqrt(1.0 + 1.0 / self.apertures) / self.throughput)


def residual(sequence: Sequence) -> Image:
    """Return the mean (s, s) of the exposures without the star, North up and East left.

    Beside the exposures few images are in memory: medians are taken of a few rows, exposures are turned a few at once.
    """
    frames = sequence.frames
    rows = [slice(start, start + ROWS) for start in range(0, frames.shape[1], ROWS)]
    star = np.concatenate(gather(lambda part: np.median(frames[:, part], axis=0), rows))
    total = np.zeros(frames.shape[1:])
    for start in range(0, len(frames), TURNED):
        numbers = range(start, min(start + TURNED, len(frames)))
        for one in gather(lambda n: north_up(frames[n] - star, sequence.matrix[n], sequence.scale), numbers):
            total += one
    return np.asarray(total / len(frames), np.float32)


def north_up(image: Image, matrix: Floats, scale: float) -> Image:
    """Return an image (s, s) about its middle with North up and East left, cubic splines between the pixels."""
    from scipy import ndimage

    middle = image.shape[0] // 2
    to_pixels = np.linalg.inv(matrix) @ np.array([[-scale, 0.0], [0.0, scale]])
    rows = to_pixels[::-1, ::-1]  # (y, x)
    offset = middle - rows @ np.array([middle, middle])
    return np.asarray(ndimage.affine_transform(image, rows, offset, order=3, mode="constant"), np.float32)


def aperture_sums(image: Image, x: Floats, y: Floats, diameter: float) -> Floats:
    """Return the sums in circles about places (n,) from the middle, pixels."""
    middle, reach = image.shape[0] // 2, math.ceil(diameter / 2 + 1)
    offset = np.arange(-reach, reach + 1)
    result = []
    for px, py in zip(x, y, strict=True):
        kx, ky = round(px), round(py)
        r = np.hypot(offset - (px - kx), offset[:, None] - (py - ky))
        inside = np.clip(diameter / 2 + 0.5 - r, 0.0, 1.0)
        part = image[middle + ky - reach : middle + ky + reach + 1, middle + kx - reach : middle + kx + reach + 1]
        result.append(float((part * inside).sum()))
    return np.array(result)


def ring_noise(image: Image, radius: float, fwhm: float) -> tuple[float, int]:
    """Return the scatter of apertures of one FWHM side by side at ``radius`` pixels, and their number.

    Of many it is 1.4826 times the median deviation, which companions in the ring do not raise.
    """
    count = max(int(2 * math.pi * radius / fwhm), 1)
    angle = 2 * math.pi * np.arange(count) / count
    sums = aperture_sums(image, radius * np.cos(angle), radius * np.sin(angle), fwhm)
    if count < ROBUST_APERTURES:
        return float(np.std(sums, ddof=1)), count
    return 1.4826 * float(np.median(np.abs(sums - np.median(sums)))), count


def inject(sequence: Sequence, psf: Image, companions: list[tuple[float, float, float]]) -> Sequence:
    """Return a sequence with companions (radius arcsec, position angle deg, factor on ``psf``) added.

    ``psf`` (m, m), m odd, has the star in its middle. Each moves along its arc within an exposure.
    """
    from scipy import ndimage

    frames, reach, middle = sequence.frames.copy(), psf.shape[0] // 2, sequence.frames.shape[1] // 2
    for n, (matrix, turn) in enumerate(zip(sequence.matrix, sequence.turn, strict=True)):
        back = np.linalg.inv(matrix)
        for radius, angle, factor in companions:
            steps = max(1, math.ceil(radius * abs(math.radians(turn)) / (0.5 * sequence.scale)))
            for step in range(steps):
                # on the detector the sky turns against the position angle
                at = math.radians(angle - turn * ((step + 0.5) / steps - 0.5))
                x, y = back @ np.array([radius * math.sin(at), radius * math.cos(at)])
                kx, ky = round(x), round(y)
                stamp = ndimage.shift(psf, (y - ky, x - kx), order=3) * (factor / steps)
                rows, columns = (slice(middle + k - reach, middle + k + reach + 1) for k in (ky, kx))
                frames[n, rows, columns] += stamp
    return Sequence(frames, sequence.matrix, sequence.turn, sequence.scale)


def contrast(sequence: Sequence, image: Image, psf: Image, fwhm: float, seen: Callable[[Floats], Floats]) -> Curve:
    """Return the noise of a residual ``image`` and what is left of companions like ``psf``, by distance.

    ``fwhm`` is in pixels; ``seen`` gives the mask's transmission at distances in arcsec.
    """
    most = sequence.frames.shape[1] // 2 - psf.shape[0] // 2 - 2
    pixels = np.arange(max(fwhm, LEAST_APERTURES * fwhm / (2 * math.pi)), most, fwhm)
    noise, count = (np.array(column) for column in zip(*(ring_noise(image, r, fwhm) for r in pixels), strict=True))
    radius = pixels * sequence.scale
    own = float(aperture_sums(psf, np.zeros(1), np.zeros(1), fwhm)[0])
    # every third ring: neighbours would take part in each other's apertures
    chosen = np.arange(0, len(radius), 3 if len(radius) > 6 else 1)
    angles = (GOLDEN * np.arange(len(chosen))) % 360.0
    factors = INJECTED * noise[chosen] / own
    put = list(zip(radius[chosen], angles, factors * seen(radius[chosen]), strict=True))
    added = residual(inject(sequence, psf, put)) - image
    companions, left = [], []
    for (r, angle, _), factor, at, transmission in zip(put, factors, chosen, seen(radius[chosen]), strict=True):
        x, y = -r / sequence.scale * math.sin(math.radians(angle)), r / sequence.scale * math.cos(math.radians(angle))
        found = float(aperture_sums(added, np.array([x]), np.array([y]), fwhm)[0])
        flux = factor * own * transmission
        left.append(found / flux)
        recovered = float(aperture_sums(image + added, np.array([x]), np.array([y]), fwhm)[0])
        shift = _offset(added, x, y, fwhm)
        companions.append(Companion(float(r), float(angle), flux, recovered, shift, recovered / float(noise[at])))
    throughput = np.clip(np.interp(radius, radius[chosen], left), 1e-3, None)
    return Curve(radius, noise, count.astype(float), throughput, companions)


def _offset(image: Image, x: float, y: float, fwhm: float) -> float:
    """Return the distance of the light's centre within one FWHM from a place, pixels."""
    middle, reach = image.shape[0] // 2, math.ceil(fwhm) + 1
    kx, ky = round(x), round(y)
    part = image[middle + ky - reach : middle + ky + reach + 1, middle + kx - reach : middle + kx + reach + 1]
    u, v = np.arange(-reach, reach + 1) + kx - x, np.arange(-reach, reach + 1)[:, None] + ky - y
    part = np.maximum(part, 0.0) * np.clip(fwhm + 0.5 - np.hypot(u, v), 0.0, 1.0)
    total = float(part.sum())
    return math.hypot(float((part * u).sum()) / total, float((part * v).sum()) / total)
