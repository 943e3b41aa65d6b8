"""Where each quadrant of a chip lies in the array, before and after pre- and overscans are added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.model.detector import Detector, Quadrant
from elvis_cli.model.elvis_block import Window


@dataclass(frozen=True, slots=True)
class Area:
    """One quadrant as far as it lies in the window."""

    quadrant: Quadrant
    x: slice
    """Columns of the array, pre- and overscan included once they are there."""
    y: slice
    first_x: int
    """Pixels of the quadrant between the amplifier and the first column with light that is in the window."""
    first_y: int
    """Rows of the quadrant between the register and the first row that is in the window."""
    nx: int
    """Columns with light."""
    ny: int
    """Rows with light."""
    prescan: int
    """Columns of prescan that are in the array."""
    overscan: int
    rows: int

    def read_order(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return a view of the quadrant whose [0, 0] is read first, rows being the slow axis."""
        view = image[self.y, self.x]
        view = view[::-1] if self.quadrant.corner.startswith("top") else view
        return view[:, ::-1] if self.quadrant.corner.endswith("right") else view

    def light(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return the view of the pixels with light, in the order of reading."""
        return self.read_order(image)[: self.ny, self.prescan : self.prescan + self.nx]


def quadrants(detector: Detector) -> tuple[Quadrant, ...]:
    """Return the detector's quadrants; one for the chip if it names none."""
    return detector.quadrants or (Quadrant("", 0, 0, detector.nx, detector.ny, "bottom-left"),)


def areas(shape: Sequence[int], detector: Detector, window: Window) -> tuple[Area, ...]:
    """Return the quadrants that the window touches; ``shape`` (y, x) tells whether the scans are there already.

    With scans the array is the quadrants put together, each with its prescan on the amplifier's side and its
    overscans on the other.
    """
    inside = [q for q in quadrants(detector) if _overlap(q.x0, q.nx, window.x0, window.nx)
              and _overlap(q.y0, q.ny, window.y0, window.ny)]  # fmt: skip
    serial, parallel = shape[1] != window.nx, shape[0] != window.ny
    columns = _places(inside, lambda q: (q.x0, _overlap(q.x0, q.nx, window.x0, window.nx)
                                         + serial * (q.prescan + q.overscan)))  # fmt: skip
    rows = _places(inside, lambda q: (q.y0, _overlap(q.y0, q.ny, window.y0, window.ny) + parallel * q.rows))
    found = []
    for q in inside:
        x, y = columns[q.x0], rows[q.y0]
        right, top = q.corner.endswith("right"), q.corner.startswith("top")
        found.append(
            Area(
                q, x, y,
                first_x=_before(q.x0, q.nx, window.x0, window.nx, right),
                first_y=_before(q.y0, q.ny, window.y0, window.ny, top),
                nx=_overlap(q.x0, q.nx, window.x0, window.nx),
                ny=_overlap(q.y0, q.ny, window.y0, window.ny),
                prescan=serial * q.prescan,
                overscan=serial * q.overscan,
                rows=parallel * q.rows,
            )
        )  # fmt: skip
    return tuple(found)


def with_scans(detector: Detector, window: Window) -> tuple[int, int]:
    """Return the shape (y, x) of a window's image with all pre- and overscans."""
    inside = areas((window.ny, window.nx), detector, window)
    nx = sum({a.x.start: a.quadrant.prescan + a.quadrant.overscan for a in inside}.values())
    return window.ny + sum({a.y.start: a.quadrant.rows for a in inside}.values()), window.nx + nx


def add_scans(image: NDArray[np.float32], detector: Detector, window: Window, *, serial: bool) -> NDArray[np.float32]:
    """Return the image with empty pre- and overscan columns (``serial``) or empty overscan rows put in."""
    before = areas(image.shape, detector, window)
    ny, nx = with_scans(detector, window)
    ny, nx = (image.shape[0], nx) if serial else (ny, image.shape[1])
    if (ny, nx) == image.shape:
        return image
    larger = np.zeros((ny, nx), image.dtype)
    for old, new in zip(before, areas(larger.shape, detector, window), strict=True):
        inner = new.read_order(larger)[: old.y.stop - old.y.start]
        start = new.prescan - old.prescan
        inner[:, start : start + old.x.stop - old.x.start] = old.read_order(image)
    return larger


def _overlap(start: int, size: int, first: int, count: int) -> int:
    return max(0, min(start + size, first + count) - max(start, first))


def _before(start: int, size: int, first: int, count: int, reverse: bool) -> int:
    return max(0, start + size - first - count) if reverse else max(0, first - start)


def _places(inside: Sequence[Quadrant], size: Callable[[Quadrant], tuple[int, int]]) -> dict[int, slice]:
    """Return where the columns (rows) of quadrants that begin at a pixel lie in the array."""
    places, at = {}, 0
    for start, width in sorted(set(map(size, inside))):
        places[start] = slice(at, at + width)
        at += width
    return places
