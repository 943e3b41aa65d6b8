"""Requests in, outcomes out, in the same order; few of them are in memory at any time."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from functools import partial
from queue import SimpleQueue

from elvis_cli.batch.documents import documents
from elvis_cli.batch.naming import Template
from elvis_cli.batch.pool import Pool
from elvis_cli.batch.work import Job, Outcome, failed
from elvis_cli.errors import ElvisError, RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.request import Request
from elvis_cli.product.fits import request_json


def run(lines: Iterable[bytes], read: Callable[[bytes], Request], template: Template, pool: Pool) -> Iterator[Outcome]:
    """Yield what becomes of each request in ``lines``, as soon as it and all before it are done.

    ``read`` makes a Request of a text. ``lines`` is read by a thread, no further than the pool has room.

    Raises
    ------
    OSError
        ``lines`` cannot be read.
    """
    events: SimpleQueue[tuple[int, bytes] | BaseException | None] = SimpleQueue()
    room = threading.Semaphore(pool.limit)
    threading.Thread(target=_follow, args=(lines, events, room), daemon=True).start()
    names = Names(read, template)
    begun: deque[tuple[Job, Future[Outcome]] | Outcome] = deque()

    def finished(_: Future[Outcome], last: bool) -> None:
        if last:
            room.release()
        events.put(None)

    more = True
    while more or begun:
        event = events.get()
        if isinstance(event, _End):
            more = False
        elif isinstance(event, BaseException):
            raise event
        elif event is not None:
            jobs = names.jobs(*event)
            for job in jobs:
                last = job is jobs[-1]
                if isinstance(job, Outcome):
                    begun.append(job)
                    if last:
                        room.release()
                else:
                    future = pool.submit(job)
                    begun.append((job, future))
                    future.add_done_callback(partial(finished, last=last))
        while begun:
            if isinstance(begun[0], Outcome):
                yield begun[0]
            elif begun[0][1].done():
                yield _outcome(*begun[0])
            else:
                break
            begun.popleft()


class _End(Exception):
    """There are no more requests."""


class Names:
    """Gives each request its files; no two get the same."""

    def __init__(self, read: Callable[[bytes], Request], template: Template) -> None:
        self._read, self._template = read, template
        self._taken: dict[int, tuple[int, str | None]] = {}
        """Line and arm by the hash of the name: a million names fit into memory."""

    def jobs(self, line: int, text: bytes) -> list[Job | Outcome]:
        """Return the jobs of a request, one for each arm of an instrument with several, or what is wrong with it."""
        try:
            request = self._read(text)
            arms = registry.load(request.instrument).arms(request)
        except Exception as error:  # whatever it is, the other requests go on
            return [failed(line, None, error)]
        one_each = [request.of_arm(arm) for arm in arms] if len(arms) > 1 else [request]
        return [self._job(line, one) for one in one_each]

    def _job(self, line: int, request: Request) -> Job | Outcome:
        """Return the job of one file, or what is wrong with it."""
        identity = None
        try:
            identity = hashlib.sha256(request_json(request).encode()).hexdigest()[:16]
            name = self._template.name(request, line, identity)
            mine = line, request.elvis.arm
            first = self._taken.setdefault(hash(name), mine)
            if first[0] == line and first != mine:
                reason = f"the name {name} is that of the {first[1]} arm already"
                raise RequestError("/elvis/arm", reason, allowed="--name with {SIM ARM} or {id}")
            if first != mine:
                raise RequestError(
                    "/elvis/date",
                    f"the name {name} is that of line {first[0]} already",
                    allowed="another date; or --name with {line} or {id}",
                )
        except Exception as error:  # whatever it is, the other requests go on
            return failed(line, identity, error)
        return Job(line, request_json(request).encode(), identity, name)


def _outcome(job: Job, future: Future[Outcome]) -> Outcome:
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
