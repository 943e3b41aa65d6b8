"""Dark current."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Uniform over the chip."""

    rate: float = number("electron/s", 0.0, 1e9, "dark current of a pixel as read out")


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Add rate * DIT."""
    rows += parameters.rate * context.dit


STAGE = Stage(
    "dark",
    "dark current",
    Parameters,
    rows=apply,
    own=lambda context: {"rate": context.chip.dark},
)
