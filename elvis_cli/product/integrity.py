"""Is a file whole, and which request is it of?"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from astropy.io import fits

from elvis_cli import __version__
from elvis_cli.errors import OutputError, RequestError
from elvis_cli.product.checksum import ones_sum
from elvis_cli.product.fits import REQUEST_EXTENSION
from elvis_cli.product.replay import hdus, request_text

ALL_ONES = 0xFFFFFFFF
"""The ones' complement sum of an HDU that is as it was written."""


@dataclass(frozen=True, slots=True)
class IntactFile:
    """A file that is as it was written."""

    sha256: str
    size: int
    version: str
    """Of ELVIS."""
    request: str = ""
    """The JSON in it."""

    def is_of(self, request: str) -> bool:
        """Return whether rendering ``request``, the JSON of `fits.request_json`, would give this file again."""
        return self.version == __version__ and self.request == request


def examine(path: Path) -> IntactFile | None:
    """Return what a file holds; None if there is none, or it is not whole: it ends too early, or a checksum is wrong.

    Every byte is read, since only that tells. A file of ELVIS ends with its request.

    Raises
    ------
    OutputError
        It is not a file of ELVIS, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _examine(file, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror or error}", path=str(path)) from None


def _examine(file: BinaryIO, path: Path) -> IntactFile | None:
    digest, last = hashlib.sha256(), b""
    try:
        for number, (header, start, size) in enumerate(hdus(file)):
            if number == 0 and header.get("ORIGIN") != "ELVIS":
                raise OutputError(f"{path} exists, and elvis did not make it", path=str(path))
            is_last = header.get("EXTNAME") == REQUEST_EXTENSION
            if "CHECKSUM" not in header or not is_whole(file, start, size, digest):
                return None
            if is_last:
                file.seek(start)
                last = file.read(size)
    except RequestError:
        return None
    if not last:
        return None
    table = fits.BinTableHDU.fromstring(last)
    version = str(table.data[0]["VERSION"])
    return IntactFile(digest.hexdigest(), file.seek(0, os.SEEK_END), version, request_text(table))


def is_whole(file: BinaryIO, start: int, size: int, digest: hashlib._Hash | None = None) -> bool:
    """Return whether the sum of the bytes of an HDU with CHECKSUM is all ones (FITS 4.0, appendix J).

    They go into ``digest`` too. The file is where it was afterwards.
    """
    before = file.tell()
    file.seek(start)
    total = 0
    while size > 0:
        piece = file.read(min(size, 2**20))
        if digest is not None:
            digest.update(piece)
        total += ones_sum(piece)
        size -= len(piece)
        if not piece:
            break
    file.seek(before)
    while total >> 32:
        total = (total & ALL_ONES) + (total >> 32)
    return size <= 0 and total == ALL_ONES
