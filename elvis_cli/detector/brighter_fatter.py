"""The brighter-fatter effect: collected charge repels what comes after it into the neighbours.

Antilogus et al. 2014 (JINST 9 C03048, arXiv:1402.0725); Guyonnet et al. 2015 (A&A 575, A41).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext

REACH = 5
"""Pixels beyond which charge moves no boundary."""
_GRID = 128


@dataclass(frozen=True, slots=True)
class Parameters:
    """Relative change of the area of a pixel per electron in the pixel (serial, parallel) away from it.

    a_ij = Cov_ij / (Var mu) of flat fields (Guyonnet et al. 2015, eq. 16).
    """

    a_00: float = number("1/electron", -1e-3, 0.0, "of a pixel by its own charge")
    a_10: float = number("1/electron", 0.0, 1e-3, "by that of the next one along the register")
    a_01: float = number("1/electron", 0.0, 1e-3, "by that of the next one of the column")
    a_11: float = number("1/electron", 0.0, 1e-3, "by that of a diagonal neighbour", 0.0)
    a_20: float = number("1/electron", 0.0, 1e-3, "by that of the next but one along the register", 0.0)
    a_02: float = number("1/electron", 0.0, 1e-3, "by that of the next but one of the column", 0.0)

    def __post_init__(self) -> None:
        if self.rest() > 1e-12:
            raise ValueError("the sum of a_ij over all pixels must not be above 0: area is only exchanged")

    def rest(self) -> float:
        """Return the sum of the coefficients that are given."""
        pairs = self.a_10 + self.a_01 + self.a_20 + self.a_02
        return self.a_00 + 2.0 * pairs + 4.0 * self.a_11


def areas(parameters: Parameters) -> NDArray[np.float64]:
    """Return a_ij (2 REACH + 1, 2 REACH + 1), parallel by serial: its sum is 0.

    What the given ones leave is spread over the others with the inverse cube of their distance.
    """
    n = np.arange(-REACH, REACH + 1)
    a = np.zeros((n.size, n.size))
    for y, x, value in (
        (0, 0, parameters.a_00), (0, 1, parameters.a_10), (1, 0, parameters.a_01), (1, 1, parameters.a_11),
        (0, 2, parameters.a_20), (2, 0, parameters.a_02),
    ):  # fmt: skip
        a[(abs(n[:, None]) == y) & (abs(n) == x)] = value
    distance = np.hypot(n[:, None], n)
    far = (abs(n[:, None]) + abs(n) > 2) & (distance <= REACH)
    tail = np.where(far, 1.0 / np.maximum(distance, 1.0) ** 3, 0.0)
    return np.asarray(a - parameters.rest() / tail.sum() * tail)


@cache
def displacements(parameters: Parameters) -> tuple[Image, Image]:
    """Return the displacements of the right and the upper side of a pixel per electron around it (see the kernel).

    They are differences of one potential, so that the field has no curl, and their sum over the four sides is a_ij:
    the potential's discrete Laplacian is -a_ij.
    """
    a = np.zeros((_GRID, _GRID))
    n = np.arange(-REACH, REACH + 1)
    a[np.ix_(n, n)] = areas(parameters)
    wave = 2.0 - 2.0 * np.cos(2.0 * np.pi * np.fft.fftfreq(_GRID))
    waves = wave[:, None] + wave
    waves[0, 0] = 1.0
    potential = np.fft.ifft2(np.fft.fft2(a) / waves).real
    # the side right of pixel 0, charge in pixel d: psi(-d) - psi(1 - d), and psi is even
    right = potential - np.roll(potential, 1, axis=1)
    up = potential - np.roll(potential, 1, axis=0)
    where = np.ix_(n, n)
    return right[where].astype(np.float32), up[where].astype(np.float32)


def displace(charge: Image, right: Image, up: Image) -> Image:
    """Return the image (y, x; electrons) after charge went over the sides between pixels; its sum stays.

    Beyond its border the image is continued by its outermost pixels; no charge goes over the border.
    """
    from elvis_cli.kernels.displacement import currents

    padded = np.pad(charge, right.shape[0] // 2, mode="edge")
    to_right, to_up = np.empty_like(charge), np.empty_like(charge)

    def work(_: int, rows: slice) -> None:
        currents(padded, rows.start, rows.stop, right, up, to_right, to_up)

    for_rows(len(charge), work)
    to_right[:, -1] = 0.0
    to_up[-1] = 0.0
    moved = charge + to_right
    moved += to_up
    moved[:, 1:] -= to_right[:, :-1]
    moved[1:] -= to_up[:-1]
    return moved


def apply(image: Image, parameters: Parameters, context: StageContext) -> NDArray[Any]:
    """Move charge between pixels; in frames in ADU, according to their electrons."""
    right, up = displacements(parameters)
    gains = context.by_amplifier("gain", context.chip.gain) if "gain" in context.done else (1.0,)
    biases = context.by_amplifier("bias", context.detector.bias) if "bias" in context.done else (0.0,)
    if gains == (1.0,) and biases == (0.0,):
        return displace(image, right, up)
    electrons = image.astype(np.float32)
    for part, bias in context.amplifiers(electrons, 0, biases):
        np.subtract(part, np.float32(bias), out=part)
    for part, gain in context.amplifiers(electrons, 0, gains):
        np.multiply(part, np.float32(gain), out=part)
    moved = displace(electrons, right, up)
    for part, gain in context.amplifiers(moved, 0, gains):
        np.divide(part, np.float32(gain), out=part)
    for part, bias in context.amplifiers(moved, 0, biases):
        np.add(part, np.float32(bias), out=part)
    if image.dtype == np.uint16:
        return np.asarray(np.clip(np.rint(moved), 0, 65535), np.uint16)
    return moved


STAGE = Stage("brighter_fatter", "charge that repels charge into the neighbours", Parameters, image=apply)
