"""`elvis warm`: compile the kernels once, after installation; not listed in the help."""

from __future__ import annotations

import io
import json

import typer

from elvis_cli.errors import ResourceError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(hidden=True)(warm)


def warm() -> None:
    """Compile the kernels, so that the first request does not wait for them."""
    from elvis_cli import pipeline
    from elvis_cli.reduction import installed

    pipeline.warm()
    try:
        installed.check()
    except ResourceError:
        return
    _reduce()


def _reduce() -> None:
    """Make the product of a small image."""
    from elvis_cli import pipeline
    from elvis_cli.instrument import registry
    from elvis_cli.reduction import in_memory
    from elvis_cli.request import parse

    for name in registry.names():
        document = registry.load(name).example()
        document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 96, "ny": 96}}
        request = parse.read(json.dumps(document))
        if pipeline.configure(request).spectrograph is None:
            in_memory.reduce(request, io.BytesIO())
            return
