"""DataLink 1.1: what belongs to a file - itself, preview, progenitors, calibrations, cutouts (Bonnarel et al. 2023)."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from elvis_cli.archive import votable
from elvis_cli.archive.columns import Column
from elvis_cli.archive.dali import FITS, DaliError, Parameters, Reply
from elvis_cli.archive.votable import Answer

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

MAX_IDS = 500
COLUMNS = (
    Column("ID", "char", "identifier", ucd="meta.id;meta.main"),
    Column("access_url", "char", "address", ucd="meta.ref.url"),
    Column("service_def", "char", "descriptor of a service in this document", ucd="meta.ref"),
    Column("error_message", "char", "why there is no link", ucd="meta.code.error"),
    Column("semantics", "char", "relation of the link to the identifier", ucd="meta.code"),
    Column("description", "char", "description", ucd="meta.note"),
    Column("content_type", "char", "media type", ucd="meta.code.mime"),
    Column("content_length", "long", "size", "byte", "phys.size;meta.file"),
    Column("content_qualifier", "char", "kind of product", ucd="meta.code"),
    Column("local_semantics", "char", "relation, of this service", ucd="meta.code"),
    Column("link_auth", "char", "whether a login is needed", ucd="meta.code"),
    Column("link_authorized", "int", "whether this client may follow the link", ucd="meta.code"),
)
MEDIA_TYPE = "application/x-votable+xml;content=datalink"


def links(store: Store, parameters: Parameters, base: str) -> Reply:
    """Return the links of each ID; one that is not known has a row with NotFoundFault.

    Raises
    ------
    DaliError
        There are too many, or another format is asked for.
    """
    wanted = parameters.all("ID")
    if len(wanted) > MAX_IDS:
        raise DaliError(f"{len(wanted)} identifiers, of at most {MAX_IDS}")
    text = parameters.get("RESPONSEFORMAT", votable.VOTABLE)
    chosen = votable.find_format(text.split(";content")[0])
    if chosen is None or not chosen.name.startswith("votable"):
        raise DaliError(f"RESPONSEFORMAT is {text[:60]!r}; allowed: {votable.VOTABLE}")
    out = io.BytesIO()
    rows = (row for identity in wanted for row in _rows(store, identity, base))
    infos = (("standardID", "ivo://ivoa.net/std/DataLink#links-1.1"),)
    chosen.write(Answer(COLUMNS, rows, 100_000, infos, descriptor(base)), out)
    return Reply(out.getvalue(), MEDIA_TYPE)


def find(store: Store, identity: str) -> dict[str, Any] | None:
    """Return the product of an identifier (ivo://...), or of its part after the question mark."""
    rows = store.find(obs_publisher_did=identity) or store.find(dp_id=identity)
    return rows[0] if rows else None


def file_url(base: str, dp_id: str, prefix: str = "files") -> str:
    """Return the address of the file of a product."""
    return f"{base}/{prefix}/{quote(dp_id, safe=':')}"


def _rows(store: Store, identity: str, base: str) -> Iterator[list[Any]]:
    row = find(store, identity)
    if row is None:
        yield _row(identity, error=f"NotFoundFault: {' '.join(identity[:200].split())}", semantics="#this")
        return
    yield _file(identity, row, base, "#this", "the file")
    yield _row(identity, url=file_url(base, row["dp_id"], "previews"), semantics="#preview", about="picture",
               kind="image/png")  # fmt: skip
    for names, semantics, about in (
        ("raw_names", "#progenitor", "raw frame"), ("calibration_names", "#calibration", "calibration frame"),
    ):  # fmt: skip
        stems = [Path(name).name.removesuffix(".fits") for name in json.loads(row[names])]
        for other in store.find(dp_id=stems) if stems else []:
            yield _file(identity, other, base, semantics, about)
    if row["dataproduct_type"] in ("image", "cube") and row["s_region"]:
        yield _row(identity, service="soda", semantics="#cutout", about="part of the file", kind=FITS)


def _file(identity: str, row: dict[str, Any], base: str, semantics: str, about: str) -> list[Any]:
    kind = row["dataproduct_type"]
    return _row(identity, url=file_url(base, row["dp_id"]), semantics=semantics, about=about, kind=FITS,
                size=row["size"], qualifier=f"#{kind}" if kind else None)  # fmt: skip


def _row(
    identity: str, *, url: str | None = None, service: str | None = None, error: str | None = None, semantics: str,
    about: str | None = None, kind: str | None = None, size: int | None = None, qualifier: str | None = None,
) -> list[Any]:  # fmt: skip
    return [identity, url, service, error, semantics, about, kind, size, qualifier, None, "false", 1]


def descriptor(base: str, column: str = "ID") -> str:
    """Return the descriptor of SODA for the identifiers in a column."""
    inputs = (
        ("ID", "char", "*", "meta.id;meta.main", "", "", f'ref="{column}"'),
        ("CIRCLE", "double", "3", "pos.outline;obs", "deg", "circle", ""),
        ("POLYGON", "double", "*", "pos.outline;obs", "deg", "polygon", ""),
        ("BAND", "double", "2", "em.wl;stat.interval", "m", "interval", ""),
    )
    parameters = "".join(
        f'<PARAM name="{name}" datatype="{kind}" arraysize="{size}" ucd="{ucd}" value=""'
        f"{f' unit={unit!r}' if unit else ''}{f' xtype={xtype!r}' if xtype else ''} {more}/>\n"
        for name, kind, size, ucd, unit, xtype, more in inputs
    )
    return (
        '<RESOURCE type="meta" utype="adhoc:service" ID="soda">\n'
        '<PARAM name="standardID" datatype="char" arraysize="*" value="ivo://ivoa.net/std/SODA#sync-1.0"/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={votable.quoted(base + "/soda/sync")}/>\n'
        f'<GROUP name="inputParams">\n{parameters}</GROUP>\n</RESOURCE>\n'
    )
