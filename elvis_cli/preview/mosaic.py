"""Images at their places on one canvas: a mosaic of chips on the sky, or one image by itself.

The canvas keeps to the detector: it is turned by quarters and mirrored until North is within 45 deg of up and East is
to the left, never resampled to another angle, so that a pixel stays a square. Pixels are averaged to the size asked
for; a small image is enlarged by a whole factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Floats = NDArray[np.float64]

_Weights = tuple[NDArray[np.intp], Float32]

_ROWS_AT_A_TIME = 256
"""Rows that are read at a time."""
_TILE_SIDE = 512
"""Canvas pixels along a side of what is placed at a time,"""
_MAX_TILE_ERROR = 0.3
"""and by how many of them the middle of a side of it may be wrong."""
_DESPECKLE_RATIO = 1.5
"""Pixels on one of the canvas from which on single ones are left out."""
_MAX_VALUE = 1e37
"""Values as large are damage, and their differences more than float32 can hold."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One image."""

    shape: tuple[int, int]
    rows: Callable[[int, int], Float32]
    """Returns the rows [y0, y1), shape (y1 - y0, nx)."""
    matrix: Floats
    """(2, 2): offset in (East, North), arcsec, of one pixel along x and y; what is not on the sky has (-x, y)."""
    origin: tuple[float, float]
    """The pixel (x, y) from which offsets are counted, 0 being the centre of the first."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Where that pixel is: (East, North), arcsec."""
    speckled: bool = False
    """Whether single bright pixels are left out where pixels are averaged: all that is true is wider."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The canvas and how it lies."""

    canvas: Float32
    """(height, width) from the top left; NaN where no image is."""
    scale: float
    """arcsec (or pixels) per pixel of the canvas."""
    enlarged: int
    """Width of an image's pixel on the canvas, 1 if they are averaged."""
    tilt: float
    """Angle of North from up towards the right, radian; East is a quarter to its left."""
    corner: tuple[float, float] = (0.0, 0.0)
    """Its upper left one, (right, up), arcsec (or pixels)."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """Numbers along the sides of a canvas."""

    unit: str
    x: tuple[float, float]
    """At the left and the right side."""
    y: tuple[float, float]
    """At the lower and the upper side."""


@dataclass(frozen=True, slots=True)
class _Box:
    """The canvas on the picture's axes: ``right`` and ``up``, arcsec."""

    turn: Floats
    """(2, 2): (East, North) to (right, up)."""
    left: float
    top: float
    width: int
    height: int
    scale: float


def compose(planes: Sequence[Plane], width: int, height: int, small: int) -> Mosaic:
    """Return the planes on the smallest canvas that holds them, at most ``width`` x ``height`` pixels.

    What is shorter than ``small`` in both is enlarged, by the largest whole factor that keeps it below.

    Raises
    ------
    ValueError
        A matrix is singular or not finite.
    """
    native = _pixel_size(planes[0])
    box = _box(planes, native, width, height, small)
    canvas = np.full((box.height, box.width), np.nan, dtype=np.float32)
    for plane in planes:
        _place(canvas, box, plane)
    canvas[~(np.abs(canvas) < _MAX_VALUE)] = np.nan
    tilt = math.atan2(box.turn[0, 1], box.turn[1, 1])
    return Mosaic(canvas, box.scale, max(1, round(native / box.scale)), tilt, (box.left, box.top))


def ruler(mosaic: Mosaic, planes: Sequence[Plane], pixel: float) -> Ruler:
    """Return the ruler of images in the focal plane, whose pixels are ``pixel`` mm: for one, its pixels from 1."""
    (height, width), (left, top) = mosaic.canvas.shape, mosaic.corner
    sides = (left, left + width * mosaic.scale), (top - height * mosaic.scale, top)
    if len(planes) > 1:
        (x0, x1), (y0, y1) = sides
        return Ruler("mm", (x0 * pixel, x1 * pixel), (y0 * pixel, y1 * pixel))
    only = planes[0]
    inverse = np.linalg.inv(_turn(only.matrix) @ only.matrix)
    ends = []
    for direction, side in enumerate(sides):
        axis = int(np.argmax(np.abs(inverse[:, direction])))
        first, last = (only.origin[axis] + 1.0 + inverse[axis, direction] * at for at in side)
        ends.append((float(first), float(last)))
    return Ruler("pixel", *ends)


def on_canvas(mosaic: Mosaic, planes: Sequence[Plane], chip: NDArray[np.int64], places: Floats) -> Floats:
    """Return where places (n, 2), pixels from 0 of the planes ``chip`` (n,), are on the canvas: column, row."""
    turn = _turn(planes[0].matrix)
    out = np.full(places.shape, np.nan)
    for number, plane in enumerate(planes):
        own = chip == number
        sky = (places[own] - np.array(plane.origin)) @ plane.matrix.T + np.array(plane.offset)
        right, up = turn @ sky.T
        out[own] = np.stack([right - mosaic.corner[0], mosaic.corner[1] - up], axis=1) / mosaic.scale
    return out


def _pixel_size(plane: Plane) -> float:
    """Return the mean side of a pixel, arcsec."""
    (a, b), (c, d) = plane.matrix.tolist()
    area = abs(a * d - b * c)
    if not 0.0 < area < math.inf:
        raise ValueError("its pixels have no size on the sky")
    return math.sqrt(area)


def _turn(matrix: Floats) -> Floats:
    """Return the rotation and reflection from (East, North) to (right, up) that keeps to the pixels' axes."""
    angle = math.atan2(matrix[0, 1], matrix[1, 1])  # of +y, North through East
    rest = angle - round(angle / (math.pi / 2)) * (math.pi / 2)
    return np.array([[-math.cos(rest), math.sin(rest)], [math.sin(rest), math.cos(rest)]])


def _box(planes: Sequence[Plane], native: float, width: int, height: int, small: int) -> _Box:
    """Return the smallest canvas."""
    turn = _turn(planes[0].matrix)
    corners = np.concatenate([_corners(plane) for plane in planes]) @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = high - low
    if not np.isfinite(size).all():
        raise ValueError("it lies nowhere on the sky")
    fill = float(max(size[0] / width, size[1] / height)) / native
    factor = int(small * native / float(size.max()) + 1e-6)
    scale = native * fill if fill > 1.0 else native / min(max(1, factor), max(1, int(1.0 / fill + 1e-6)))
    columns, rows = (max(1, round(float(length) / scale)) for length in size)
    return _Box(turn, float(low[0]), float(high[1]), columns, rows, scale)


def _corners(plane: Plane) -> Floats:
    """Return the four outer corners, (East, North)."""
    x, y = (np.array([-0.5, length - 0.5]) - at for length, at in zip(plane.shape[::-1], plane.origin, strict=True))
    corners: Floats = np.stack(np.meshgrid(x, y), axis=-1).reshape(4, 2) @ plane.matrix.T + np.array(plane.offset)
    return corners


def _place(canvas: Float32, box: _Box, plane: Plane) -> None:
    """Put one image on the canvas: the mean over the area of each canvas pixel.

    Tile by tile, each with the image's axes along the canvas's: a chip that is slightly turned against the first is
    right to a fraction of a pixel.
    """
    ratio = box.scale / _pixel_size(plane)
    step = min(max(1, int(ratio / 3.0)), *plane.shape)
    blocks = _blocks(plane, step, despeckle=plane.speckled and ratio > _DESPECKLE_RATIO)
    inverse = np.linalg.inv(box.turn @ plane.matrix) / step
    offset = box.turn @ np.array(plane.offset)
    start = (np.array(plane.origin) + 0.5) / step
    across, along = 0, 1  # which of x, y runs along the canvas's columns, which along its rows
    if abs(inverse[0, 0]) < abs(inverse[0, 1]):
        blocks, across, along = blocks.T, 1, 0
    by_column, by_row = inverse[across], inverse[along]
    slant = abs(by_column[1] / by_column[0]) + abs(by_row[0] / by_row[1])
    tile = int(min(max(_MAX_TILE_ERROR / max(slant, 1e-9), 8), _TILE_SIDE))
    corners = _corners(plane) @ box.turn.T
    left, right = _span((corners[:, 0] - box.left) / box.scale, box.width)
    top, bottom = _span((box.top - corners[:, 1]) / box.scale, box.height)
    for row in range(top, bottom, tile):
        v = box.top - np.arange(row, min(row + tile, bottom) + 1) * box.scale - offset[1]
        for column in range(left, right, tile):
            u = box.left + np.arange(column, min(column + tile, right) + 1) * box.scale - offset[0]
            columns = _weights(by_column[0] * u + by_column[1] * v.mean() + start[across], blocks.shape[1])
            rows = _weights(by_row[0] * u.mean() + by_row[1] * v + start[along], blocks.shape[0])
            part = canvas[row : row + v.size - 1, column : column + u.size - 1]
            mean = _average(blocks, rows, columns)
            np.copyto(part, mean, where=np.isfinite(mean))


def _span(edges: Floats, length: int) -> tuple[int, int]:
    return max(0, math.floor(float(edges.min()))), min(length, math.ceil(float(edges.max())))


def _weights(edges: Floats, length: int) -> _Weights:
    """Return which blocks (k, n) lie between the n + 1 ``edges``, and with how much of their width (k, n)."""
    edges = edges.clip(0.0, length)
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    widest = math.ceil(float((high - low).max())) + 1
    cells = np.floor(low).astype(np.intp) + np.arange(widest)[:, None]
    share = (np.minimum(high, cells + 1) - np.maximum(low, cells)).clip(0.0, None)
    return cells.clip(0, length - 1), share.astype(np.float32)


def _average(blocks: Float32, rows: _Weights, columns: _Weights) -> Float32:
    """Return the weighted means of what is finite; NaN where there is nothing."""
    first, last = int(rows[0].min()), int(rows[0].max()) + 1
    part = blocks[first:last, int(columns[0].min()) : int(columns[0].max()) + 1]
    rows, columns = (rows[0] - first, rows[1]), (columns[0] - columns[0].min(), columns[1])
    cover = np.outer(rows[1].sum(axis=0), columns[1].sum(axis=0))
    good = np.isfinite(part)
    if good.all():
        sums, share = _sums(part, rows, columns), cover
    else:
        sums = _sums(np.where(good, part, np.float32(0.0)), rows, columns)
        share = _sums(good.astype(np.float32), rows, columns)
    # what is more than half outside, or all of whose pixels are blank, is left out
    enough = (cover > 0.49 * cover.max()) & (share > 0.0)
    return np.where(enough, sums / np.where(enough, share, 1.0), np.float32(np.nan)).astype(np.float32)


def _sums(part: Float32, rows: _Weights, columns: _Weights) -> Float32:
    wide = np.zeros((part.shape[0], columns[0].shape[1]), dtype=np.float32)
    for cell, share in zip(*columns, strict=True):
        wide += part[:, cell] * share
    sums = np.zeros((rows[0].shape[1], wide.shape[1]), dtype=np.float32)
    for cell, share in zip(*rows, strict=True):
        sums += wide[cell] * share[:, None]
    return sums


def _blocks(plane: Plane, step: int, *, despeckle: bool) -> Float32:
    """Return the means of blocks of ``step`` x ``step`` pixels; NaN where none of them is finite."""
    ny, nx = (length // step for length in plane.shape)
    means = np.empty((ny, nx), dtype=np.float32)
    many = max(1, _ROWS_AT_A_TIME // step)
    for first in range(0, ny, many):
        last = min(first + many, ny)
        strip = plane.rows(first * step, last * step)[:, : nx * step].astype(np.float32, copy=False)
        strip = _despeckle(strip) if despeckle else strip
        means[first:last] = strip if step == 1 else _mean(strip.reshape(last - first, step, nx, step))
    return means


def _despeckle(strip: Float32) -> Float32:
    """Return the pixels, none brighter than the brightest of its eight neighbours."""
    around, wide = np.full_like(strip, -np.inf), strip.copy()
    around[:, 1:] = strip[:, :-1]
    for line in (around, wide):
        np.fmax(line[:, :-1], strip[:, 1:], out=line[:, :-1])
    np.fmax(wide[:, 1:], strip[:, :-1], out=wide[:, 1:])
    np.fmax(around[1:], wide[:-1], out=around[1:])
    np.fmax(around[:-1], wide[1:], out=around[:-1])
    return np.minimum(strip, around)


def _mean(blocks: Float32) -> Float32:
    """Return the mean over axes 1 and 3 of what is finite."""
    area = blocks.shape[1] * blocks.shape[3]
    sums = blocks.reshape(*blocks.shape[:2], -1).sum(axis=1).reshape(blocks.shape[0], *blocks.shape[2:]).sum(axis=2)
    means: Float32 = sums / np.float32(area)
    if not np.isfinite(means).all():
        good = np.isfinite(blocks)
        with np.errstate(invalid="ignore"):
            means = np.where(good, blocks, np.float32(0.0)).sum(axis=(1, 3)) / good.sum(axis=(1, 3), dtype=np.float32)
    return means
