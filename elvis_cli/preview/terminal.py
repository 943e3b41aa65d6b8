"""Pictures made of characters: half blocks in 24-bit colour where the terminal has it, else a ramp of plain ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from elvis_cli.preview import sheet
from elvis_cli.preview.image import Caption, bar_ticks, colours
from elvis_cli.preview.mosaic import Float32, Mosaic
from elvis_cli.preview.plot import Curves, Floats, axis, panels, x_axis
from elvis_cli.preview.stretch import Stretch
from elvis_cli.preview.stretch_kind import StretchKind

RAMP = " .:-=+*#%@"
"""From dark to bright."""
CAPTION_LINES = 2
"""Lines below an image."""
_BAR_LENGTH = 16
"""Length of the colour bar."""
_MARKS = "*+ox#@%"
_TRUE_COLOUR = re.compile(r"direct|truecolor|kitty|alacritty|wezterm|ghostty|foot")


def has_colour(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Return whether ``stream`` is a terminal that shows 24-bit colour and half blocks (https://no-color.org)."""
    if stream is None or not stream.isatty() or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    if not (stream.encoding or "").lower().replace("-", "").startswith("utf"):
        return False
    return environ.get("COLORTERM") in ("truecolor", "24bit") or bool(_TRUE_COLOUR.search(environ.get("TERM", "")))


def image(mosaic: Mosaic, stretch: Stretch, caption: Caption, columns: int, colour: bool) -> str:
    """Return the mosaic, composed at two canvas pixels a character one above the other, and two lines of words."""
    height, width = mosaic.canvas.shape
    canvas = mosaic.canvas
    if height % 2:
        canvas = np.vstack([canvas, np.full((1, width), np.nan, dtype=np.float32)])
    lines = _blocks(canvas, stretch) if colour else _plain(canvas, stretch)
    low, high = (text for level, text in bar_ticks(stretch, 1) if level in (0.0, 1.0))
    scale = f"1 character = {mosaic.scale:.3g} {'arcsec' if caption.angular else 'pixel'}"
    tilt = round(float(np.degrees(mosaic.tilt)))
    if caption.celestial:
        scale += f", North {abs(tilt)} deg {'right' if tilt > 0 else 'left'} of up" if tilt else ", North up"
    words = f"{caption.title} | {caption.details}".strip(" |")
    before, after = f"{low} ", f" {high} {caption.unit} | {scale}"
    after = after[: max(0, columns - len(before) - _BAR_LENGTH)]  # the colours of the bar take no room
    return "\n".join([*lines, words[:columns], before + _bar(colour) + after]) + "\n"


def plot(
    curves: Curves,
    columns: int,
    rows: int,
    colour: bool,
    kind: StretchKind | None = None,
    limits: tuple[float, float] | None = None,
) -> str:
    """Return the curves as characters: panels one above the other, ``rows`` lines in all."""
    if curves.x.values.size == 1:
        values = [(one.name, f"{one.number} {one.unit}".strip()) for one in (curves.x, *curves.columns)]
        length = max(len(name) for name, _ in values)
        return "\n".join([curves.title, *(f"{name:>{length}}  {text}" for name, text in values)]) + "\n"
    groups = panels(curves.columns)
    each = max(3, (rows - 4) // len(groups) - 1)
    x = x_axis(curves.x.values)
    margin = 10
    width = max(16, columns - margin - 2)
    lines = [curves.title[:columns]]
    for group in groups:
        y = axis([column.significant for column in group], kind, limits)
        cells = np.full((each, width), " ", dtype=object)
        for column in group:
            index = curves.columns.index(column)
            mark = _MARKS[index % len(_MARKS)]
            if colour:
                mark = _coloured(mark, sheet.CURVES[index % len(sheet.CURVES)])
            at, up = _points(x.place(curves.x.values), y.place(column.values), width, each)
            cells[each - 1 - up, at] = mark
        names = {round(at * (each - 1)): text for at, text in y.ticks(max(2, each // 3)) if 0.0 <= at <= 1.0}
        lines += [f"{names.get(each - 1 - row, '')[:margin]:>{margin}} |{''.join(cells[row])}" for row in range(each)]
        lines.append(" " * margin + " +" + "-" * width)
    lines[-1] = " " * margin + " +" + _below(x.ticks(width // 12), width)
    lines.append(f"{curves.x.label:^{columns}}".rstrip())
    legend = (f"{_MARKS[i % len(_MARKS)]} {column.label}" for i, column in enumerate(curves.columns))
    lines.append((" " * (margin + 2) + "   ".join(legend))[:columns])
    return "\n".join(lines) + "\n"


def _points(across: Floats, up: Floats, width: int, height: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the cells (column, row from below) that a curve goes through."""
    good = np.isfinite(across) & np.isfinite(up) & (up >= 0.0) & (up <= 1.0)
    columns, rows = across[good] * (width - 1), up[good] * (height - 1)
    return np.rint(columns).astype(np.intp), np.rint(rows).astype(np.intp)


def _below(marks: list[tuple[float, str]], width: int) -> str:
    """Return the lower side of a panel with its numbers in it."""
    line = ["-"] * width
    for at, text in marks:
        first = min(max(round(at * (width - 1)) - len(text) // 2, 0), width - len(text))
        line[first : first + len(text)] = text
    return "".join(line)


def _coloured(text: str, ink: tuple[int, ...]) -> str:
    return f"\033[38;2;{ink[0]};{ink[1]};{ink[2]}m{text}\033[0m"


def _blocks(canvas: Float32, stretch: Stretch) -> list[str]:
    """Return lines of upper half blocks: the upper pixel is the ink, the lower one the paper."""
    rgb = colours(canvas, stretch)
    lines = []
    for upper, lower in zip(rgb[::2].tolist(), rgb[1::2].tolist(), strict=True):
        line, before = "", None
        for ink, paper in zip(upper, lower, strict=True):
            if (ink, paper) != before:
                line += "\033[38;2;{};{};{};48;2;{};{};{}m".format(*ink, *paper)
                before = (ink, paper)
            line += "▀"
        lines.append(line + "\033[0m")
    return lines


def _plain(canvas: Float32, stretch: Stretch) -> list[str]:
    pairs = np.stack([canvas[::2], canvas[1::2]])
    good = np.isfinite(pairs)
    count = good.sum(axis=0)
    mean = np.where(good, pairs, np.float32(0.0)).sum(axis=0) / np.maximum(count, 1)
    level = np.where(count > 0, stretch.level(mean.astype(np.float32)), 0.0)
    characters = np.array(list(RAMP))[(level * (len(RAMP) - 1) + 0.5).astype(np.intp)]
    return ["".join(row) for row in characters]


def _bar(colour: bool) -> str:
    levels = np.linspace(0.0, 1.0, _BAR_LENGTH)
    if not colour:
        return "".join(RAMP[round(level * (len(RAMP) - 1))] for level in levels)
    inks = sheet.COLOURS[(levels * (sheet.LEVELS - 1)).astype(np.uint8)].tolist()
    return "".join(f"\033[48;2;{r};{g};{b}m " for r, g, b in inks) + "\033[0m"
