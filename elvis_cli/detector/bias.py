"""Electronic offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import one_or_more
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """One level, or one for each quadrant."""

    level: tuple[float, ...] = one_or_more("ADU", -1e9, 1e9, "offset of the chip or its quadrants")


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Add the level, or the user's frame of it."""
    frame = context.array(STAGE.name)
    if frame is not None:
        rows += frame[y : y + len(rows)]
        return
    for part, level in context.amplifiers(rows, y, parameters.level):
        np.add(part, np.float32(level), out=part)


STAGE = Stage(
    "bias",
    "offset in ADU",
    Parameters,
    rows=apply,
    own=lambda context: {"level": context.by_amplifier("bias", context.detector.bias)},
    array="bias of each pixel, ADU",
)
