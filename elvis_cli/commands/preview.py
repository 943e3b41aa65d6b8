"""`elvis preview`: a picture of a FITS file."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from elvis_cli.commands.console import note
from elvis_cli.commands.options import OutputFile
from elvis_cli.commands.standard_streams import binary_stdin, check_stdout, sink
from elvis_cli.errors import UsageError
from elvis_cli.preview.stretch_kind import StretchKind
from elvis_cli.request.option_values import picture_limits


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(preview)


def preview(
    file: Annotated[str, typer.Argument(help="FITS file, of elvis or of another program; - is stdin.")] = "-",
    output: OutputFile = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=16, max=16384, help="Largest width of the picture: pixels (1024), or characters with --terminal."
        ),
    ] = None,
    ext: Annotated[
        str | None,
        typer.Option(metavar="NAME[,VERSION]", help="Extension to draw; by default the mosaic of all chips."),
    ] = None,
    stretch: Annotated[
        StretchKind | None, typer.Option(help="Scale of the brightness (asinh), or of the y axis of curves.")
    ] = None,
    limits: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH|zscale", help="Values of black and white; by default robust limits."),
    ] = None,
    sources: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table whose places (X, Y from 1) get a ring: elvis detect's.")
    ] = None,
    terminal: Annotated[bool, typer.Option("--terminal", help="Draw with characters instead of a PNG.")] = False,
) -> None:
    """Draw a frame or the curves of a table as PNG.

    North is up and East left, to within 45 degrees.
    """
    if not terminal:
        check_stdout(output)
    elif sources is not None:
        raise UsageError("--sources draws rings on a PNG, not with --terminal")
    source = binary_stdin() if file == "-" else file
    between = picture_limits(limits)
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
            notes = picture.png(source, out, size or 1024, extension=ext, kind=stretch, limits=between, rings=sources)
    note(notes)
