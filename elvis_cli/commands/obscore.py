"""`elvis obscore`: the ObsCore row of a FITS file."""

from __future__ import annotations

import tempfile
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import cell, print_json, table
from elvis_cli.commands.options import AsJson
from elvis_cli.commands.standard_streams import binary_stdin


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(obscore)


def obscore(
    file: Annotated[str, typer.Argument(help="FITS file, raw or reduced; - is stdin.")] = "-",
    as_json: AsJson = False,
) -> None:
    """Print the ObsCore row of a FITS file."""
    from elvis_cli.archive import columns

    values = _read(file)
    if as_json:
        print_json(values)
        return
    rows = [(name, cell(value), columns.BY_NAME[name].unit) for name, value in values.items() if value is not None]
    table(("column", "value", "unit"), rows)


def _read(file: str) -> dict[str, Any]:
    from elvis_cli.archive import obscore as reader
    from elvis_cli.errors import ResourceError

    if file != "-":
        try:
            with open(file, "rb") as found:
                return reader.product(found, file).values
        except OSError as error:
            raise ResourceError(f"cannot read {file}: {error.strerror}", path=file) from None
    stdin = binary_stdin()
    if stdin.seekable():
        return reader.product(stdin, "stdin").values
    with tempfile.NamedTemporaryFile() as copy:
        while chunk := stdin.read(1 << 20):
            copy.write(chunk)
        return reader.product(copy, "stdin").values  # type: ignore[arg-type]
