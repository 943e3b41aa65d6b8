"""Lines of charge that are injected into a chip, to measure its traps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.layout import Area
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Blocks of rows, counted from the register of each quadrant."""

    level: float = number("electron", 0.0, 1e9, "charge of an injected pixel")
    first: float = number("pixel", 0.0, 1e5, "rows before the first block")
    on: float = number("pixel", 1.0, 1e5, "rows of a block")
    off: float = number("pixel", 0.0, 1e5, "rows between blocks", 1e5)
    scatter: float = number("electron", 0.0, 1e6, "standard deviation from column to column, fixed on the chip", 0.0)
    slope: float = number("electron/pixel", -1e5, 1e5, "change from row to row of a block", 0.0)


def injected(area: Area, parameters: Parameters) -> NDArray[np.int64]:
    """Return, for every row with light of a quadrant, its place in its block; -1 between blocks."""
    row = area.first_y + np.arange(area.ny) - int(parameters.first)
    place = row % int(parameters.on + parameters.off)
    return np.where((row >= 0) & (place < parameters.on), place, -1)


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Replace what the rows hold by the injected charge."""
    for number_, area in enumerate(context.areas(image)):
        place = injected(area, parameters)
        random = random_streams.generator(context.key(STAGE.name), 0, context.chip.id, STAGE.name, number_)
        width = area.quadrant.nx
        columns = parameters.level + parameters.scatter * random.standard_normal(width)
        columns = columns[area.first_x : area.first_x + area.nx]
        lines = columns + parameters.slope * place[place >= 0, None]
        area.light(image)[place >= 0] = np.maximum(lines, 0.0)
    return image


STAGE = Stage("charge_injection", "injected lines of charge", Parameters, image=apply)
