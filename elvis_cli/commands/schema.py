"""`elvis schema`: the JSON Schema of a request."""

from __future__ import annotations

import typer

from elvis_cli.commands.console import write


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(schema)


def schema() -> None:
    """Print the JSON Schema of a request."""
    import elvis_schemas

    write(elvis_schemas.text().rstrip())
