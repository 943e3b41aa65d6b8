"""The rows that are read after those with light."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.base.arrays import Image
from elvis_cli.detector.layout import add_scans
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """None: the sizes are those of the detector's quadrants."""


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Return the larger array; no light falls on what is added."""
    return add_scans(image, context.detector, context.window, serial=False)


STAGE = Stage(
    "parallel_overscan",
    "parallel overscan",
    Parameters,
    image=apply,
    own=lambda context: {} if any(q.rows for q in context.detector.quadrants) else None,
)
