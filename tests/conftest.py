"""Fixtures that several test files share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from typing import NamedTuple

import pytest

from elvis_cli import cli


class Result(NamedTuple):
    """What a run of elvis left."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on stderr that are not notes."""
        return [line for line in self.err.splitlines() if not line.startswith("elvis: note: ")]


Elvis = Callable[..., Result]


def run(*argv: str, stdin: str | bytes = b"") -> Result:
    """Run elvis in this process: the same entry as the command, on streams in memory."""
    streams = sys.stdin, sys.stdout, sys.stderr
    given = stdin.encode() if isinstance(stdin, str) else stdin
    sys.stdin = TextIOWrapper(BytesIO(given))
    sys.stdout = TextIOWrapper(BytesIO())
    sys.stderr = TextIOWrapper(BytesIO(), encoding="utf-8", errors="backslashreplace")
    try:
        code = cli.run(list(argv))
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(code, sys.stdout.buffer.getvalue(), sys.stderr.buffer.getvalue().decode())  # type: ignore[attr-defined]
    finally:
        sys.stdin, sys.stdout, sys.stderr = streams


@pytest.fixture(scope="session")
def elvis() -> Elvis:
    """Run elvis in this process: ``elvis("--seed", "1", stdin=request)``."""
    return run
