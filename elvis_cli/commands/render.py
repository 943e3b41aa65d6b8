"""`elvis` without a command: the filter from a request to FITS; and `elvis replay`."""

from __future__ import annotations

from typing import Annotated

import typer

from elvis_cli import __version__
from elvis_cli.commands import filter
from elvis_cli.commands.console import write
from elvis_cli.commands.help_format import CommandHelp, MainHelp
from elvis_cli.commands.options import OutputFile, request_options
from elvis_cli.commands.standard_streams import binary_stdin, check_stdout, stdin
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
        if server is None or not filter.render_remotely(text, options, output, server, or_here):
            filter.render(text, options, output)
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

    filter.render(request_in(binary_stdin() if file == "-" else file), options, output)
