"""Light of the calibration unit's lamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Brightness, falling with the square of the distance from the chip's centre; or a profile (`--model`)."""

    level: float = number("electron/s", 0.0, 1e9, "of a pixel, in the chip's centre")
    corner: float = number("", 0.0, 2.0, "brightness of the corners in units of the centre's", 1.0)


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Add the lamp's light."""
    detector, window = context.detector, context.window
    level = parameters.level * context.dit
    profile = context.array(STAGE.name)
    if profile is not None:
        rows += np.float32(level) * profile[y : y + len(rows)]
        return
    across = ((window.x0 + np.arange(rows.shape[1]) + 0.5) / detector.nx * 2.0 - 1.0) ** 2
    along = ((window.y0 + y + np.arange(len(rows)) + 0.5) / detector.ny * 2.0 - 1.0) ** 2
    rows += (level * (1.0 + (parameters.corner - 1.0) / 2.0 * (across + along[:, None]))).astype(np.float32)


STAGE = Stage(
    "calibration_lamp",
    "light of the calibration lamp",
    Parameters,
    rows=apply,
    array="brightness of each pixel in units of the level",
)
