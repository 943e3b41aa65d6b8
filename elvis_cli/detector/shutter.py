"""A shutter that takes time to open and close, or stays open while the chip is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Times in which the light is not that of the exposure."""

    gradient: float = number("s", -60.0, 60.0, "exposure of the last row less that of the first", 0.0)
    open: float = number("s", 0.0, 1e4, "time of reading through which light falls; 0 = the shutter is closed", 0.0)


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Change the exposure along y, and smear each column over its quadrant.

    A packet spends open / ny at every row of its column, before or after the exposure: it gets the column's whole light
    for this time, so that the trail holds open / DIT of a source's light.
    """
    height = context.detector.ny
    y = (context.window.y0 + np.arange(image.shape[0]) + 0.5) / height - 0.5
    trails = []
    if parameters.open:
        for area in context.areas(image):
            light = area.light(image)
            mean = light.sum(axis=0, dtype=np.float64) / area.quadrant.ny
            trails.append((light, (mean * parameters.open / context.dit).astype(np.float32)))
    if parameters.gradient:
        image *= (1.0 + parameters.gradient / context.dit * y[:, None]).astype(np.float32)
    for light, trail in trails:
        np.add(light, trail, out=light)
    return image


STAGE = Stage("shutter", "exposure gradient, trails of an open shutter", Parameters, image=apply)
