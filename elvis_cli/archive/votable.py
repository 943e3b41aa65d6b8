"""Answers as tables: VOTable (TABLEDATA, BINARY2), CSV, TSV, JSON; rows are written as they come."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from xml.sax.saxutils import escape, quoteattr

from elvis_cli.archive.columns import Column

VOTABLE = "application/x-votable+xml"
NAMESPACE = (
    'version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
CHUNK_ROWS = 500
Row = Sequence[Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """A table on its way to the client."""

    columns: Sequence[Column]
    rows: Iterable[Row]
    limit: int
    """Most rows; if there are more, the answer says OVERFLOW."""
    infos: tuple[tuple[str, str], ...] = ()
    trailer: str = ""
    """Further RESOURCEs."""


def write_tabledata(answer: Answer, out: BinaryIO) -> int:
    """Write VOTable with TABLEDATA; return the number of rows."""
    _begin(answer, out)
    out.write(b"<DATA><TABLEDATA>\n")
    formats = [_text_of(column.datatype) for column in answer.columns]
    count, overflow, lines = 0, False, []
    for row in answer.rows:
        if count == answer.limit:
            overflow = True
            break
        count += 1
        cells = "".join(
            "<TD/>" if value is None else f"<TD>{text(value)}</TD>" for text, value in zip(formats, row, strict=True)
        )
        lines.append(f"<TR>{cells}</TR>\n")
        if len(lines) == CHUNK_ROWS:
            out.write("".join(lines).encode())
            lines.clear()
    out.write("".join(lines).encode() + b"</TABLEDATA></DATA></TABLE>\n")
    _end(answer, out, overflow)
    return count


def write_binary2(answer: Answer, out: BinaryIO) -> int:
    """Write VOTable with BINARY2; return the number of rows."""
    _begin(answer, out)
    out.write(b'<DATA><BINARY2><STREAM encoding="base64">\n')
    packers = [_BINARY[column.datatype] for column in answer.columns]
    count, overflow, pending = 0, False, bytearray()
    for row in answer.rows:
        if count == answer.limit:
            overflow = True
            break
        count += 1
        pending += _flags(row)
        for pack, value in zip(packers, row, strict=True):
            pending += pack(value)
        whole = len(pending) // 48 * 48
        if whole > 48_000:
            out.write(base64.encodebytes(bytes(pending[:whole])))
            del pending[:whole]
    out.write(base64.encodebytes(bytes(pending)) + b"</STREAM></BINARY2></DATA></TABLE>\n")
    _end(answer, out, overflow)
    return count


def write_csv(answer: Answer, out: BinaryIO, delimiter: str = ",") -> int:
    """Write CSV with a header line (RFC 4180); return the number of rows."""
    text = io.TextIOWrapper(out, "utf-8", newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n" if delimiter == "," else "\n")
    writer.writerow([column.name for column in answer.columns])
    count = 0
    for row in answer.rows:
        if count == answer.limit:
            break
        count += 1
        writer.writerow(["" if value is None else value for value in row])
    text.flush()
    text.detach()
    return count


def write_tsv(answer: Answer, out: BinaryIO) -> int:
    """Write tab-separated values; return the number of rows."""
    return write_csv(answer, out, "\t")


def write_json(answer: Answer, out: BinaryIO) -> int:
    """Write an object with metadata and rows; return their number."""
    columns = [
        {key: value for key, value in (("name", c.name), ("datatype", c.datatype), ("unit", c.unit), ("ucd", c.ucd),
                                       ("description", c.description)) if value}
        for c in answer.columns
    ]  # fmt: skip
    out.write(b'{"metadata": ' + json.dumps(columns).encode() + b', "data": [')
    count, overflow = 0, False
    for row in answer.rows:
        if count == answer.limit:
            overflow = True
            break
        out.write((b"," if count else b"") + b"\n" + json.dumps([_finite(value) for value in row]).encode())
        count += 1
    out.write(f'\n], "overflow": {str(overflow).lower()}}}\n'.encode())
    return count


@dataclass(frozen=True, slots=True)
class Format:
    """A format of answers."""

    name: str
    media_type: str
    aliases: tuple[str, ...]
    write: Callable[[Answer, BinaryIO], int]


FORMATS = (
    Format("votable", VOTABLE, ("votable/td", "application/x-votable+xml;serialization=tabledata", "text/xml",
                                "application/xml"), write_tabledata),
    Format("votable/b2", "application/x-votable+xml;serialization=BINARY2", ("binary2", "votable/binary2"),
           write_binary2),
    Format("csv", "text/csv;header=present", ("text/csv",), write_csv),
    Format("tsv", "text/tab-separated-values", (), write_tsv),
    Format("json", "application/json", (), write_json),
)  # fmt: skip


def find_format(name: str) -> Format | None:
    """Return the format of a name or media type."""
    small = name.replace(" ", "").lower()
    return next((f for f in FORMATS if small in (f.name, f.media_type.lower(), *f.aliases)), None)


def error(message: str) -> bytes:
    """Return the VOTable of an error (DALI 1.1, section 4.4)."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE {NAMESPACE}>\n<RESOURCE type="results">\n'
        f'<INFO name="QUERY_STATUS" value="ERROR">{plain(message)}</INFO>\n</RESOURCE>\n</VOTABLE>\n'
    ).encode()


_UNPLAIN = re.compile("[&<>\\x00-\\x1f\\ud800-\\udfff]")


def plain(value: Any) -> str:
    """Return a text escaped for XML, without characters that XML cannot have."""
    text = str(value)
    if _UNPLAIN.search(text) is None:
        return text
    return escape("".join(c for c in text if c >= " " or c in "\t\n\r").encode("utf-8", "ignore").decode())


def quoted(value: Any) -> str:
    """Return a text as the value of an attribute."""
    text = "".join(c for c in str(value) if c >= " ").encode("utf-8", "ignore").decode()
    return quoteattr(text)


def field(column: Column) -> str:
    """Return the FIELD of a column."""
    attributes = [("name", column.name), ("ID", identifier(column.name)), ("datatype", column.datatype),
                  ("arraysize", column.arraysize), ("unit", column.unit), ("ucd", column.ucd),
                  ("utype", column.utype), ("xtype", column.xtype)]  # fmt: skip
    text = " ".join(f"{name}={quoted(value)}" for name, value in attributes if value)
    inside = f"<DESCRIPTION>{plain(column.description)}</DESCRIPTION>" if column.description else ""
    return f"<FIELD {text}>{inside}</FIELD>" if inside else f"<FIELD {text}/>"


def identifier(name: str) -> str:
    """Return the ID of a FIELD."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return f"_{text}" if text[:1].isdigit() else text


def _begin(answer: Answer, out: BinaryIO) -> None:
    infos = "".join(f"<INFO name={quoted(name)} value={quoted(value)}/>\n" for name, value in answer.infos)
    fields = "\n".join(field(column) for column in answer.columns)
    out.write(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<VOTABLE {NAMESPACE}>\n<RESOURCE type="results">\n'
        f'<INFO name="QUERY_STATUS" value="OK"/>\n{infos}<TABLE>\n{fields}\n'.encode()
    )


def _end(answer: Answer, out: BinaryIO, overflow: bool) -> None:
    over = '<INFO name="QUERY_STATUS" value="OVERFLOW"/>\n' if overflow else ""
    out.write(f"{over}</RESOURCE>\n{answer.trailer}</VOTABLE>\n".encode())


def _text_of(datatype: str) -> Callable[[Any], str]:
    if datatype in ("double", "float"):
        return _double
    return plain if datatype == "char" else _integer


def _double(value: Any) -> str:
    number = float(value)
    if math.isfinite(number):
        return repr(number)
    return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"


def _integer(value: Any) -> str:
    return str(int(value))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flags(row: Row) -> bytes:
    """Return the bits of the cells that are empty, the first in the highest bit."""
    bits = 0
    for value in row:
        bits = bits << 1 | (value is None)
    size = -(-len(row) // 8)
    return (bits << (8 * size - len(row))).to_bytes(size, "big")


def _packed_text(value: Any) -> bytes:
    data = b"" if value is None else str(value).encode("ascii", "replace")
    return struct.pack(">I", len(data)) + data


_BINARY: dict[str, Callable[[Any], bytes]] = {
    "char": _packed_text,
    "short": lambda value: struct.pack(">h", 0 if value is None else int(value)),
    "int": lambda value: struct.pack(">i", 0 if value is None else int(value)),
    "long": lambda value: struct.pack(">q", 0 if value is None else int(value)),
    "float": lambda value: struct.pack(">f", math.nan if value is None else float(value)),
    "double": lambda value: struct.pack(">d", math.nan if value is None else float(value)),
}
