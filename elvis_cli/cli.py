"""The command line: argv, stdin -> stdout, exit codes. The only file that exits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from elvis_cli import __version__
from elvis_cli.commands import batch, ob, survey
from elvis_cli.commands.console import begin, cell, note, print_json, table, write
from elvis_cli.commands.options import Options, request_options
from elvis_cli.commands.options import limits as read_limits
from elvis_cli.commands.standard_streams import OutputFile, binary_stdin, check_stdout, sink, stdin
from elvis_cli.errors import ElvisError, UsageError, expected
from elvis_cli.preview.stretch_kind import StretchKind

if TYPE_CHECKING:
    from elvis_cli.model.request import Request

app = typer.Typer(
    name="elvis",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Threads = Annotated[int, typer.Option(min=0, envvar="ELVIS_THREADS", help="Threads; 0 = all that the process may use.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


class _Terminated(BaseException):
    """SIGTERM or SIGHUP: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # else nohup would be in vain
            signal.signal(number, _terminate)
    if not os.environ.get("ELVIS_DEBUG"):
        warnings.simplefilter("ignore")
    code = run(sys.argv[1:])
    # All is flushed and cleaned up: unloading half a hundred modules would only cost time, and the interpreter
    # would try again, loudly, to write what a broken pipe did not take.
    os._exit(code)


def _terminate(number: int, _frame: object) -> NoReturn:
    raise _Terminated(number)


def run(argv: list[str]) -> int:
    """Run one command line on this process's standard streams and return its exit code."""
    console = begin(_wants_json(argv))
    try:
        return app(args=argv, prog_name="elvis", standalone_mode=False) or console.done()
    except (KeyboardInterrupt, typer.Abort):
        return 128 + signal.SIGINT
    except _Terminated as stop:
        return stop.exit_code
    except (BrokenPipeError, SystemExit):  # the reader has what it wanted; typer makes a SystemExit of it
        return 128 + signal.SIGPIPE
    except ElvisError as error:
        failure = error
    except Exception as error:
        failure = _translate(error)
    return console.fail(failure)


def _translate(error: Exception) -> ElvisError:
    """Return an unexpected exception as an error of ours."""
    if isinstance(error, _USAGE):
        return UsageError(error.format_message())  # type: ignore[attr-defined]
    if os.environ.get("ELVIS_DEBUG"):
        raise error
    return expected(error)


_USAGE = typer.BadParameter.__mro__[2]
"""The base of the command line parser's own errors (typer brings its parser along under several names)."""


def _wants_json(argv: list[str]) -> bool:
    # Looked for by hand, because a wrong command line must be reported in JSON too.
    return "--errors=json" in argv or ("--errors", "json") in pairwise(argv)


def _version(asked: bool) -> None:
    if asked:
        write(f"elvis {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
@request_options
def elvis(
    ctx: typer.Context,
    options: Options,
    output: OutputFile = None,
    threads: Threads = 0,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Render the ETC request on stdin: detector frames as FITS on stdout.

    Exit codes: 0; 2 wrong command line; 65 the request is wrong; 69 no such instrument or a resource is missing;
    70 a fault of elvis; 74 the output cannot be written.
    """
    from elvis_cli.base import parallel

    parallel.set_threads(threads)
    if ctx.invoked_subcommand is None:
        _render(stdin(help_too=True), options, output)
    elif options.overrides or options.strict or output:
        raise UsageError(f"the options of {ctx.invoked_subcommand!r} come after its name")


@app.command()
@request_options
def replay(
    options: Options,
    file: Annotated[str, typer.Argument(help="FITS file that elvis wrote; - is stdin.")] = "-",
    output: OutputFile = None,
) -> None:
    """Render the request that travels inside a FITS file again: the same pixels."""
    check_stdout(output)
    from elvis_cli.product.replay import read_request

    _render(read_request(binary_stdin() if file == "-" else file), options, output)


@app.command()
def preview(
    file: Annotated[str, typer.Argument(help="FITS file, of elvis or another; - is stdin.")] = "-",
    output: OutputFile = None,
    size: Annotated[
        int | None,
        typer.Option(min=16, max=16384, help="Largest width of the image, pixels (1024); with --terminal characters."),
    ] = None,
    ext: Annotated[
        str | None,
        typer.Option(metavar="NAME[,VERSION]", help="Extension to draw; the mosaic of all chips if not given."),
    ] = None,
    stretch: Annotated[
        StretchKind | None, typer.Option(help="From values to brightness: asinh if not given; or the y axis of curves.")
    ] = None,
    limits: Annotated[
        str | None, typer.Option(metavar="LOW,HIGH|zscale", help="Values of black and white; robust ones if not given.")
    ] = None,
    terminal: Annotated[bool, typer.Option("--terminal", help="Draw with characters instead of a PNG.")] = False,
) -> None:
    """Make a picture (PNG) of a frame, North up and East left to less than 45 degrees, or of a table's curves."""
    if not terminal:
        check_stdout(output)
    source = binary_stdin() if file == "-" else file
    between = read_limits(limits)
    from elvis_cli.preview import draw as picture
    from elvis_cli.preview.terminal import has_colour

    with sink(output) as out:
        if terminal:
            columns, lines = shutil.get_terminal_size()
            columns, lines = (size, size // 2) if size else (columns, lines - 1)
            colour = has_colour(None if output else sys.stdout, os.environ)
            notes = picture.text(
                source, out, columns, lines, colour=colour, extension=ext, kind=stretch, limits=between
            )
        else:
            notes = picture.png(source, out, size or 1024, extension=ext, kind=stretch, limits=between)
    note(notes)


@app.command()
@request_options
def validate(options: Options) -> None:
    """Check the request on stdin; say on stderr what it would render."""
    request = _read(stdin(), options)
    from elvis_cli import pipeline
    from elvis_cli.prediction.imaging import Exposed

    made = pipeline.prepare(request)
    setup, prediction = made.setup, made.prediction
    note(made.notes)
    note(
        [
            f"valid: {setup.instrument} {setup.mode} {setup.filter_name}, chips {', '.join(map(str, setup.chips))}, "
            f"{setup.window.nx} x {setup.window.ny} pixels, {setup.count_key} {prediction.count} x {setup.dit:g} s, "
            + ("no target" if isinstance(prediction, Exposed) else f"S/N {prediction.snr:.4g}")
        ]
    )


@app.command()
@request_options
def explain(options: Options, as_json: AsJson = False) -> None:
    """List every number that the request on stdin would use: value, unit, source."""
    request = _read(stdin(), options)
    from elvis_cli import pipeline

    values = pipeline.explain(request)
    if as_json:
        print_json([asdict(value) for value in values])
    else:
        rows = [(v.name, cell(v.value), v.unit, ("assumed: " if v.assumed else "") + v.source) for v in values]
        table(("name", "value", "unit", "source"), rows)


@app.command()
def instruments(as_json: AsJson = False) -> None:
    """List the installed instruments: mode, pixel scale, frame size, filters."""
    from elvis_cli.instrument import registry

    modes = [mode for name in registry.names() for mode in registry.load(name).modes()]
    if as_json:
        print_json([asdict(mode) for mode in modes])
        return
    rows = [
        (m.instrument, m.mode, f"{m.pixel_scale:g}", " x ".join(map(str, m.frame)), " ".join(m.filters), m.title)
        for m in modes
    ]
    table(("instrument", "mode", "arcsec/pixel", "chips x columns x rows", "filters", "title"), rows)


@app.command()
def example(
    name: Annotated[str, typer.Argument(help="Instrument.")],
    mode: Annotated[str | None, typer.Option(help="Mode of the instrument; its default if not given.")] = None,
) -> None:
    """Print a complete valid request."""
    from elvis_cli.instrument import registry

    print_json(registry.load(name).example(mode))


@app.command()
def scene(
    name: Annotated[str | None, typer.Argument(help="Scene; all are listed if not given.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Instrument whose example is taken.")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the instrument; its default if not given.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Parameter of the scene, or /pointer=VALUE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a request with a scene in it: a cluster, a galaxy, a disc ...; without a name, list them."""
    from elvis_cli.commands import scene as scenes

    if name is not None:
        print_json(scenes.document(name, instrument, mode, settings or ()))
        return
    rows = scenes.listing()
    if as_json:
        print_json(rows)
    else:
        table(
            tuple(rows[0]),
            [tuple(value if isinstance(value, str) else json.dumps(value) for value in r.values()) for r in rows],
        )


@app.command()
def schema() -> None:
    """Print the JSON Schema of the request."""
    import elvis_schemas

    write(elvis_schemas.text().rstrip())


@app.command()
def stages(
    instrument: Annotated[str | None, typer.Argument(help="Instrument; without it, all stages are listed.")] = None,
    mode: Annotated[str | None, typer.Option(help="Mode of the instrument; its default if not given.")] = None,
    order: Annotated[str | None, typer.Option(metavar="NAME", help="Order of the stages, e.g. physical.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the stages of the detector chain in their order, from light to ADU."""
    from elvis_cli.commands import stages as command

    described = command.listing(instrument, mode, order)
    if as_json:
        print_json(described)
    else:
        table(("stage", "unit", "what it does", "parameters"), command.rows(described))


@app.command(hidden=True)
def warm() -> None:
    """Compile the kernels, so that the first request does not wait for it."""
    from elvis_cli import pipeline

    pipeline.warm()


survey.register(app)
ob.register(app)
batch.register(app)


def _render(text: bytes | str, options: Options, output: Path | None) -> None:
    check_stdout(output)
    request = _read(text, options)
    # Only now the heavy imports: a wrong request is refused in a fraction of the time.
    from elvis_cli import pipeline

    with sink(output) as out, _progress() as progress:
        notes = pipeline.render(request, out, progress)
    note(notes)


def _read(text: bytes | str, options: Options) -> Request:
    request = options.read(text)
    note(request.warnings)
    return request


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Yield what draws a bar over the chips if a person watches and there are several."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("chips", visible=False)
        yield lambda done, total: bars.update(bar, completed=done, total=total, visible=total > 1)


if __name__ == "__main__":
    main()
