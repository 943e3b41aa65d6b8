"""Saturation of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same for all pixels; what does not fit is lost (no bleeding)."""

    electrons: float = number("electron", 1.0, 1e12, "charge that a pixel as read out can hold")


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Cut at the full well; the fit of a slope takes the reads as they are cut."""
    most = np.float32(parameters.electrons)
    if context.read is None and context.sampling.reads > 2:
        full = rows > most
        rows[full] = most * context.sampling.clipped(rows[full] / most)
    else:
        np.minimum(rows, most, out=rows)


STAGE = Stage(
    "full_well",
    "saturation of the pixels",
    Parameters,
    rows=apply,
    own=lambda context: {"electrons": context.detector.full_well},
)
