"""Hot and dead pixels from a list: what they read is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import numbers
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """One item for each bad pixel; or a map of values, not a number where a pixel is good (`--model`)."""

    chip: tuple[float, ...] = numbers("", 1.0, 1000.0, "number of the chip", ())
    x: tuple[float, ...] = numbers("pixel", 0.0, 1e5, "column on the chip, from 0", ())
    y: tuple[float, ...] = numbers("pixel", 0.0, 1e5, "row on the chip, from 0", ())
    value: tuple[float, ...] = numbers("electron", 0.0, 1e9, "charge that it holds: 0 in a dead pixel", ())

    def __post_init__(self) -> None:
        if not len(self.chip) == len(self.x) == len(self.y) == len(self.value):
            raise ValueError("chip, x, y and value must be equally long")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Set the listed pixels."""
    flags = context.array(STAGE.name)
    if flags is not None:
        np.copyto(image, flags, where=np.isfinite(flags))
    chip, x, y, value = (np.array(getattr(parameters, key)) for key in ("chip", "x", "y", "value"))
    x, y = x.astype(np.int64) - context.window.x0, y.astype(np.int64) - context.window.y0
    here = (chip == context.chip.id) & (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    image[y[here], x[here]] = value[here]
    return image


STAGE = Stage(
    "cosmetics",
    "hot and dead pixels from a list",
    Parameters,
    image=apply,
    array="electrons of each bad pixel, not a number elsewhere",
)
