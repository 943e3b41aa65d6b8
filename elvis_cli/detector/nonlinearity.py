"""Response of the pixel's node to its charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """A quadratic, as measured for HxRG arrays."""

    beta: float = number("1/electron", 0.0, 1e-3, "fractional loss per electron")


def bend(charge: Image, beta: float) -> None:
    """Replace the charge Q by Q (1 - beta Q) in place, constant beyond the maximum at Q = 1/(2 beta)."""
    if beta > 0:
        np.minimum(charge, np.float32(0.5 / beta), out=charge)
        charge *= 1 - np.float32(beta) * charge


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Bend the response of the rows."""
    bend(rows, parameters.beta)


STAGE = Stage("nonlinearity", "loss of response with charge", Parameters, rows=apply)
