"""The columns that are read before and after those with light."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.detector.layout import add_scans
from elvis_cli.detector.stage import Image, Readout, Stage


@dataclass(frozen=True, slots=True)
class Parameters:
    """None: the sizes are those of the detector's quadrants."""


def apply(image: Image, parameters: Parameters, readout: Readout) -> Image:
    """Return the larger array; no light falls on what is added."""
    return add_scans(image, readout.detector, readout.window, serial=True)


STAGE = Stage(
    "pre_overscan",
    "serial pre- and overscan",
    Parameters,
    image=apply,
    own=lambda readout: {} if any(q.prescan or q.overscan for q in readout.detector.quadrants) else None,
)
