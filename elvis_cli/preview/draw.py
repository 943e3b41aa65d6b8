"""Pictures of a FITS file, for looking at and not for measuring: a PNG, or characters for a terminal."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngInfo

from elvis_cli import __version__
from elvis_cli.errors import ResourceError, UsageError
from elvis_cli.model.limits import MAX_PIPE_BYTES, read_all
from elvis_cli.preview import image, mosaic, plot, source, stretch, terminal
from elvis_cli.preview.sheet import Picture
from elvis_cli.preview.stretch_kind import StretchKind

Limits = tuple[float, float] | str | None
"""The values of black and white, "zscale", or None for robust ones."""
File = BinaryIO | bytes | str | os.PathLike[str]

_ENLARGED_BELOW = 512
"""Frames smaller than this are enlarged by a whole factor."""
_MIN_SIZE = 64
_MAX_LIMIT = 1e30


def png(
    file: File,
    out: BinaryIO,
    max_size: int = 1024,
    *,
    extension: str | None = None,
    kind: StretchKind | None = None,
    limits: Limits = None,
    rings: Path | None = None,
) -> tuple[str, ...]:
    """Write a PNG of a FITS file (its bytes, a binary file, or a path) to ``out``; return notes.

    An image, or the mosaic of chips, is at most ``max_size`` pixels wide and high, the plot of a table as wide; both
    say in the PNG's text chunks where on the picture they are (Area: left, top, width, height), and with which limits.
    ``extension`` is the EXTNAME of what to draw, ``kind`` the stretch (asinh for images; linear or, for wide ranges,
    logarithmic for curves). Each row of the table ``rings`` gets a ring.

    Raises
    ------
    UsageError
        ``max_size`` is below 64, there is no such extension, or the limits do not go with the stretch.
    ResourceError
        There is no such file.
    RequestError
        It is not a FITS file, or damaged, or holds nothing to draw.
    """
    if max_size < _MIN_SIZE:
        raise UsageError(f"a preview of {max_size} pixels is too small: at least {_MIN_SIZE}")
    _check(kind, limits)
    notes: tuple[str, ...] = ()
    with source.open_source(_seekable(file), extension) as content:
        if isinstance(content, source.Images):
            frame = mosaic.compose(content.planes, max_size, max_size, min(_ENLARGED_BELOW, max_size))
            notes = content.notes
    if isinstance(content, source.Images):
        ruler = mosaic.ruler(frame, content.planes, content.pixel) if content.pixel else None
        places = None if rings is None else mosaic.on_canvas(frame, content.planes, *_places(rings))
        picture = image.draw(frame, _stretch(content, frame, kind, limits), content.caption, ruler, places)
    else:
        picture = plot.draw(content, max_size, kind, _pair(limits))
    _save(picture, out)
    return notes


def _places(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return image number and place, pixels from 0, of each row of a table with X, Y (from 1) and perhaps CHIP."""
    from astropy.table import Table

    try:
        table = Table.read(path)
    except Exception as error:  # astropy raises what its many readers raise
        raise ResourceError(f"--sources: {path} is not a table: {error}", path=str(path)) from None
    names = {name.upper(): name for name in table.colnames}
    if not {"X", "Y"} <= set(names):
        raise ResourceError(f"--sources: {path} has no columns X, Y", allowed="X, Y (pixels from 1)", path=str(path))
    places = np.stack([np.asarray(table[names[axis]], float) - 1.0 for axis in "XY"], axis=1)
    chip = np.asarray(table[names["CHIP"]], np.int64) - 1 if "CHIP" in names else np.zeros(len(table), np.int64)
    return chip, places


def text(
    file: File,
    out: BinaryIO,
    columns: int,
    rows: int,
    *,
    colour: bool = False,
    extension: str | None = None,
    kind: StretchKind | None = None,
    limits: Limits = None,
) -> tuple[str, ...]:
    """Write the picture as at most ``rows`` lines of at most ``columns`` characters to ``out``; return notes.

    Raises as `png`.
    """
    _check(kind, limits)
    notes: tuple[str, ...] = ()
    with source.open_source(_seekable(file), extension) as content:
        if isinstance(content, source.Images):
            high = 2 * max(1, rows - terminal.CAPTION_LINES)
            frame = mosaic.compose(content.planes, columns, high, high)
            notes = content.notes
    if isinstance(content, source.Images):
        # a ramp of ten characters has none to spare for the noise
        shown = _stretch(content, frame, kind, limits, below=2.0 if colour else -1.0)
        words = terminal.image(frame, shown, content.caption, columns, colour)
    else:
        words = terminal.plot(content, columns, rows, colour, kind, _pair(limits))
    out.write(words.encode())
    return notes


def _stretch(
    content: source.Images, frame: mosaic.Mosaic, kind: StretchKind | None, limits: Limits, below: float = 2.0
) -> stretch.Stretch:
    """Return the stretch of light; of a map of numbers a linear one, from the least to the largest."""
    if not content.light and limits is None and np.isfinite(frame.canvas).any():
        kind, limits = kind or StretchKind.LINEAR, (float(np.nanmin(frame.canvas)), float(np.nanmax(frame.canvas)))
    return stretch.fit(frame.canvas, kind or StretchKind.ASINH, limits, frame.enlarged, below, spectra=content.spectra)


def _seekable(file: File) -> BinaryIO | str | os.PathLike[str]:
    if isinstance(file, (str, os.PathLike)):
        return file
    if isinstance(file, bytes):
        return BytesIO(file)
    return file if file.seekable() else BytesIO(read_all(file, MAX_PIPE_BYTES))


def _check(kind: StretchKind | None, limits: Limits) -> None:
    if isinstance(limits, tuple):
        if max(map(abs, limits)) > _MAX_LIMIT:
            raise UsageError(f"--limits: {limits[0]:g},{limits[1]:g} is beyond {_MAX_LIMIT:g}")
        if not limits[0] < limits[1]:
            raise UsageError(f"--limits: {limits[0]:g} is not below {limits[1]:g}")
        if kind is StretchKind.LOG and limits[0] <= 0.0:
            raise UsageError(f"--limits: a logarithm starts above 0, not at {limits[0]:g}")


def _pair(limits: Limits) -> tuple[float, float] | None:
    return limits if isinstance(limits, tuple) else None


def _save(picture: Picture, out: BinaryIO) -> None:
    chunks = PngInfo()
    for key, words in {"Software": f"ELVIS {__version__}", **picture.meaning}.items():
        chunks.add_text(key, words)
    # level 4 takes twice as long for noise, and makes more bytes of it
    picture.image.save(out, format="PNG", pnginfo=chunks, compress_level=1)
