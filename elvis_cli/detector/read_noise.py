"""Noise of the read-out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number, one_or_more
from elvis_cli.detector.reference_pixels import border
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """White Gaussian noise."""

    rms: tuple[float, ...] = one_or_more("electron", 0.0, 1e6, "noise of one integration, of the chip or its quadrants")
    border: float = number("pixel", 0.0, 1024.0, "width of the border of reference pixels, physical pixels", 0.0)
    reference: float = number("", 0.0, 10.0, "their noise in units of the other pixels'", 1.0)


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Add the noise of the mean of ``count`` integrations, rms / sqrt(count)."""
    noise = context.normal(context.read_name(STAGE.name), rows.shape, y)
    for part, rms in context.amplifiers(noise, y, parameters.rms):
        np.multiply(part, np.float32(rms / context.count**0.5), out=part)
    if context.read is not None:
        noise /= np.float32(context.sampling.noise)
    if parameters.reference != 1:
        noise[border(rows.shape, y, int(parameters.border), context)] *= np.float32(parameters.reference)
    rows += noise


def own(context: StageContext) -> dict[str, Any]:
    """Return the noise of a frame; a read has that over the sampling's."""
    rms = context.by_amplifier("ron", context.chip.ron)
    table = context.detector.stages.get("reference_pixels", {})
    return {
        "rms": rms,
        "border": table.get("border", 0.0),
        "reference": table.get("noise", 1.0),
    }


STAGE = Stage(
    "read_noise",
    "noise of the read-out",
    Parameters,
    rows=apply,
    own=own,
)
