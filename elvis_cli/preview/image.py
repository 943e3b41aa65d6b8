"""A mosaic as a picture: the pixels alone in their frame, beside them the colour bar, below the words, scale, North."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from elvis_cli.preview import sheet, ticks
from elvis_cli.preview.mosaic import Float32, Mosaic, Ruler
from elvis_cli.preview.stretch import Stretch

_MARGIN = 14
_BAR_WIDTH = 18
"""Width of the colour bar."""
_FOOT_HEIGHT = 76
"""Height of the words below."""
_MIN_WIDTH = 560
_MIN_HEIGHT = 160
"""Least height of the colour bar."""
_ARROW_LENGTH = 24
_RING = 7
"""Radius of the ring about a source."""
_RULER_WIDTH = 40
"""Room for the numbers of a ruler."""
_BAR_MINUTES = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)


@dataclass(frozen=True, slots=True)
class Caption:
    """Words of a picture about its exposure."""

    title: str
    details: str
    unit: str
    """Of the pixels."""
    angular: bool
    """Whether the mosaic's scale is in arcsec, else in pixels."""
    celestial: bool
    """Whether North is known."""


def draw(
    mosaic: Mosaic,
    stretch: Stretch,
    caption: Caption,
    ruler: Ruler | None = None,
    rings: NDArray[np.float64] | None = None,
) -> sheet.Picture:
    """Return the picture; a ``ruler`` is drawn below and left of the canvas, ``rings`` about its places (n, 2).

    It has a palette: noise in true colours takes four times as long to pack.
    """
    height, width = mosaic.canvas.shape
    marks = bar_ticks(stretch, max(height, _MIN_HEIGHT) // 62)
    labels = max(sheet.width(text, sheet.SMALL) for _, text in marks)
    beside = 2 * _MARGIN + _BAR_WIDTH + 8 + labels + (22 if caption.unit else 0)
    room = _RULER_WIDTH if ruler else 0
    whole = max(width + room + _MARGIN + beside, _MIN_WIDTH)
    tall = max(height, _MIN_HEIGHT)
    picture = Image.new("RGB", (whole, tall + room + 2 * _MARGIN + _FOOT_HEIGHT), sheet.PAPER)
    left = _MARGIN + room + (whole - beside - room - _MARGIN - width) // 2
    top = _MARGIN + (tall - height) // 2
    ImageDraw.Draw(picture).rectangle((left - 1, top - 1, left + width, top + height), outline=sheet.LINE)
    bar = (left + width + _MARGIN, _MARGIN, tall)
    _bar_frame(picture, bar, marks, labels, caption.unit)
    if ruler:
        _ruler(picture, (left, top, left + width, top + height), ruler)
    _foot(picture, mosaic, caption)
    length, name = scale_bar(mosaic.scale * min(width, whole / 3) / 3.0, caption.angular)
    meaning = {
        "Title": f"{caption.title} | {caption.details}".strip(" |"),
        "Area": f"{left},{top},{width},{height}",
        "Limits": f"{stretch.low:.9g},{stretch.high:.9g}",
        "Stretch": stretch.kind.value,
        "Scale": f"{mosaic.scale:.9g} {'arcsec' if caption.angular else 'pixel'}",
    }
    _length(picture, round(length / mosaic.scale), name, caption.celestial)
    pixels = sheet.indices(picture)
    pixels[top : top + height, left : left + width] = levels(mosaic.canvas, stretch)
    pixels[bar[1] : bar[1] + tall, bar[0] : bar[0] + _BAR_WIDTH] = _bar_levels(tall)[:, None]
    indexed = Image.fromarray(pixels).convert("P")
    indexed.putpalette(sheet.PALETTE.tobytes())
    pen = ImageDraw.Draw(indexed)
    for x, y in rings if rings is not None else ():
        if 0 <= x < width and 0 <= y < height:
            cx, cy = left + float(x), top + float(y)
            pen.ellipse((cx - _RING, cy - _RING, cx + _RING, cy + _RING), outline=sheet.RING_INDEX)
    return sheet.Picture(indexed, meaning)


def levels(canvas: Float32, stretch: Stretch) -> NDArray[np.uint8]:
    """Return the places in the palette, (height, width)."""
    level = stretch.level(canvas)
    empty = np.isnan(level)
    level[empty] = 0.0
    indices = (level * np.float32(sheet.LEVELS - 1) + np.float32(0.5)).astype(np.uint8)
    indices[empty] = sheet.GAP_INDEX
    return indices


def colours(canvas: Float32, stretch: Stretch) -> NDArray[np.uint8]:
    """Return (height, width, 3)."""
    return sheet.PALETTE[levels(canvas, stretch)]


def bar_ticks(stretch: Stretch, count: int) -> list[tuple[float, str]]:
    """Return (level, text) from below to above: the two limits, and round values about evenly between."""
    low, high = stretch.low, stretch.high
    marks = [(0.0, ticks.text(low, stretch.value(0.05) - low)), (1.0, ticks.text(high, high - stretch.value(0.95)))]
    count = max(1, min(count, 9))
    for number in range(1, count):
        least, most = (stretch.value((number + off) / count) for off in (-0.35, 0.35))
        value, text = ticks.roundest(least, most)
        level = float(stretch.level(np.array([value], dtype=np.float32))[0])
        if 0.5 / count < level < 1.0 - 0.5 / count:
            marks.append((level, text))
    return sorted(marks)


def scale_bar(longest: float, angular: bool) -> tuple[float, str]:
    """Return the longest round length not above ``longest`` (arcsec or pixels), and its name."""
    if angular and longest >= 60.0:
        minutes = max(each for each in _BAR_MINUTES if each * 60.0 <= longest)
        return minutes * 60.0, f"{minutes} arcmin"
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(factor * power for factor in (1.0, 2.0, 5.0) if factor * power <= longest * 1.000001)
    if not angular:
        return length, f"{length:g} pixel"
    return length, f"{length:g} arcsec" if length >= 0.1 else f"{length * 1000.0:g} mas"


def _bar_levels(height: int) -> NDArray[np.uint8]:
    return np.linspace(sheet.LEVELS - 1.0, 0.0, height).round().astype(np.uint8)


def _bar_frame(
    picture: Image.Image, at: tuple[int, int, int], marks: list[tuple[float, str]], labels: int, unit: str
) -> None:
    left, top, height = at
    pen = ImageDraw.Draw(picture)
    right = left + _BAR_WIDTH
    pen.rectangle((left - 1, top - 1, right, top + height), outline=sheet.LINE)
    for level, text in marks:
        y = round(top + (height - 1) * (1.0 - level))
        pen.line((right, y, right + 5, y), fill=sheet.LINE)
        sheet.write(pen, (right + 9, min(max(y, top + 5), top + height - 5)), text, sheet.SMALL, "lm")
    if unit:
        sheet.write_upwards(picture, (right + 9 + labels + 14, top + height / 2), unit, sheet.NORMAL, sheet.FAINT)


def _ruler(picture: Image.Image, area: tuple[int, int, int, int], ruler: Ruler) -> None:
    """Write the numbers below and left of ``area``."""
    left, top, right, bottom = area
    pen = ImageDraw.Draw(picture)
    for (first, last), size, below in ((ruler.x, right - left, True), (ruler.y, bottom - top, False)):
        for value, text in ticks.linear(min(first, last), max(first, last), max(3, size // 80)):
            at = round((size - 1) * (value - first) / (last - first))
            if below:
                pen.line((left + at, bottom, left + at, bottom + 4), fill=sheet.LINE)
                sheet.write(pen, (left + at, bottom + 7), text, sheet.SMALL, "mt")
            else:
                pen.line((left - 5, bottom - 1 - at, left - 1, bottom - 1 - at), fill=sheet.LINE)
                sheet.write(pen, (left - 8, bottom - 1 - at), text, sheet.SMALL, "rm")
    sheet.write(pen, ((left + right) / 2, bottom + 24), ruler.unit, sheet.NORMAL, "mt", sheet.FAINT)


def _foot(picture: Image.Image, mosaic: Mosaic, caption: Caption) -> None:
    """Write the words, and draw the arrows to North and East."""
    pen = ImageDraw.Draw(picture)
    top = picture.height - _FOOT_HEIGHT
    space = picture.width - 2 * _MARGIN - picture.width // 3 - (100 if caption.celestial else 0)
    title, details = sheet.shortened(caption.title, sheet.LARGE, space), caption.details
    sheet.write(pen, (_MARGIN, top + 20), title, sheet.LARGE, "lm")
    sheet.write(
        pen, (_MARGIN, top + 48), sheet.shortened(details, sheet.NORMAL, space), sheet.NORMAL, "lm", sheet.FAINT
    )
    if caption.celestial:
        _compass(picture, (picture.width - 48, picture.height - _FOOT_HEIGHT // 2 + 8), mosaic.tilt)


def _compass(picture: Image.Image, at: tuple[int, int], tilt: float) -> None:
    """Draw the arrows from ``at``; ``tilt`` is that of North from up to the right."""
    half = _ARROW_LENGTH + 6
    box = (at[0] - half, at[1] - half, at[0] + half, at[1] + half)
    pen = ImageDraw.Draw(picture)
    for name, angle in (("N", tilt), ("E", tilt - math.pi / 2)):
        x, y = math.sin(angle), -math.cos(angle)

        def arrow(mask: ImageDraw.ImageDraw, fine: int, x: float = x, y: float = y) -> None:
            tip, neck, wing = _ARROW_LENGTH * fine, (_ARROW_LENGTH - 8) * fine, 4 * fine
            middle = half * fine
            mask.line((middle, middle, middle + x * neck, middle + y * neck), fill=255, width=round(1.6 * fine))
            wings = [(middle + x * neck - s * y * wing, middle + y * neck + s * x * wing) for s in (-1, 1)]
            mask.polygon([(middle + x * tip, middle + y * tip), *wings], fill=255)

        sheet.smooth(picture, box, sheet.INK, arrow)
        sheet.write(pen, (at[0] + x * (_ARROW_LENGTH + 9), at[1] + y * (_ARROW_LENGTH + 9)), name, sheet.NORMAL, "mm")


def _length(picture: Image.Image, length: int, name: str, celestial: bool) -> None:
    """Draw the scale bar, its name above."""
    pen = ImageDraw.Draw(picture)
    right = picture.width - _MARGIN - (100 if celestial else 0)
    y = picture.height - _FOOT_HEIGHT // 2 + 8
    pen.line((right - length, y, right, y), fill=sheet.INK, width=2)
    for x in (right - length, right):
        pen.line((x, y - 4, x, y + 5), fill=sheet.INK)
    sheet.write(pen, (right - length / 2, y - 16), name, sheet.NORMAL, "mm")
