"""The images of a chip as they are written: all of it, or a quadrant an extension, columns and rows as in the field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from elvis_cli.detector.layout import areas
from elvis_cli.model.detector import Chip, Quadrant
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """An image that is written."""

    pixels: NDArray[Any]
    window: Window
    """Where it lies on the chip's array, pre- and overscans included: their columns and rows count on beyond it."""
    turned: bool = False
    """Whether it is turned by 180 deg against the chip's array."""
    quadrant: Quadrant | None = None
    scans: tuple[int, int, int] = (0, 0, 0)
    """Columns of prescan and overscan, rows of overscan."""


def split(setup: Setup, chip: Chip, pixels: NDArray[Any]) -> Iterator[Part]:
    """Yield the parts of a chip's image (ny, nx), pre- and overscans included, in the order of the quadrants."""
    window = setup.frame.window
    if setup.detector.extensions != "quadrants":
        yield Part(pixels, window)
        return
    turned = round(chip.rotation / 90.0) % 4 == 2
    for area in areas(pixels.shape, setup.detector, window):
        quadrant = area.quadrant
        part = pixels[area.y, area.x]
        left = area.overscan if quadrant.corner.endswith("right") else area.prescan
        low = area.rows if quadrant.corner.startswith("top") else 0
        x0, y0 = max(quadrant.x0, window.x0) - left, max(quadrant.y0, window.y0) - low
        where = Window(x0, y0, part.shape[1], part.shape[0])
        scans = area.prescan, area.overscan, area.rows
        yield Part(part[::-1, ::-1] if turned else part, where, turned, quadrant, scans)
