"""Streams that do not end."""

import io

import pytest

from elvis_cli.batch import documents
from elvis_cli.errors import RequestError
from elvis_cli.model import limits


class Endless(io.RawIOBase):
    """Zeros, as /dev/zero has them."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        buffer[:] = bytes(len(buffer))
        return len(buffer)


def test_a_stream_without_end_is_refused() -> None:
    with pytest.raises(RequestError, match="does not end"):
        limits.read_all(io.BufferedReader(Endless()), 10_000)


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(RequestError, match="does not end"):
        next(limits.read_lines(io.BufferedReader(Endless()), 10_000))


def test_streams_come_whole() -> None:
    assert limits.read_all(io.BytesIO(b"abc"), 3) == b"abc"
    assert list(limits.read_lines(io.BytesIO(b"a\nb\nc"), 3)) == [b"a\n", b"b\n", b"c"]


def test_a_request_spread_over_lines_without_end_is_refused(monkeypatch) -> None:
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 1000)
    with pytest.raises(RequestError, match="does not end"):
        list(documents.documents([b"{\n", *[b" 1,\n"] * 1000]))
