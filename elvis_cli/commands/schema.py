"""`elvis schema`: the JSON Schema of a request."""

from __future__ import annotations

from typing import Annotated

import typer

from elvis_cli.commands.console import print_json, write
from elvis_cli.commands.options import Mode
from elvis_cli.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(schema)


def schema(
    instrument: Annotated[
        str | None, typer.Option(help="Only what this instrument takes: keys, options, ranges, units, defaults.")
    ] = None,
    mode: Mode = None,
) -> None:
    """Print the JSON Schema of a request, or of one mode."""
    if instrument is None:
        if mode is not None:
            raise UsageError("--mode is about the mode of --instrument, and there is none")
        import elvis_schemas

        write(elvis_schemas.text().rstrip())
        return
    from elvis_cli.instrument import mode_schema

    print_json(mode_schema.narrowed(instrument, mode))
