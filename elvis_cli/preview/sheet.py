"""Parts that all pictures share: the dark theme, the font, text that fits, smooth lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Floats = NDArray[np.float64]

PAPER: Colour = (20, 22, 28)
PANEL: Colour = (28, 31, 38)
GAP: Colour = (44, 47, 54)
"""Colour where no pixel is."""
LINE: Colour = (120, 125, 136)
FAINT: Colour = (158, 163, 174)
INK: Colour = (226, 228, 233)
RING: Colour = (90, 220, 240)
"""Of the rings about sources."""
CURVES: tuple[Colour, ...] = (
    (86, 180, 233),
    (240, 170, 40),
    (60, 200, 150),
    (240, 228, 90),
    (214, 130, 180),
    (230, 105, 60),
    (190, 193, 200),
)
"""Told apart by the colour-blind too (Okabe & Ito 2008), lighter, for the dark."""

_ANCHORS = (
    (4, 6, 18),
    (27, 14, 68),
    (76, 14, 108),
    (122, 28, 109),
    (166, 45, 96),
    (208, 69, 70),
    (238, 106, 37),
    (251, 156, 9),
    (247, 210, 64),
    (252, 255, 200),
)
"""From the sky to the stars: dark blue, violet, orange, pale yellow."""


def _between(places: Floats, anchors: Sequence[Colour], at: Floats) -> NDArray[np.uint8]:
    """Return (n, 3), the colours at ``places`` between the anchors that lie ``at`` theirs."""
    inks = [np.interp(places, at, one) for one in zip(*anchors, strict=True)]
    return (np.stack(inks, axis=1) + 0.5).astype(np.uint8)


LEVELS = 192
"""Colours of an image: those of the words beside it fit into the palette of 256 too."""
COLOURS = _between(np.linspace(0, 1, LEVELS), _ANCHORS, np.linspace(0, 1, len(_ANCHORS)))
"""(LEVELS, 3): colour of each level."""
_GREYS = (PAPER, PANEL, GAP, LINE, FAINT, INK)
_GREENS = np.array([grey[1] for grey in _GREYS], float)
_SHADES = np.unique(np.append(np.linspace(_GREENS[0], _GREENS[-1], 256 - LEVELS - len(_GREYS)).round(), _GREENS))
"""Greens of the words and lines, whose smooth edges are between the greys."""
PALETTE = np.concatenate([COLOURS, _between(_SHADES, _GREYS, _GREENS), [RING]]).astype(np.uint8)
"""(at most 256, 3): colours of an image with its words."""
RING_INDEX = len(PALETTE) - 1
_INDICES = (LEVELS + np.abs(np.arange(256)[:, None] - _SHADES).argmin(axis=1)).astype(np.uint8)
GAP_INDEX = int(_INDICES[GAP[1]])

SMALL, NORMAL, LARGE = 12, 14, 18
"""Heights of text, pixels."""
_SMOOTH = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture and what it means, for the PNG's text chunks."""

    image: Image.Image
    meaning: dict[str, str]


def indices(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the places in PALETTE, (height, width), of a picture that holds words and lines in greys alone."""
    found: NDArray[np.uint8] = _INDICES[np.asarray(picture.getchannel("G"))]
    return found


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def width(text: str, size: int) -> int:
    """Return the width of a line of text, pixels."""
    return round(font(size).getlength(text))


def shortened(text: str, size: int, space: float) -> str:
    """Return ``text``, or what of it fits in ``space`` pixels."""
    if width(text, size) <= space:
        return text
    while text and width(text + "...", size) > space:
        text = text[:-1]
    return text.rstrip(" |") + "..." if text else ""


def write(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, anchor: str, fill: Colour = INK
) -> None:
    """Write a line of text; ``anchor`` is Pillow's."""
    draw.text((round(at[0]), round(at[1])), text, fill=fill, font=font(size), anchor=anchor)


def write_upwards(picture: Image.Image, at: tuple[float, float], text: str, size: int, fill: Colour = INK) -> None:
    """Write a line of text from below to above, its centre at ``at``."""
    box = (width(text, size) + 4, size + 6)
    mask = Image.new("L", box)
    ImageDraw.Draw(mask).text((box[0] / 2, box[1] / 2), text, fill=255, font=font(size), anchor="mm")
    mask = mask.rotate(90, expand=True)
    picture.paste(fill, (round(at[0] - mask.width / 2), round(at[1] - mask.height / 2)), mask)


def smooth(
    picture: Image.Image,
    box: tuple[int, int, int, int],
    fill: Colour,
    paint: Callable[[ImageDraw.ImageDraw, int], None],
) -> None:
    """Fill what ``paint`` draws (in 255, from the upper left corner of ``box``, enlarged by its second argument)."""
    left, top, right, bottom = box
    mask = Image.new("L", ((right - left) * _SMOOTH, (bottom - top) * _SMOOTH))
    paint(ImageDraw.Draw(mask), _SMOOTH)
    picture.paste(fill, (left, top), mask.reduce(_SMOOTH))


def printable(text: str) -> str:
    """Return ``text`` without what moves a cursor or breaks a line."""
    return "".join(c if " " <= c <= "~" else " " for c in text).strip()
