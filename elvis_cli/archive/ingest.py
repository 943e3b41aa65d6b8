"""Files into the store: headers are read, the same file (by its SHA-256) is taken once."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elvis_cli.archive import obscore
from elvis_cli.archive.obscore import Product
from elvis_cli.errors import ElvisError, RequestError, ResourceError, expected

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

ADDED, KNOWN, FAILED = "added", "known", "failed"
AT_ONCE = 200
"""Files of a transaction."""
_INHERITED = ("em_min", "em_max", "s_ra", "s_dec", "s_fov", "s_region", "filter", "ins_mode", "seed")
"""Columns that a product without them takes from its first raw frame."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that shall be in the archive."""

    path: str
    sha256: str | None = None
    """None: it is computed."""
    message: str | None = None
    """Why there is no file."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of adding a file: a line that `elvis archive add` prints."""

    file: str
    status: str
    dp_id: str | None = None
    sha256: str | None = None
    message: str | None = None


def manifest(lines: Iterable[bytes]) -> Iterator[Entry]:
    """Yield the files in the manifest of `elvis batch`, one JSON object in a line.

    Raises
    ------
    RequestError
        A line is not of a manifest.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found: dict[str, Any] = json.loads(line)
            status, file, digest = found["status"], found["file"], found["sha256"]
        except (ValueError, KeyError, TypeError):
            raise RequestError(f"/{number}", "is not a line of the manifest of elvis batch") from None
        if status == "failed" or not file:
            yield Entry(str(file or f"line {number}"), None, f"it was not made: {found.get('message')}")
        else:
            yield Entry(str(file), digest)


def add(store: Store, entries: Iterable[Entry]) -> Iterator[Outcome]:
    """Add files; yield what became of each in their order.

    Products have from their raw frame what they lack, whichever of the two is added first.
    """
    batch: list[Entry] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == AT_ONCE:
            yield from _add(store, batch)
            batch = []
    yield from _add(store, batch)


def _add(store: Store, entries: list[Entry]) -> list[Outcome]:
    read = [_read(entry) for entry in entries]
    outcomes = [outcome for outcome, _, _ in read]
    known = {row["sha256"]: row["dp_id"] for row in store.find(sha256=[o.sha256 for o in outcomes if o.sha256])}
    names = {row["dp_id"] for row in store.find(dp_id=[p.values["dp_id"] for _, p, _ in read if p])}
    authority = store.authority
    new: list[tuple[Product, tuple[str, int]]] = []
    for place, (outcome, product, size) in enumerate(read):
        if product is None:
            continue
        digest = outcome.sha256 or ""
        if digest in known:
            outcomes[place] = replace(outcome, status=KNOWN, dp_id=known[digest])
            continue
        name = product.values["dp_id"]
        if name in names:  # the same moment once more, such as with another seed
            name = f"{name}.{digest[:8]}"
        names.add(name)
        known[digest] = name
        did = f"ivo://{authority}/{product.values['obs_collection']}?{name}"
        product.values.update(dp_id=name, obs_publisher_did=did, sha256=digest, file_name=Path(outcome.file).name,
                              access_estsize=-(-size // 1000))  # fmt: skip
        outcomes[place] = replace(outcome, dp_id=name)
        new.append((product, (str(Path(outcome.file).resolve()), size)))
    new.sort(key=lambda each: bool(each[0].raw_names))
    raw = {f"{product.values['dp_id']}.fits": product.values for product, _ in new if not product.raw_names}
    _inherit(store, [product for product, _ in new if product.raw_names], raw)
    with store.writing() as connection:
        for row in store.lacking(connection, _INHERITED, raw) if raw else ():  # added before their raw frame
            parent = raw[json.loads(row["raw_names"])[0]]
            store.change(connection, row["rid"], row | _inheritance(row, parent))
        store.add(connection, [product for product, _ in new], [place for _, place in new])
    return outcomes


def _inherit(store: Store, products: list[Product], raw: dict[str, dict[str, Any]]) -> None:
    """Give products what their header does not have and that of their raw frame has."""
    wanted = [name.removesuffix(".fits") for product in products for name in product.raw_names[:1]]
    raw = {f"{row['dp_id']}.fits": row for row in store.find(dp_id=wanted)} | raw
    for product in products:
        if parent := raw.get(product.raw_names[0]):
            product.values.update(_inheritance(product.values, parent))


def _inheritance(values: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a product lacks and its raw frame has."""
    lacking = {name for name in _INHERITED if values[name] is None}
    if "s_region" in lacking:
        lacking |= {"s_ra", "s_dec"}
    return {name: parent[name] for name in lacking}


def _read(entry: Entry) -> tuple[Outcome, Product | None, int]:
    if entry.message is not None:
        return Outcome(entry.path, FAILED, message=entry.message), None, 0
    try:
        if not stat.S_ISREG(os.stat(entry.path).st_mode):
            raise ResourceError(f"{entry.path} is not a regular file")
        with open(entry.path, "rb") as file:
            product = obscore.product(file, entry.path)
            size = file.seek(0, 2)
            file.seek(0)
            digest = entry.sha256 or hashlib.file_digest(file, "sha256").hexdigest()
        return Outcome(entry.path, ADDED, sha256=digest), product, size
    except OSError as error:
        fault: ElvisError = ResourceError(f"cannot read {entry.path}: {error.strerror}")
    except Exception as error:  # whatever it is, the other files go on
        fault = expected(error)
    return Outcome(entry.path, FAILED, message=fault.message), None, 0
