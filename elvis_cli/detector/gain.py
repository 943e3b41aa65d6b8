"""From electrons to ADU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """One factor for the chip."""

    factor: float = number("electron/ADU", 1e-6, 1e6, "electrons per ADU")


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Divide by the gain."""
    rows /= np.float32(parameters.factor)


STAGE = Stage(
    "gain",
    "electrons to ADU",
    Parameters,
    rows=apply,
    own=lambda readout: {"factor": readout.chip.gain},
)
