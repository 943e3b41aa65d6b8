"""TAP 1.1: one query, answered at once or by a job (Dowler et al. 2019, REC-TAP-1.1)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from elvis_cli.archive import datalink, query, upload, votable
from elvis_cli.archive.dali import DaliError, Parameters, Reply
from elvis_cli.archive.query import Cancel, Uploaded
from elvis_cli.archive.votable import Answer, Format

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

LANGUAGES = ("ADQL", "ADQL-2.0", "ADQL-2.1")
SPOOLED = 4_000_000
"""Bytes of an answer that stay in memory."""
DATALINK = "ivo://ivoa.net/std/DataLink#links-1.1"


@dataclass(frozen=True, slots=True)
class Query:
    """A query with what the answer shall be."""

    text: str
    format: Format
    limit: int
    uploads: Mapping[str, Uploaded]


def read(parameters: Parameters, fetch: Callable[[str], bytes]) -> Query:
    """Return the query in parameters; ``fetch`` returns the bytes of an uploaded table.

    Raises
    ------
    DaliError
        A parameter is missing or wrong.
    """
    request, language = parameters.get("REQUEST", "doQuery"), parameters.get("LANG", "ADQL")
    if request != "doQuery":
        raise DaliError(f"REQUEST is {request[:40]!r}; allowed: doQuery")
    if language.upper() not in LANGUAGES:
        raise DaliError(f"LANG is {language[:40]!r}; allowed: {', '.join(LANGUAGES)}")
    text = parameters.get("QUERY")
    if not text:
        raise DaliError("QUERY is missing")
    uploads = {name: upload.read(fetch(uri)) for name, uri in upload.sources(parameters.all("UPLOAD")).items()}
    return Query(text, chosen_format(parameters), limit_of(parameters), uploads)


def chosen_format(parameters: Parameters) -> Format:
    """Return the format of RESPONSEFORMAT or FORMAT.

    Raises
    ------
    DaliError
        There is no such format.
    """
    name = parameters.get("RESPONSEFORMAT") or parameters.get("FORMAT") or "votable"
    found = votable.find_format(name)
    if found is None:
        allowed = ", ".join(each.name for each in votable.FORMATS)
        raise DaliError(f"RESPONSEFORMAT is {name[:60]!r}; allowed: {allowed}")
    return found


def limit_of(parameters: Parameters, default: int = query.DEFAULT_LIMIT) -> int:
    """Return MAXREC, of at most the hard limit.

    Raises
    ------
    DaliError
        It is not a whole number.
    """
    text = parameters.get("MAXREC")
    if not text:
        return default
    if not text.strip().isdigit():
        raise DaliError(f"MAXREC is {text[:40]!r}, not a whole number from 0 on")
    return min(int(text.strip()[:12]), query.HARD_LIMIT)


def answer(
    store: Store, wanted: Query, base: str, *, deadline: float = query.DEADLINE, cancel: Cancel | None = None,
    infos: tuple[tuple[str, str], ...] = (),
) -> tuple[BinaryIO, int]:  # fmt: skip
    """Return a temporary file with the answer, at its beginning, and the number of rows."""
    out = tempfile.SpooledTemporaryFile(SPOOLED)  # noqa: SIM115
    try:
        with query.run(
            store, wanted.text, f"{base}/files/", wanted.limit, uploads=wanted.uploads, deadline=deadline, cancel=cancel
        ) as (columns, rows):
            trailer = _datalink(base) if any(column.name == "obs_publisher_did" for column in columns) else ""
            told = (("QUERY", wanted.text), *infos)
            count = wanted.format.write(Answer(columns, rows, wanted.limit, told, trailer), out)  # type: ignore[arg-type]
    except BaseException:
        out.close()
        raise
    out.seek(0)
    return out, count  # type: ignore[return-value]


def sync(store: Store, parameters: Parameters, fetch: Callable[[str], bytes], base: str) -> Reply:
    """Return the answer to a synchronous query."""
    wanted = read(parameters, fetch)
    file, _ = answer(store, wanted, base)
    return Reply(media_type=wanted.format.media_type, file=file)


def _datalink(base: str) -> str:
    """Return the descriptors of DataLink and SODA for the identifiers in an answer (DataLink 1.1, section 4)."""
    return (
        '<RESOURCE type="meta" utype="adhoc:service" name="links">\n'
        f'<PARAM name="standardID" datatype="char" arraysize="*" value={votable.quoted(DATALINK)}/>\n'
        f'<PARAM name="accessURL" datatype="char" arraysize="*" value={votable.quoted(base + "/datalink/links")}/>\n'
        '<GROUP name="inputParams">\n'
        '<PARAM name="ID" datatype="char" arraysize="*" value="" ref="obs_publisher_did"/>\n'
        "</GROUP>\n</RESOURCE>\n"
    ) + datalink.descriptor(base, "obs_publisher_did")
