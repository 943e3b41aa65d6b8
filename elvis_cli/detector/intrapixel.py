"""Intra-pixel variation of the quantum efficiency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Variation about each pixel's mean: the flat field is another stage's."""

    rms: float = number("", 0.0, 0.25, "standard deviation of the random slopes of the response, fixed on the chip")
    centre: float = number("", -0.5, 0.5, "response in the middle of all pixels less their mean", 0.0)


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Return what the pixels detect."""
    from elvis_cli.kernels.intrapixel import respond

    out, window = np.empty_like(image), context.window
    key = np.uint64(context.key(STAGE.name))

    def work(_: int, rows: slice) -> None:
        respond(image, out, rows.start, rows.stop, key, parameters.rms, parameters.centre, window.x0, window.y0)

    for_rows(len(image), work)
    return out


STAGE = Stage("intrapixel", "response that varies within a pixel", Parameters, image=apply)
