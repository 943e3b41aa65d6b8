"""The trails behind injected lines of charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import read
from elvis_cli.detector import charge_injection, cti, transfer
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """None: the tables of cti and charge_injection hold here."""


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Clock the injected lines, and nothing else, down the columns.

    All rows make the full number of transfers, since lines enter at the far edge (the charge-injection mode of CDM03
    and ArCTIC).
    """
    tables = context.detector.stages
    lines = read(charge_injection.Parameters, "stages.charge_injection", tables.get("charge_injection", {}))
    traps = read(cti.Parameters, "stages.cti", tables.get("cti", {})).traps("parallel")
    for area in context.areas(image):
        light = area.light(image)
        there = charge_injection.injected(area, lines) >= 0
        before = np.where(there[:, None], light, 0.0).astype(np.float64, order="C")
        after = before.copy()
        transfer.clock(after, np.full(area.ny, float(area.quadrant.ny)), traps, along_rows=False)
        light += after - before
    return image


STAGE = Stage("cti_charge_injection", "trails behind injected lines", Parameters, image=apply)
