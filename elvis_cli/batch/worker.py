"""A process of the pool: settings and tasks on stdin; receipts, progress and results on stdout, all pickled.

It ends when stdin does. It stays warm: modules, kernels and tables are loaded once.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NoReturn

if TYPE_CHECKING:
    from elvis_cli.batch.work import Settings, Task

RECEIPT, PROGRESS, RESULT = "receipt", "progress", "result"
"""Kinds of message: the task has come; chips done, and all; the end of the task."""


def main(threads: int, memory: int, cpu: int) -> None:
    """Serve until stdin ends, within ``memory`` bytes of address space and ``cpu`` seconds a task (0: no limit)."""
    signal.signal(signal.SIGTERM, _end)
    _die_with_parent()
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not os.environ.get("ELVIS_DEBUG"):
        warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand between the results
    from elvis_cli.base import memory as c_library
    from elvis_cli.base import parallel

    if not memory:  # holes count in a bounded process
        c_library.keep_freed()
    parallel.set_threads(threads)
    with suppress(EOFError, OSError):  # the process that gives the tasks has gone
        settings: Settings = pickle.load(sys.stdin.buffer)
        while True:
            task: Task = pickle.load(sys.stdin.buffer)
            _say(RECEIPT, None, out)
            if cpu:
                _limit_cpu(cpu)
            _say(RESULT, task.do(settings, partial(_report, out)), out)
    os._exit(0)


def _say(kind: str, message: object, out: BinaryIO) -> None:
    pickle.dump((kind, message), out)
    out.flush()


def _report(out: BinaryIO, done: int, total: int) -> None:
    _say(PROGRESS, (done, total), out)


def _limit_cpu(seconds: int) -> None:
    """Let the kernel end this process after so many seconds of processor time from now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def _end(number: int, _frame: object) -> NoReturn:
    """Unwind the stack, so that an unfinished file goes; objects that are half made may complain, unheard."""
    sys.unraisablehook = lambda _: None
    raise SystemExit(128 + number)


def _die_with_parent() -> None:
    """Let the kernel end this process with the one that started it, however that ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
