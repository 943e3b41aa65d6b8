"""Digitisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext

UINT16_MAX = 65535


@dataclass(frozen=True, slots=True)
class Parameters:
    """Step 1 ADU, or a fraction of it where a read is the mean of several conversions."""

    maximum: float = number("ADU", 1.0, 2.0**32, "largest value that the converter gives")
    samples: float = number("1", 1.0, 1024.0, "conversions of a pixel that an integration is the mean of", 1.0)


def digitise(adu: Image, low: float, high: float, count: int) -> None:
    """Round in place to whole ADU (to 1/``count``: the mean of ``count`` whole numbers) and clip to low..high."""
    if count > 1:
        adu *= np.float32(count)
    np.rint(adu, out=adu)
    if count > 1:
        adu /= np.float32(count)
    np.clip(adu, low, high, out=adu)


def apply(image: Image, parameters: Parameters, context: StageContext) -> NDArray[Any]:
    """Return uint16, clipped to 0..maximum, for a CCD.

    An infrared frame stays float32 and is clipped to +-maximum: it is the difference of two reads, where noise makes
    negative values.
    """
    ccd = context.detector.kind == "ccd"
    low, high = (0.0, min(parameters.maximum, UINT16_MAX)) if ccd else (-parameters.maximum, parameters.maximum)
    frame = np.empty(image.shape, np.uint16) if ccd else image

    def work(_: int, rows: slice) -> None:
        digitise(image[rows], low, high, context.count * round(parameters.samples))
        if ccd:
            frame[rows] = image[rows]

    for_rows(len(image), work)
    return frame


STAGE = Stage(
    "adc",
    "rounding and clipping",
    Parameters,
    image=apply,
    own=lambda context: {"maximum": context.detector.adc_max, **context.detector.stages.get("adc", {})},
)
