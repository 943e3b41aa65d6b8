"""Saturation of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same for all pixels; what does not fit is lost (no bleeding)."""

    electrons: float = number("electron", 1.0, 1e12, "charge that a pixel as read out can hold")


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Cut at the full well."""
    np.minimum(rows, np.float32(parameters.electrons), out=rows)


STAGE = Stage(
    "full_well",
    "saturation of the pixels",
    Parameters,
    rows=apply,
    own=lambda readout: {"electrons": readout.detector.full_well},
)
