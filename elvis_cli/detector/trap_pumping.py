"""Trap pumping: charge is shuffled to and fro, and single traps carry it from a pixel to its neighbour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Traps are spread evenly over pixels and over the logarithm of their release time."""

    density: float = number("1/pixel", 0.0, 10.0, "traps that make a dipole")
    low: float = number("s", 1e-12, 1e6, "shortest release time")
    high: float = number("s", 1e-12, 1e6, "longest release time")
    cycles: float = number("", 1.0, 1e9, "cycles of pumping")
    phase: float = number("s", 1e-12, 1e6, "time that charge stays in a phase")
    capture: float = number("", 0.0, 1.0, "probability that a passing packet fills the trap", 1.0)

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")


def intensity(tau: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
    """Return the electrons that traps of release time ``tau`` (s) carry over.

    I = N P_c [exp(-t / tau) - exp(-2 t / tau)] (Hall et al. 2014, IEEE TNS 61, 1826): at most N P_c / 4, at
    t = tau ln 2.
    """
    early = np.exp(-parameters.phase / tau)
    return np.asarray(parameters.cycles * parameters.capture * (early - early**2))


def traps(context: StageContext, parameters: Parameters) -> tuple[NDArray[Any], ...]:
    """Return row and column of the pixels that lose, on the chip, the rows of those that gain, and tau (s)."""
    detector = context.detector
    random = random_streams.generator(context.key(STAGE.name), 0, context.chip.id, STAGE.name, 0)
    count = random.poisson(parameters.density * detector.nx * detector.ny)
    y, x = random.integers(1, detector.ny - 1, count), random.integers(0, detector.nx, count)
    other = y + 2 * random.integers(0, 2, count) - 1
    tau = parameters.low * (parameters.high / parameters.low) ** random.random(count)
    return y, x, other, tau


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Move charge between neighbours of a column: no more than the pixel has."""
    window = context.window
    y, x, other, tau = traps(context, parameters)
    y, other, x = y - window.y0, other - window.y0, x - window.x0
    inside = (np.minimum(y, other) >= 0) & (np.maximum(y, other) < window.ny) & (x >= 0) & (x < window.nx)
    moved = intensity(tau, parameters)
    for j, k, i, electrons in zip(y[inside], other[inside], x[inside], moved[inside], strict=True):
        taken = min(np.float32(electrons), image[j, i])
        image[j, i] -= taken
        image[k, i] += taken
    return image


STAGE = Stage("trap_pumping", "dipoles of charge at single traps", Parameters, image=apply)
