"""`elvis instruments` and `elvis example`: the installed instruments and a valid request for each."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from elvis_cli.commands.console import note, print_json, table
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


def example(
    name: Annotated[str, typer.Argument(help="Instrument.")],
    mode: Mode = None,
    catalogue: Annotated[
        Path | None, typer.Option(help="Sources for a mask of slits, in a mode that has one; as for elvis itself.")
    ] = None,
) -> None:
    """Print a complete, valid request for an instrument.

    With --catalogue it has a mask of slits on the sources.
    """
    from elvis_cli.instrument import registry

    document = registry.load(name).example(mode)
    print_json(document if catalogue is None else masked(document, catalogue))


def masked(document: dict[str, Any], catalogue: Path) -> dict[str, Any]:
    """Return a request with the sources of a file, and the mask of slits for them.

    The field's middle is that of places on the sky.

    Raises
    ------
    RequestError
        The file has no sources, or the mode no masks, or no source is where a slit can be.
    """
    import numpy as np

    from elvis_cli.instrument import registry
    from elvis_cli.instrument.request_options import RequestOptions
    from elvis_cli.request.files.catalogue import read_catalogue
    from elvis_cli.scene import library

    sources = read_catalogue(catalogue)
    block: dict[str, Any] = {"catalogue": sources}
    if "ra" in sources.columns:
        ra, dec = (sources.columns[key] for key in ("ra", "dec"))
        around = (ra - ra[0] + 180.0) % 360.0 - 180.0  # from the first on, across 0 h too
        middle = {"ra": float(ra[0] + np.nanmean(around)) % 360.0, "dec": float(np.nanmean(dec))}
        block["pointing"] = {key: round(value, 6) for key, value in middle.items()}
    request = RequestOptions(block).read(json.dumps(document))
    note(sources.notes)
    stars = request.elvis.catalogue
    assert stars is not None
    x, y = library.places(request, stars)
    places = list(zip(map(float, x), map(float, y), stars.mag, strict=True))
    mask = registry.load(request.instrument).mask(document["instrument"]["ins_configuration"], places)
    note([f"a mask of {len(mask['x'])} slits for {len(places)} sources"])
    elvis = {**document.get("elvis", {}), **block, "catalogue": request.document["elvis"]["catalogue"], "mask": mask}
    return {**document, "elvis": elvis}
