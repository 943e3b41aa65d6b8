"""`elvis validate`: check a request without rendering it."""

from __future__ import annotations

import typer

from elvis_cli.commands.console import note
from elvis_cli.commands.filter import read_request
from elvis_cli.commands.help_format import CommandHelp
from elvis_cli.commands.options import request_options
from elvis_cli.commands.standard_streams import stdin
from elvis_cli.instrument.request_options import RequestOptions


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=CommandHelp)(request_options(validate))


def validate(options: RequestOptions) -> None:
    """Check the request on stdin; describe it on stderr."""
    request = read_request(stdin(), options)
    from elvis_cli import pipeline

    prepared = pipeline.prepare(request)
    note(prepared.notes)
    note([f"valid: {pipeline.summary(prepared)}"])
