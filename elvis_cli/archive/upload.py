"""Tables that a client uploads: VOTables, read without trust."""

from __future__ import annotations

import io
import math
import re
import warnings
from typing import Any

from elvis_cli.archive.adql import UPLOAD
from elvis_cli.archive.columns import Column
from elvis_cli.archive.dali import DaliError
from elvis_cli.archive.query import Uploaded

MAX_ROWS = 100_000
MAX_COLUMNS = 500
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,60}")
_KINDS = {"boolean": "int", "unsignedByte": "short", "short": "short", "int": "int", "long": "long", "float": "float",
          "double": "double", "char": "char", "unicodeChar": "char"}  # fmt: skip


def sources(values: list[str]) -> dict[str, str]:
    """Return the address of each table by its name, of parameters UPLOAD: name,uri;name,uri.

    Raises
    ------
    DaliError
        It has another form.
    """
    found: dict[str, str] = {}
    for pair in (part for value in values for part in value.split(";") if part.strip()):
        name, _, uri = pair.strip().partition(",")
        if not NAME.fullmatch(name) or not uri:
            raise DaliError(f"UPLOAD: {pair[:80]!r} is not NAME,URI with a name of letters and digits")
        if name.lower() in found:
            raise DaliError(f"UPLOAD: {UPLOAD}.{name} is there twice")
        found[name.lower()] = uri.strip()
    return found


def read(data: bytes) -> Uploaded:
    """Return the first table of a VOTable.

    Raises
    ------
    DaliError
        It is no VOTable, has entities, or is too large.
    """
    _check_xml(data)
    from astropy.io.votable import parse

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table = parse(io.BytesIO(data), verify="ignore").get_first_table()
            columns = tuple(_column(field) for field in table.fields)
            rows = table.array
    except DaliError:
        raise
    except Exception as error:  # astropy meets damage with any exception there is
        raise DaliError(f"UPLOAD: no VOTable ({type(error).__name__})") from None
    if len(rows) > MAX_ROWS or not 0 < len(columns) <= MAX_COLUMNS:
        raise DaliError(f"UPLOAD: {len(rows)} rows and {len(columns)} columns, of at most {MAX_ROWS} and {MAX_COLUMNS}")
    if len({column.name for column in columns}) < len(columns):
        raise DaliError("UPLOAD: two columns have the same name")
    values = [_values(rows[name], column.datatype) for name, column in zip(rows.dtype.names, columns, strict=True)]
    return Uploaded(columns, list(zip(*values, strict=True)))


def _check_xml(data: bytes) -> None:
    """Refuse document types and entities, which could grow without bound or name files."""
    from defusedxml import ElementTree
    from defusedxml.common import DefusedXmlException

    try:
        for _, element in ElementTree.iterparse(io.BytesIO(data), forbid_dtd=True):
            element.clear()
    except DefusedXmlException:
        raise DaliError("UPLOAD: a VOTable with a document type or entities is refused") from None
    except Exception as error:  # the parser raises what it likes on damage
        raise DaliError(f"UPLOAD: no XML: {error}") from None


def _column(field: Any) -> Column:
    kind = _KINDS.get(str(field.datatype))
    size = str(field.arraysize or "1")
    if kind is None or (kind != "char" and size not in ("1", "")):
        raise DaliError(f"UPLOAD: the column {field.name} is an array or complex; allowed: numbers and texts")
    name = re.sub(r"\W", "_", str(field.name), flags=re.ASCII).lower() or "column"
    unit = "" if field.unit is None else str(field.unit)
    return Column(
        name,
        kind,
        str(field.description or ""),
        unit,
        str(field.ucd or ""),
        str(field.utype or ""),
        str(field.xtype or ""),
    )


def _values(column: Any, kind: str) -> list[Any]:
    if kind == "char":
        texts = [None if value is None else str(value) for value in column.tolist()]
        return [None if text is None else text.replace("\0", "") for text in texts]
    cast = float if kind in ("double", "float") else int
    return [None if value is None or math.isnan(value) else cast(value) for value in column.tolist()]
