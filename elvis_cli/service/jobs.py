"""Jobs: requests and nights that take longer than an answer may. Each is a batch in a folder, resumed like one."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elvis_cli.batch import run
from elvis_cli.batch.documents import documents
from elvis_cli.batch.work import FAILED as NOT_MADE
from elvis_cli.batch.work import Job, Outcome, Report, Settings, Task
from elvis_cli.errors import ElvisError
from elvis_cli.model.limits import Limits
from elvis_cli.service import query, store
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.problems import ServiceError
from elvis_cli.service.store import JobRow, Store
from elvis_cli.service.workers import Workers

if TYPE_CHECKING:
    from elvis_cli.service.archived import ArchivedFiles

AT_ONCE = 4
"""Jobs that run at the same time; they share the processes that are left to jobs."""
SWEEP_SECONDS = 30.0
RETRIES = 2
"""How often a file is tried again after its process ended."""
log = logging.getLogger("elvis.service")


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of a job: the job of a batch with the settings of its own folder."""

    settings: Settings
    job: Job

    def do(self, settings: Settings, report: Report) -> Any:
        """Name or make the file."""
        return self.job.do(self.settings, report)

    def lost(self, error: ElvisError) -> Any:
        """Return the outcome of a file whose process ended."""
        return self.job.lost(error)


@dataclass(slots=True, eq=False)
class Progress:
    """How far a job that runs has come."""

    chips: dict[tuple[int, str | None], tuple[int, int]]
    """Chips done and all, by line and arm, of files that are not done."""
    futures: set[Future[Any]]
    is_cancelled: bool = False


class Jobs:
    """The queue of jobs, and what runs of it."""

    def __init__(self, workers: Workers, limits: ServiceLimits, folder: Path) -> None:
        self.workers, self.limits, self.folder = workers, limits, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder / "jobs.sqlite")
        self.running: dict[str, Progress] = {}
        self.render_limits = Limits(offline=True)
        self.archived: ArchivedFiles | None = None
        self._closing = False
        self._slots = threading.Semaphore(max(1, workers.pool.processes - 1))  # one process is left to short requests
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, kind: str, body: bytes, found: dict[str, Any], owner: str, notes: tuple[str, ...] = ()) -> JobRow:
        """Return a new job that waits; it is on the disk.

        Raises
        ------
        ServiceError
            Too many jobs wait, or the owner had too many in this hour.
        """
        self.check(owner)
        identity = secrets.token_hex(12)
        self.requests(identity).parent.mkdir(parents=True)
        self.files(identity).mkdir()
        self.requests(identity).write_bytes(body)
        count = sum(1 for _ in documents(body.splitlines(keepends=True)))
        row = JobRow(identity, kind, store.QUEUED, owner, found, time.time(), None, None, count, notes)
        self.store.add(row)
        self._wake.set()
        return row

    def check(self, owner: str) -> None:
        """Refuse another job of an owner who has too many, or if too many wait.

        Raises
        ------
        ServiceError
            It is so.
        """
        most = self.limits.jobs_per_hour
        if self.store.created_since(owner, time.time() - 3600) >= most:
            raise ServiceError(429, f"{most} jobs in an hour are the most", limit=most, retry_after=600)
        if len(self.store.in_state(store.QUEUED)) >= self.limits.jobs:
            raise ServiceError(503, f"{self.limits.jobs} jobs wait already", limit=self.limits.jobs, retry_after=60)

    def delete(self, identity: str) -> None:
        """End a job and delete its files."""
        progress = self.running.get(identity)
        if progress is not None:
            progress.is_cancelled = True
            for future in tuple(progress.futures):
                self.workers.pool.cancel(future)
        self.store.delete(identity)
        shutil.rmtree(self.folder / identity, ignore_errors=True)

    def requests(self, identity: str) -> Path:
        """Return the file of the requests of a job."""
        return self.folder / identity / "requests.jsonl"

    def files(self, identity: str) -> Path:
        """Return the folder of the frames of a job."""
        return self.folder / identity / "files"

    async def run(self) -> None:
        """Run the jobs that wait, those of before a restart too, and delete old ones."""
        self.store.requeue()
        last_sweep = 0.0
        while True:
            self._wake.clear()
            for row in self.store.in_state(store.QUEUED)[: max(0, AT_ONCE - len(self.running))]:
                self.running[row.id] = Progress({}, set())
                self.store.start(row.id)
                task = asyncio.create_task(self._run_one(row))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if time.monotonic() - last_sweep > SWEEP_SECONDS:
                last_sweep = time.monotonic()
                self.sweep()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), SWEEP_SECONDS)

    def sweep(self) -> None:
        """Delete the jobs that ended long ago."""
        for row in self.store.ended_before(time.time() - self.limits.keep_for):
            self.delete(row.id)

    def stop(self) -> None:
        """Keep what runs from now on in the queue of the next start."""
        self._closing = True

    async def close(self) -> None:
        """Wait for the threads of the jobs, whose processes have ended, and close the store."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.store.close()

    async def _run_one(self, row: JobRow) -> None:
        try:
            state = await asyncio.to_thread(self._make, row)
        except Exception:
            log.exception("a job failed", extra={"job": row.id})
            state = store.FAILED
        finally:
            progress = self.running.pop(row.id)
        if not self._closing and not progress.is_cancelled:
            self.store.end(row.id, state)
            log.info("job", extra={"job": row.id, "status": state, "seconds": round(time.time() - row.created, 2)})
        self._wake.set()

    def _make(self, row: JobRow) -> str:
        """Make the files of a job and return its state."""
        progress = self.running[row.id]
        options = query.request_options(row.query, self.render_limits)
        share = _Share(self, Settings(str(self.files(row.id)), options), progress)
        state = store.MADE
        with open(self.requests(row.id), "rb") as lines:
            for outcome in run.run(lines, share):
                if self._closing or progress.is_cancelled:
                    break
                if outcome.status == NOT_MADE:
                    state = store.FAILED
                elif self.archived is not None and row.kind == "ob" and outcome.file:
                    state = self._archive(self.archived, row, outcome, state)
                self.store.add_outcome(row.id, replace(outcome, file=outcome.file and Path(outcome.file).name))
        return state

    def _archive(self, archived: ArchivedFiles, row: JobRow, outcome: Outcome, state: str) -> str:
        """Put a file into the archive; return the state of the job after it."""
        kept = archived.add(Path(outcome.file or ""), outcome.sha256)
        if kept.message is None:
            return state
        log.error("a file is not in the archive", extra={"job": row.id, "cause": kept.message})
        return store.FAILED

    def take(self, task: Task, report: Report, progress: Progress) -> Future[Any]:
        """Return the future of a task as soon as a process is free for jobs."""
        while not self._slots.acquire(timeout=0.2):
            if self._closing or progress.is_cancelled:
                break
        else:
            with suppress(RuntimeError):  # the pool has closed: the server stops
                pool = self.workers.pool
                future = pool.submit(task, timeout=self.limits.job_deadline, report=report, retries=RETRIES)
                progress.futures.add(future)
                future.add_done_callback(lambda _: self._slots.release())
                future.add_done_callback(progress.futures.discard)
                return future
        given_up: Future[Any] = Future()
        given_up.set_result(task.lost(ElvisError("the job was given up")))
        return given_up


class _Share:
    """The processes that are left to jobs, as the pool of one batch."""

    def __init__(self, jobs: Jobs, settings: Settings, progress: Progress) -> None:
        self.limit = jobs.workers.pool.processes + 2
        self._jobs, self._settings, self._progress = jobs, settings, progress

    def submit(self, job: Job) -> Future[Any]:
        """Have a job of the batch done."""
        key = job.line, job.arm

        def report(done: int, total: int) -> None:
            self._progress.chips[key] = done, total

        future = self._jobs.take(Placed(self._settings, job), report, self._progress)
        future.add_done_callback(lambda _: self._progress.chips.pop(key, None))
        return future

    def close(self, *, now: bool) -> None:
        """Do nothing: the processes are the service's."""
