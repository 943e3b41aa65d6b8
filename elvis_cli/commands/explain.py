"""`elvis explain`: the numbers behind a request."""

from __future__ import annotations

from dataclasses import asdict

import typer

from elvis_cli.commands.console import cell, print_json, table
from elvis_cli.commands.filter import read_request
from elvis_cli.commands.help_format import CommandHelp
from elvis_cli.commands.options import AsJson, request_options
from elvis_cli.commands.standard_streams import stdin
from elvis_cli.instrument.request_options import RequestOptions


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=CommandHelp)(request_options(explain))


def explain(options: RequestOptions, as_json: AsJson = False) -> None:
    """List every number used for the request on stdin.

    Each has its value, unit and source.
    """
    request = read_request(stdin(), options)
    from elvis_cli import pipeline

    values = pipeline.explain(request)
    if as_json:
        print_json([asdict(value) for value in values])
    else:
        rows = [(v.name, cell(v.value), v.unit, ("assumed: " if v.assumed else "") + v.source) for v in values]
        table(("name", "value", "unit", "source"), rows)
