"""Crosstalk between the amplifiers of a chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import numbers
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """A row for each quadrant that is disturbed, an item in it for each that disturbs, in the detector's order."""

    matrix: tuple[float, ...] = numbers("", -1.0, 1.0, "coefficients, row by row; 0 on the diagonal")

    def __post_init__(self) -> None:
        if round(len(self.matrix) ** 0.5) ** 2 != len(self.matrix):
            raise ValueError(f"matrix must be square, not of {len(self.matrix)} items")
        if any(self.matrix[:: round(len(self.matrix) ** 0.5) + 1]):
            raise ValueError("matrix must be 0 on its diagonal")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add to every pixel what the other amplifiers read at the same time: a mirror image where corners differ."""
    names = [quadrant.name for quadrant in context.detector.quadrants]
    areas = context.areas(image)
    matrix = np.array(parameters.matrix, np.float32).reshape(len(names), -1) if names else np.zeros((1, 1))
    seen = [area.read_order(image).copy() for area in areas]
    for area in areas:
        mine = area.read_order(image)
        row = matrix[names.index(area.quadrant.name)] if names else matrix[0]
        for other, source in zip(areas, seen, strict=True):
            factor = row[names.index(other.quadrant.name)] if names else 0.0
            if factor:
                # A window may hold different parts of two quadrants: only what is read at the same time couples.
                y, x = other.first_y - area.first_y, other.first_x - area.first_x
                to_y, to_x = max(0, y), max(0, x)
                piece = source[max(0, -y) :, max(0, -x) :][: mine.shape[0] - to_y, : mine.shape[1] - to_x]
                mine[to_y : to_y + piece.shape[0], to_x : to_x + piece.shape[1]] += factor * piece
    return image


STAGE = Stage("crosstalk", "coupling between amplifiers", Parameters, image=apply)
