"""Files of the user: checked before a library reads them, whose faults become errors of ours."""

from __future__ import annotations

import bz2
import gzip
import lzma
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO

from elvis_cli.errors import ElvisError, RequestError, ResourceError, UsageError
from elvis_cli.model.limits import DEFAULT, MAX_PIPE_BYTES, Limits, read_all
from elvis_cli.request.files.errors import one_line

if TYPE_CHECKING:
    from astropy.io import fits

MAX_FILE_BYTES = 4 << 30
"""Bytes of a file."""
MAX_UNPACKED_BYTES = 1 << 30
"""Bytes of a compressed file when it is unpacked."""
_TEXT_BYTES = 8
"""Bytes of memory for a byte of a table in text, while it is read."""
_BLOCK = 2880
_MAX_HEADER_BLOCKS = 2000
_MAX_COMPRESSED_HEADER_BLOCKS = 200
"""Of a compressed image: the time that astropy takes to restore the image's header is their square, 1.5 s here."""
_MAX_HDUS = 2000
"""HDUs of a file, each of which a library reads in a millisecond; the largest camera has 189 chips."""
_SIP_ORDERS = ("A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER")
_MOST = {"NAXIS": 32, "ZNAXIS": 32, "WCSAXES": 32, "TFIELDS": 999, **dict.fromkeys(_SIP_ORDERS, 9)}
"""Numbers in a header up to which libraries count: NumPy's axes, columns of a table (FITS 4.0, section 7.3.1)."""
_COMPRESSED: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_CHOICE = re.compile(r"\[[^\[\]]*\]$")
_CARD = re.compile(
    rb"(?i)(BITPIX|NAXIS\d*|PCOUNT|GCOUNT|ZNAXIS|WCSAXES|TFIELDS|[AB]P?_ORDER) *= *([+-]?\d+)(?:\.0*)? *(/.*)?",
    re.DOTALL,
)


@contextmanager
def reading(option: str, path: Path, limits: Limits = DEFAULT) -> Iterator[None]:
    """Read the file of an option inside this context, ``FILE`` or ``FILE[EXTENSION]``.

    It must be a regular file of bounded size, and whole if it is FITS; what is not FITS is read into memory as a whole,
    which ``limits`` bound. Any exception inside that is not ours is taken
    as a fault of the file: the readers of libraries meet damage with all kinds of them.

    Raises
    ------
    UsageError
        The file cannot be read.
    RequestError
        It takes more memory than the limits allow.
    """
    try:
        size, is_fits = check(path if path.exists() else Path(_CHOICE.sub("", str(path))))
        if not is_fits:
            limits.check_memory(_TEXT_BYTES * size, f"{option}: {path.name}")
        yield
    except (ElvisError, MemoryError):
        raise
    except Exception as error:
        if os.environ.get("ELVIS_DEBUG"):
            raise
        raise UsageError(f"{option}: cannot read {path}: {one_line(error)}") from None


def check(path: Path) -> tuple[int, bool]:
    """Return the bytes of a file when it is unpacked, and whether it is FITS.

    A file is refused that is not regular, too large, or FITS with sizes that cannot be.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is refused.
    """
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a regular file")
    if found.st_size > MAX_FILE_BYTES:
        raise ValueError(f"it has {found.st_size} bytes; allowed: up to {MAX_FILE_BYTES}")
    with path.open("rb") as file:
        magic = file.read(6)
    unpack = next((unpack for start, unpack in _COMPRESSED.items() if magic.startswith(start)), None)
    if unpack is None:
        with path.open("rb") as file:
            return found.st_size, check_fits(file, found.st_size) > 0
    with unpack(path, "rb") as stream:
        size = 0
        while chunk := stream.read(1 << 20):
            size += len(chunk)
            if size > MAX_UNPACKED_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
        stream.seek(0)
        return size, check_fits(stream, size) > 0


def open_fits(path: Path) -> fits.HDUList:
    """Return the HDUs of a FITS file, compressed or not, whose sizes can be believed; they are to be closed.

    Raises
    ------
    OSError
        It cannot be opened.
    ValueError
        It is refused, or is not FITS.
    """
    from astropy.io import fits

    check(path)
    with path.open("rb") as file:
        magic = file.read(6)
        size = file.seek(0, os.SEEK_END)
        end = check_fits(file, size)
        if 0 < end < size:
            file.seek(0)
            return fits.open(BytesIO(file.read(end)))
    unpack = next((unpack for start, unpack in _COMPRESSED.items() if magic.startswith(start)), None)
    if unpack is None:
        if magic != b"SIMPLE":
            raise ValueError("it is not FITS: it does not begin with SIMPLE")
        return fits.open(path)
    with unpack(path, "rb") as stream:
        content = BytesIO(stream.read())
    end = check_fits(content, len(content.getbuffer()))
    if not end:
        raise ValueError("it is not FITS: it does not begin with SIMPLE")
    content.truncate(end)  # astropy reads on behind the last HDU, and may not come to an end
    content.seek(0)
    return fits.open(content)


@contextmanager
def opened(source: str | os.PathLike[str] | bytes | BinaryIO) -> Iterator[fits.HDUList]:
    """Yield the HDUs of a FITS file whose sizes can be believed: a path, also of a pipe, bytes, or a file that seeks.

    Any exception inside the context that is not ours is taken as damage: some is found when pixels are read.

    Raises
    ------
    ResourceError
        There is no such file.
    RequestError
        It is not FITS, or damaged, or a pipe that does not end.
    """
    import numpy as np

    try:
        with np.errstate(all="ignore"), _hdus(source) as hdus:
            yield hdus
    except (ElvisError, MemoryError):
        raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ResourceError(f"cannot read {error.filename}: {error.strerror}") from error
    except OSError as error:
        raise RequestError("", f"not a FITS file: {one_line(error)}") from error
    except Exception as error:  # astropy meets damage with any exception there is
        raise RequestError("", f"a damaged FITS file: {type(error).__name__}: {one_line(error)}") from error


def checked_header(header: Any, numbers: re.Pattern[str]) -> Any:
    """Return a copy of an astropy Header whose cards can all be read, and whose ``numbers`` are finite numbers.

    astropy reads a card when its value is asked for: what is damaged would be met anywhere later.

    Raises
    ------
    RequestError
        A keyword that matches ``numbers`` has another value.
    """
    copy = header.copy()
    for keyword, value in copy.items():
        if numbers.fullmatch(keyword) and not (isinstance(value, (int, float)) and math.isfinite(value)):
            raise RequestError("", f"{keyword} in a header is {value!s:.40}", allowed="a number")
    return copy


def _hdus(source: str | os.PathLike[str] | bytes | BinaryIO) -> fits.HDUList:
    """Return the HDUs of what `opened` reads; OSError or ValueError refuses it."""
    from astropy.io import fits

    if isinstance(source, (str, os.PathLike)):
        if not stat.S_ISFIFO(os.stat(source).st_mode):
            return open_fits(Path(source))
        with open(source, "rb") as pipe:
            source = read_all(pipe, MAX_PIPE_BYTES)
    file = BytesIO(source) if isinstance(source, bytes) else source
    end = check_fits(file, file.seek(0, os.SEEK_END))
    file.seek(0)
    return fits.open(BytesIO(file.read(end)) if end else file, memmap=False)


def check_fits(file: IO[bytes], end: int) -> int:
    """Refuse a FITS file, of which ``end`` is the size, whose headers give sizes that are wrong or do not fit in it.

    Returns the end of the last HDU, 0 if it is not FITS.

    Raises
    ------
    ValueError
        It is refused.
    """
    start = count = 0
    while start < end:
        count += 1
        if count > _MAX_HDUS:
            raise ValueError(f"it has more than {_MAX_HDUS} HDUs")
        file.seek(start)
        first = file.read(_BLOCK)
        if not first.startswith(b"XTENSION" if start else b"SIMPLE  ="):
            return start  # no FITS file, or what stands behind the last extension: no reader takes it for one
        cards, size = _structure(file, first)
        start += size
        start += _data_size(cards)
        if start > end:
            raise ValueError("it ends too early, or the sizes in its headers are wrong")
        start += -start % _BLOCK
    return min(start, end)


def _structure(file: IO[bytes], block: bytes) -> tuple[dict[str, int], int]:
    """Return the numbers of the cards that say how large the data are, and the bytes of the header."""
    cards: dict[str, int] = {}
    for blocks in range(1, _MAX_HEADER_BLOCKS + 1):
        for at in range(0, len(block), 80):
            card = block[at : at + 80]
            if card[:8].rstrip() == b"END":
                if "ZNAXIS" in cards and blocks > _MAX_COMPRESSED_HEADER_BLOCKS:
                    raise ValueError(f"a compressed image's header has {blocks} blocks; allowed: up to 200")
                return cards, blocks * _BLOCK
            if match := _CARD.fullmatch(card):
                key, value = match[1].decode().upper(), int(match[2])
                if cards.setdefault(key, value) != value:  # astropy takes now the first, now the last
                    raise ValueError(f"{key} is twice in a header of it, {cards[key]} and {value}")
        block = file.read(_BLOCK)
        if len(block) < _BLOCK:
            break
    raise ValueError("a header in it does not end")


def check_header(header: bytes) -> None:
    """Refuse a header, of whole blocks, whose sizes cannot be.

    Raises
    ------
    ValueError
        It is refused.
    """
    file = BytesIO(header)
    cards, _ = _structure(file, file.read(_BLOCK))
    _data_size(cards)


def _data_size(cards: dict[str, int]) -> int:
    """Return the bytes of an HDU's data (FITS 4.0, sections 4.4.1 and 6.1)."""
    for key, most in _MOST.items():
        if not 0 <= cards.get(key, 0) <= most:
            raise ValueError(f"{key} in a header of it is {cards[key]}; allowed: 0 to {most}")
    count = cards.get("NAXIS", -1)
    if count < 0 or cards.get("BITPIX") not in (8, 16, 32, 64, -32, -64):
        raise ValueError("a header in it has no valid BITPIX and NAXIS")
    axes = [cards.get(f"NAXIS{n}", -1) for n in range(1, count + 1)]
    extra, groups = cards.get("PCOUNT", 0), cards.get("GCOUNT", 1)
    if min([*axes, extra, groups, 0]) < 0:
        raise ValueError("a header in it has an axis that is missing or negative")
    if not axes:
        return 0
    elements = math.prod(axes[1:] if axes[0] == 0 and count > 1 else axes)
    return abs(cards["BITPIX"]) // 8 * groups * (extra + elements)
