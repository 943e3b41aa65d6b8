"""The border of an infrared array that sees no light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same width on all four sides of the chip."""

    border: float = number("pixel", 0.0, 1024.0, "width of the border, physical pixels")
    noise: float = number("", 0.0, 10.0, "their read noise in units of the other pixels'", 1.0)


def border(shape: tuple[int, ...], y: int, width: int, context: StageContext) -> NDArray[np.bool_]:
    """Return which pixels of the rows ``shape`` from ``y`` of the window are in a border, ``width`` physical pixels."""
    detector, window, width = context.detector, context.window, width // context.detector.binning
    row, column = window.y0 + y + np.arange(shape[0]), window.x0 + np.arange(shape[1])
    outside = (row < width) | (row >= detector.ny - width)
    return outside[:, np.newaxis] | (column < width) | (column >= detector.nx - width)


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Take the light off the border; dark current, cosmic rays and noise it has like all other pixels."""
    rows[border(rows.shape, y, int(parameters.border), context)] = 0.0


STAGE = Stage("reference_pixels", "border of the chip that sees no light", Parameters, rows=apply)
