"""Work in a copy of this process: what spends its time inside the GIL gains nothing from threads."""

from __future__ import annotations

import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, NoReturn

from elvis_cli.base import parallel

_SIZE = struct.Struct("q")
_END = -1
"""In place of a size: there is no more."""


def possible() -> bool:
    """Return whether this process may be copied: a second core, and no thread that could hold a lock for ever."""
    return sys.platform == "linux" and parallel.threads() > 1 and threading.active_count() == 1


@contextmanager
def aside(work: Callable[[], Iterable[bytes]]) -> Iterator[Callable[[], list[bytes] | None]]:
    """Do ``work`` in a copy of this process, on one thread; yield what waits for its results.

    They are None if the copy failed. It ends with the context.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _serve(work, write)
    os.close(write)
    parts: list[bytes] = []
    done: list[bool] = []
    with open(read, "rb") as pipe:
        reader = threading.Thread(target=_collect, args=(pipe, parts, done), daemon=True)
        reader.start()

        def results() -> list[bytes] | None:
            reader.join()
            return parts if done else None

        try:
            yield results
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            reader.join()


def _serve(work: Callable[[], Iterable[bytes]], write: int) -> NoReturn:
    """Write the results of ``work`` to a pipe and end this process, whatever happens."""
    try:
        parallel.set_threads(1)
        with open(write, "wb") as out:
            for part in work():
                out.write(_SIZE.pack(len(part)))
                out.write(part)
            out.write(_SIZE.pack(_END))
    finally:
        os._exit(0)


def _collect(pipe: BinaryIO, parts: list[bytes], done: list[bool]) -> None:
    """Read results up to their end, or that of the process which writes them."""
    while len(head := pipe.read(_SIZE.size)) == _SIZE.size:
        (size,) = _SIZE.unpack(head)
        if size == _END:
            done.append(True)
            return
        part = pipe.read(size)
        if len(part) < size:
            return
        parts.append(part)
