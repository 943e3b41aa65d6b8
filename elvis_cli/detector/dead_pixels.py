"""Pixels that collect nothing, fixed on the chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.defects import defects
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Isolated pixels, evenly spread."""

    fraction: float = number("", 0.0, 0.5, "fraction of the physical pixels that are dead")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Take away the share of light and dark current that dead physical pixels would have given."""
    y, x, _ = defects(parameters.fraction, STAGE.name, context)
    pixel, dead = np.unique(y * image.shape[1] + x, return_counts=True)
    image.reshape(-1)[pixel] *= (1 - dead / context.detector.binning**2).astype(np.float32)
    return image


STAGE = Stage("dead_pixels", "pixels that collect nothing, fixed on the chip", Parameters, image=apply)
