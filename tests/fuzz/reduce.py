"""A smaller case with the same fault."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.fuzz import damage_fits
from tests.fuzz.case import Case

SECONDS = 60.0
"""That a reduction may take."""


def reduced(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a case with less in it for which ``fails`` still holds: fewer lines, cards or blocks."""
    until = time.monotonic() + SECONDS
    if not fails(case):  # it needs what a case before it left
        return case
    for name in (*case.files, None):
        content = case.stdin if name is None else case.files[name]

        put = partial(_with, case, name)
        case = put(_fewer(_parts(content), lambda some, put=put: fails(put(some)), until))
    return case


def _with(case: Case, name: str | None, parts: list[bytes]) -> Case:
    made = b"".join(parts)
    return replace(case, stdin=made) if name is None else replace(case, files={**case.files, name: made})


def _parts(content: bytes) -> list[bytes]:
    if content.startswith(b"SIMPLE") and len(content) % damage_fits.BLOCK == 0:
        return [content[at : at + damage_fits.BLOCK] for at in range(0, len(content), damage_fits.BLOCK)]
    lines = content.splitlines(keepends=True)
    size = max(1, len(content) // 400)
    return lines if len(lines) > 3 else [content[at : at + size] for at in range(0, len(content), size)]


def _fewer(parts: list[bytes], fails: Callable[[list[bytes]], bool], until: float) -> list[bytes]:
    """Return fewer parts for which ``fails`` holds (Zeller & Hildebrandt 2002, IEEE TSE 28, 183)."""
    size = max(1, len(parts) // 2)
    while parts and time.monotonic() < until:
        at, before = 0, len(parts)
        while at < len(parts) and time.monotonic() < until:
            some = parts[:at] + parts[at + size :]
            if fails(some):
                parts = some
            else:
                at += size
        if size == 1 and len(parts) == before:
            break
        size = max(1, size // 2)
    return parts
