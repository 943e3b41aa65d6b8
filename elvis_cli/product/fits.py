"""The FITS file: header cards and pixels to bytes, one HDU after another, the same bytes for the same request.

The layout is a primary header without data, one image extension a chip, further tables and images, the table
ELVIS_VALUES (every number that was used, with unit and source) and the table ELVIS_REQUEST (the request itself, its
rows put together: `elvis replay`). Detectors whose real files have it there have their only chip in the primary HDU.

astropy formats the cards; pixels and checksums are streamed here, because astropy keeps every HDU until the end,
writes the wall clock into the checksum's comment and sums 2880 bytes at a time.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from elvis_cli import __version__
from elvis_cli.base.arrays import pieces
from elvis_cli.errors import ResourceError
from elvis_cli.model.detector import Chip
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.prediction.types import Prediction
from elvis_cli.product import header
from elvis_cli.product.cards import card, card_text, plain, text_rows
from elvis_cli.product.checksum import encode_checksum, ones_sum
from elvis_cli.product.quadrants import split
from elvis_cli.sky.pointing import observe

BLOCK_SIZE = 2880
"""Bytes of a FITS block."""
CARD_LENGTH = 80
"""Characters of a header card."""
REQUEST_EXTENSION = "ELVIS_REQUEST"
VALUES_EXTENSION = "ELVIS_VALUES"

ELECTRONS = "count"
"""TUNIT of a column of electrons: "electron" is not among the units of FITS 4.0 (table 4), and astropy warns of it."""
_TFORMS = {"f8": "1D", "f4": "1E", "i4": "1J", "i8": "1K"}
"""TFORM of the numbers that a table may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A binary table extension: a column is text, or an array (n,) of float or int; (n, m) has m values in a row."""

    name: str
    columns: Mapping[str, Sequence[str] | NDArray[Any]]
    units: Mapping[str, str] = field(default_factory=dict)
    """By column, as FITS writes them."""
    cards: Sequence[header.Card] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """An image extension of float32, uint16 or int32, (ny, nx) or a cube of such."""

    name: str
    pixels: NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.int32]
    cards: Sequence[header.Card] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """An HDU of another file, as it is."""

    path: Path
    start: int
    """Its first byte."""
    size: int

    def write(self, out: BinaryIO) -> None:
        """Write it, a piece at a time."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            left = self.size
            while left > 0:
                piece = file.read(min(left, 2**20))
                if not piece:
                    raise ResourceError(f"{self.path} ends too early", path=str(self.path))
                left -= len(piece)
                out.write(piece)


def write(
    request: Request,
    setup: Setup,
    prediction: Prediction,
    frames: Iterable[tuple[Chip, NDArray[np.float32] | NDArray[np.uint16]] | Image | Copy],
    notes: Sequence[str],
    out: BinaryIO,
    extensions: Iterable[Table | Image | Copy] = (),
) -> None:
    """Write the whole FITS file to ``out``, which need not be seekable.

    ``frames`` yields (chip, pixels), pixels of shape (window.ny, window.nx), uint16 or float32; it is asked for the
    next chip only when the one before is written, and no chip is kept; an Image or Copy among them is an extension.
    ``extensions`` follow the chips and are only
    asked for when the last chip is written.

    Raises
    ------
    RequestError
        The request's date is not ISO 8601.
    """
    observation = observe(request.elvis, setup)
    primary = header.primary(request, setup, prediction, observation)
    remarks = header.remarks(request, observation, notes)
    frames = iter(frames)
    if setup.detector.extensions == "primary":
        kept, (chip, pixels) = _until_chip(frames)
        (part,) = split(setup, chip, pixels)
        own = header.extension(request, setup, chip, part, observation)
        _write_image(out, part.pixels, header.together(primary, own), remarks)
        del part, pixels
        frames = itertools.chain(kept, frames)
    else:
        cards: list[header.Card] = [
            ("SIMPLE", True, "conforms to FITS standard"),
            ("BITPIX", 8, "bits per value"),
            ("NAXIS", 0, "no data here"),
            ("EXTEND", True, "one extension a chip"),
            *primary,
        ]
        _write_hdu(out, cards, None, remarks)
    for frame in frames:
        if not isinstance(frame, tuple):
            _write_extension(out, frame)
        else:
            chip, pixels = frame
            for part in split(setup, chip, pixels):
                _write_image(out, part.pixels, header.extension(request, setup, chip, part, observation))
                del part
            del pixels
        del frame  # the next chip is rendered before this name is bound again
    for extension in extensions:
        _write_extension(out, extension)
    if not request.elvis.bare:
        _write_provenance(out, request, setup)


def _write_provenance(out: BinaryIO, request: Request, setup: Setup) -> None:
    """Write the tables of the numbers that were used and of the request."""
    values = {
        "NAME": [value.name for value in setup.values],
        "VALUE": [str(value.value) for value in setup.values],
        "UNIT": [value.unit for value in setup.values],
        "SOURCE": [value.source for value in setup.values],
        "ASSUMED": ["yes" if value.assumed else "no" for value in setup.values],
    }
    _write_table(out, Table(VALUES_EXTENSION, values))
    rows = text_rows(request_json(request))
    effective = {
        "VERSION": [__version__] * len(rows),
        "SEED": [str(request.elvis.seed)] * len(rows),
        "REQUEST": rows,
    }
    _write_table(out, Table(REQUEST_EXTENSION, effective))


def _until_chip(
    frames: Iterator[tuple[Chip, NDArray[Any]] | Image | Copy],
) -> tuple[list[Image | Copy], tuple[Chip, NDArray[Any]]]:
    """Return what comes before the first chip's frame, kept in memory, and that frame."""
    kept: list[Image | Copy] = []
    for frame in frames:
        if isinstance(frame, tuple):
            return kept, frame
        kept.append(replace(frame, pixels=frame.pixels.copy()) if isinstance(frame, Image) else frame)
    raise ResourceError("the file would have no frame: its detector's image is in the primary HDU")


def write_file(
    out: BinaryIO, primary: Sequence[header.Card], remarks: Iterable[str], extensions: Iterable[Table | Image]
) -> None:
    """Write a file of a primary header without data and of extensions; ``remarks`` become COMMENT cards."""
    cards: list[header.Card] = [
        ("SIMPLE", True, "conforms to FITS standard"),
        ("BITPIX", 8, "bits per value"),
        ("NAXIS", 0, "no data here"),
        ("EXTEND", True, "the data are in extensions"),
        *primary,
    ]
    _write_hdu(out, cards, None, remarks)
    for extension in extensions:
        _write_extension(out, extension)


def request_json(request: Request) -> str:
    """Return the request as it travels in the file."""
    return plain(json.dumps(request.document, default=dict, separators=(",", ":")))


def _write_image(
    out: BinaryIO,
    pixels: NDArray[np.float32] | NDArray[np.uint16] | NDArray[np.int32],
    cards: list[header.Card],
    remarks: Iterable[str] | None = None,
) -> None:
    """Write an image extension; with ``remarks``, its comments, the primary HDU."""
    axes = zip(("columns", "rows", "planes"), reversed(pixels.shape), strict=False)
    scaling: list[header.Card] = []
    if pixels.dtype == np.uint16:  # FITS has no unsigned integers: the sign bit is turned instead
        stored = np.bitwise_xor(pixels, np.uint16(0x8000)).astype(">u2", copy=False)
        scaling = [("BSCALE", 1.0, "pixel = BZERO + BSCALE * stored"), ("BZERO", 32768.0, "unsigned 16-bit integers")]
    elif pixels.dtype in (np.float32, np.int32):
        stored = pixels.astype(">f4" if pixels.dtype == np.float32 else ">i4", order="C")
    else:
        raise TypeError(f"pixels are {pixels.dtype}, not uint16, int32 or float32")
    first: header.Card = ("XTENSION", "IMAGE", "image extension")
    last: list[header.Card] = [("PCOUNT", 0, "no parameters"), ("GCOUNT", 1, "one group")]
    if remarks is not None:
        first, last = ("SIMPLE", True, "conforms to FITS standard"), [("EXTEND", True, "tables follow")]
    structure: list[header.Card] = [
        first,
        ("BITPIX", {"u": 16, "i": 32, "f": -32}[pixels.dtype.kind], "bits per value"),
        ("NAXIS", pixels.ndim, "number of axes"),
        *((f"NAXIS{n}", size, what) for n, (what, size) in enumerate(axes, start=1)),
        *last,
        *scaling,
    ]
    _write_hdu(out, [*structure, *cards], stored.reshape(-1).view(np.uint8), remarks or ())


def _write_extension(out: BinaryIO, extension: Table | Image | Copy) -> None:
    if isinstance(extension, Table):
        _write_table(out, extension)
    elif isinstance(extension, Copy):
        extension.write(out)
    else:
        name: header.Card = ("EXTNAME", extension.name, "name of this extension")
        _write_image(out, extension.pixels, [name, *extension.cards])


def _write_table(out: BinaryIO, table: Table) -> None:
    columns = [_column(values) for values in table.columns.values()]
    kinds = [(f"f{n}", column.dtype.newbyteorder(">"), column.shape[1:]) for n, column in enumerate(columns)]
    rows = np.empty(len(columns[0]), np.dtype(kinds))
    for n, column in enumerate(columns):
        rows[f"f{n}"] = column
    cards: list[header.Card] = [
        ("XTENSION", "BINTABLE", "binary table extension"),
        ("BITPIX", 8, "bits per value"),
        ("NAXIS", 2, "number of axes"),
        ("NAXIS1", rows.dtype.itemsize, "bytes in a row"),
        ("NAXIS2", len(rows), "rows"),
        ("PCOUNT", 0, "no heap"),
        ("GCOUNT", 1, "one group"),
        ("TFIELDS", len(columns), "columns"),
        ("EXTNAME", table.name, "name of this extension"),
    ]
    for number, (name, column) in enumerate(zip(table.columns, columns, strict=True), start=1):
        cards += [(f"TTYPE{number}", name, "name of the column"), (f"TFORM{number}", _form(column), "its format")]
        if name in table.units:
            cards.append((f"TUNIT{number}", table.units[name], "its unit"))
    _write_hdu(out, [*cards, *table.cards], rows.view(np.uint8).reshape(-1))


def _column(values: Sequence[str] | NDArray[Any]) -> NDArray[Any]:
    """Return a column as numbers or as bytes, as wide as its longest text."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fi":
        return values
    if isinstance(values, np.ndarray) and values.size and _is_plain(values):  # names of a crowd: no object for each
        width = max(1, int(max(np.char.str_len(values[part]).max() for part in pieces(values.size))))
        return values.astype(f"S{width}")
    texts = np.array([plain(text).encode() for text in values] or [b""], dtype=bytes)
    return texts[: len(values)]


def _is_plain(texts: NDArray[np.str_]) -> bool:
    """Return whether all characters are those of `plain`; numpy fills texts up with zeros."""
    for part in pieces(texts.size):
        codes = np.ascontiguousarray(texts[part]).view(np.uint32)
        if np.any((codes > ord("~")) | ((codes < ord(" ")) & (codes != 0))):
            return False
    return True


def _form(column: NDArray[Any]) -> str:
    """Return TFORM of a column."""
    kind = f"{column.dtype.kind}{column.dtype.itemsize}"
    if column.dtype.kind == "S":
        return f"{column.dtype.itemsize}A"
    return f"{column.shape[1]}{_TFORMS[kind][-1]}" if column.ndim == 2 else _TFORMS[kind]


def _write_hdu(
    out: BinaryIO, cards: Iterable[header.Card], data: NDArray[np.uint8] | None, comments: Iterable[str] = ()
) -> None:
    """Write one HDU with DATASUM and CHECKSUM; ``data`` is its bytes as stored, without the padding."""
    total = 0 if data is None else ones_sum(data)
    formatted = []
    for keyword, value, comment in cards:
        number = value.item() if isinstance(value, np.generic) else value
        kept = number if isinstance(number, (bool, int, float)) else str(number)
        formatted.append(card_text(repr(kept), keyword, kept, comment))
    if any(len(each) > CARD_LENGTH for each in formatted):
        formatted.append(str(card("LONGSTRN", "OGIP 1.0", "some strings are continued")))
    remarks = fits.Header()
    for comment in comments:
        remarks.add_comment(plain(comment))
    blank = "0" * 16
    formatted += [str(each) for each in remarks.cards]
    formatted.append(str(card("CHECKSUM", blank, "checksum of the HDU")))
    formatted.append(str(card("DATASUM", str(total), "checksum of the data")))
    text = "".join([*formatted, "END".ljust(CARD_LENGTH)]).encode("ascii")
    text += b" " * (-len(text) % BLOCK_SIZE)
    whole = total + ones_sum(text)
    encoded = encode_checksum((whole & 0xFFFFFFFF) + (whole >> 32))
    place = text.rindex(b"CHECKSUM= '" + blank.encode()) + len(b"CHECKSUM= '")
    out.write(text[:place] + encoded.encode() + text[place + len(blank) :])
    if data is not None:
        out.write(data.data)
        out.write(bytes(-len(data) % BLOCK_SIZE))
