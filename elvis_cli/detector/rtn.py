"""Random telegraph noise: pixels whose level jumps between two values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.defects import defects
from elvis_cli.detector.stage import Stage, StageContext

Floats = NDArray[np.float64]
DRAWN = 16
"""Integrations that are drawn; the mean of more has the right mean and variance."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Which pixels, how high and how slow is fixed on the chip, spread evenly in the logarithm."""

    fraction: float = number("", 0.0, 0.5, "fraction of the physical pixels that jump")
    low: float = number("electron", 1e-3, 1e6, "smallest step")
    high: float = number("electron", 1e-3, 1e6, "largest step")
    fast: float = number("s", 1e-6, 1e9, "shortest mean time in a level")
    slow: float = number("s", 1e-6, 1e9, "longest mean time in a level")

    def __post_init__(self) -> None:
        for low, high in (("low", "high"), ("fast", "slow")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} is above {high}")


def telegraph(up: Floats, down: Floats, times: Floats, random: Generator) -> NDArray[np.bool_]:
    """Return whether each pixel is in its upper level at each time, (times, pixels).

    ``up`` and ``down`` are the mean times in the levels, in the unit of ``times``, exponentially distributed: after a
    time t the chance to be up is P + (s - P) exp(-t (1/up + 1/down)), s = 0 or 1 before and P = up / (up + down)
    (Machlup 1954, J. Appl. Phys. 25, 341).
    """
    often, rate = up / (up + down), 1 / up + 1 / down
    states = np.empty((len(times), len(up)), bool)
    chance = often
    for i, time in enumerate(times):
        if i:
            chance = often + (states[i - 1] - often) * np.exp(-(time - times[i - 1]) * rate)
        states[i] = random.random(len(up)) < chance
    return states


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the upper level to the pixels that are in it, as the frame counts its reads."""
    y, x, deviate = defects(parameters.fraction, STAGE.name, context)
    # three deviates of 17 bits and more from one of 53
    step = parameters.low * (parameters.high / parameters.low) ** deviate
    up, down = (parameters.fast * (parameters.slow / parameters.fast) ** (deviate * 2.0**n % 1) for n in (17, 34))
    times, weights = context.sampling.times() * context.dit, context.weights
    random, drawn = context.generator(STAGE.name), min(context.count, DRAWN)
    mean = sum(weights @ telegraph(up, down, times, random) for _ in range(drawn)) / drawn
    expected = weights.sum() * up / (up + down)
    shown = expected + (mean - expected) * (drawn / context.count) ** 0.5
    np.add.at(image, (y, x), (step * shown).astype(np.float32))
    return image


STAGE = Stage("rtn", "pixels that jump between two levels", Parameters, image=apply)
