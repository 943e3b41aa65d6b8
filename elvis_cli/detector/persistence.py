"""Persistence: charge that the traps caught in the exposure before and give back in this one.

Tulloch & George 2019, arXiv 1908.06469: traps of several time constants fill and empty towards a share of the
charge in the pixel, dn_i = (a_i Q - n_i) dt / tau_i, and what they take is missing in it, dQ = F dt - sum dn_i. Below
the full well this is linear in the charge, so one number says what comes back: the exponential of the system's matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number, numbers
from elvis_cli.detector.stage import Stage, StageContext

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same for all pixels; this exposure's own charge does not fill traps."""

    amplitude: float = number("", 0.0, 0.5, "share of a charge that traps hold in the end")
    tau: tuple[float, ...] = numbers("s", 1e-3, 1e9, "time constants")
    share: tuple[float, ...] = numbers("", 0.0, 1.0, "share of each in the amplitude")

    def __post_init__(self) -> None:
        if len(self.tau) != len(self.share) or abs(sum(self.share) - 1) > 1e-3:
            raise ValueError("share must be as long as tau, and its sum 1")


def system(amplitude: float, tau: Sequence[float], share: Sequence[float]) -> Floats:
    """Return the matrix d/dt of the state (charge, traps ..., flux, charge read so far)."""
    many = len(tau)
    matrix = np.zeros((many + 3, many + 3))
    for i, (time, part) in enumerate(zip(tau, share, strict=True), start=1):
        matrix[i, 0], matrix[i, i] = amplitude * part / time, -1 / time
    matrix[0] = -matrix[1:-2].sum(axis=0)
    matrix[0, -2] = 1
    return matrix


def integrate(matrix: Floats, time: float, count: int) -> Floats:
    """Return what ``count`` integrations of ``time`` s make of a state; after each the charge is read and reset."""
    from scipy.linalg import expm

    reset = np.eye(len(matrix))
    reset[-1, 0], reset[0, 0] = 1, 0
    return np.asarray(np.linalg.matrix_power(reset @ expm(matrix * time), count))


def returned(parameters: Parameters, before: tuple[float, int], gap: float, now: tuple[float, int]) -> float:
    """Return the charge of one integration now that comes from the exposure before, per charge of one of that.

    ``before`` and ``now`` are the integration time (s) and the number of integrations; in between the array is reset
    all the time for ``gap`` s.
    """
    matrix = system(parameters.amplitude, parameters.tau, parameters.share)
    start = np.zeros(len(matrix))
    start[-2] = 1.0
    state = integrate(matrix, *before) @ start
    seen = state[-1] / before[1]
    state[[0, -2, -1]] = 0
    state[1:-2] *= np.exp(-gap / np.array(parameters.tau))
    return float((integrate(matrix, *now) @ state)[-1] / now[1] / seen)


LEAST = 4.0
"""Electrons below which a pixel remembers nothing."""
STEPS = 12
"""Codes for a factor of two in the charge: within 3 %."""


def encode(charge: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a byte for each pixel: 0, or 1 + the steps of its charge above LEAST, up to 9e6 electrons."""
    steps = STEPS * np.log2(np.maximum(charge, LEAST) / LEAST)
    return np.where(charge < LEAST, 0, 1 + np.minimum(np.rint(steps), 254)).astype(np.uint8)


def decode(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the charge that the codes stand for, electrons."""
    table = LEAST * 2 ** ((np.arange(256, dtype=np.float32) - 1) / STEPS)
    table[0] = 0
    return np.asarray(table[codes], np.float32)


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add what comes back of the previous exposure's light, where its window and this one's overlap."""
    before, here = context.previous, context.window
    for exposed in before.chips if before else ():
        if before and exposed.chip == context.chip.id:
            there = exposed.window
            codes = np.frombuffer(exposed.data, np.uint8).reshape(there.ny, there.nx)
            x0, y0 = max(here.x0, there.x0), max(here.y0, there.y0)
            x1, y1 = min(here.x0 + here.nx, there.x0 + there.nx), min(here.y0 + here.ny, there.y0 + there.ny)
            if x0 < x1 and y0 < y1:
                part = returned(parameters, (before.dit, before.count), before.gap, (context.dit, context.count))
                old = decode(codes[y0 - there.y0 : y1 - there.y0, x0 - there.x0 : x1 - there.x0])
                image[y0 - here.y0 : y1 - here.y0, x0 - here.x0 : x1 - here.x0] += np.float32(part) * old
    return image


STAGE = Stage("persistence", "charge that traps kept from the exposure before", Parameters, image=apply)
