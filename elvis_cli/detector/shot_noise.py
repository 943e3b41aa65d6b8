"""Poisson noise of light and dark current."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """None."""


def draw(mean: Image, y: int, context: StageContext) -> None:
    """Replace each mean of the rows from ``y`` by the mean of as many Poisson deviates as there are integrations."""
    from elvis_cli.kernels.deviates import poisson

    poisson(mean, context.count, context.noise_key(context.read_name(STAGE.name)), *context.place(y))


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Draw the electrons of the rows, and what the fit of a slope makes worse."""
    draw(rows, y, context)
    excess = (context.sampling.shot - 1) / context.count
    if excess > 0:  # uncorrelated with the deviation of the electrons themselves
        rows += context.normal(f"{STAGE.name}/fit", rows.shape, y) * np.sqrt(np.float32(excess) * rows)


STAGE = Stage("shot_noise", "Poisson noise of light and dark current", Parameters, rows=apply, own=lambda _: {})
