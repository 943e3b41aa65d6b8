"""Electronic offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """One level for the frame."""

    level: float = number("ADU", -1e9, 1e9, "offset of the frame")


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Add the level."""
    rows += np.float32(parameters.level)


STAGE = Stage(
    "bias",
    "offset in ADU",
    Parameters,
    rows=apply,
    own=lambda readout: {"level": readout.detector.bias},
)
