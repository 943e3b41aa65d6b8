"""The columns that are read before and after those with light."""

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
    return add_scans(image, context.detector, context.window, serial=True)


STAGE = Stage(
    "pre_overscan",
    "serial pre- and overscan",
    Parameters,
    image=apply,
    own=lambda context: {} if any(q.prescan or q.overscan for q in context.detector.quadrants) else None,
)
