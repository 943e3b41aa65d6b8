"""The border of an infrared array that sees no light."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.detector.stage import Image, Readout, Stage, number


@dataclass(frozen=True, slots=True)
class Parameters:
    """The same width on all four sides of the chip."""

    border: float = number("pixel", 0.0, 1024.0, "width of the border, physical pixels")


def apply(rows: Image, y: int, parameters: Parameters, readout: Readout) -> None:
    """Take the light off the border; dark current, cosmic rays and noise it has like all other pixels."""
    detector, window = readout.detector, readout.window
    border = int(parameters.border) // detector.binning
    for along, start, size in ((rows, window.y0 + y, detector.ny), (rows.T, window.x0, detector.nx)):
        along[: max(0, border - start)] = 0.0
        along[max(0, size - border - start) :] = 0.0


STAGE = Stage("reference_pixels", "border of the chip that sees no light", Parameters, rows=apply)
