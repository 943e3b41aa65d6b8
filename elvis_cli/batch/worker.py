"""A process of the pool: settings and jobs on stdin, receipts and outcomes on stdout, all pickled.

It ends when stdin does. It stays warm: modules, kernels and tables are loaded once.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import warnings
from contextlib import suppress
from typing import BinaryIO, NoReturn


def main(threads: int) -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGTERM, _end)
    _die_with_parent()
    if not os.environ.get("ELVIS_DEBUG"):
        warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not stand between the outcomes
    from elvis_cli.base import parallel
    from elvis_cli.batch.work import do

    parallel.set_threads(threads)
    with suppress(EOFError, OSError):  # the process that gives the jobs has gone
        settings = pickle.load(sys.stdin.buffer)
        while True:
            job = pickle.load(sys.stdin.buffer)
            _say(True, out)  # it has the job
            _say(do(settings, job), out)
    os._exit(0)


def _say(message: object, out: BinaryIO) -> None:
    pickle.dump(message, out)
    out.flush()


def _end(number: int, _frame: object) -> NoReturn:
    """Unwind the stack, so that an unfinished file goes."""
    raise SystemExit(128 + number)


def _die_with_parent() -> None:
    """Let the kernel end this process with the one that started it, however that ends (Linux)."""
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]))
