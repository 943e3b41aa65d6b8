"""`elvis scene`: the scenes with their parameters, and a request with one of them."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from elvis_cli.commands.console import print_json, table
from elvis_cli.commands.options import AsJson, Mode


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(scene)


def scene(
    name: Annotated[str | None, typer.Argument(help="Scene; without it, all scenes are listed.")] = None,
    instrument: Annotated[str | None, typer.Option(help="Instrument of the request.")] = None,
    mode: Mode = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Parameter of the scene, or /JSON/pointer=VALUE."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a request with a scene, or list the scenes."""
    from elvis_cli.instrument import scene_request

    if name is not None:
        print_json(scene_request.document(name, instrument, mode, settings or ()))
        return
    rows = scene_request.listing()
    if as_json:
        print_json(rows)
    else:
        table(
            tuple(rows[0]),
            [tuple(value if isinstance(value, str) else json.dumps(value) for value in row.values()) for row in rows],
        )
