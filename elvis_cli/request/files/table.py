"""A file that holds a table -> an astropy Table: FITS, VOTable, ECSV and the other formats of text."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.io.votable import parse as parse_votable
from astropy.table import MaskedColumn, Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ElvisError, RequestError, UsageError
from elvis_cli.request.files import guard
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.hdu import split_choice
from elvis_cli.request.files.markup import is_markup
from elvis_cli.request.files.text_table import REPEATED, read_markup, read_text, repeated

GAPS = frozenset(("", "-", "--", "---", "nan", "null", "none", "n/a", "na", "indef", "nodata", "...", "masked"))
"""Words for a missing value."""
_UNPACK = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}


def read_table(path: Path, option: str, suits: Callable[[Sequence[str]], bool]) -> tuple[Table, list[str]]:
    """Return the table in ``FILE`` or, of a FITS file, ``FILE[EXTENSION]``, compressed or not, and notes.

    Of several tables in a file it is the first whose column names ``suits`` accepts, else the first.

    Raises
    ------
    UsageError
        The file cannot be read as a table; ``option`` is the one that names it.
    """
    path, extension, version = split_choice(path)
    if path.is_dir() or not path.exists():
        raise UsageError(f"{option}: cannot read {path}: {'is a folder' if path.is_dir() else 'no such file'}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # units that astropy does not know are ours to judge
            return _read(path, unpacked(path), suits, (extension, version))
    except ElvisError:
        raise
    except Exception as error:  # every reader of astropy has its own
        raise UsageError(f"{option}: cannot read {path} as a table: {one_line(error)}") from None


def unpacked(path: Path) -> bytes:
    """Return the bytes of a file, decompressed if gzip, bzip2 or xz wrote it."""
    data = path.read_bytes()
    for magic, unpack in _UNPACK.items():
        if data.startswith(magic):
            return unpack(data)
    return data


def _read(
    path: Path, data: bytes, suits: Callable[[Sequence[str]], bool], extension: tuple[str, int | None]
) -> tuple[Table, list[str]]:
    if data.startswith(b"SIMPLE"):
        end = guard.check_fits(io.BytesIO(data), len(data))
        with fits.open(io.BytesIO(data[:end])) as hdus:
            if extension[0]:
                name, version = extension
                named = int(name) if name.isdecimal() else (name, version) if version else name
                table = Table.read(hdus, hdu=named, format="fits")
                _mask_scaled(table, hdus[named])
                return table, []
            names = {n: h.columns.names for n, h in enumerate(hdus) if isinstance(h, fits.BinTableHDU | fits.TableHDU)}
            which, notes = _chosen(path, names, suits)
            if twice := repeated(names[which]):
                raise ValueError(f"several of its columns are named {', '.join(twice)}: give them names of their own")
            table = Table.read(hdus, hdu=which, format="fits")
            _mask_scaled(table, hdus[which])
            if "BUNIT" in hdus[0].header:
                table.meta.setdefault("BUNIT", hdus[0].header["BUNIT"])
            return table, notes
    if extension[0]:
        raise ValueError(f"only a FITS file has an extension [{extension[0]}]")
    if b"<VOTABLE" in data[:4096]:
        _check_votable(data)
        tables = list(parse_votable(io.BytesIO(data), verify="ignore").iter_tables())
        which, notes = _chosen(path, {n: [f.name for f in t.fields] for n, t in enumerate(tables)}, suits)
        table = tables[which].to_table(use_names_over_ids=True)
        table.meta[REPEATED] = repeated([field.name for field in tables[which].fields])
        return table, notes
    for magic, form in ((b"PAR1", "parquet"), (b"\x89HDF", "hdf5")):
        if data.startswith(magic):
            return Table.read(path, format=form), []
    if data.startswith(b"PK\x03\x04"):
        raise ValueError("it is a spreadsheet or a ZIP archive: export it as CSV")
    text = _decoded(data)
    return read_markup(path, text, suits) if is_markup(text) else read_text(text)


def _check_votable(data: bytes) -> None:
    """Refuse a VOTable that has the reader open a file or an address, or grow: STREAM with href, a DTD.

    Raises
    ------
    ValueError
        It does.
    """
    coding = re.match(rb"""\s*<\?xml[^>]*encoding\s*=\s*["']([\w.-]+)""", data[:200])
    if coding and coding[1].lower() not in (b"utf-8", b"us-ascii", b"ascii", b"iso-8859-1"):
        raise ValueError("its encoding is not UTF-8")
    if re.search(rb"<!(DOCTYPE|ENTITY)", data):
        raise ValueError("it has a document type with entities of its own")
    if re.search(rb"<(\w+:)?STREAM\s[^>]*href", data):
        raise ValueError("its rows are somewhere else (STREAM with href): save the table with its rows in it")


def _chosen(path: Path, names: dict[int, list[str]], suits: Callable[[Sequence[str]], bool]) -> tuple[int, list[str]]:
    """Return the number of the table to read, and a note if there are others."""
    if not names:
        raise ValueError("it holds no table")
    which = next((n for n, columns in names.items() if suits(columns)), next(iter(names)))
    if len(names) == 1:
        return which, []
    return which, [f"{path.name}: of {len(names)} tables the one with {', '.join(names[which][:4])} is read"]


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # a spreadsheet's "Unicode text"
        text = data.decode("utf-16")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if "\0" in text:
        raise ValueError("it is neither text nor FITS")
    return text


def texts_of(column: Any) -> list[str]:
    """Return the values of a column as text, "" where there is none, (n,)."""
    mask = np.broadcast_to(np.asarray(getattr(column, "mask", False)), (len(column),))
    values = (value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in column)
    return [
        "" if gap or (text := value.strip()).casefold() in GAPS else text
        for value, gap in zip(values, mask, strict=True)
    ]


def _mask_scaled(table: Table, hdu: Any) -> None:
    """Mask what TNULL says is no value where TSCAL or TZERO scale a column: astropy compares scaled values with it."""
    for column in hdu.columns:
        scaled = column.bscale not in (None, "", 1) or column.bzero not in (None, "", 0)
        if column.null not in (None, "") and scaled and column.name in table.colnames and table[column.name].ndim == 1:
            stored = np.asarray(hdu.data.view(np.ndarray)[column.name])
            table[column.name] = MaskedColumn(table[column.name], mask=stored == column.null)


def numbers_of(path: Path, column: Any, name: str, pointer: str) -> Floats:
    """Return the values of a column, nan where there is none, (n,).

    Raises
    ------
    RequestError
        A value is no number.
    """
    data = getattr(column, "value", column)
    values = np.asarray(np.ma.getdata(getattr(data, "unmasked", data)))
    if values.ndim != 1 or values.dtype.kind not in "biufSUO":
        raise RequestError(pointer, f"{path.name}: column {name} does not hold one number in each row")
    if values.dtype.kind in "SUO":
        return np.array([_number(path, text, row, name, pointer) for row, text in enumerate(texts_of(column), 1)])
    mask = np.asarray(getattr(column, "mask", False))
    result: Floats = np.where(mask, np.nan, values.astype(float))
    return result


def _number(path: Path, text: str, row: int, name: str, pointer: str) -> float:
    if not text:
        return float("nan")
    try:
        return float(text.replace(",", ".").replace("D", "e"))
    except ValueError:
        reason = f"{path.name}: column {name} does not hold numbers: row {row} is {text[:40]!r}"
        raise RequestError(pointer, reason, found=text[:40]) from None
