"""`elvis batch`: many requests to a FITS file each, on all cores or a cluster, resumable."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import typer

from elvis_cli.base import parallel
from elvis_cli.commands.console import note, write
from elvis_cli.commands.help_format import CommandHelp
from elvis_cli.commands.options import request_options
from elvis_cli.commands.standard_streams import binary_stdin
from elvis_cli.errors import IncompleteError, OutputError, UsageError
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.model.limits import read_lines

MAX_PRINTED = 100
"""Number of notes, and of failures, that are printed on stderr; the manifest has all."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=CommandHelp)(request_options(batch))


def batch(
    options: RequestOptions,
    outdir: Annotated[Path, typer.Option(help="Folder of the FITS files; created if it does not exist.")],
    name: Annotated[
        str, typer.Option(metavar="TEMPLATE", help="Name of each file; header keywords, line and id in braces.")
    ] = "{ARCFILE}",
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=0, help="Number of processes, or of requests sent to a cluster at once; 0 = all cores."
        ),
    ] = 0,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS|FILE", help="Dask scheduler, or its file; it must share the folder.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="End a request that takes longer; 0 = never.")
    ] = 0,
) -> None:
    """Render each request on stdin into a file of its own.

    Files that exist and are complete are skipped. Prints a JSON line for each request, in their order. Exit code 1 if
    any failed.
    """
    stdin = binary_stdin()
    if cluster and timeout:
        raise UsageError("--timeout cannot be combined with --cluster: a task of Dask cannot be ended")
    _make(outdir)
    from elvis_cli.product.sinks import sweep

    sweep(outdir)
    from elvis_cli.batch import cluster as dask_cluster
    from elvis_cli.batch import naming, pool, run, work

    folder = str(outdir.resolve() if cluster else outdir)
    settings = work.Settings(folder, options, naming.Template(name), overwrite)
    workers: pool.Pool
    if cluster is None:
        cores = parallel.threads()
        workers = pool.Local(settings, jobs or cores, cores, timeout)
    else:
        workers = dask_cluster.Cluster(settings, cluster, jobs)
    begin, counts, now = time.monotonic(), Counter[str](), True
    try:
        with _progress(stdin) as step:
            for each in run.run(read_lines(stdin), workers):
                outcome = work.shared(each) if cluster else each
                write(json.dumps(asdict(outcome)))
                counts[outcome.status] += 1
                step(counts)
                if counts[work.FAILED] <= MAX_PRINTED and outcome.message:
                    note([f"line {outcome.line}: failed: {outcome.message}"])
                elif counts.total() <= MAX_PRINTED:
                    note(outcome.notes)
        now = False
    finally:
        workers.close(now=now)
        sweep(outdir)
    summary = ", ".join(f"{counts[status]} {status}" for status in (work.MADE, work.SKIPPED, work.FAILED))
    summary += f" in {time.monotonic() - begin:.1f} s"
    if counts[work.FAILED]:
        raise IncompleteError(summary)
    note([summary])


def _make(outdir: Path) -> None:
    """Create the folder, or check that it is writable."""
    if outdir.exists() and not outdir.is_dir():
        raise UsageError(f"--outdir: {outdir} is not a folder")
    try:
        outdir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {outdir}: {error.strerror}", path=str(outdir)) from None
    if not os.access(outdir, os.W_OK | os.X_OK):
        raise OutputError(f"cannot write into {outdir}", path=str(outdir))


class _Step(Protocol):
    def __call__(self, counts: Counter[str]) -> None: ...


@contextmanager
def _progress(stdin: BinaryIO) -> Iterator[_Step]:
    """Yield a function that moves a bar if stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda counts: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    to_terminal = sys.stdout is not None and sys.stdout.isatty()  # else rich would take the manifest out of its pipe
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=to_terminal) as bars:
        bar = bars.add_task("", total=_lines(stdin))
        yield lambda counts: bars.update(
            bar,
            completed=counts.total(),
            description=", ".join(f"{n} {status}" for status, n in sorted(counts.items())),
        )


def _lines(stdin: BinaryIO) -> int | None:
    """Return the number of requests if stdin is a file, None if it is a pipe."""
    from elvis_cli.batch.documents import documents

    try:
        if not stat.S_ISREG(os.fstat(stdin.fileno()).st_mode):
            return None
    except (OSError, ValueError):  # no file at all
        return None
    start = stdin.tell()
    count = sum(1 for _ in documents(stdin))
    stdin.seek(start)
    return count
