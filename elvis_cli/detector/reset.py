"""What the reset leaves in the pixels of an infrared array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same in all reads of an integration, so only a frame of single reads shows it."""

    level: float = number("electron", 0.0, 1e7, "mean level after the reset")
    ktc: float = number("electron", 0.0, 1e5, "rms from reset to reset, sqrt(k T C)")


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Add the level of the mean of ``count`` resets, where no read is subtracted from another."""
    if context.read is None and context.sampling.reads > 1:
        return
    noise = context.normal(STAGE.name, rows.shape, y)
    noise *= np.float32(parameters.ktc / context.count**0.5)
    noise += np.float32(parameters.level)
    rows += noise


STAGE = Stage("reset", "level and noise of the reset", Parameters, rows=apply)
