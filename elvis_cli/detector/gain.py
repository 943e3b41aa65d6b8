"""From electrons to ADU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import one_or_more
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """One factor, or one for each quadrant."""

    factor: tuple[float, ...] = one_or_more(
        "electron/ADU", 1e-6, 1e6, "electrons per ADU, of the chip or its quadrants"
    )


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Divide by the gain."""
    for part, factor in context.amplifiers(rows, y, parameters.factor):
        np.divide(part, np.float32(factor), out=part)


STAGE = Stage(
    "gain",
    "electrons to ADU",
    Parameters,
    rows=apply,
    own=lambda context: {"factor": context.by_amplifier("gain", context.chip.gain)},
)
