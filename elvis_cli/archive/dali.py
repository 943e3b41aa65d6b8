"""Shared by all protocols (DALI 1.1): parameters, answers, errors, identifiers in the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from elvis_cli.archive import votable
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.errors import ElvisError

XML, TEXT, HTML = "text/xml", "text/plain", "text/html"
FITS = "application/fits"


class DaliError(ElvisError):
    """A request that a protocol refuses."""

    exit_code = 65

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a body in memory, a file, or what writes one."""

    body: bytes = b""
    media_type: str = XML
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    path: Path | None = None
    """The file that is the body."""
    file: Any = None
    """An open temporary file that is the body."""
    after: Callable[[], None] | None = None
    """Called when it has been sent."""


class Parameters:
    """Parameters of a request: names in any case, values any number of times."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = [(name.upper(), value) for name, value in pairs]

    def all(self, name: str) -> list[str]:
        """Return all values that are not empty."""
        return [value for key, value in self.pairs if key == name and value.strip()]

    def get(self, name: str, default: str = "") -> str:
        """Return the only value.

        Raises
        ------
        DaliError
            There are several.
        """
        found = self.all(name)
        if len(found) > 1:
            raise DaliError(f"{name} is given {len(found)} times")
        return found[0] if found else default

    def number(self, name: str) -> float | None:
        """Return the only value as a finite number.

        Raises
        ------
        DaliError
            It is none.
        """
        text = self.get(name)
        return numbers(name, text, 1)[0] if text else None


def numbers(name: str, text: str, count: int | None = None) -> list[float]:
    """Return the numbers in a text.

    Raises
    ------
    DaliError
        There are other words in it, or not ``count`` of them.
    """
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        raise DaliError(f"{name}: {text[:80]!r} is not made of numbers") from None
    if any(math.isnan(value) for value in found) or (count is not None and len(found) != count):
        raise DaliError(f"{name}: {text[:80]!r} has not {count} numbers")
    return found


def interval(name: str, text: str) -> tuple[float, float]:
    """Return an interval of one or two numbers; -Inf and +Inf are open ends.

    Raises
    ------
    DaliError
        It is none.
    """
    found = numbers(name, text)
    if len(found) not in (1, 2) or found[-1] < found[0]:
        raise DaliError(f"{name}: {text[:80]!r} is no interval")
    return found[0], found[-1]


def error_reply(error: Exception) -> Reply:
    """Return the answer for an error, as a VOTable; a fault of ours is one without details."""
    if isinstance(error, DaliError):
        return Reply(votable.error(error.message), votable.VOTABLE, error.status)
    if isinstance(error, QueryError):
        return Reply(votable.error(error.message), votable.VOTABLE, 400)
    raise error
