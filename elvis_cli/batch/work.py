"""One request named, and made into its file: what runs in a process of the pool or on a node of the cluster."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from elvis_cli import __version__, errors
from elvis_cli.batch.naming import Template
from elvis_cli.errors import ElvisError, OutputError, ResourceError
from elvis_cli.instrument.request_options import RequestOptions

if TYPE_CHECKING:
    from elvis_cli.model.request import Request

MADE, SKIPPED, FAILED = "made", "skipped", "failed"

Report = Callable[[int, int], None]
"""Called with the number of chips that are done, and of all."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that all requests of a batch share."""

    folder: str
    """Where the files go."""
    options: RequestOptions = field(default_factory=RequestOptions)
    """The command line's options."""
    template: Template = field(default_factory=Template)
    """Of the names of the files."""
    overwrite: bool = False
    """Make what exists again, whatever it holds."""
    version: str = __version__
    """Of ELVIS."""


class Task(Protocol):
    """Work for a process of the pool, pickled on its way there."""

    def do(self, settings: Settings, report: Report) -> Any:
        """Return the result; it is pickled on its way back."""

    def lost(self, error: ElvisError) -> Any:
        """Return the result in place of that of a process that ended."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request, and the name of its file as soon as it is known."""

    line: int
    text: bytes
    """As it is on stdin: it is only unpacked in a process of the pool."""
    id: str | None = None
    name: str = ""
    arm: str | None = None
    """Arm of the instrument, if it has several: each has a file."""

    def do(self, settings: Settings, report: Report) -> list[Job | Outcome] | Outcome:
        """Name the files of the request, or make the file that has its name."""
        return make(settings, self, report) if self.name else named(settings, self)

    def lost(self, error: ElvisError) -> Outcome:
        """Return the outcome of a request whose process ended."""
        return failed(self.line, self.id, error)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a request: a line of the manifest."""

    line: int
    """Its first line on stdin, from 1."""
    id: str | None
    """The first 16 hexadecimal digits of the SHA-256 of the request as it travels in the file."""
    status: str
    """made, skipped (it was there) or failed."""
    file: str | None = None
    size: int | None = None
    sha256: str | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    message: str | None = None
    """The error."""
    exit_code: int = 0
    """Exit code that `elvis` would have ended with."""


def failed(line: int, identity: str | None, error: Exception, file: str | None = None) -> Outcome:
    """Return the outcome of a request that an exception ended."""
    fault = errors.expected(error)
    return Outcome(line, identity, FAILED, file, message=fault.message, exit_code=fault.exit_code)


def named(settings: Settings, job: Job) -> list[Job | Outcome]:
    """Return a job with a name for each file of a request (one for each arm), or what is wrong with it."""
    from elvis_cli.instrument import registry

    try:
        _check_version(settings)
        request = settings.options.read(job.text)
        arms = registry.load(request.instrument).arms(request)
    except Exception as error:  # whatever it is, the other requests go on
        return [failed(job.line, None, error)]
    if len(arms) < 2:
        return [_named(settings, job, request)]
    return [_named(settings, replace(job, arm=arm), request.of_arm(arm)) for arm in arms]


def _named(settings: Settings, job: Job, request: Request) -> Job | Outcome:
    from elvis_cli.product.fits import request_json

    identity = None
    try:
        identity = hashlib.sha256(request_json(request).encode()).hexdigest()[:16]
        return replace(job, id=identity, name=settings.template.name(request, job.line, identity))
    except Exception as error:
        return failed(job.line, identity, error)


def make(settings: Settings, job: Job, report: Report | None = None) -> Outcome:
    """Make the file of a request, unless it is there; whatever is wrong is told in the outcome.

    The file appears under its name only when it is whole and on the disk.
    """
    begin = time.perf_counter()
    path = Path(settings.folder, job.name)
    try:
        made = _make(settings, job, path, report)
    except Exception as error:  # whatever it is, the other requests go on
        made = failed(job.line, job.id, error, str(path))
    return replace(made, seconds=round(time.perf_counter() - begin, 3))


def shared(outcome: Outcome) -> Outcome:
    """Return the outcome of a request that another machine was given: a file that is not here has failed."""
    if outcome.status == FAILED or outcome.file is None or Path(outcome.file).exists():
        return outcome
    lost = OutputError(f"{outcome.file} is on another machine only: the folder must be shared")
    return replace(failed(outcome.line, outcome.id, lost, outcome.file), seconds=outcome.seconds)


_one_at_a_time = Lock()


def do_remotely(settings: Settings, job: Job) -> list[Job | Outcome] | Outcome:
    """Name or make the file on a worker of a Dask cluster, one at a time in each process, with the worker's threads."""
    from distributed import get_worker

    from elvis_cli.base import parallel

    with _one_at_a_time:
        parallel.set_threads(get_worker().state.nthreads)
        return job.do(settings, lambda done, total: None)


def _check_version(settings: Settings) -> None:
    if settings.version != __version__:
        raise ResourceError(f"this is ELVIS {__version__}, and the batch is of {settings.version}")


def _make(settings: Settings, job: Job, path: Path, report: Report | None) -> Outcome:
    from elvis_cli import pipeline
    from elvis_cli.batch import last_exposure
    from elvis_cli.product.fits import request_json
    from elvis_cli.product.sinks import file_sink

    _check_version(settings)
    if not path.parent.is_dir():
        raise OutputError(f"{path.parent} is not here: the folder must be shared by all machines", path=str(path))
    request = settings.options.read(job.text)
    if job.arm:
        request = request.of_arm(job.arm)
    if not settings.overwrite and (found := _there(path, request_json(request))):
        return replace(found, line=job.line, id=job.id)
    exclusive = not settings.overwrite and not path.exists()  # a damaged file is replaced
    with file_sink(path, durable=True, exclusive=exclusive) as out:
        counted = _Counted(out)
        notes = pipeline.render_prepared(last_exposure.prepare(request), counted, report)  # type: ignore[arg-type]
    told = tuple(dict.fromkeys((*settings.options.file_notes(), *request.warnings, *notes)))
    return Outcome(job.line, job.id, MADE, str(path), counted.size, counted.digest.hexdigest(), notes=told)


def _there(path: Path, request: str) -> Outcome | None:
    """Return the outcome of a request (its JSON) whose file is there and whole."""
    from elvis_cli.product import integrity

    found = integrity.examine(path)
    if found is None:
        return None
    if not found.is_of(request):
        raise OutputError(f"{path} exists and is of another request or version: --overwrite would replace it")
    return Outcome(0, None, SKIPPED, str(path), found.size, found.sha256)


class _Counted:
    """A file that counts and sums what is written."""

    def __init__(self, out: BinaryIO) -> None:
        self.out, self.size, self.digest = out, 0, hashlib.sha256()

    def write(self, data: bytes | memoryview) -> int:
        self.size += memoryview(data).nbytes
        self.digest.update(data)
        return self.out.write(data)
