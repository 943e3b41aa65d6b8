"""Jobs of TAP (UWS 1.1, Harrison & Rixon 2016): in the store, so that they outlive a restart of the server."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from elvis_cli.archive import tables, tap, votable
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.dali import DaliError, Parameters, Reply
from elvis_cli.archive.query import Cancel
from elvis_cli.archive.uws_job import ABORTED, ACTIVE, COMPLETED, ERROR, EXECUTING, PENDING, QUEUED, Job

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

log = logging.getLogger("elvis.service")

KEPT = 7 * 86400.0
"""Seconds until a job is destroyed."""
MAX_KEPT = 31 * 86400.0
DURATION, MAX_DURATION = 600.0, 3600.0
"""Seconds that a query may take."""
AT_ONCE = 2
MAX_JOBS = 2000
MAX_RESULT = 200_000_000
"""Bytes."""
_LISTED = ("id", "phase", "parameters", "created", "started", "ended", "destruction", "duration", "error", "media_type")


class Jobs:
    """The jobs of a server, and the threads that run them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._threads = ThreadPoolExecutor(AT_ONCE, "tap")
        self._running: dict[str, Cancel] = {}
        self._lock = threading.Lock()
        self._base = ""

    def resume(self, base: str) -> None:
        """Queue again what waited or ran when the server ended."""
        self._base = base
        rows = self._select(tables.jobs.c.phase.in_((QUEUED, EXECUTING)))
        for job in sorted(rows, key=lambda each: each.created):
            self._update(job.id, phase=QUEUED, started=None)
            self._submit(job.id)

    def close(self) -> None:
        """End the queries that run; their jobs stay in the store as they are."""
        with self._lock:
            running = tuple(self._running.values())
        for cancel in running:
            cancel()
        self._threads.shutdown(cancel_futures=True)

    def create(self, pairs: list[tuple[str, str]], uploads: dict[str, bytes]) -> Job:
        """Return a new job that is PENDING.

        Raises
        ------
        DaliError
            There are too many.
        """
        now = time.time()
        with self.store.writing() as connection:
            connection.execute(sa.delete(tables.jobs).where(tables.jobs.c.destruction < now))
            if (connection.scalar(sa.select(sa.func.count()).select_from(tables.jobs)) or 0) >= MAX_JOBS:
                raise DaliError(f"{MAX_JOBS} jobs are the most", 503)
            identity = secrets.token_hex(16)
            connection.execute(sa.insert(tables.jobs).values(
                id=identity, phase=PENDING, parameters=json.dumps(pairs), uploads=_packed(uploads), created=now,
                destruction=now + KEPT, duration=DURATION))  # fmt: skip
        return self.find(identity)

    def find(self, identity: str) -> Job:
        """Return a job.

        Raises
        ------
        DaliError
            There is none.
        """
        found = self._select(tables.jobs.c.id == identity[:64].replace("\0", ""))
        if not found or found[0].destruction < time.time():
            raise DaliError("there is no such job", 404)
        return found[0]

    def delete(self, identity: str) -> None:
        """End a job and forget it."""
        self.find(identity)
        self._cancel(identity)
        with self.store.writing() as connection:
            connection.execute(sa.delete(tables.jobs).where(tables.jobs.c.id == identity))

    def set_phase(self, identity: str, phase: str) -> None:
        """Run or abort a job.

        Raises
        ------
        DaliError
            It is another phase, or the job has ended.
        """
        job = self.find(identity)
        if phase == "RUN":
            if job.phase == PENDING:
                self._update(identity, phase=QUEUED)
                self._submit(identity)
        elif phase == "ABORT":
            if job.phase in ACTIVE:
                self._update(identity, phase=ABORTED, ended=time.time())
                self._cancel(identity)
        else:
            raise DaliError(f"PHASE is {phase[:40]!r}; allowed: RUN, ABORT")

    def set_times(self, identity: str, *, destruction: float | None = None, duration: float | None = None) -> None:
        """Change when a job is destroyed, or how long it may take, within the limits."""
        self.find(identity)
        if destruction is not None:
            self._update(identity, destruction=min(max(destruction, time.time()), time.time() + MAX_KEPT))
        if duration is not None:
            self._update(identity, duration=min(duration, MAX_DURATION) if duration > 0 else MAX_DURATION)

    def add_parameters(self, identity: str, pairs: list[tuple[str, str]]) -> None:
        """Add parameters to a job that is PENDING.

        Raises
        ------
        DaliError
            It is no longer.
        """
        job = self.find(identity)
        if job.phase != PENDING:
            raise DaliError("only a pending job takes parameters")
        names = {name.upper() for name, _ in pairs}
        kept = [pair for pair in job.parameters if pair[0].upper() not in names]
        self._update(identity, parameters=json.dumps([*kept, *pairs]))

    def result(self, identity: str) -> Reply:
        """Return the answer of a job.

        Raises
        ------
        DaliError
            It has none.
        """
        with self.store.engine.connect() as connection:
            columns = tables.jobs.c.result, tables.jobs.c.media_type
            row = connection.execute(sa.select(*columns).where(tables.jobs.c.id == identity)).first()
        if row is None or row[0] is None:
            raise DaliError("the job has no result", 404)
        return Reply(bytes(row[0]), row[1])

    def fetch(self, uri: str, files: dict[str, bytes]) -> bytes:
        """Return an uploaded table: one in the request, or the result of a job here; no other address is read.

        Raises
        ------
        DaliError
            It is something else.
        """
        start, end = f"{self._base}/tap/async/", "/results/result"
        if uri.startswith(start) and uri.endswith(end):
            return self.result(uri[len(start) : -len(end)]).body
        return uploaded(uri, files)

    def error(self, identity: str) -> Reply:
        """Return the error of a job as a VOTable."""
        job = self.find(identity)
        if job.error is None:
            raise DaliError("the job has no error", 404)
        return Reply(votable.error(job.error), votable.VOTABLE)

    def _submit(self, identity: str) -> None:
        self._threads.submit(self._run, identity)

    def _cancel(self, identity: str) -> None:
        with self._lock:
            cancel = self._running.get(identity)
        if cancel is not None:
            cancel()

    def _run(self, identity: str) -> None:
        cancel = Cancel()
        with self._lock:
            self._running[identity] = cancel
        try:
            job = self.find(identity)
            if job.phase != QUEUED:
                return
            self._update(identity, phase=EXECUTING, started=time.time())
            media_type, result = self._answer(job, cancel)
            self._finish(identity, phase=COMPLETED, media_type=media_type, result=result)
        except (DaliError, QueryError) as error:
            self._finish(identity, phase=ERROR, error=error.message)
        except Exception as error:  # whatever it is, the other jobs go on
            log.exception("job %s", identity)
            self._finish(identity, phase=ERROR, error=f"a fault of the server ({type(error).__name__})")
        finally:
            with self._lock:
                self._running.pop(identity, None)

    def _answer(self, job: Job, cancel: Cancel) -> tuple[str, bytes]:
        uploads = self._uploads(job.id)
        wanted = tap.read(Parameters(job.parameters), lambda uri: self.fetch(uri, uploads))
        file, _ = tap.answer(self.store, wanted, self._base, deadline=job.duration, cancel=cancel)
        with file:
            result = file.read(MAX_RESULT + 1)
        if len(result) > MAX_RESULT:
            raise DaliError(f"the answer has more than {MAX_RESULT} bytes")
        return wanted.format.media_type, result

    def _finish(self, identity: str, **values: Any) -> None:
        """Note how a job ended, unless it was aborted meanwhile or the server ends."""
        with self.store.writing() as connection:
            connection.execute(
                sa.update(tables.jobs)
                .where(tables.jobs.c.id == identity, tables.jobs.c.phase.in_((QUEUED, EXECUTING)))
                .values(ended=time.time(), **values)
            )

    def _uploads(self, identity: str) -> dict[str, bytes]:
        with self.store.engine.connect() as connection:
            data = connection.scalar(sa.select(tables.jobs.c.uploads).where(tables.jobs.c.id == identity))
        return _unpacked(data)

    def _update(self, identity: str, **values: Any) -> None:
        with self.store.writing() as connection:
            connection.execute(sa.update(tables.jobs).where(tables.jobs.c.id == identity).values(**values))

    def _select(self, condition: Any) -> list[Job]:
        columns = [tables.jobs.c[name] for name in _LISTED]
        with self.store.engine.connect() as connection:
            rows = connection.execute(sa.select(*columns).where(condition)).mappings()
            return [
                Job(**{**row, "parameters": tuple((name, value) for name, value in json.loads(row["parameters"]))})
                for row in rows
            ]


def uploaded(uri: str, files: dict[str, bytes]) -> bytes:
    """Return an uploaded table; only those inside the request are read, never an address.

    Raises
    ------
    DaliError
        It is not in the request.
    """
    scheme, _, name = uri.partition(":")
    if scheme.lower() != "param":
        raise DaliError(
            "UPLOAD: the server reads no other addresses; allowed: param:NAME, with the table in the request"
        )
    if name not in files:
        raise DaliError(f"UPLOAD: the request has no file {name[:60]!r}")
    return files[name]


def _packed(uploads: dict[str, bytes]) -> bytes | None:
    if not uploads:
        return None
    import base64

    return json.dumps({name: base64.b64encode(data).decode() for name, data in uploads.items()}).encode()


def _unpacked(data: bytes | None) -> dict[str, bytes]:
    if data is None:
        return {}
    import base64

    return {name: base64.b64decode(text) for name, text in json.loads(bytes(data)).items()}
