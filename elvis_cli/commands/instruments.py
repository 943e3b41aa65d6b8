"""`elvis instruments` and `elvis example`: the installed instruments and a valid request for each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from elvis_cli.commands.console import print_json, table
from elvis_cli.commands.options import AsJson, Mode


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(instruments)
    app.command()(example)


def instruments(as_json: AsJson = False) -> None:
    """List the instruments: modes, pixel scales, frames, filters."""
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


def example(name: Annotated[str, typer.Argument(help="Instrument.")], mode: Mode = None) -> None:
    """Print a complete, valid request for an instrument."""
    from elvis_cli.instrument import registry

    print_json(registry.load(name).example(mode))
