"""`elvis batch`: a request a line -> a FITS file each, on all cores or a cluster, resumable."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
