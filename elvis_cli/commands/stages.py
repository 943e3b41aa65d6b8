"""`elvis stages`: the stages of the detector chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import print_json, table
from elvis_cli.commands.options import AsJson, Mode


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(stages)


def stages(
    instrument: Annotated[str | None, typer.Argument(help="Instrument; without it, all stages are listed.")] = None,
    mode: Mode = None,
    order: Annotated[str | None, typer.Option(metavar="NAME", help="Order of the stages, e.g. physical.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the stages of a detector, from light to ADU."""
    from elvis_cli.instrument import stage_listing

    described = stage_listing.listing(instrument, mode, order)
    if as_json:
        print_json(described)
    else:
        table(("stage", "unit", "description", "parameters"), rows(described))


def rows(described: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the lines of the table: a parameter is its name, with its value if that is known, and its unit."""
    return [
        (s["name"], s["unit"], s["title"] + (" (when asked for)" if s["when"] != "always" else ""),
         ", ".join(_parameter(p) for p in s["parameters"]))
        for s in described
    ]  # fmt: skip


def _parameter(parameter: dict[str, Any]) -> str:
    value = parameter.get("value")
    text = parameter["name"]
    if isinstance(value, (int, float)):
        text += f" = {value:g}"
    elif isinstance(value, str):
        text += f" = {value}"
    elif value is not None:
        text += f" = {len(value)} values"
    return f"{text} {parameter['unit']}".rstrip()
