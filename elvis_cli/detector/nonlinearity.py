"""Response of the pixel's node to its charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number, numbers
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """A quadratic, as measured for HxRG arrays, and a curve of deviations, as for CCDs, linear between its points."""

    beta: float = number("1/electron", 0.0, 1e-3, "fractional loss per electron", 0.0)
    electrons: tuple[float, ...] = numbers("electron", -1e6, 1e9, "charges at which the deviation is given", ())
    deviation: tuple[float, ...] = numbers("electron", -1e6, 1e6, "what is read in excess of them", ())

    def __post_init__(self) -> None:
        if len(self.electrons) != len(self.deviation):
            raise ValueError("electrons and deviation must be equally long")
        if np.any(np.diff(self.electrons) <= 0) or np.any(np.diff(np.add(self.electrons, self.deviation)) <= 0):
            raise ValueError("electrons, and electrons + deviation, must ascend")


def bend(charge: Image, beta: float) -> None:
    """Replace the charge Q by Q (1 - beta Q) in place, constant beyond the maximum at Q = 1/(2 beta)."""
    if beta > 0:
        np.minimum(charge, np.float32(0.5 / beta), out=charge)
        charge *= 1 - np.float32(beta) * charge


def apply(rows: Image, y: int, parameters: Parameters, context: StageContext) -> None:
    """Bend the response of the rows."""
    bend(rows, parameters.beta)
    if parameters.electrons:
        rows += np.interp(rows, parameters.electrons, parameters.deviation).astype(np.float32)


STAGE = Stage("nonlinearity", "response that changes with charge", Parameters, rows=apply)
