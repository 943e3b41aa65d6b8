"""`elvis archive`: the store of frames and products, queries, its server."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from elvis_cli.commands.console import cell, note, say, table, write
from elvis_cli.commands.options import OutputFile
from elvis_cli.commands.standard_streams import binary_stdin, sink
from elvis_cli.errors import IncompleteError, ResourceError, UsageError

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

MAX_PRINTED = 100
"""Failures that are printed on stderr; stdout has all."""
Place = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="FILE|ADDRESS",
        envvar="ELVIS_ARCHIVE",
        help="SQLite file, or postgresql://USER@HOST/DATABASE; created if it does not exist.",
    ),
]
DEFAULT_PLACE = "elvis-archive.sqlite"
NEEDED = ("sqlalchemy", "alembic", "sqlglot", "defusedxml")
"""Modules of the extra."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    commands = typer.Typer(no_args_is_help=True, help="Keep frames and products, and find them again.")
    commands.command()(add)
    commands.command()(query)
    commands.command()(serve)
    commands.command()(registry)
    app.add_typer(commands, name="archive")


def add(
    files: Annotated[list[str], typer.Argument(help="FITS files, raw or reduced; - is the manifest of elvis batch.")],
    store: Place = DEFAULT_PLACE,
) -> None:
    """Add files: their headers are read, the files stay where they are.

    Prints a JSON line for each file. A file that is there already, by its SHA-256, is not added again. Exit code 1 if
    any failed.
    """
    if "-" in files and len(files) > 1:
        raise UsageError("- is the manifest on stdin: it cannot be combined with files")
    opened = _open(store)
    from elvis_cli.archive import ingest

    entries = ingest.manifest(binary_stdin()) if files == ["-"] else map(ingest.Entry, files)
    counts = Counter[str]()
    for outcome in ingest.add(opened, entries):
        write(json.dumps(asdict(outcome)))
        counts[outcome.status] += 1
        if outcome.message and counts[ingest.FAILED] <= MAX_PRINTED:
            note([f"{outcome.file}: failed: {outcome.message}"])
    opened.close()
    summary = ", ".join(f"{counts[status]} {status}" for status in (ingest.ADDED, ingest.KNOWN, ingest.FAILED))
    if counts[ingest.FAILED]:
        raise IncompleteError(summary)
    note([summary])


def query(
    text: Annotated[str, typer.Argument(metavar="ADQL", help="Query, such as SELECT dp_id FROM ivoa.obscore.")],
    store: Place = DEFAULT_PLACE,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help="votable, votable/b2, csv, tsv or json; csv in a pipe."),
    ] = None,
    maxrec: Annotated[int, typer.Option(min=0, max=100_000, help="Most rows.")] = 100_000,
    output: OutputFile = None,
) -> None:
    """Answer a query in ADQL.

    On a terminal the answer is a table.
    """
    opened = _open(store, create=False)
    from elvis_cli.archive import query as runner
    from elvis_cli.archive import votable

    to_terminal = form is None and output is None and sys.stdout is not None and sys.stdout.isatty()
    chosen = votable.find_format(form or "csv")
    if chosen is None:
        allowed = ", ".join(each.name for each in votable.FORMATS)
        raise UsageError(f"--format: {form!r} is not one of {allowed}")
    with runner.run(opened, text, "", maxrec) as (columns, rows):
        if to_terminal:
            lines = [
                tuple("" if value is None else cell(value) for value in row)
                for row, _ in zip(rows, range(maxrec), strict=False)
            ]
            table(tuple(column.name for column in columns), lines)
            return
        with sink(output) as out:
            chosen.write(votable.Answer(columns, rows, maxrec, (("QUERY", text),)), out)


def serve(
    store: Place = DEFAULT_PLACE,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 = any that is free.")] = 8643,
    public: Annotated[bool, typer.Option("--public", help="Listen where others reach it.")] = False,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="Address that others know it by, for links in answers.")
    ] = None,
    root_path: Annotated[str, typer.Option(metavar="PATH", help="Path under which a proxy shows it.")] = "",
) -> None:
    """Serve the archive: a page, TAP, SIA2, SODA, DataLink, cone search and MOC.

    Nothing can be written by these services. `elvis help archive` describes them.
    """
    check_installed((*NEEDED, "starlette", "uvicorn", "python_multipart", "mocpy"))
    _open(store).close()
    from elvis_cli.service import archive_app, run
    from elvis_cli.service.app import check_address

    check_address(host, is_public=public)
    root = root_path.rstrip("/")
    run.serve_archive(
        host, port, lambda found: archive_app.ArchiveOptions(store, (url or f"{found}{root}").rstrip("/"), root), say
    )


def registry(
    url: Annotated[str, typer.Option(metavar="URL", help="Address of the archive.")],
    store: Place = DEFAULT_PLACE,
    authority: Annotated[
        str | None,
        typer.Option(help="Naming authority, kept in the store for the identifiers of files that are added later."),
    ] = None,
    title: Annotated[str, typer.Option(help="Title of the record.")] = "Archive of simulated observations by ELVIS",
) -> None:
    """Print the registry record (VOResource) of the archive; it is sent nowhere."""
    opened = _open(store, create=False)
    from datetime import UTC, datetime

    from elvis_cli.archive import store as stores
    from elvis_cli.archive import vosi

    if authority is not None:
        if not stores.AUTHORITY.fullmatch(authority):
            raise UsageError(f"--authority: {authority!r} is not at least three letters, digits, dots or hyphens")
        opened.set("authority", authority)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    write(vosi.record(url.rstrip("/"), opened.authority, title, now).decode().rstrip())


def _open(place: str, *, create: bool = True) -> Store:
    """Return the store.

    Raises
    ------
    ResourceError
        A library is missing, or it cannot be opened.
    """
    check_installed()
    if not create and "://" not in place and not Path(place).is_file():
        raise ResourceError(f"there is no archive {place}: elvis archive add FILES --store {place}")
    from elvis_cli.archive.store import Store

    return Store(place)


def check_installed(names: tuple[str, ...] = NEEDED) -> None:
    """Raise if a library of the extra is missing.

    Raises
    ------
    ResourceError
        It is.
    """
    from importlib.util import find_spec

    lacking = [name for name in names if find_spec(name) is None]
    if lacking:
        raise ResourceError(
            f"{' and '.join(lacking)} not installed: pip install 'elvis-cli[archive]'", allowed="elvis-cli[archive]"
        )
