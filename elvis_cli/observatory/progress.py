"""How fast the processes of a run go, told in files beside it: the database holds no times.

Times in the database would tell which sources took longer, and so where events were injected.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from elvis_cli.observatory.database import is_alive

T = TypeVar("T")
PATTERN = "progress_{}.json"
WRITE_SECONDS = 1.0
"""Least time between two writings of a file."""


class Progress:
    """The file of one process: how many sources it has done in what time. It is there as long as the process works."""

    def __init__(self, folder: Path, worker: str, steps: Sequence[str]) -> None:
        self.path = folder / PATTERN.format(f"{zlib.crc32(worker.encode()):08x}")
        self.about = {"worker": worker, "steps": list(steps)}

    def over(self, results: Iterable[T]) -> Iterator[T]:
        """Yield results of sources, and count them."""
        running(self.path.parent)  # files of those that were killed go
        begin, done, written = time.monotonic(), 0, 0.0
        try:
            for result in results:
                done += 1
                seconds = time.monotonic() - begin
                if seconds - written >= WRITE_SECONDS:
                    self._write(done, seconds)
                    written = seconds
                yield result
        finally:
            self.path.unlink(missing_ok=True)

    def _write(self, done: int, seconds: float) -> None:
        new = self.path.with_suffix(".new")
        with suppress(OSError):  # a full disk stops the run where something is lost by it
            new.write_text(json.dumps({**self.about, "done": done, "seconds": seconds}))
            new.replace(self.path)


def running(folder: Path) -> list[Mapping[str, Any]]:
    """Return what the processes tell that still work on a run; files of those that have gone are taken away."""
    found = []
    for path in sorted(folder.glob(PATTERN.format("*"))):
        try:
            told = json.loads(path.read_text())
        except (OSError, ValueError):  # it has just ended
            continue
        if is_alive(told["worker"]):
            found.append(told)
        else:
            path.unlink(missing_ok=True)
    return found


def seconds_left(told: Sequence[Mapping[str, Any]], sources: int) -> float | None:
    """Return the time (s) that processes take for ``sources`` at the rate so far; None if none has done any."""
    rate = sum(each["done"] / each["seconds"] for each in told if each["seconds"] > 0.0)
    return sources / rate if rate > 0.0 else None
