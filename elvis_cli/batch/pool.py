"""Who makes the files: warm processes of this machine, or a Dask cluster."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Protocol, cast

from elvis_cli.batch.work import Job, Outcome, Settings, failed, make_remotely
from elvis_cli.errors import ElvisError, ResourceError

SHUTDOWN_SECONDS = 5.0
"""Seconds that a process has for clearing up before it is killed."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Pool(Protocol):
    """Takes jobs."""

    limit: int
    """How many may be in its hands."""

    def submit(self, job: Job) -> Future[Outcome]:
        """Have a job done."""

    def close(self, *, now: bool) -> None:
        """End, at once or in order."""


class Local:
    """Processes of this machine, each started when it is needed and kept; ``cores`` threads in all."""

    def __init__(self, settings: Settings, processes: int, cores: int) -> None:
        self.limit = processes + 2
        self._settings = settings
        self._threads = [max(1, cores // processes + (n < cores % processes)) for n in range(processes)]
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._closed = False
        # A child inherits the mask: an interrupt of the terminal then is this process's affair alone.
        self._serving = ThreadPoolExecutor(
            processes, "elvis", signal.pthread_sigmask, (signal.SIG_BLOCK, [signal.SIGINT])
        )

    def submit(self, job: Job) -> Future[Outcome]:
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
        for child in self._children:
            try:
                child.wait(SHUTDOWN_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._serving.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    cast("IO[bytes]", pipe).close()

    def _serve(self, job: Job) -> Outcome:
        child: subprocess.Popen[bytes] | None = getattr(self._mine, "child", None)
        try:
            if child is None:
                child = self._mine.child = self._start()
            _say(child, job)
            return cast("Outcome", pickle.load(cast("IO[bytes]", child.stdout)))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            if child is None:
                raise
            self._mine.child = None
            return failed(job.line, job.id, _death(child))

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ElvisError("the batch has ended")
            number = self._mine.__dict__.setdefault("number", len(self._children) % len(self._threads))
            threads = str(self._threads[number])
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "elvis_cli.batch.worker", threads],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**dict.fromkeys(_THREAD_VARIABLES, threads), **os.environ},
            )
            self._children.append(child)
        _say(child, self._settings)
        return child


def _say(child: subprocess.Popen[bytes], message: object) -> None:
    to = cast("IO[bytes]", child.stdin)
    pickle.dump(message, to)
    to.flush()


def _death(child: subprocess.Popen[bytes]) -> ElvisError:
    with suppress(subprocess.TimeoutExpired):
        child.wait(SHUTDOWN_SECONDS)
    code = child.poll()
    how = f"was ended by signal {-code}" if code and code < 0 else f"ended with exit code {code}"
    hint = ": not enough memory?" if code == -signal.SIGKILL else ""
    return ElvisError(f"the process that made it {how}{hint}")


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

    def submit(self, job: Job) -> Future[Outcome]:
        """Have a job done by some worker."""
        return cast("Future[Outcome]", self._executor.submit(make_remotely, self._settings, job))

    def close(self, *, now: bool) -> None:
        """Let the cluster go; ``now`` what it has not begun is not done."""
        self._executor.shutdown(wait=not now)
        self._client.close()
