"""Subtraction of what the reference pixels show: the level of every output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """As for the stages reference_pixels and correlated_noise."""

    columns: float = number("pixel", 1.0, 16384.0, "width of an output's stripe of the chip")
    border: float = number("pixel", 1.0, 1024.0, "width of the border of reference pixels, physical pixels")


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Subtract from every output the median of its reference pixels in the rows at the bottom and the top of the chip.

    A window corrects itself with those that are in it: outputs without any are left alone.
    """
    detector, window = context.detector, context.window
    columns, border = int(parameters.columns), int(parameters.border) // detector.binning
    row = np.arange(window.y0, window.y0 + window.ny)
    reference = image[(row < border) | (row >= detector.ny - border)]
    for first in range(-(window.x0 % columns), window.nx, columns):
        stripe = slice(max(first, 0), first + columns)
        if reference.size:
            image[:, stripe] -= np.median(reference[:, stripe])
    return image


STAGE = Stage("reference_correction", "subtraction of the reference pixels' median", Parameters, image=apply)
