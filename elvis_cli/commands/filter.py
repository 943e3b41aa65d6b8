"""The filter itself: a request to FITS. Without arguments no parser of the command line is loaded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from elvis_cli.base import memory, parallel
from elvis_cli.commands.console import note
from elvis_cli.commands.standard_streams import check_stdout, sink, stdin
from elvis_cli.instrument.request_options import RequestOptions

if TYPE_CHECKING:
    from elvis_cli.model.request import Request


def is_bare(argv: list[str]) -> bool:
    """Return whether a command line has no option; the number of threads may be in the environment."""
    threads = os.environ.get("ELVIS_THREADS") or "0"
    return not argv and "ELVIS_OFFLINE" not in os.environ and threads.isascii() and threads.isdigit()


def bare() -> None:
    """Render the request on stdin to stdout."""
    parallel.set_threads(int(os.environ.get("ELVIS_THREADS") or 0))
    render(stdin(help_too=True), RequestOptions(), None)


def read_request(text: bytes | str, options: RequestOptions) -> Request:
    """Return the Request in ``text`` and print its warnings."""
    request = options.read(text)
    note(options.file_notes())
    note(request.warnings)
    return request


def render(text: bytes | str, options: RequestOptions, output: Path | None) -> None:
    """Render the request in ``text`` to a file, or to stdout."""
    check_stdout(output)
    if options.overrides.get("product") == "reduced":
        from elvis_cli.commands.reduce import in_memory

        in_memory(text, options, output)
        return
    request = read_request(text, options)
    # Only now the heavy imports: a wrong request is refused in a fraction of the time.
    from elvis_cli import pipeline

    memory.keep_freed()
    with sink(output) as out, _progress() as progress:
        notes = pipeline.render(request, out, progress)
    note(notes)


def render_remotely(text: bytes, options: RequestOptions, output: Path | None, server: str, or_here: bool) -> bool:
    """Return whether a server has rendered the request; False only if none answers and ``or_here``."""
    check_stdout(output)
    from elvis_cli.service import client

    try:
        with sink(output) as out:
            notes = client.render(server, text, options, out)
    except client.UnreachableError as error:
        if not or_here:
            raise
        note([f"rendered here: {error.message}"])
        return False
    note(notes)
    return True


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that draws a bar over the chips, or None if stderr is not a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("chips", visible=False)
        yield lambda done, total: bars.update(bar, completed=done, total=total, visible=total > 1)
