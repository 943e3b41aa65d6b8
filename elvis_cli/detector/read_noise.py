"""Noise of the read-out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.reference_pixels import border
from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """White Gaussian noise."""

    rms: float = number("electron", 0.0, 1e6, "noise of one integration as read out")
    border: float = number("pixel", 0.0, 1024.0, "width of the border of reference pixels, physical pixels", 0.0)
    reference: float = number("", 0.0, 10.0, "their noise in units of the other pixels'", 1.0)


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Add the noise of the mean of ``count`` integrations, rms / sqrt(count)."""
    noise = readout.read_generator(STAGE.name, y).standard_normal(rows.shape, dtype=np.float32)
    noise *= np.float32(parameters.rms / readout.count**0.5)
    if parameters.reference != 1:
        noise[border(rows.shape, y, int(parameters.border), readout)] *= np.float32(parameters.reference)
    rows += noise


def own(readout: Readout) -> dict[str, float]:
    """Return the noise of a frame, or of one of the reads that it is made of."""
    rms = readout.chip.ron
    table = readout.detector.stages.get("reference_pixels", {})
    return {
        "rms": rms if readout.read is None else rms / readout.sampling.noise,
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
