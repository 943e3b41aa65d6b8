"""Requests in, outcomes out, in the same order; few of them are in memory at any time."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from queue import SimpleQueue

from elvis_cli.batch.documents import documents
from elvis_cli.batch.pool import Pool
from elvis_cli.batch.work import Job, Outcome, failed
from elvis_cli.errors import ElvisError, RequestError


def run(lines: Iterable[bytes], pool: Pool) -> Iterator[Outcome]:
    """Yield the outcome of each request in ``lines``, as soon as it and all before it are done.

    ``lines`` is read by a thread, no further than the pool has room. The pool names the file of a request and makes
    it, two jobs: a request is not unpacked here.

    Raises
    ------
    OSError
        ``lines`` cannot be read.
    """
    events: SimpleQueue[tuple[int, bytes] | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(pool.limit)
    threading.Thread(target=_follow, args=(lines, events, room), daemon=True).start()

    def submit(job: Job) -> Future[list[Job | Outcome] | Outcome]:
        future = pool.submit(job)
        future.add_done_callback(lambda _: events.put(None))
        return future

    names, begun = _Names(), deque[_Begun]()
    more = True
    while more or begun:
        event = events.get()
        if isinstance(event, _End):
            more = False
        elif isinstance(event, BaseException):
            raise event
        elif event is not None:
            job = Job(*event)
            begun.append(_Begun([(job, submit(job))]))
        for each in begun:
            if each.is_done:
                continue
            each.look()
            if not each.is_named:
                if not each.named:
                    break  # names are claimed in the order of the requests
                claimed = [names.claim(one) if isinstance(one, Job) else one for one in each.named]
                each.parts = [(one, submit(one)) if isinstance(one, Job) else one for one in claimed]
                each.is_named = True
                each.look()
            if each.is_done:
                room.release()
        while begun and begun[0].is_done:
            yield from begun.popleft().outcomes()


class _End(Exception):
    """There are no more requests."""


@dataclass(slots=True)
class _Begun:
    """A request that the pool has, or has done: one job that names its files, then one for each file."""

    parts: list[tuple[Job, Future[list[Job | Outcome] | Outcome]] | Outcome]
    named: list[Job | Outcome] = field(default_factory=list)
    """The jobs of its files, or what is wrong with them; empty as long as that is not known."""
    is_named: bool = False
    """The files have their names."""

    def look(self) -> None:
        """Take the results that have come."""
        for place, part in enumerate(self.parts):
            if not isinstance(part, Outcome) and part[1].done():
                result = _result(*part)
                if isinstance(result, list):
                    self.named = result
                elif self.is_named:
                    self.parts[place] = result
                else:
                    self.named = [result]

    @property
    def is_done(self) -> bool:
        return self.is_named and all(isinstance(part, Outcome) for part in self.parts)

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes of its files."""
        return [part for part in self.parts if isinstance(part, Outcome)]


class _Names:
    """Names of files; no two get the same."""

    def __init__(self) -> None:
        self._taken: dict[int, tuple[int, str | None]] = {}
        """Line and arm by the hash of the name: a million names fit into memory."""

    def claim(self, job: Job) -> Job | Outcome:
        """Return the job, or the failure if its name is another's."""
        mine = job.line, job.arm
        line, arm = self._taken.setdefault(hash(job.name), mine)
        if (line, arm) == mine:
            return job
        if line == job.line:
            reason = f"the name {job.name} is that of the {arm} arm already"
            taken = RequestError("/elvis/arm", reason, allowed="--name with {SIM ARM} or {id}")
        else:
            reason = f"the name {job.name} is that of line {line} already"
            taken = RequestError("/elvis/date", reason, allowed="another date; or --name with {line} or {id}")
        return failed(job.line, job.id, taken)


def _result(job: Job, future: Future[list[Job | Outcome] | Outcome]) -> list[Job | Outcome] | Outcome:
    try:
        return future.result()
    except CancelledError:
        return failed(job.line, job.id, ElvisError("the cluster gave it up"))
    except Exception as error:  # a process or a machine that died
        return failed(job.line, job.id, ElvisError(f"lost: {type(error).__name__}: {error}"))


def _follow(lines: Iterable[bytes], events: SimpleQueue, room: threading.Semaphore) -> None:  # type: ignore[type-arg]
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        for document in documents(lines):
            room.acquire()
            events.put(document)
    except BaseException as error:
        events.put(error)
    else:
        events.put(_End())
