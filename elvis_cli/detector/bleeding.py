"""Saturated columns: charge above the full well spills along the direction of reading."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext

BLOCK = 128
"""Columns of one block of work."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same for all pixels."""

    full_well: float = number("electron", 1.0, 1e12, "charge that a pixel as read out can hold")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Spread the excess up and down each column of the chip."""
    if image.max() <= parameters.full_well:
        return image
    from elvis_cli.kernels.bleeding import bleed

    def work(first: int) -> None:
        bleed(image, first, min(first + BLOCK, image.shape[1]), parameters.full_well)

    parallel.gather(work, range(0, image.shape[1], BLOCK))
    return image


STAGE = Stage("bleeding", "charge above the full well spills along columns", Parameters, image=apply)
