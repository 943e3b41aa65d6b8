"""How many threads, and how rows of a frame are shared between them; the result never depends on either."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ROWS = 64
"""Rows of one block of work; random streams are derived per block, so this is part of the result."""

_threads = 0

Item = TypeVar("Item")
Result = TypeVar("Result")


def set_threads(count: int) -> None:
    """Use ``count`` threads from now on; 0 means all that this process may use."""
    global _threads  # noqa: PLW0603 - one setting of the process, made once by the command line
    _threads = count


def threads() -> int:
    """Return the number of threads to use."""
    if _threads:
        return _threads
    if hasattr(os, "sched_getaffinity"):  # Linux: the processors of this process, not those of the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_rows(rows: int, work: Callable[[int, slice], None], size: int = ROWS) -> None:
    """Call ``work(block, rows_of_block)`` for every block of ``size`` rows, on all threads.

    ``work`` must touch only its own rows and should spend its time outside the GIL.
    """
    blocks = [(b, slice(y, min(y + size, rows))) for b, y in enumerate(range(0, rows, size))]
    if threads() == 1 or len(blocks) == 1:
        for block, where in blocks:
            work(block, where)
        return
    with ThreadPoolExecutor(threads()) as pool:
        for done in [pool.submit(work, block, where) for block, where in blocks]:
            done.result()


def gather(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return ``work(item)`` of every item, in their order, done on all threads; as for `for_rows`, mind the GIL."""
    if threads() == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads()) as pool:
        return list(pool.map(work, items))
