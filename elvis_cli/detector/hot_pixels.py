"""Pixels with a large dark current, fixed on the chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.defects import defects
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Dark currents spread evenly in the logarithm between ``low`` and ``high``."""

    fraction: float = number("", 0.0, 0.5, "fraction of the physical pixels that are hot")
    low: float = number("electron/s", 1e-6, 1e9, "dark current of the mildest")
    high: float = number("electron/s", 1e-6, 1e9, "dark current of the worst")

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the hot pixels' own dark current times DIT."""
    y, x, deviate = defects(parameters.fraction, STAGE.name, context)
    rate = parameters.low * (parameters.high / parameters.low) ** deviate
    np.add.at(image, (y, x), (rate * context.dit).astype(np.float32))
    return image


STAGE = Stage("hot_pixels", "pixels with a large dark current, fixed on the chip", Parameters, image=apply)
