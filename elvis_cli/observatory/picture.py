"""A picture of light curves: magnitudes with error bars by filter, detections marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw

from elvis_cli.base.arrays import Floats
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.preview import sheet, ticks

SIZE = 900, 480
LEFT, TOP, RIGHT, BOTTOM = 90, 78, 870, 410
DOT = 2.6
RING = 9.0
DAYS_BACK = 0.04
"""Room beside the first and last epoch, of the whole span."""


def draw(curves: Sequence[LightCurve], marks: Sequence[float], out: BinaryIO) -> None:
    """Write a PNG of light curves; ``marks`` are times (MJD) of detections."""
    picture = Image.new("RGB", SIZE, sheet.PAPER)
    pen = ImageDraw.Draw(picture)
    times = np.concatenate([curve.mjd for curve in curves])
    mags = np.concatenate([curve.mag for curve in curves])
    x, y = _range(times, DAYS_BACK), _range(mags[np.isfinite(mags)], 0.08)
    pen.rectangle((LEFT, TOP, RIGHT, BOTTOM), fill=sheet.PANEL)
    for value, text in ticks.linear(*x, 8):
        at = LEFT + (value - x[0]) / (x[1] - x[0]) * (RIGHT - LEFT)
        pen.line((at, TOP, at, BOTTOM), fill=sheet.GAP)
        sheet.write(pen, (at, BOTTOM + 8), text, sheet.SMALL, "mt")
    for value, text in ticks.linear(*y, 6):
        at = TOP + (value - y[0]) / (y[1] - y[0]) * (BOTTOM - TOP)  # bright is up
        pen.line((LEFT, at, RIGHT, at), fill=sheet.GAP)
        sheet.write(pen, (LEFT - 8, at), text, sheet.SMALL, "rm")
    names = list(dict.fromkeys(f"{curve.observatory} {curve.filter}" for curve in curves))
    for curve in curves:
        colour = sheet.CURVES[names.index(f"{curve.observatory} {curve.filter}") % len(sheet.CURVES)]
        _points(picture, curve, x, y, colour)
    _rings(picture, curves, marks, x, y)
    pen.rectangle((LEFT, TOP, RIGHT, BOTTOM), outline=sheet.LINE)
    sheet.write(pen, (LEFT, 24), sheet.shortened(curves[0].source_name, sheet.LARGE, 700), sheet.LARGE, "lm")
    sheet.write(pen, ((LEFT + RIGHT) / 2, BOTTOM + 32), "MJD (d)", sheet.NORMAL, "mt", sheet.FAINT)
    sheet.write_upwards(picture, (22, (TOP + BOTTOM) / 2), "magnitude (AB)", sheet.NORMAL, sheet.FAINT)
    left: float = LEFT
    for n, name in enumerate(names):
        pen.line((left, 54, left + 18, 54), fill=sheet.CURVES[n % len(sheet.CURVES)], width=3)
        sheet.write(pen, (left + 24, 54), name, sheet.NORMAL, "lm")
        left += 46 + sheet.width(name, sheet.NORMAL)
    if marks:
        pen.ellipse((left, 48, left + 12, 60), outline=sheet.INK)
        sheet.write(pen, (left + 20, 54), "detection", sheet.NORMAL, "lm")
    picture.save(out, format="PNG")


def _range(values: Floats, room: float) -> tuple[float, float]:
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    span = (high - low) or 1.0
    return low - room * span, high + room * span


def _places(curve: LightCurve, x: tuple[float, float], y: tuple[float, float]) -> Floats:
    """Return where epochs are in the panel, pixels from its left and top, (n, 2)."""
    across = (curve.mjd - x[0]) / (x[1] - x[0]) * (RIGHT - LEFT)
    return np.stack([across, (curve.mag - y[0]) / (y[1] - y[0]) * (BOTTOM - TOP)], axis=1)


def _points(
    picture: Image.Image, curve: LightCurve, x: tuple[float, float], y: tuple[float, float], colour: sheet.Colour
) -> None:
    bars = np.nan_to_num(curve.magerr) / (y[1] - y[0]) * (BOTTOM - TOP)

    def paint(mask: ImageDraw.ImageDraw, fine: int) -> None:
        for (a, b), bar, flag in zip(_places(curve, x, y) * fine, bars * fine, curve.flag, strict=True):
            if not np.isfinite(b):
                continue
            mask.line((a, b - bar, a, b + bar), fill=130, width=max(1, fine // 2))
            r = DOT * fine
            if flag:
                mask.ellipse((a - r, b - r, a + r, b + r), outline=255, width=fine)
            else:
                mask.ellipse((a - r, b - r, a + r, b + r), fill=255)

    sheet.smooth(picture, (LEFT, TOP, RIGHT, BOTTOM), colour, paint)


def _rings(
    picture: Image.Image,
    curves: Sequence[LightCurve],
    marks: Sequence[float],
    x: tuple[float, float],
    y: tuple[float, float],
) -> None:
    """Draw a ring about the epoch of each detection; where it was injected there is nothing to see but the time."""

    def paint(mask: ImageDraw.ImageDraw, fine: int) -> None:
        for curve in curves:
            places = _places(curve, x, y) * fine
            for n in np.flatnonzero(np.isin(curve.mjd, marks)):
                a, b = places[n]
                if np.isfinite(b):
                    r = RING * fine
                    mask.ellipse((a - r, b - r, a + r, b + r), outline=255, width=round(1.5 * fine))

    sheet.smooth(picture, (LEFT, TOP, RIGHT, BOTTOM), sheet.INK, paint)
