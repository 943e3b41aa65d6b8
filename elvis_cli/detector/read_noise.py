"""Noise of the read-out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """White Gaussian noise."""

    rms: float = number("electron", 0.0, 1e6, "noise of one integration as read out")


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Add the noise of the mean of ``count`` integrations, rms / sqrt(count)."""
    noise = readout.generator(STAGE.name, y).standard_normal(rows.shape, dtype=np.float32)
    noise *= np.float32(parameters.rms / readout.count**0.5)
    rows += noise


STAGE = Stage(
    "read_noise",
    "noise of the read-out",
    Parameters,
    rows=apply,
    own=lambda readout: {"rms": readout.chip.ron},
)
