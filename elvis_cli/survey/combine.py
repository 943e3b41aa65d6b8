"""`elvis combine`: files of single detectors, in any order -> the file of the focal plane."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from elvis_cli import pipeline
from elvis_cli.detector.layout import areas, quadrants
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Catalogue
from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup
from elvis_cli.prediction import series
from elvis_cli.product import fits, replay
from elvis_cli.product.integrity import is_whole
from elvis_cli.request import parse
from elvis_cli.request.values import brief
from elvis_cli.survey.split import subset


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A file that is combined."""

    path: Path
    document: dict[str, Any]
    """Its request."""
    images: tuple[tuple[int, str, fits.Copy], ...]
    """Number of the chip and EXTNAME of each image of a chip."""
    maps: tuple[tuple[int, fits.Copy], ...]
    """S/N maps by chip."""
    notes: tuple[str, ...] = ()


def combine(files: Sequence[Path], out: BinaryIO, *, allow_missing: bool = False) -> tuple[str, ...]:
    """Write the focal plane of which ``files`` are the parts to ``out`` and return notes; pixels are only copied.

    Raises
    ------
    RequestError
        A file is not one of ELVIS, is damaged, or belongs to another request than the first.
    ResourceError
        A file cannot be read; or a detector or quadrant is missing and that is not allowed.
    """
    pieces = [read(path) for path in files]
    merged, places = merge(pieces)
    request = parse.read(json.dumps(merged))
    setup = pipeline.configure(request)
    wanted = request.elvis.mosaic or tuple(chip.id for chip in setup.detector.chips)
    missing = [name for number in wanted for name in _missing(setup, setup.detector.chip(number), places)]
    if missing and not allow_missing:
        raise ResourceError(f"missing: {', '.join(missing)} (--allow-missing goes without)", missing=missing)
    present = [number for number in wanted if number in places]
    request = _focal_plane_request(merged, present, setup, complete=not missing)
    ready = pipeline.prepare(request)
    request, setup = ready.request, ready.setup
    order = {quadrant.name: n for n, quadrant in enumerate(quadrants(setup.detector))}
    images = (
        copy
        for number in setup.frame.chips
        for _, copy in sorted(places[number], key=lambda found: order.get(found[0].rpartition(".")[2], -1))
    )
    maps = {number: copy for piece in pieces for number, copy in piece.maps}
    snr_maps = [maps[n] for n in setup.frame.chips if n in maps] if series.mapped(ready.series, setup) else []
    tables = pipeline.extensions(ready, {})
    fits.write(request, setup, ready.prediction, images, ready.notes, out, itertools.chain(tables, snr_maps))
    notes = [note for piece in pieces for note in piece.notes]
    return (*ready.notes, *notes, *([f"missing: {', '.join(missing)}"] if missing else []))


def read(path: Path) -> Piece:
    """Return the request, the images and the S/N maps in a file, whose checksums must be right where it has some.

    Raises
    ------
    RequestError
        A checksum is wrong, or the file holds no image or no request.
    ResourceError
        The file cannot be read.
    """
    images: list[tuple[int, str, fits.Copy]] = []
    maps: list[tuple[int, fits.Copy]] = []
    unchecked: list[str] = []
    for header, copy in _hdus(path):
        name, number = str(header.get("EXTNAME", "")), header.get("ESO DET CHIP NO")
        if "CHECKSUM" not in header:
            unchecked.append(name)
        if number is not None:
            images.append((int(number), name, copy))
        elif name == "SNR_MAP":
            maps.append((int(header["EXTVER"]), copy))
    if not images:
        raise RequestError("", f"{path} holds no detector's image")
    notes = (f"{path} has no checksum of {', '.join(unchecked)}: copied as it is",) if unchecked else ()
    return Piece(path, _document(path), tuple(images), tuple(maps), notes)


def _document(path: Path) -> dict[str, Any]:
    """Return the request in a file."""
    document = parse.parse_json(replay.read_request(path))
    if not isinstance(document, dict):
        raise RequestError("", f"{path}: the request in it is {brief(document)}, not an object")
    return document


def merge(pieces: Sequence[Piece]) -> tuple[dict[str, Any], dict[int, list[tuple[str, fits.Copy]]]]:
    """Return the request of which the pieces' are parts, and the images of each chip.

    Raises
    ------
    RequestError
        Two pieces differ in more than chips and catalogue, or hold the same chip.
    """
    first, rest = pieces[0], pieces[1:]
    common = _common(first.document)
    places: dict[int, list[tuple[str, fits.Copy]]] = {}
    owner: dict[tuple[int, str], Path] = {}
    for piece in pieces:
        where = _difference(common, _common(piece.document), "")
        if where is not None:
            raise RequestError(where, f"{piece.path} and {first.path} are not parts of one request: they differ here")
        for number, name, copy in piece.images:
            other = owner.setdefault((number, name), piece.path)
            if name in (known for known, _ in places.get(number, ())):
                raise RequestError("/elvis/chips", f"{other} and {piece.path} both hold {name} of chip {number}")
            places.setdefault(number, []).append((name, copy))
    document = json.loads(json.dumps(first.document))
    if rest and (document.get("elvis") or {}).get("catalogue"):
        document["elvis"]["catalogue"] = _catalogue([parse.read(json.dumps(p.document)) for p in pieces])
    return document, places


def _catalogue(requests: Sequence[Request]) -> dict[str, Any]:
    """Return all sources once, in the order of their numbers; as it is if all have the same."""
    blocks = [request.document["elvis"].get("catalogue") for request in requests]
    if all(block == blocks[0] for block in blocks):
        return dict(blocks[0])
    parts = [request.elvis.catalogue for request in requests]
    known = [catalogue for catalogue in parts if catalogue is not None]
    if any(catalogue.id is None for catalogue in known):
        raise RequestError("/elvis/catalogue", "the parts have different sources, and no numbers (id) to match them by")
    rows: dict[int, tuple[Catalogue, int]] = {}
    for catalogue in known:
        for row, number in enumerate(catalogue.id or ()):
            rows.setdefault(number, (catalogue, row))
    ordered = [rows[number] for number in sorted(rows)]
    columns: dict[str, Any] = {
        name: None if getattr(known[0], name) is None else tuple(getattr(c, name)[row] for c, row in ordered)
        for name in Catalogue.__dataclass_fields__
        if name not in ("celestial", "band", "system")
    }
    import numpy as np

    return subset(replace(known[0], **columns), np.arange(len(ordered)))


def _focal_plane_request(merged: dict[str, Any], present: Sequence[int], setup: Setup, *, complete: bool) -> Request:
    """Return the request of the focal plane as it was before it was split, or one for the chips that are present."""
    document = json.loads(json.dumps(merged))
    block = document.setdefault("elvis", {})
    keys = list(block)
    added = "mosaic" in keys and keys.index("chips") > keys.index("mosaic")  # `elvis split` put both there
    block.pop("mosaic", None)
    if added and complete:
        del block["chips"]
        return parse.read(json.dumps({key: value for key, value in document.items() if key != "elvis" or value}))
    everything = tuple(chip.id for chip in setup.detector.chips)
    block["chips"] = "all" if tuple(present) == everything else list(present)
    return parse.read(json.dumps(document))


def _missing(setup: Setup, chip: Chip, places: dict[int, list[tuple[str, fits.Copy]]]) -> list[str]:
    """Return the name of a detector, or of its quadrants, that are not there."""
    if chip.id not in places:
        return [chip.extname]
    names = [chip.extname]
    if setup.detector.extensions == "quadrants":
        touched = areas((setup.frame.window.ny, setup.frame.window.nx), setup.detector, setup.frame.window)
        names = [f"{chip.extname}.{area.quadrant.name}" for area in touched]
    there = {name for name, _ in places[chip.id]}
    return [name for name in names if name not in there]


def _common(document: dict[str, Any]) -> dict[str, Any]:
    block = {k: v for k, v in (document.get("elvis") or {}).items() if k not in ("chips", "catalogue")}
    return {**document, "elvis": block}


def _difference(one: Any, other: Any, pointer: str) -> str | None:
    """Return the pointer of the first place where two documents differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in (*one, *(key for key in other if key not in one)):
            if key not in one or key not in other:
                return f"{pointer}/{key}"
            found = _difference(one[key], other[key], f"{pointer}/{key}")
            if found is not None:
                return found
        return None
    return None if one == other else pointer


def _hdus(path: Path) -> Iterator[tuple[Any, fits.Copy]]:
    """Yield the header of each HDU behind the first, and where it lies."""
    try:
        with path.open("rb") as file:
            for number, (header, start, size) in enumerate(replay.hdus(file)):
                if not number and header["NAXIS"]:
                    raise RequestError("", f"{path} has its only chip in the primary HDU: there is nothing to combine")
                if not number:
                    continue
                if "CHECKSUM" in header and not is_whole(file, start, size):
                    name = header.get("EXTNAME", number)
                    raise RequestError(
                        "",
                        f"{path} is damaged, or was changed: {name} has a wrong checksum",
                        allowed="right checksums (astropy writes them with checksum=True), or none",
                    )
                yield header, fits.Copy(path, start, size)
    except OSError as error:
        raise ResourceError(f"cannot read {path}: {error.strerror or error}", path=str(path)) from error
