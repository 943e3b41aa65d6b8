"""Detections, and the seal that hides which of them were injected."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from elvis_cli.errors import OutputError, ResourceError

KEY_BYTES = 32
SEAL_BYTES = 16
MAX_PER_SOURCE = 4096
"""Seals of a source that are tried when they are opened."""


@dataclass(frozen=True, slots=True)
class Detection:
    """An event that was found; nothing in it tells an injected one from a real one without the key."""

    source: str
    analysis: str
    seal: str
    snr: float
    score: float
    peak_time: float
    """MJD."""
    time_start: float
    time_end: float
    peak_mag: float | None
    """None if there is no light."""
    dmag: float
    """Positive is brighter."""
    quality_flag: int
    offset: float | None
    observatory: str
    filter: str
    dataset: str
    """File of the reduced data, relative to the folder of the run."""


def _mark(key: bytes, *words: str) -> bytes:
    return hmac.new(key, "|".join(words).encode(), hashlib.sha256).digest()


def seal(key: bytes, analysis: str, source: str, number: int, injected: bool) -> str:
    """Return the seal of a source's detection ``number`` (of an injected one: of its event).

    Without the key the seals of both kinds are random numbers.
    """
    kind = "injected" if injected else "real"
    return _mark(key, kind, analysis, source, str(number))[:SEAL_BYTES].hex()


def seed(key: bytes, analysis: str, source: str) -> int:
    """Return the seed of the events of a source."""
    return int.from_bytes(_mark(key, "events", analysis, source)[:16], "big")


def injected_numbers(key: bytes, analysis: str, source: str, seals: set[str], most: int) -> Iterator[int]:
    """Yield the numbers of the first ``most`` events of a source that are among the seals."""
    for number in range(min(most, MAX_PER_SOURCE)):
        if seal(key, analysis, source, number, True) in seals:
            yield number


def make_key(path: Path) -> bytes:
    """Return the key in a file; a new one, of mode 600, if there is none.

    Raises
    ------
    ResourceError
        The file is readable for others, or holds no key.
    """
    with suppress(FileExistsError):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                file.write(os.urandom(KEY_BYTES).hex() + "\n")
            try:
                os.link(part, path)  # never seen half written, and never replaced
            finally:
                part.unlink()
        except FileExistsError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}", path=str(path)) from None
    return read_key(path)


def read_key(path: Path) -> bytes:
    """Return the key in a file.

    Raises
    ------
    ResourceError
        The file is not there, is readable for others, or holds no key.
    """
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except OSError as error:
        raise ResourceError(f"cannot read the key {path}: {error.strerror}", path=str(path)) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ResourceError(f"{path} can be read by others: chmod 600 {path}", path=str(path))
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ResourceError(f"{path} holds no key of {KEY_BYTES} bytes in hexadecimal", path=str(path))
    return key
