"""Limits on what one request may take, known before anything is drawn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from elvis_cli.errors import RequestError


@dataclass(frozen=True, slots=True)
class Cost:
    """What an exposure takes, as estimated."""

    memory: float
    """Bytes."""
    seconds: float
    """Of a processor."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request; a request that needs more is refused."""

    memory: int = 2 * 10**9
    """Bytes of memory that its arrays, its sources and their trails take."""
    output: int = 20 * 10**9
    """Bytes of the images that it writes."""
    time: int = 1800
    """Processor seconds that it takes, as estimated before anything is drawn."""
    offline: bool = False
    """Nothing may be fetched from the network, and no other program be started: no SkyCalc, no TIPTOP."""

    def check_memory(self, size: float, pointer: str) -> None:
        """Refuse what takes more than ``memory`` bytes.

        Raises
        ------
        RequestError
            It takes more.
        """
        _check("memory", size, self.memory, pointer)

    def check_output(self, size: float, pointer: str) -> None:
        """Refuse what writes more than ``output`` bytes.

        Raises
        ------
        RequestError
            It writes more.
        """
        _check("output", size, self.output, pointer)

    def check_time(self, seconds: float, pointer: str) -> None:
        """Refuse what takes more than ``time`` processor seconds.

        Raises
        ------
        RequestError
            It takes more.
        """
        if seconds > self.time:
            allowed = f"the limit time, {self.time} s (--limit time=...)"
            raise RequestError(pointer, f"the request takes about {seconds:.0f} processor seconds", allowed=allowed)


MAX_TEXT_BYTES = 256 << 20
"""Bytes of a request or a document in text: read, it takes about eight times as much memory."""
MAX_PIPE_BYTES = 1 << 30
"""Bytes of a FITS file that comes through a pipe: it is kept in memory."""


def read_all(stream: BinaryIO, most: int = MAX_TEXT_BYTES) -> bytes:
    """Return all of a stream, which need not have an end.

    Raises
    ------
    RequestError
        It has more than ``most`` bytes.
    """
    content = stream.read(most + 1)
    if len(content) > most:
        raise RequestError("", "the input does not end", allowed=f"up to {most} bytes")
    return content


def read_lines(stream: BinaryIO, most: int = MAX_TEXT_BYTES) -> Iterator[bytes]:
    """Yield the lines of a stream.

    Raises
    ------
    RequestError
        A line has more than ``most`` bytes.
    """
    while line := stream.readline(most + 1):
        if len(line) > most:
            raise RequestError("", "a line does not end", allowed=f"up to {most} bytes")
        yield line


def offline_by_environment() -> bool:
    """Return whether ELVIS_OFFLINE forbids the network and other programs, whatever the command's options."""
    return os.environ.get("ELVIS_OFFLINE", "").strip().casefold() not in ("", "0", "false", "f", "no", "n", "off")


def _check(name: str, size: float, most: int, pointer: str) -> None:
    if size > most:
        allowed = f"the limit {name}, {most / 1e9:.3g} GB (--limit {name}=...)"
        raise RequestError(pointer, f"the request takes {size / 1e9:.3g} GB", allowed=allowed)


DEFAULT = Limits()
"""Limits that fit a laptop."""
