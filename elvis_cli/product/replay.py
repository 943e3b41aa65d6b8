"""The request out of a FITS file that ELVIS wrote."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.product.fits import BLOCK_SIZE, REQUEST_EXTENSION
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.guard import check_header

_MAX_HEADER_BLOCKS = 1000
"""Blocks of the longest header that is believed."""


def read_request(source: str | os.PathLike[str] | BinaryIO) -> str:
    """Return the JSON text of the request that made ``source``, a path or a binary file (a pipe will do).

    Pixels are skipped, not kept. The text is in the rows of the column REQUEST; before version 0.2 it had one row.

    Raises
    ------
    ResourceError
        The file cannot be read.
    RequestError
        It is not a FITS file, or not one that ELVIS wrote.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _find(source)
    try:
        with open(source, "rb") as file:
            return _find(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResourceError(f"cannot read {source}: {reason}", path=str(source)) from error


def _find(file: BinaryIO) -> str:
    first = True
    while text := _header(file, first):
        first = False
        try:
            check_header(text)
            header = fits.Header.fromstring(text)
            size = _data_size(header)
            if header.get("EXTNAME") == REQUEST_EXTENSION:
                data = b"".join(_chunks(file, size + -size % BLOCK_SIZE))
                return request_text(fits.BinTableHDU.fromstring(text + data))
            _skip(file, size + -size % BLOCK_SIZE)
        except (MemoryError, RequestError):
            raise
        except Exception as error:  # astropy meets damage with any exception there is
            raise RequestError("", f"the FITS file is damaged: {one_line(error)}") from error
    raise RequestError(
        "", f"the file has no extension {REQUEST_EXTENSION}: not a FITS file of ELVIS, not all of it, or --bare"
    )


def request_text(table: fits.BinTableHDU) -> str:
    """Return the request in the table REQUEST_EXTENSION: its rows put together."""
    return b"".join(table.data.view(np.ndarray)["REQUEST"]).decode("ascii")


def hdus(file: BinaryIO) -> Iterator[tuple[fits.Header, int, int]]:
    """Yield the header, the first byte and the number of bytes of each HDU of a seekable file; pixels are skipped.

    Raises
    ------
    RequestError
        It is not a FITS file, or ends too early.
    """
    end, start = file.seek(0, os.SEEK_END), file.seek(0)
    while start < end:
        text = _header(file, first=start == 0)
        try:
            header = fits.Header.fromstring(text)
            size = _data_size(header)
            for card in header.cards:
                _ = card.value  # astropy parses a card, and finds it wrong, when it is asked for
        except Exception:
            raise RequestError("", f"{file.name} is not a FITS file, or damaged") from None
        whole = len(text) + size + -size % BLOCK_SIZE
        if start + whole > end:
            raise RequestError("", f"{file.name} ends too early")
        yield header, start, whole
        start = file.seek(start + whole)


def _header(file: BinaryIO, first: bool) -> bytes:
    """Return the blocks of the next header, nothing at the end of the file."""
    blocks: list[bytes] = []
    while len(blocks) < _MAX_HEADER_BLOCKS:
        block = file.read(BLOCK_SIZE)
        begin = b"SIMPLE  =" if first else b"XTENSION="
        if len(block) < BLOCK_SIZE or (not blocks and not block.startswith(begin)):
            break
        blocks.append(block)
        if any(block.startswith(b"END     ", at) for at in range(0, BLOCK_SIZE, 80)):
            return b"".join(blocks)
    return b""


def _data_size(header: fits.Header) -> int:
    """Return the bytes of an HDU's data without the padding (FITS 4.0, section 4.4.1)."""
    axes = [int(header[f"NAXIS{axis}"]) for axis in range(1, int(header["NAXIS"]) + 1)]
    if not axes:
        return 0
    values = int(header.get("GCOUNT", 1)) * (int(header.get("PCOUNT", 0)) + math.prod(axes))
    return abs(int(header["BITPIX"])) // 8 * max(values, 0)


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes of the file in pieces, so that a false size costs no memory."""
    while size > 0:
        chunk = file.read(min(size, 2**20))
        if not chunk:
            raise ValueError("it ends too early")
        size -= len(chunk)
        yield chunk


def _skip(file: BinaryIO, size: int) -> None:
    if file.seekable():
        file.seek(size, os.SEEK_CUR)
        return
    for _ in _chunks(file, size):
        pass
