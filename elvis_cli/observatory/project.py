"""A project: the folder of a run, its key, its catalogue, and the loop that hands sources to workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from elvis_cli.errors import IncompleteError, OutputError, ResourceError
from elvis_cli.observatory import base, detection
from elvis_cli.observatory.catalog import Catalog
from elvis_cli.observatory.database import Database, address
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.progress import Progress
from elvis_cli.observatory.source import Source, legal
from elvis_cli.observatory.steps import STEPS, SourceResult
from elvis_cli.observatory.work import RunSettings, SourceTask

MAX_CHUNK = 16
"""Sources that a worker gets at once."""
WAIT_SECONDS = 0.5
"""Between two looks at leases that others hold."""


class Pool(Protocol):
    """What does tasks: `batch.pool.Local`, `batch.cluster.Cluster` or `InProcess`."""

    limit: int

    def submit(self, job: Any) -> Future[Any]:
        """Have a task done."""

    def close(self, *, now: bool) -> None:
        """End."""


class InProcess:
    """Does tasks in this process, at once."""

    limit = 1

    def submit(self, job: Any) -> Future[Any]:
        """Do a task and return its result."""
        future: Future[Any] = Future()
        future.set_result(job.do(None, None))
        return future

    def close(self, *, now: bool) -> None:
        """Do nothing: there is nothing to end."""


@dataclass(frozen=True)
class Project:
    """A run: parameters, and where its files are."""

    parameters: Parameters
    config_folder: Path = Path()
    """Folder that the paths of the parameters are relative to."""

    @classmethod
    def load(cls, path: Path, options: dict[str, Any] | None = None) -> Project:
        """Return the project of a file of parameters."""
        return cls(Parameters.load(path, options), path.parent.absolute())

    @property
    def folder(self) -> Path:
        """Folder of the run; under version control its name ends in the hash of the parameters."""
        path = self.config_folder / self.parameters.output
        if self.parameters.version_control:
            path = path.with_name(f"{path.name}_{self.parameters.cfg_hash[:8]}")
        return path.absolute()

    @property
    def data_folder(self) -> Path:
        """Folder of raw data."""
        data = self.parameters.data
        return self.folder / "data" if data is None else (self.config_folder / data).absolute()

    @property
    def reduced_folder(self) -> Path:
        """Folder of reduced data: other parameters have another one."""
        return self.folder / f"{legal(self.parameters.project)}_{self.parameters.cfg_hash[:8]}"

    @property
    def key_file(self) -> Path:
        """File of the secret key."""
        key = self.parameters.key
        return self.folder / "run.key" if key is None else (self.config_folder / key).absolute()

    @cached_property
    def catalog(self) -> Catalog:
        """The catalogue."""
        return Catalog.load(self.parameters.catalog, self.config_folder)

    @cached_property
    def observatories(self) -> list[base.Observatory]:
        """The observatories."""
        return base.make_all(self.parameters, self.config_folder)

    def key(self) -> bytes:
        """Return the secret key; a new one is written if there is none."""
        return detection.make_key(self.key_file)

    def database(self) -> Database:
        """Return the database."""
        self.make_folder()
        return Database(address(self.parameters.database, self.folder))

    def existing_database(self) -> Database:
        """Return the database of a run that has begun.

        Raises
        ------
        ResourceError
            There is none.
        """
        url = address(self.parameters.database, self.folder)
        if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
            raise ResourceError(f"there is no run in {self.folder}: elvis observatory run begins one")
        return Database(url)

    def make_folder(self) -> None:
        """Make the folder of the run."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot create {self.folder}: {error.strerror}", path=str(self.folder)) from None
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write into {self.folder}", path=str(self.folder))

    def settings(self, steps: Sequence[str]) -> RunSettings:
        """Return what workers need."""
        folders = str(self.data_folder), str(self.reduced_folder), str(self.config_folder)
        return RunSettings(self.parameters, *folders, self.key(), tuple(steps))

    def sources(self) -> list[Source]:
        """Return the sources of the catalogue at the time of the observations, those that are one merged."""
        p = self.parameters.catalog
        return self.catalog.sources(p.at, p.merge_radius)

    def run(
        self,
        pool: Pool,
        store: Any,
        steps: Sequence[str] = STEPS,
        part: tuple[int, int] = (0, 1),
        begin: Callable[[int], None] = lambda count: None,
    ) -> Iterator[SourceResult]:
        """Yield the result of each source that has something to do in ``steps``, when it is in the database.

        ``part`` (k, n) takes each n-th source of the catalogue from number k on. ``begin`` is told the number of
        sources that have something to do.

        Raises
        ------
        IncompleteError
            Too many sources failed, in a row or in all.
        """
        sources = self.sources()[part[0] :: part[1]]
        store.prepare(sources, [(one.name, [one.observes(each) for each in sources]) for one in self.observatories])
        store.reopen(steps)
        begin(store.open_count(steps))
        chunk = max(1, min(MAX_CHUNK, len(sources) // (8 * pool.limit)))
        failures = in_row = 0
        progress = Progress(self.folder, store.worker, steps)
        for result in progress.over(_results(pool, store, self.settings(steps), chunk)):
            yield result
            in_row = in_row + 1 if result.failure else 0
            failures += bool(result.failure)
            if in_row >= self.parameters.max_failures_in_row or failures >= self.parameters.max_failures:
                many = f"{in_row} sources in a row" if in_row >= self.parameters.max_failures_in_row else str(failures)
                raise IncompleteError(f"stopped: {many} failed; the last: {(result.failure or ('', '', ''))[2]}")


def _results(pool: Pool, store: Any, settings: RunSettings, chunk: int) -> Iterator[SourceResult]:
    """Yield results as they come; leases are taken as far as the pool has room, and renewed."""
    pending: dict[Future[list[SourceResult]], list[tuple[int, Source]]] = {}
    over = threading.Event()
    threading.Thread(target=_renew, args=(store, over), daemon=True).start()
    try:
        while True:
            while len(pending) < pool.limit and (claimed := store.claim(settings.steps, chunk)):
                stored = store.datasets_of([number for number, _ in claimed], settings.folders)
                work = tuple((one, tuple(stored[number])) for number, one in claimed)
                pending[pool.submit(SourceTask(settings, work))] = claimed
            if not pending:
                if not store.held_by_others(settings.steps):
                    return
                time.sleep(WAIT_SECONDS)
                store.reopen_abandoned(settings.steps)
                continue
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                claimed = pending.pop(future)
                results = _outcome(future, settings, claimed)
                numbers = [number for number, _ in claimed]
                written = store.commit(list(zip(numbers, results, strict=True)))
                yield from (result for result, is_ours in zip(results, written, strict=True) if is_ours)
    finally:
        over.set()
        with suppress(ResourceError):
            store.release()


def _renew(store: Any, over: threading.Event) -> None:
    """Renew the leases of this process until it is ``over``."""
    while not over.wait(store.parameters.lease / 3):
        with suppress(ResourceError):  # the next time
            store.renew()


def _outcome(
    future: Future[list[SourceResult]], settings: RunSettings, claimed: Sequence[tuple[int, Source]]
) -> list[SourceResult]:
    try:
        return future.result()
    except (Exception, CancelledError) as error:  # a process or a machine that died
        task = SourceTask(settings, tuple((one, ()) for _, one in claimed))
        return task.lost(ResourceError(f"lost: {type(error).__name__}: {error}"))
