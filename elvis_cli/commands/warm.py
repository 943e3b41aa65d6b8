"""`elvis warm`: compile the kernels once, after installation; not listed in the help."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(hidden=True)(warm)


def warm() -> None:
    """Compile the kernels, so that the first request does not wait for them."""
    from elvis_cli import pipeline

    pipeline.warm()
