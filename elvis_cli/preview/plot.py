"""A table as a picture: curves over its first column, one panel for each unit; a table of one row as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from elvis_cli.preview import sheet, ticks
from elvis_cli.preview.stretch_kind import StretchKind

Floats = NDArray[np.float64]

_MARGIN = 14
_HEAD = 64
_FOOT = 52
_MIN_PANEL_HEIGHT = 150
"""Least height of a panel."""
_PANEL_GAP = 16
"""Between panels."""
_MIN_WIDTH = 480
_LOG_RATIO = 30.0
"""Ratio of the brighter to the typical values above which an axis is logarithmic by itself."""
_NOISY = 3.0
"""Error, over the median of all errors, above which a value may be noise alone."""
_DETECTED = 5.0
"""Errors above which such a value counts for the limits all the same."""
_ROW_HEIGHT = 34
_MAX_FRACTION = 1.5
"""Below which numbers without a unit are fractions."""
BAND = 90
"""Opacity of an error's band, of 255."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers."""

    name: str
    unit: str
    values: Floats
    error: Floats | None = None
    """1 sigma: drawn as a band about the curve."""

    @property
    def significant(self) -> Floats:
        """Return the values without those that are noise alone: where nearly no light came through, it dwarfs all."""
        if self.error is None or not (self.error > 0.0).any():
            return self.values
        noisy = self.error > _NOISY * np.median(self.error[self.error > 0.0])
        return np.asarray(self.values[~(noisy & (np.abs(self.values) < _DETECTED * self.error))])

    @property
    def label(self) -> str:
        """Return the name and the unit, as an axis has it."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def number(self) -> str:
        """Return the first value."""
        return f"{self.values[0]:.6g}".replace("e+0", "e").replace("e-0", "e-")


@dataclass(frozen=True, slots=True)
class Curves:
    """A table: what it is called, what lies along x, and the curves."""

    title: str
    x: Column
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values along a side of a panel."""

    low: float
    high: float
    log: bool

    def place(self, values: Floats) -> Floats:
        """Return ``values`` on 0..1 from low to high; NaN where a logarithm has none."""
        if self.log:
            with np.errstate(invalid="ignore", divide="ignore"):
                values = np.where(values > 0.0, np.log(values / self.low), np.nan)
            return values / math.log(self.high / self.low)
        return (values - self.low) / (self.high - self.low)

    def ticks(self, count: int) -> list[tuple[float, str]]:
        """Return (0..1, text) of round numbers."""
        make = ticks.logarithmic if self.log else ticks.linear
        marks = make(self.low, self.high, max(2, count))
        return [(float(self.place(np.array(value))), text) for value, text in marks]


def panels(columns: Sequence[Column]) -> list[list[Column]]:
    """Return the columns by unit, in the order in which the units come."""
    units = list(dict.fromkeys(column.unit for column in columns))
    ordered = sorted(columns, key=lambda column: units.index(column.unit))
    return [list(same) for _, same in groupby(ordered, key=lambda column: column.unit)]


def axis(values: Sequence[Floats], kind: StretchKind | None, limits: tuple[float, float] | None) -> Axis:
    """Return a y axis for curves: logarithmic if asked for, or if the brightest values dwarf the others."""
    every = np.concatenate(values)
    every = every[np.isfinite(every)]
    positive = every[every > 0.0]
    if kind is None and limits is None:
        log = positive.size > 0.5 * every.size > 0 and bool((every >= 0.0).all()) and _wide(positive)
    else:
        log = kind is StretchKind.LOG and positive.size > 0
    if limits is not None:
        return Axis(*limits, log and limits[0] > 0.0)
    if log:
        high = float(positive.max())
        low = max(float(np.quantile(positive, 0.01)), 1e-8 * high)
        return Axis(low / 1.3, high * 1.3, True)
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if 0.0 < low < 0.5 * high:
        low = 0.0
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        room = 0.1 * abs(high) or 1.0
        return Axis(low - room, high + room, False)
    room = 0.04 * (high - low)
    return Axis(low if low == 0.0 else low - room, high + room, False)


def _wide(positive: Floats) -> bool:
    typical, high = np.quantile(positive, (0.5, 0.995))
    return bool(high > _LOG_RATIO * typical)


def draw(
    curves: Curves, size: int, kind: StretchKind | None = None, limits: tuple[float, float] | None = None
) -> sheet.Picture:
    """Return the picture, ``size`` pixels wide."""
    size = max(size, _MIN_WIDTH)
    if curves.x.values.size == 1:
        return _bars(curves, size)
    groups = panels(curves.columns)
    height = max(round(0.5 * size), _MIN_PANEL_HEIGHT * len(groups) + _PANEL_GAP * (len(groups) - 1))
    picture = Image.new("RGB", (size, _HEAD + height + _FOOT), sheet.PAPER)
    pen = ImageDraw.Draw(picture)
    each = (height - _PANEL_GAP * (len(groups) - 1)) // len(groups)
    axes = [axis([column.significant for column in group], kind, limits) for group in groups]
    marks = [one.ticks(each // 48) for one in axes]
    left = _MARGIN + 34 + max(sheet.width(text, sheet.SMALL) for some in marks for _, text in some or [(0.0, "")])
    right = size - _MARGIN - 8
    x = x_axis(curves.x.values)
    below = x.ticks((right - left) // 90)
    areas = []
    for number, (group, y) in enumerate(zip(groups, axes, strict=True)):
        top = _HEAD + number * (each + _PANEL_GAP)
        area = (left, top, right, top + each)
        areas.append(f"{left},{top},{right - left},{each}:{x.low:.9g},{x.high:.9g},{y.low:.9g},{y.high:.9g}")
        _grid(pen, area, below, marks[number])
        for column in group:
            if column.error is not None:
                _band(picture, area, x, y, curves.x.values, column, _colour(curves, column))
            _curve(picture, area, x, y, curves.x.values, column.values, _colour(curves, column))
        pen.rectangle(area, outline=sheet.LINE)
        label = (
            group[0].label if len(group) == 1 else group[0].unit or ("fraction" if y.high < _MAX_FRACTION else "ratio")
        )
        label = sheet.shortened(label, sheet.NORMAL, each + _PANEL_GAP)
        sheet.write_upwards(picture, (_MARGIN + 8, top + each / 2), label, sheet.NORMAL, sheet.FAINT)
    for at, text in below:
        sheet.write(pen, (left + at * (right - left), _HEAD + height + 8), text, sheet.SMALL, "mt")
    sheet.write(pen, ((left + right) / 2, _HEAD + height + 28), curves.x.label, sheet.NORMAL, "mt", sheet.FAINT)
    title = sheet.shortened(curves.title, sheet.LARGE, size - 2 * _MARGIN)
    sheet.write(pen, (left, 20), title, sheet.LARGE, "lm")
    _legend(pen, curves, left, right)
    return sheet.Picture(picture, {"Title": curves.title, "Area": ";".join(areas)})


def x_axis(values: Floats) -> Axis:
    """Return the axis of the first column."""
    seen = values[np.isfinite(values)]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    return Axis(low, high, low > 0.0 and high > 300.0 * low)


def _colour(curves: Curves, column: Column) -> sheet.Colour:
    return sheet.CURVES[[one.name for one in curves.columns].index(column.name) % len(sheet.CURVES)]


def _grid(
    pen: ImageDraw.ImageDraw,
    area: tuple[int, int, int, int],
    below: list[tuple[float, str]],
    beside: list[tuple[float, str]],
) -> None:
    left, top, right, bottom = area
    pen.rectangle(area, fill=sheet.PANEL)
    for at, _ in below:
        x = round(left + at * (right - left))
        pen.line((x, top, x, bottom), fill=sheet.GAP)
        pen.line((x, bottom, x, bottom + 4), fill=sheet.LINE)
    for at, text in beside:
        y = round(bottom - at * (bottom - top))
        pen.line((left, y, right, y), fill=sheet.GAP)
        pen.line((left - 4, y, left, y), fill=sheet.LINE)
        sheet.write(pen, (left - 8, y), text, sheet.SMALL, "rm")


def _curve(
    picture: Image.Image,
    area: tuple[int, int, int, int],
    x: Axis,
    y: Axis,
    along: Floats,
    values: Floats,
    colour: sheet.Colour,
) -> None:
    left, top, right, bottom = area
    across, up = x.place(along), y.place(values)
    good = np.flatnonzero(np.isfinite(across + up))
    runs = np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if good.size else []
    group = good.size // (4 * (right - left))

    def paint(mask: ImageDraw.ImageDraw, fine: int) -> None:
        for run in runs:
            points = np.stack(_thinned(across[run], up[run], group), axis=1)
            points = (points * [right - left, top - bottom] + [0, bottom - top]) * fine
            if len(points) == 1:
                points = points + np.array([[-fine, 0.0], [fine, 0.0]])
            many = len(points) >= 4000
            mask.line(points.ravel().tolist(), fill=255, width=round(1.7 * fine), joint=None if many else "curve")

    sheet.smooth(picture, (left, top, right, bottom), colour, paint)


def _band(
    picture: Image.Image,
    area: tuple[int, int, int, int],
    x: Axis,
    y: Axis,
    along: Floats,
    column: Column,
    colour: sheet.Colour,
) -> None:
    """Fill what is within the error of a curve."""
    left, top, right, bottom = area
    assert column.error is not None
    floor = y.low if y.log else -math.inf
    across = x.place(along)
    low, high = y.place(np.maximum(column.values - column.error, floor)), y.place(column.values + column.error)
    good = np.flatnonzero(np.isfinite(across + low + high))
    runs = np.split(good, np.flatnonzero(np.diff(good) > 1) + 1) if good.size else []

    def paint(mask: ImageDraw.ImageDraw, fine: int) -> None:
        for run in runs:
            up = np.concatenate([low[run], high[run][::-1]]).clip(-4.0, 5.0)
            points = np.stack([np.concatenate([across[run], across[run][::-1]]), up], axis=1)
            points = (points * [right - left, top - bottom] + [0, bottom - top]) * fine
            if len(run) > 1:
                mask.polygon(points.ravel().tolist(), fill=BAND)

    sheet.smooth(picture, (left, top, right, bottom), colour, paint)


def _thinned(across: Floats, up: Floats, group: int) -> tuple[Floats, Floats]:
    """Return the points; of very many the lowest and highest of each ``group``, so that no line is lost."""
    if group < 4 or across.size < group:
        return across, up.clip(-4.0, 5.0)
    starts = np.arange(0, across.size, group)
    ends = np.stack([np.minimum.reduceat(up, starts), np.maximum.reduceat(up, starts)], axis=1)
    middle = across[np.minimum(starts + group // 2, across.size - 1)]
    return np.repeat(middle, 2), ends.ravel().clip(-4.0, 5.0)


def _legend(pen: ImageDraw.ImageDraw, curves: Curves, left: int, right: int) -> None:
    x: float = left
    for column in curves.columns:
        name = column.name if column.error is None else f"{column.name} and its error"
        length = 24 + sheet.width(name, sheet.NORMAL) + 22
        if x + length > right and x > left:
            sheet.write(pen, (x, 46), "...", sheet.NORMAL, "lm")
            return
        pen.line((x, 46, x + 18, 46), fill=_colour(curves, column), width=3)
        sheet.write(pen, (x + 24, 46), name, sheet.NORMAL, "lm")
        x += length


def _bars(curves: Curves, size: int) -> sheet.Picture:
    """Draw a table of one row: a bar for each column, as long as it is among those of its unit."""
    columns = (curves.x, *curves.columns)
    height = _HEAD + _ROW_HEIGHT * len(columns)
    picture = Image.new("RGB", (size, height), sheet.PAPER)
    pen = ImageDraw.Draw(picture)
    sheet.write(pen, (_MARGIN, 24), sheet.shortened(curves.title, sheet.LARGE, size - 2 * _MARGIN), sheet.LARGE, "lm")
    words = [f"{column.number} {column.unit}".strip() for column in columns]
    left = 2 * _MARGIN + max(sheet.width(column.name, sheet.NORMAL) for column in columns)
    space = size - left - 2 * _MARGIN - max(sheet.width(text, sheet.NORMAL) for text in words)
    for number, (column, text) in enumerate(zip(columns, words, strict=True)):
        y = _HEAD + number * _ROW_HEIGHT
        same = [abs(other.values[0]) for other in columns if other.unit == column.unit != ""]
        part = abs(column.values[0]) / max(same) if len(same) > 1 and 0.0 < max(same) < math.inf else 0.0
        length = round(space * part) if math.isfinite(part) else 0
        sheet.write(pen, (left - _MARGIN, y + 10), column.name, sheet.NORMAL, "rm")
        if length > 0:
            pen.rectangle((left, y + 2, left + length, y + 18), fill=sheet.CURVES[0])
        sheet.write(pen, (left + max(length, 0) + _MARGIN, y + 10), text, sheet.NORMAL, "lm")
    return sheet.Picture(picture, {"Title": curves.title})
