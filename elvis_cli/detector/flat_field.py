"""Pixel-to-pixel response (PRNU), fixed on the chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """The response of a physical pixel is 1 + rms * normal; or a map of it (`--model`)."""

    rms: float = number("", 0.0, 0.25, "standard deviation of the response of a physical pixel")


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Multiply the rows by their response."""
    window, response = context.window, context.array(STAGE.name)
    if response is not None:
        rows *= response[y : y + len(rows)]
        return
    from elvis_cli.kernels.response import multiply_response

    key = np.uint64(context.key(STAGE.name))
    multiply_response(rows, key, parameters.rms, window.x0, window.y0 + y, context.detector.binning)


STAGE = Stage(
    "flat_field",
    "pixel-to-pixel response, fixed on the chip",
    Parameters,
    rows=apply,
    array="response of each pixel, mean 1",
    image_parameters={"rms": 0.0},
)
