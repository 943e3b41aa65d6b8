"""Pictures of characters."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from elvis_cli.preview import plot, terminal
from elvis_cli.preview.image import Caption, colours
from elvis_cli.preview.mosaic import Mosaic
from elvis_cli.preview.stretch import Stretch
from elvis_cli.preview.stretch_kind import StretchKind

CAPTION = Caption("CAMERA | K", "star", "adu", True, True)
LINEAR = Stretch(StretchKind.LINEAR, 0.0, 1.0, 1.0)


class Stream(io.StringIO):
    """A stream that says of itself what it is."""

    encoding = "utf-8"

    def __init__(self, tty):
        super().__init__()
        self.tty = tty

    def isatty(self):
        return self.tty


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, True),
        ({"TERM": "xterm-direct"}, True),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM": "xterm"}, False),
        ({}, False),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, False),
        ({"COLORTERM": "24bit", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_only_where_it_is_shown(environ, expected):
    assert terminal.has_colour(Stream(True), environ) == expected
    assert not terminal.has_colour(Stream(False), environ)
    assert not terminal.has_colour(None, environ)


def test_plain_characters_follow_the_brightness():
    canvas = np.repeat(np.linspace(0.0, 1.0, 10, dtype=np.float32)[None], 4, axis=0)
    lines = terminal.image(Mosaic(canvas, 1.0, 1, 0.0), LINEAR, CAPTION, 80, colour=False).splitlines()
    assert lines[:2] == [terminal.RAMP] * 2
    assert "CAMERA | K | star" in lines[2]
    assert lines[3].startswith("0 ")
    assert "adu" in lines[3]
    assert "1 character = 1 arcsec, North up" in lines[3]


@pytest.mark.parametrize("height", [6, 7])
def test_half_blocks_hold_two_pixels(height):
    canvas = np.random.default_rng(0).uniform(size=(height, 9)).astype(np.float32)
    text = terminal.image(Mosaic(canvas, 1.0, 1, 0.3), LINEAR, CAPTION, 80, colour=True)
    lines = text.splitlines()[:-2]
    assert len(lines) == (height + 1) // 2
    rgb = colours(canvas, LINEAR)
    cells = [re.findall(r"\033\[38;2;(\d+);(\d+);(\d+);48;2;(\d+);(\d+);(\d+)m▀", line) for line in lines]
    for y, x in np.ndindex(height, 9):
        ink = tuple(map(int, cells[y // 2][x]))
        assert ink[3 * (y % 2) :][:3] == tuple(rgb[y, x])
    assert all(line.endswith("\033[0m") for line in lines)
    assert "North 17 deg right of up" in text


@pytest.mark.parametrize("colour", [False, True])
def test_a_plot_fits_and_rises_where_the_curve_does(colour):
    x = np.linspace(1.0, 2.0, 500)
    table = plot.Curves("t", plot.Column("wavelength", "um", x), (plot.Column("y", "", x - 1.0),))
    text = terminal.plot(table, 60, 20, colour)
    plain = re.sub(r"\033\[[0-9;]*m", "", text)
    assert ("\033" in text) == colour
    lines = plain.splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 60
    rows = [line.partition("|")[2] for line in lines if "|" in line]
    places = [np.mean([i for i, c in enumerate(row) if c == "*"]) for row in rows if "*" in row]
    assert (np.diff(places) < 0).all()
    assert "wavelength (um)" in plain
    assert "1.0" in plain


def test_panels_share_the_rows():
    x = np.linspace(1.0, 2.0, 50)
    columns = tuple(plot.Column(name, name, x) for name in "abc")
    lines = terminal.plot(plot.Curves("t", plot.Column("x", "um", x), columns), 80, 40, False).splitlines()
    assert 30 <= len(lines) <= 40
    assert all(mark in "\n".join(lines) for mark in "*+o")


def test_one_row_is_a_list():
    table = plot.Curves(
        "t", plot.Column("snr", "", np.array([12.5])), (plot.Column("sky", "electron", np.array([3.0])),)
    )
    assert terminal.plot(table, 80, 24, False) == "t\nsnr  12.5\nsky  3 electron\n"
