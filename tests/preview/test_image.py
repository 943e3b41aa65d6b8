"""Colour bars and scale bars."""

from __future__ import annotations

import numpy as np
import pytest

from elvis_cli.preview import image
from elvis_cli.preview.mosaic import Mosaic, Ruler
from elvis_cli.preview.sheet import COLOURS, GAP, LEVELS, LINE
from elvis_cli.preview.stretch import Stretch
from elvis_cli.preview.stretch_kind import StretchKind


@pytest.mark.parametrize("kind", StretchKind)
@pytest.mark.parametrize(
    ("low", "high"), [(0.001, 1.0), (2942.0, 24770.0), (-30.0, 6e4), (4.0e6, 4.01e6), (1e-8, 0.05)]
)
def test_numbers_of_the_colour_bar_stand_at_their_levels(kind, low, high):
    if kind is StretchKind.LOG and low <= 0.0:
        low = 1.0
    stretch = Stretch(kind, low, high, (high - low) / 300.0)
    marks = image.bar_ticks(stretch, 9)
    levels = [level for level, _ in marks]
    assert levels[0] == 0.0
    assert levels[-1] == 1.0
    assert len(marks) >= 7
    assert min(np.diff(levels)) > 0.03
    for level, text in marks:
        assert stretch.value(level) == pytest.approx(
            float(text), abs=0.02 * (stretch.value(min(1, level + 0.1)) - stretch.value(max(0, level - 0.1)))
        )


@pytest.mark.parametrize(
    ("longest", "text"),
    [
        (0.003, "2 mas"),
        (0.07, "50 mas"),
        (0.3, "0.2 arcsec"),
        (9.99, "5 arcsec"),
        (59.0, "50 arcsec"),
        (70.0, "1 arcmin"),
        (130.0, "2 arcmin"),
        (7300.0, "120 arcmin"),
    ],
)
def test_scale_bar(longest, text):
    length, name = image.scale_bar(longest, angular=True)
    assert length <= longest
    assert name == text


def test_scale_bar_in_pixels():
    assert image.scale_bar(370.0, angular=False) == (200.0, "200 pixel")


def test_colours_go_from_dark_to_bright_and_gaps_are_grey():
    canvas = np.array([[0.0, 0.5, 1.0, np.nan]], dtype=np.float32)
    rgb = image.colours(canvas, Stretch(StretchKind.LINEAR, 0.0, 1.0, 1.0))
    assert rgb[0].tolist() == [COLOURS[0].tolist(), COLOURS[LEVELS // 2].tolist(), COLOURS[-1].tolist(), list(GAP)]
    light = COLOURS.astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(light) > -0.5).all()


@pytest.mark.parametrize(("shape", "celestial", "angular"), [
    *((shape, True, True) for shape in [(1, 1), (3, 1000), (1000, 3), (512, 512)]),
    ((3, 1000), False, True), ((3, 1000), False, False),
])  # fmt: skip
def test_every_shape_gets_its_picture(shape, celestial, angular):
    canvas = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    mosaic = Mosaic(canvas, 0.01, 1, 0.0)
    caption = image.Caption("CAMERA | K " + "long " * 100, "details " * 50, "electron/s", angular, celestial)
    stretch = Stretch(StretchKind.ASINH, -1.0, 3.0, 0.1)
    made = image.draw(mosaic, stretch, caption)
    left, top, width, height = map(int, made.meaning["Area"].split(","))
    assert (height, width) == shape
    seen = np.asarray(made.image.convert("RGB"))[top : top + height, left : left + width]
    assert (seen == image.colours(canvas, stretch)).all()


def test_a_ruler_takes_room_beside_the_pixels():
    canvas = np.random.default_rng(0).normal(size=(300, 500)).astype(np.float32)
    mosaic = Mosaic(canvas, 1.0, 1, 0.0)
    caption = image.Caption("CAMERA", "", "adu", angular=False, celestial=False)
    stretch = Stretch(StretchKind.ASINH, -1.0, 3.0, 0.1)
    without = image.draw(mosaic, stretch, caption)
    for x in ((-5.0, 5.0), (500.5, 0.5)):
        made = image.draw(mosaic, stretch, caption, Ruler("mm", x, (0.0, 6.0)))
        left, top, width, height = map(int, made.meaning["Area"].split(","))
        assert (width, height) == (500, 300)
        seen = np.asarray(made.image.convert("RGB"))
        assert (seen[top : top + height, left : left + width] == image.colours(canvas, stretch)).all()
        assert made.image.height > without.image.height
        at = left + round(499 * ((0.0 if x[0] < 0.0 else 200.0) - x[0]) / (x[1] - x[0]))
        assert (seen[top + height + 2, at] == LINE).all()  # a tick at a round number
        assert (seen[top + height - 1, left - 3] == LINE).all()
