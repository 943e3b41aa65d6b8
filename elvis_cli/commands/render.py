"""`elvis` without a command: the filter from a request to FITS; and `elvis replay`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from elvis_cli import __version__
from elvis_cli.commands.console import note, write
from elvis_cli.commands.help_format import CommandHelp, MainHelp
from elvis_cli.commands.options import read_request, request_options
from elvis_cli.commands.standard_streams import OutputFile, binary_stdin, check_stdout, sink, stdin
from elvis_cli.errors import UsageError
from elvis_cli.instrument.request_options import RequestOptions

Threads = Annotated[
    int, typer.Option(min=0, envvar="ELVIS_THREADS", help="Number of threads; 0 = all cores of the process.")
]


def register(app: typer.Typer) -> None:
    """Add the filter and the command to the command line."""
    app.callback(
        cls=MainHelp,
        invoke_without_command=True,
        subcommand_metavar="[COMMAND [ARGS]...]",
        epilog="`elvis help` lists the topics of the guide; `elvis COMMAND --help` the options of a command.",
    )(request_options(elvis))
    app.command(cls=CommandHelp)(request_options(replay))


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"elvis {__version__}")
        raise typer.Exit


def elvis(
    ctx: typer.Context,
    options: RequestOptions,
    output: OutputFile = None,
    threads: Threads = 0,
    server: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Have it rendered by elvis serve at this address.", rich_help_panel="Output"),
    ] = None,
    or_here: Annotated[
        bool, typer.Option("--or-here", help="Render here if no --server answers.", rich_help_panel="Output")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Render the ETC request on stdin: detector frames as FITS on stdout."""
    from elvis_cli.base import parallel

    parallel.set_threads(threads)
    if ctx.invoked_subcommand is None:
        text = stdin(help_too=True)
        if server is None or not _render_remotely(text, options, output, server, or_here):
            _render(text, options, output)
    elif options.overrides or options.strict or options.ephemeris or output or server:
        raise UsageError(f"the options of {ctx.invoked_subcommand!r} come after its name")


def replay(
    options: RequestOptions,
    file: Annotated[str, typer.Argument(help="FITS file written by elvis; - is stdin.")] = "-",
    output: OutputFile = None,
) -> None:
    """Render the request inside a FITS file again: the same pixels."""
    check_stdout(output)
    from elvis_cli.product.replay import read_request as request_in

    _render(request_in(binary_stdin() if file == "-" else file), options, output)


def _render(text: bytes | str, options: RequestOptions, output: Path | None) -> None:
    check_stdout(output)
    if options.overrides.get("product") == "reduced":
        from elvis_cli.commands.reduce import in_memory

        in_memory(text, options, output)
        return
    request = read_request(text, options)
    # Only now the heavy imports: a wrong request is refused in a fraction of the time.
    from elvis_cli import pipeline

    with sink(output) as out, _progress() as progress:
        notes = pipeline.render(request, out, progress)
    note(notes)


def _render_remotely(text: bytes, options: RequestOptions, output: Path | None, server: str, or_here: bool) -> bool:
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
