"""`elvis split`: a request for several detectors -> a request for each, with the sources that it needs."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from elvis_cli import pipeline
from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.focalplane.convolution import REACH
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.focalplane.many_galaxies import LIGHT, Profiles
from elvis_cli.model.elvis_block import Catalogue
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.request import parse
from elvis_cli.request.payload import NUMBER_COLUMNS, pack_column, pack_names
from elvis_cli.scene import library


def documents(text: bytes) -> Iterator[str]:
    """Yield the requests in ``text``: one JSON object, or one in each line."""
    try:
        lines = text.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError("", f"not UTF-8: {error.reason} at byte {error.start}") from None
    filled = [line for line in lines if line.strip()]
    if len(filled) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in filled):
        yield from filled
    else:
        yield "\n".join(lines)


def split(request: Request, margin: float | None = None) -> Iterator[dict[str, Any]]:
    """Yield a document for each detector of a request.

    A source of the catalogue goes to every detector (its window) that it touches: those within ``margin`` arcsec, by
    default as far as the near PSF is drawn, and for a galaxy as far as its profile is. Sources keep their numbers;
    without them they are numbered from 0. A detector that none touches gets the nearest one. Light in the aperture of a
    spectrograph may fall on any chip: there each gets the whole catalogue.
    """
    setup = pipeline.configure(request)
    reach = (REACH if margin is None else margin / setup.optics.pixel_scale) + 0.5
    catalogue = request.elvis.catalogue
    shared = setup.spectrograph is not None
    places = None if catalogue is None or shared else _places(request, catalogue, setup)
    for number in setup.frame.chips:
        document = copy.deepcopy(dict(request.document))
        block = document["elvis"] = {**(document.get("elvis") or {})}
        block["mosaic"] = list(request.elvis.chips or sorted(setup.frame.chips))
        block["chips"] = [number]
        if catalogue is not None and places is not None:
            block["catalogue"] = subset(catalogue, np.flatnonzero(_touching(setup, number, *places, reach)))
        yield document


def subset(catalogue: Catalogue, rows: np.ndarray) -> dict[str, Any]:
    """Return some rows of a catalogue as the block ``elvis.catalogue``, numbered."""
    x, y = ("ra", "dec") if catalogue.celestial else ("x", "y")
    numbers = range(len(catalogue.x)) if catalogue.id is None else catalogue.id
    columns: dict[str, Any] = {x: catalogue.x, y: catalogue.y, "id": numbers}
    columns |= {
        name: getattr(catalogue, name) for name in NUMBER_COLUMNS if hasattr(catalogue, name) and name not in columns
    }
    block: dict[str, Any] = {
        name: pack_column(np.asarray(values, float)[rows]) for name, values in columns.items() if values is not None
    }
    units = {"magband": catalogue.band, "magsys": catalogue.system}
    block |= {name: word for name, word in units.items() if word is not None}
    if catalogue.sed is not None:
        block["sed"] = [catalogue.sed[row] for row in rows]
    if catalogue.name is not None:
        block["name"] = pack_names([catalogue.name[row] for row in rows])
    return block


def _places(request: Request, catalogue: Catalogue, setup: Setup) -> tuple[Floats, Floats, Floats]:
    """Return field coordinates (arcsec) and extent (pixels) of a catalogue's sources, in its order."""
    x, y = library.places(request, catalogue)
    radius = np.zeros(x.size) if catalogue.radius is None else np.asarray(catalogue.radius)
    extent = np.zeros(x.size)
    galaxy = radius > 0
    index = np.ones(x.size) if catalogue.index is None else np.asarray(catalogue.index)
    none = np.zeros(int(galaxy.sum()))
    profiles = Profiles(none, none, none, radius[galaxy] / setup.optics.pixel_scale, index[galaxy], none + 1, none)
    extent[galaxy] = profiles.containing(LIGHT)
    return x, y, extent


def _touching(setup: Setup, number: int, x: Floats, y: Floats, extent: Floats, reach: float) -> np.ndarray:
    px, py = field_to_pixel(setup, setup.detector.chip(number), x, y)
    window = setup.frame.window
    outside_x = np.abs(px - window.x0 - (window.nx - 1) / 2) - window.nx / 2
    outside_y = np.abs(py - window.y0 - (window.ny - 1) / 2) - window.ny / 2
    distance = np.maximum(outside_x, outside_y) - extent
    return np.asarray((distance < reach) | (distance == distance.min() if (distance >= reach).all() else False))


def lines(text: bytes, margin: float | None = None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the lines that `elvis split` writes, and what the user should know of each request.

    Raises
    ------
    RequestError
        A request is wrong.
    ResourceError
        There is no such instrument.
    """
    for document in documents(text):
        request = parse.read(document)
        for part in split(request, margin):
            yield json.dumps(part, separators=(",", ":")), request.warnings
