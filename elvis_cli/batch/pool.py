"""Warm processes of this machine that do tasks; `batch/cluster.py` has a Dask cluster in their place."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import IO, Any, Protocol, cast
from weakref import WeakKeyDictionary

from elvis_cli.batch import worker
from elvis_cli.batch.work import Job, Report, Settings, Task
from elvis_cli.errors import ElvisError

SHUTDOWN_SECONDS = 5.0
"""Seconds that a process has for clearing up before it is killed."""
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Pool(Protocol):
    """Takes jobs."""

    limit: int
    """How many may be in its hands."""

    def submit(self, job: Job) -> Future[Any]:
        """Have a job done."""

    def close(self, *, now: bool) -> None:
        """End, at once or in order."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a process of `Local`; 0: no limit."""

    timeout: float = 0
    """Seconds for a task; then the process is killed."""
    cpu: int = 0
    """Processor seconds for a task."""
    memory: int = 0
    """Bytes of address space."""
    tasks: int = 0
    """Tasks after which a process is replaced."""
    resident: int = 0
    """Resident bytes above which a process is replaced, between two tasks."""


@dataclass(slots=True, eq=False)
class _Order:
    """A task in the hands of `Local`."""

    task: Task
    timeout: float
    report: Report | None
    retries: int
    """How often it may be tried again after its process ended."""
    child: subprocess.Popen[bytes] | None = None
    """The process that has it now."""
    is_cancelled: bool = False


class Local:
    """Processes of this machine, each started when it is needed and kept; ``cores`` threads in all.

    A process that needs more than ``timeout`` seconds (0: any time) for a task is killed; the next task gets a new one.
    """

    def __init__(
        self, settings: Settings, processes: int, cores: int, timeout: float = 0, bounds: Bounds | None = None
    ) -> None:
        self.limit = processes + 2
        self.processes = processes
        self.started = 0
        """Processes that were started so far."""
        self.bounds = bounds or Bounds(timeout)
        self._settings = settings
        self._threads = [max(1, cores // processes + (n < cores % processes)) for n in range(processes)]
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._numbers = count()
        self._children: list[subprocess.Popen[bytes]] = []
        self._orders: WeakKeyDictionary[Future[Any], _Order] = WeakKeyDictionary()
        self._closed = False
        # A child inherits the mask: an interrupt of the terminal then is this process's affair alone.
        self._serving = ThreadPoolExecutor(
            processes, "elvis", signal.pthread_sigmask, (signal.SIG_BLOCK, [signal.SIGINT])
        )

    def submit(
        self, job: Task, *, timeout: float | None = None, report: Report | None = None, retries: int = 0
    ) -> Future[Any]:
        """Have a task done by the next process that is free.

        ``timeout`` is in place of that of all tasks. ``report`` is called, from another thread, when a chip is done.
        A task whose process ended (not for its time) is tried again ``retries`` times.
        """
        order = _Order(job, self.bounds.timeout if timeout is None else timeout, report, retries)
        future = self._serving.submit(self._serve, order)
        self._orders[future] = order
        return future

    def cancel(self, future: Future[Any]) -> None:
        """Give up a task: its process is killed if it has begun."""
        if future.cancel() or future.done():
            return
        order = self._orders[future]
        with self._lock:
            order.is_cancelled = True
            if order.child is not None:
                order.child.kill()

    def everywhere(self, task: Task) -> list[Any]:
        """Return the results of a task that each process does once; only for a pool that has nothing else to do."""
        barrier = threading.Barrier(self.processes)

        def once() -> Any:
            barrier.wait()
            return self._serve(_Order(task, 0, None, 1))

        return [future.result() for future in [self._serving.submit(once) for _ in range(self.processes)]]

    def alive(self) -> list[int]:
        """Return the numbers of the processes that run now."""
        with self._lock:
            return [child.pid for child in self._children if child.poll() is None]

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

    def _serve(self, order: _Order, again: bool = True) -> Any:
        """Return what the process of this thread makes of a task; a new process if it has ended since its last task."""
        child: subprocess.Popen[bytes] | None = getattr(self._mine, "child", None)
        is_new = child is None or child.poll() is not None
        if child is None or is_new:
            if child is not None:
                _close_pipes(child)
            child = self._mine.child = self._start()
            self._mine.tasks = 0
        self._hand(order, child)
        clock, has_task = _Clock(child, order.timeout), False
        try:
            if is_new:
                _say(child, self._settings)
            _say(child, order.task)
            has_task = _hear(child)[0] == worker.RECEIPT
            return _result(child, order.report)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            clock.stop()
            self._mine.child = None
            _close_pipes(child)
            if not clock.is_over and not order.is_cancelled:
                if again and not has_task:  # it ended between two tasks
                    return self._serve(order, again=False)
                if order.retries:
                    order.retries -= 1
                    return self._serve(order)
            return order.task.lost(_death(child, order.timeout if clock.is_over else 0))
        finally:
            clock.stop()
            self._hand(order, None)
            if clock.is_over:
                self._mine.child = None
            elif self._mine.child is child:
                self._retire(child)

    def _hand(self, order: _Order, child: subprocess.Popen[bytes] | None) -> None:
        """Write down which process has a task; one that was cancelled meanwhile is killed."""
        with self._lock:
            order.child = child
            if child is not None and order.is_cancelled:
                child.kill()

    def _retire(self, child: subprocess.Popen[bytes]) -> None:
        """Let a process end that has done its share of tasks, or has grown too large."""
        self._mine.tasks += 1
        bounds = self.bounds
        too_old = bounds.tasks and self._mine.tasks >= bounds.tasks
        if too_old or (bounds.resident and resident(child.pid) > bounds.resident):
            self._mine.child = None
            _close_pipes(child)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise ElvisError("the batch has ended")
            number = self._mine.__dict__.get("number")
            if number is None:
                number = self._mine.number = next(self._numbers)
            threads = str(self._threads[number])
            limits = [threads, str(self.bounds.memory), str(self.bounds.cpu)]
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "elvis_cli.batch.worker", *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**dict.fromkeys(_THREAD_VARIABLES, threads), **os.environ},
            )
            self.started += 1
            self._children = [each for each in self._children if each.poll() is None] + [child]
        return child


def resident(pid: int) -> int:
    """Return the resident bytes of a process, 0 if it has gone or the system does not tell (Linux does)."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _result(child: subprocess.Popen[bytes], report: Report | None) -> Any:
    """Return the result of the task that a process has, and pass its progress on until it comes."""
    while True:
        kind, message = _hear(child)
        if kind == worker.RESULT:
            return message
        if report is not None:
            report(*message)


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
    if code == -signal.SIGXCPU:
        return LostError("took more processor time than the limit cpu", 128 - code)
    hint = ": not enough memory?" if code in (-signal.SIGKILL, -signal.SIGABRT) else ""
    return LostError(f"the process that made it was ended by signal {-code}{hint}", 128 - code)
