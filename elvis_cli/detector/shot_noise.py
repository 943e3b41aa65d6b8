"""Poisson noise of light and dark current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from elvis_cli.base.arrays import Image
from elvis_cli.detector.stage import Stage, StageContext

EXACT = 1000.0
"""Expected electrons from which a rounded normal deviate replaces the Poisson deviate (skewness 0.03)."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """None."""


def draw(mean: Image, count: int, random: Generator) -> None:
    """Replace each mean by the mean of ``count`` Poisson deviates, in place.

    The sum of ``count`` deviates is one Poisson deviate of ``count`` * mean, so it is drawn once. Negative means (the
    ringing of a convolution) count as 0.
    """
    np.maximum(mean, 0, out=mean)
    mean *= np.float32(count)
    bright = mean > EXACT
    if bright.any():
        noise = random.standard_normal(mean.shape, dtype=np.float32)
        noise *= np.sqrt(mean)
        faint = ~bright
        deviates = random.poisson(mean[faint])
        mean += noise
        np.rint(mean, out=mean)
        mean[faint] = deviates
    else:
        mean[...] = random.poisson(mean)
    mean /= np.float32(count)


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Draw the electrons of the rows, and what the fit of a slope makes worse."""
    draw(rows, context.count, context.generator(STAGE.name, y))
    excess = (context.sampling.shot - 1) / context.count
    if excess > 0:  # uncorrelated with the deviation of the electrons themselves
        noise = context.generator(f"{STAGE.name}/fit", y).standard_normal(rows.shape, dtype=np.float32)
        rows += noise * np.sqrt(np.float32(excess) * rows)


STAGE = Stage("shot_noise", "Poisson noise of light and dark current", Parameters, rows=apply, own=lambda _: {})
