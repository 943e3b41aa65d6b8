"""The commands of a survey and its focal plane: plan, split, combine, catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from elvis_cli.commands.console import note, say, write
from elvis_cli.commands.options import OutputFile
from elvis_cli.commands.standard_streams import check_stdout, sink, stdin
from elvis_cli.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (plan, split, combine, catalog):
        app.command()(command)


def plan() -> None:
    """Print a request for each exposure of the survey on stdin.

    One JSON line each.
    """
    from elvis_cli.survey import plan as plans

    for document in plans.plan(stdin()):
        write(json.dumps(document, separators=(",", ":")))


def split(
    margin: Annotated[
        float | None,
        typer.Option(min=0, help="Distance from the window within which sources are included, arcsec (1024 pixels)."),
    ] = None,
) -> None:
    """Print a request for each detector of the requests on stdin.

    One JSON line each, with the sources of the catalogue that touch the detector.
    """
    from elvis_cli.survey import split as splits

    for line, notes in splits.lines(stdin(), margin):
        note(notes)
        write(line)


def combine(
    files: Annotated[list[Path], typer.Argument(help="FITS files written by elvis, in any order.")],
    output: OutputFile = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Accept missing detectors, with a note.")
    ] = False,
) -> None:
    """Combine the files of single detectors into one FITS file."""
    check_stdout(output)
    from elvis_cli.survey.combine import combine as together

    with sink(output) as out:
        notes = together(files, out, allow_missing=allow_missing)
    note(notes)


def catalog(
    files: Annotated[list[Path], typer.Argument(help="Catalogues of stars and galaxies: CSV, ECSV, FITS, VOTable ...")],
    output: OutputFile = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=COLUMN", help="Column that holds a quantity, such as mag=Ks_2MASS."),
    ] = None,
) -> None:
    """Merge catalogues of stars and galaxies.

    ECSV on stdout, or the format of the output's name; counts on stderr.
    """
    from elvis_cli.request.files.catalogue import columns_named
    from elvis_cli.survey import catalog as catalogs

    if output is not None and output.suffix.casefold() not in (".fits", ".fit", ".ecsv"):
        raise UsageError(f"--output: {output.name} is neither .fits nor .ecsv")
    columns, summary, notes = catalogs.merge(files, columns_named(column or ()))
    note(notes)
    with sink(output) as out:
        catalogs.write(columns, summary, out, as_fits=output is not None and output.suffix.casefold() != ".ecsv")
    for line in catalogs.describe(summary):
        say(f"elvis: {line}")
