"""Inter-pixel capacitance: a pixel's voltage is partly its neighbours' charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same for all pixels."""

    edge: float = number("", 0.0, 0.1, "share that each of the four nearest neighbours shows")
    corner: float = number("", 0.0, 0.1, "share that each of the four diagonal neighbours shows")


def couple(image: Image, edge: float, corner: float) -> Image:
    """Return ``image`` (y, x) convolved with the 3 x 3 kernel of sum 1 that ``edge`` and ``corner`` make.

    At the border of the array a missing neighbour's share stays, so the charge is conserved (Moore, Ninkov & Forrest
    2004, Proc. SPIE 5167, 204: a coupling capacitance to every neighbour).
    """
    padded, out = np.pad(image, 1, mode="symmetric"), np.empty_like(image)
    centre = np.float32(1 - 4 * (edge + corner))
    near, far = np.float32(edge), np.float32(corner)

    def work(_: int, rows: slice) -> None:
        block = padded[rows.start : rows.stop + 2]
        both = block[:-2] + block[2:]
        middle, target = block[1:-1], out[rows]
        np.multiply(middle[:, 1:-1], centre, out=target)
        target += near * both[:, 1:-1]
        both *= far
        both += near * middle
        target += both[:, :-2]
        target += both[:, 2:]

    for_rows(len(image), work)
    return out


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Couple the pixels; those just outside a window are taken to be like those just inside."""
    return couple(image, parameters.edge, parameters.corner)


STAGE = Stage("ipc", "inter-pixel capacitance", Parameters, image=apply)
