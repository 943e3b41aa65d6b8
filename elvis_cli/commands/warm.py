"""`elvis warm`: compile the kernels once, after installation; not listed in the help."""

from __future__ import annotations

import io
import json
from typing import Any

import typer

from elvis_cli.errors import ResourceError

SIDE = 96
"""Pixels of the side of a small frame."""


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
    """Make the products of small frames: an image, the spectrum of a slit, the cube of a slicer, spectra of fibres.

    Of each kind the mode with the fewest orders and traces is taken.
    """
    from elvis_cli import pipeline
    from elvis_cli.instrument import registry
    from elvis_cli.reduction import in_memory
    from elvis_cli.request import parse

    cheapest: dict[object, tuple[tuple[int, int], dict[str, Any]]] = {}
    for plugin in map(registry.load, registry.names()):
        for info in plugin.modes():
            document = plugin.example(info.mode)
            setup = pipeline.configure(parse.read(json.dumps(document)))
            found, detector = setup.spectrograph, setup.detector
            kind = found and ("fibres" if found.apertures[0].fibre else found.sliced)
            middle = (detector.nx - SIDE) // 2, (detector.ny - SIDE) // 2
            window = dict(zip(("x0", "y0", "nx", "ny"), (*middle, SIDE, SIDE), strict=True))
            document["elvis"] = {**document.get("elvis", {}), "window": window}
            candidate = pipeline.orders_and_traces(setup), document
            cheapest[kind] = min(cheapest.get(kind, candidate), candidate, key=lambda each: each[0])
    for _, document in cheapest.values():
        in_memory.reduce(parse.read(json.dumps(document)), io.BytesIO())
