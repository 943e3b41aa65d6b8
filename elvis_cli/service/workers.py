"""Warm processes behind the service: the queue before them, deadlines, clients that go away, and the spool folder."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from elvis_cli.batch.pool import Bounds, Local, resident
from elvis_cli.batch.work import Settings, Task
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.problems import ServiceError
from elvis_cli.service.tasks import Warm

POLL_SECONDS = 0.25
"""Seconds between looks at whether the client is still there."""
GRACE_SECONDS = 2.0
"""Seconds that a process may go on for a client that has gone; killing it would cost more than the usual frame."""


class Client(Protocol):
    """The far end of a request."""

    async def is_disconnected(self) -> bool:
        """Return whether it has gone."""


class GoneError(Exception):
    """The client has gone: nobody reads the answer."""


class Workers:
    """The pool, and what waits for it."""

    def __init__(self, processes: int, cores: int, limits: ServiceLimits) -> None:
        self.limits = limits
        self.spool = Path(tempfile.mkdtemp(prefix="elvis-serve-"))
        bounds = Bounds(
            cpu=limits.cpu, memory=limits.memory, tasks=limits.recycle_tasks, resident=limits.recycle_memory
        )
        self.pool = Local(Settings(str(self.spool)), processes, cores, bounds=bounds)
        self.in_hand = 0
        """Requests that wait or are in a process."""
        self.ready = threading.Event()
        self.broken: tuple[str, ...] = ()
        """Instruments of which no frame could be rendered at the start."""
        self._file_numbers = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._files = 0

    def warm(self, instruments: tuple[str, ...]) -> None:
        """Start all processes in another thread; each renders a frame of each instrument."""

        def run() -> None:
            with suppress(Exception):  # the pool was closed meanwhile
                results = self.pool.everywhere(Warm(instruments))
                self.broken = tuple(sorted({name for failed in results for name in failed}))
                self.ready.set()

        threading.Thread(target=run, daemon=True).start()

    def file(self, suffix: str) -> Path:
        """Return the path of a new file of the spool folder."""
        self._files += 1
        return self.spool / f"{self._file_numbers}-{self._files}{suffix}"

    @property
    def waiting(self) -> int:
        """Requests that no process has yet."""
        return max(0, self.in_hand - self.pool.processes)

    def memory(self) -> list[int]:
        """Return the resident bytes of each process."""
        return [resident(pid) for pid in self.pool.alive()]

    async def ask(self, client: Client, task: Task) -> Any:
        """Return the result of a task.

        Raises
        ------
        ServiceError
            Too many requests wait, or this one has waited too long.
        GoneError
            The client has gone.
        """
        limits = self.limits
        if self.waiting >= limits.queue:
            raise ServiceError(503, f"{self.waiting} requests wait already", limit=limits.queue, retry_after=5)
        self.in_hand += 1
        loop = asyncio.get_running_loop()
        future = self.pool.submit(task, timeout=limits.deadline, retries=1)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done))
        wrapped = asyncio.wrap_future(future)
        begin = loop.time()
        try:
            while not (await asyncio.wait({wrapped}, timeout=POLL_SECONDS))[0]:
                if await client.is_disconnected():
                    raise GoneError
                if loop.time() - begin > limits.deadline and not future.running() and future.cancel():
                    reason = f"no process was free for {limits.deadline:g} s"
                    raise ServiceError(503, reason, limit=limits.queue, retry_after=10)
            return wrapped.result()
        except (GoneError, asyncio.CancelledError):
            if not future.cancel():
                loop.call_later(GRACE_SECONDS, self._give_up, future)
            raise

    def close(self) -> None:
        """End the processes and delete the spool folder."""
        self.pool.close(now=True)
        shutil.rmtree(self.spool, ignore_errors=True)

    def _done(self) -> None:
        self.in_hand -= 1

    def _give_up(self, future: Future[Any]) -> None:
        if not future.done():
            self.pool.cancel(future)


def unlinked(path: Path) -> int:
    """Return a descriptor of a file that has no name any more; it is gone when that is closed."""
    descriptor = os.open(path, os.O_RDONLY)
    path.unlink()
    return descriptor
