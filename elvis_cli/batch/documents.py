"""Requests out of a stream, one at a time: one in a line, or spread over lines as programs print JSON for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elvis_cli.errors import RequestError
from elvis_cli.model.limits import MAX_TEXT_BYTES

FIRST_LINE, LAST_LINE = b"{", b"}"
"""The first and the last line of an object that is spread over lines; those between are indented."""


def documents(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the number (from 1) of the first line of each request, and its text; empty lines are passed over.

    Whatever is not indented between the braces ends a request that was never closed.

    Raises
    ------
    RequestError
        There is no request.
    """
    first, block, size, empty = 0, list[bytes](), 0, True
    for number, line in enumerate(lines, 1):
        empty = empty and not line.strip()
        if block and line.rstrip() == LAST_LINE:
            yield first, b"".join((*block, line))
            block = []
        elif block and (line[:1].isspace() or not line.strip()):
            block.append(line)
            size += len(line)
            if size > MAX_TEXT_BYTES:
                raise RequestError("", "a request does not end", allowed=f"up to {MAX_TEXT_BYTES} bytes")
        else:
            if block:
                yield first, b"".join(block)
                block = []
            if line.rstrip() == FIRST_LINE:
                first, block, size = number, [line], 0
            elif line.strip():
                yield number, line
    if block:
        yield first, b"".join(block)
    if empty:
        raise RequestError("", "there is no request: the input is empty")
