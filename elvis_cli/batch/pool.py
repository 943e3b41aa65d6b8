"""Who makes the files: warm processes of this machine, or a Dask cluster."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import IO, Any, Protocol, cast

from elvis_cli.batch.work import Job, Outcome, Settings, do_remotely, failed
from elvis_cli.errors import ElvisError, ResourceError

SHUTDOWN_SECONDS = 5.0
"""Seconds that a process has for clearing up before it is killed."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Pool(Protocol):
    """Takes jobs."""

    limit: int
    """How many may be in its hands."""

    def submit(self, job: Job) -> Future[list[Job | Outcome] | Outcome]:
        """Have a job done."""

    def close(self, *, now: bool) -> None:
        """End, at once or in order."""


class Local:
    """Processes of this machine, each started when it is needed and kept; ``cores`` threads in all.

    A process that needs more than ``timeout`` seconds (0: any time) for a job is killed; the next job gets a new one.
    """

    def __init__(self, settings: Settings, processes: int, cores: int, timeout: float = 0) -> None:
        self.limit = processes + 2
        self._settings = settings
        self._timeout = timeout
        self._threads = [max(1, cores // processes + (n < cores % processes)) for n in range(processes)]
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._numbers = count()
        self._children: list[subprocess.Popen[bytes]] = []
        self._closed = False
        # A child inherits the mask: an interrupt of the terminal then is this process's affair alone.
        self._serving = ThreadPoolExecutor(
            processes, "elvis", signal.pthread_sigmask, (signal.SIG_BLOCK, [signal.SIGINT])
        )

    def submit(self, job: Job) -> Future[list[Job | Outcome] | Outcome]:
        """Have a job done by the next process that is free."""
        return self._serving.submit(self._serve, job)

    def close(self, *, now: bool) -> None:
        """End all processes; ``now`` the unfinished files go, else there are none."""
        with self._lock:
            self._closed = True
        for child in self._children:
            if now:
                child.terminate()
            elif child.stdin:
                with suppress(BrokenPipeError):
                    child.stdin.close()
        end = time.monotonic() + SHUTDOWN_SECONDS
        for child in self._children:
            try:
                child.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:  # it hangs
                child.kill()
                child.wait()
        self._serving.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            _close_pipes(child)

    def _serve(self, job: Job, again: bool = True) -> list[Job | Outcome] | Outcome:
        """Return what the process of this thread makes of a job; a new process if it has ended since its last job."""
        child: subprocess.Popen[bytes] | None = getattr(self._mine, "child", None)
        is_new = child is None or child.poll() is not None
        if child is None or is_new:
            child = self._mine.child = self._start()
        clock, has_job = _Clock(child, self._timeout), False
        try:
            if is_new:
                _say(child, self._settings)
            _say(child, job)
            has_job = _hear(child)
            return cast("list[Job | Outcome] | Outcome", _hear(child))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            self._mine.child = None
            _close_pipes(child)
            if again and not has_job and not clock.is_over:  # it ended between two jobs
                return self._serve(job, again=False)
            return failed(job.line, job.id, _death(child, self._timeout if clock.is_over else 0))
        finally:
            clock.stop()
            if clock.is_over:
                self._mine.child = None

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ElvisError("the batch has ended")
            number = self._mine.__dict__.get("number")
            if number is None:
                number = self._mine.number = next(self._numbers)
            threads = str(self._threads[number])
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "elvis_cli.batch.worker", threads],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**dict.fromkeys(_THREAD_VARIABLES, threads), **os.environ},
            )
            self._children = [each for each in self._children if each.poll() is None] + [child]
        return child


class _Clock:
    """Kills a process after ``seconds`` (0: never), also a stopped one."""

    def __init__(self, child: subprocess.Popen[bytes], seconds: float) -> None:
        self.is_over = False
        self._child = child
        self._timer = threading.Timer(seconds, self._kill) if seconds else None
        if self._timer:
            self._timer.start()

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _kill(self) -> None:
        self.is_over = True
        self._child.kill()


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        with suppress(OSError):
            cast("IO[bytes]", pipe).close()


def _hear(child: subprocess.Popen[bytes]) -> Any:
    return pickle.load(cast("IO[bytes]", child.stdout))


def _say(child: subprocess.Popen[bytes], message: object) -> None:
    to = cast("IO[bytes]", child.stdin)
    pickle.dump(message, to)
    to.flush()


class LostError(ElvisError):
    """The process that had a request ended; the exit code is that which `elvis` alone would have ended with."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _death(child: subprocess.Popen[bytes], timeout: float) -> LostError:
    """Return the error for a process that ended, after ``timeout`` seconds if that is not 0."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(SHUTDOWN_SECONDS)
    code = child.poll()
    if timeout:
        return LostError(f"took more than {timeout:g} s (--timeout)", 128 + signal.SIGKILL)
    if code is None or code >= 0:
        return LostError(f"the process that made it ended with exit code {code}", ElvisError.exit_code)
    hint = ": not enough memory?" if code in (-signal.SIGKILL, -signal.SIGABRT) else ""
    return LostError(f"the process that made it was ended by signal {-code}{hint}", 128 - code)


class Cluster:
    """A Dask cluster that runs; its workers share the folder with this machine, and have this version of ELVIS."""

    def __init__(self, settings: Settings, address: str, limit: int = 0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ResourceError("--cluster needs Dask: pip install 'elvis-cli[dask]'") from None
        where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            self._client = Client(**where, timeout="30s", set_as_default=False)
        except (OSError, ValueError) as error:
            raise ResourceError(f"--cluster: no Dask scheduler at {address}: {error}") from None
        self.limit = limit or max(64, 2 * sum(self._client.nthreads().values()))
        self._settings = settings
        self._executor = self._client.get_executor(pure=False)

    def submit(self, job: Job) -> Future[list[Job | Outcome] | Outcome]:
        """Have a job done by some worker."""
        return cast("Future[list[Job | Outcome] | Outcome]", self._executor.submit(do_remotely, self._settings, job))

    def close(self, *, now: bool) -> None:
        """Let the cluster go; ``now`` what it has not begun is not done."""
        self._executor.shutdown(wait=not now)
        self._client.close()
