"""A file that holds a table -> an astropy Table: FITS, VOTable, ECSV and the other formats of text."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units
from astropy.io import fits
from astropy.io.votable import parse as parse_votable
from astropy.table import Table

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ElvisError, RequestError, UsageError
from elvis_cli.request.files import flux_units, guard
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.hdu import split_choice
from elvis_cli.request.files.markup import is_markup, rows_of

GAPS = frozenset(("", "-", "--", "---", "nan", "null", "none", "n/a", "na", "indef", "nodata", "...", "masked"))
"""Words for a missing value."""
REPEATED = "elvis_repeated"
"""Key of a table's ``meta``: numbers (from 1) of the columns that have the same name in the file, by that name."""
_COMMENTS = ("#", "%", "!", "//")
_SEPARATOR = "\x1f"
"""A character between cells that no text has: ASCII's own, US."""
_DELIMITERS = (_SEPARATOR, "\t", ";", "|", ",")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eEdD][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_RULE = re.compile(r"[-=+|;,:\s]*(?:--|==)[-=+|;,:\s]*")
"""A line between rows."""
_WORD = re.compile(r"[^\s,;|\[\]()]+(?:\s*[\[(][^\])]*[\])])?")
_UNIT_WORD = re.compile(r"[^\W\d]+")
_NAME_AND_UNIT = re.compile(r"([^\[(]+?)\s*[\[(](.+)[\])]")
_GUESSED = 1_000_000
"""Characters of a text up to which astropy tries all its formats: each is a pass over it."""
_UNPACK = {b"\x1f\x8b": gzip.decompress, b"BZh": bz2.decompress, b"\xfd7zXZ": lzma.decompress}
_SPELLINGS = {
    "Angstrom": "a aa ang angs angstrom angstroms å",
    "nm": "nm nanometer nanometers nanometre nanometres",
    "um": "um µm μm micron microns micrometer micrometers micrometre micrometres",
    "mm": "mm",
    "m": "m meter meters metre metres",
    "Hz": "hz hertz",
    "GHz": "ghz",
    "cm-1": "cm-1 cm^-1 cm**-1 1/cm /cm kayser kaysers",
    "deg": "deg degree degrees degs",
    "hourangle": "h hr hour hours hourangle",
    "arcsec": "arcsec arcsecs arcsecond arcseconds",
    "mas": "mas milliarcsec",
    "K": "k kelvin kelvins",
    "km/s": "km/s km.s-1 km.s**-1 kms km/sec kms-1",
    "mag": "mag mags magnitude magnitudes",
}
_UNITS = {word: units.Unit(unit) for unit, words in _SPELLINGS.items() for word in words.split()}


def unit_of(text: Any) -> Any:
    """Return the unit that ``text`` (or a unit) names in any usual spelling, or None if it names none."""
    words = str(text or "").strip(" '\"")
    if words.casefold() in _UNITS:
        return _UNITS[words.casefold()]
    if not words or _is_number(words) or not known_to_astropy(words):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return units.Unit(words)
        except (ValueError, TypeError):
            return None


def known_to_astropy(text: str) -> bool:
    """Return whether each word of ``text`` is a unit of astropy: to look for one like an unknown word takes 20 ms."""
    known = units.get_current_unit_registry().registry
    return all(word in known for word in _UNIT_WORD.findall(text))


def _is_unit(word: str) -> bool:
    word = word.strip("[]()")
    if _is_number(word):
        return False
    if unit_of(word) is not None or re.fullmatch(r'"?[hd]:m:s"?', word):
        return True
    try:
        return flux_units.parse(word, "", "") is not None
    except RequestError:
        return False


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
                return Table.read(hdus, hdu=named, format="fits"), []
            names = {n: h.columns.names for n, h in enumerate(hdus) if isinstance(h, fits.BinTableHDU | fits.TableHDU)}
            which, notes = _chosen(path, names, suits)
            if twice := repeated(names[which]):
                raise ValueError(f"several of its columns are named {', '.join(twice)}: give them names of their own")
            table = Table.read(hdus, hdu=which, format="fits")
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
    return _from_markup(path, text, suits) if is_markup(text) else _from_text(text)


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


def _from_text(text: str) -> tuple[Table, list[str]]:
    first, lines = text.lstrip()[:80], text.splitlines()  # a text might be taken for the name of a file
    forms = {
        "ascii.ecsv": first.startswith("# %ECSV"),
        "ascii.cds": "Byte-by-byte Description" in text[:100_000],
        "ascii.sextractor": re.match(r"#\s*1\s+[A-Z]\w*\s", first),
        "ascii.daophot": re.match(r"#[KN]\s", first),
        "ascii.ipac": not any(map(_RULE.fullmatch, lines[1:2]))
        and first.startswith(("|", "\\"))
        and re.search(r"^\|.*\|\s*$", text, re.MULTILINE),
    }
    form = next((form for form, found in forms.items() if found), None)
    try:
        return (Table.read(lines, format=form), []) if form else _delimited(lines)
    except ElvisError:
        raise
    except Exception:
        if form == "ascii.ecsv" or len(text) > _GUESSED:
            raise
        with suppress(Exception):
            return Table.read(lines, format="ascii.fixed_width" if first.startswith("|") else "ascii"), []
        raise


def _from_markup(path: Path, text: str, suits: Callable[[Sequence[str]], bool]) -> tuple[Table, list[str]]:
    rows, count = rows_of(text, suits)
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        rows = [row for row in rows if len(row) == max(widths)]  # titles above several columns, and remarks below
    rows[0] = ["number" if cell == "#" else cell for cell in rows[0]]
    table, notes = _delimited([_SEPARATOR.join(cell.replace('"', "") for cell in row) for row in rows])
    names = ", ".join(map(str, table.colnames[:4]))
    return table, [*notes, *([f"{path.name}: of {count} tables the one with {names} is read"] if count > 1 else [])]


def _delimited(lines: list[str]) -> tuple[Table, list[str]]:
    """Return the table in lines of equal separators, with the names and units above it."""
    comments, rows = _without_comments(lines)
    if not rows:
        return Table(), []
    if re.fullmatch(r"\s*\(\d+ rows?\)\s*", rows[-1]):
        rows.pop()
    if len(rows) > 1 and _RULE.fullmatch(rows[0]):  # of reStructuredText, and of a data base's terminal
        rows = [row for row in rows if not _RULE.fullmatch(row)]
    mark = next((d for d in _DELIMITERS if d in rows[0]), " ")
    numbers_first = any(map(_is_number, rows[0].split()))  # not the names of columns, which commas separate
    if (
        mark == ","
        and numbers_first
        and any(len(cell.split()) > 1 and _are_numbers(cell.split()) for cell in _split(rows[-1], mark))
    ):
        mark = " "  # decimal commas
    if mark == " ":
        rows = [re.sub(r"\s*,\s+|\s+,", " ", row) if "," in row else row for row in rows]
    header = _WORD.findall(rows[0]) if mark == " " and re.search(r"[\[(]", rows[0]) else _split(rows[0], mark)
    if any(map(_is_number, header)):
        names, named_units = _names_in(comments, len(header))
        return _table_of(rows, mark, names or [f"col{n}" for n in range(1, len(header) + 1)], named_units), []
    rows = rows[1:]
    second = _split(rows[0], mark) if rows else []
    ruled = [_RULE.fullmatch(row) is not None for row in rows[:2]]
    if ruled[1:] == [True]:  # as VizieR writes
        return _table_of(rows[2:], mark, header, second), []
    if ruled[:1] == [True]:
        return _table_of(rows[1:], mark, header, None), []
    if len(rows) > 1 and all(not word or _is_unit(word) for word in second):
        return _table_of(rows[1:], mark, header, second), []
    return _table_of(rows, mark, header, None), []


def _without_comments(lines: list[str]) -> tuple[list[str], list[str]]:
    """Return the comments above the rows, and the rows without remarks."""
    comments: list[str] = []
    rows: list[str] = []
    for line in lines:
        bare = line.strip()
        if bare.startswith(_COMMENTS):
            comments += [] if rows else [bare.lstrip("#%!/ \t")]
        elif bare:
            rows.append(line if "#" not in line else _without_remark(line))
    if rows and rows[0].lstrip().startswith(";") and ";" not in rows[-1]:  # comments of IDL
        comments += [row.lstrip("; ") for row in rows if row.lstrip().startswith(";")]
        rows = [row for row in rows if not row.lstrip().startswith(";")]
    return comments, rows


def _table_of(rows: list[str], mark: str, names: list[str], named_units: list[str] | None) -> Table:
    names = [re.sub(r"\s*[\[(]\s*(?:J2000(?:\.0)?|ICRS|FK5)\s*[\])]", "", name) for name in names]
    pairs = [_NAME_AND_UNIT.fullmatch(name) for name in names]
    names = [pair[1].strip() if pair else name for name, pair in zip(names, pairs, strict=True)]
    found = [pair[2] if pair else "" for pair in pairs]
    for n, unit in enumerate((named_units or [])[: len(names)]):
        found[n] = found[n] or unit
    unique = _unique(names)
    if not rows:
        return Table({name: np.zeros(0) for name in unique})
    if mark == " ":
        table = Table.read(rows, format="ascii.no_header", names=unique, guess=False)
    else:  # rows may be shorter than the header
        if mark == "\t":  # of which astropy's reader would skip the second of two, and with it an empty cell
            mark, rows = _SEPARATOR, [row.replace("\t", _SEPARATOR) for row in rows]
        first = mark.join(f"col{n}" for n in range(len(unique)))
        table = Table.read([first, *rows], format="ascii.csv", delimiter=mark, names=unique, guess=False)
    for name, unit in zip(unique, found, strict=True):
        if unit.strip():
            known = unit_of(unit.strip(' "[]()'))
            table[name].unit = units.Unit(unit.strip(' "[]()'), parse_strict="silent") if known is None else known
        if mark == "," and table[name].dtype.kind == "U":
            thousands = next((text for text in table[name] if _THOUSANDS.fullmatch(str(text))), None)
            if thousands is not None:
                raise UsageError(
                    f"column {name}: does the comma in {thousands} mark thousands or decimals? Leave it out"
                )
    table.meta[REPEATED] = repeated(names)
    return table


def _unique(names: Sequence[str]) -> list[str]:
    """Return names of which each is there once: the first keeps its own, later ones have the column's number too."""
    unique: list[str] = []
    for n, name in enumerate(names, start=1):
        free = name if name and name not in unique else f"{name or 'col'}{n}"
        while free in unique or (free != name and free in names):
            free += "_"
        unique.append(free)
    return unique


def repeated(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers (from 1) of the columns that share a name, by that name."""
    numbers: dict[str, list[int]] = {}
    for n, name in enumerate(names, start=1):
        numbers.setdefault(name, []).append(n)
    return {name: places for name, places in numbers.items() if name and len(places) > 1}


def _split(row: str, mark: str) -> list[str]:
    if mark == " ":
        return [word.strip("\"'") for word in row.split()]
    return [word.strip() for word in next(csv.reader([row], delimiter=mark, skipinitialspace=True))]


def _names_in(comments: list[str], count: int) -> tuple[list[str] | None, list[str] | None]:
    """Return the names, and perhaps the units, that the last comments give for ``count`` columns."""
    fitting = [words for words in map(_WORD.findall, comments) if len(words) == count]
    fitting = [words for words in fitting if not any(map(_is_number, words))]
    if len(fitting) > 1 and all(word == "-" or _is_unit(word) for word in fitting[-1]):
        return fitting[-2], [word.strip("[]()") for word in fitting[-1]]
    return (fitting[-1] if fitting else None), None


def _without_remark(row: str) -> str:
    """Return a row of numbers without the remark at its end."""
    numbers = row.partition("#")[0]
    return numbers if numbers.strip() and _are_numbers(re.split(r"[\s,;]+", numbers.strip(", ;\t"))) else row


def _are_numbers(words: Sequence[str]) -> bool:
    return all(map(_is_number, words))


def _is_number(word: str) -> bool:
    return _NUMBER.fullmatch(word.strip()) is not None or word.strip().casefold() in ("nan", "inf", "-inf")


def texts_of(column: Any) -> list[str]:
    """Return the values of a column as text, "" where there is none, (n,)."""
    mask = np.broadcast_to(np.asarray(getattr(column, "mask", False)), (len(column),))
    values = (value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in column)
    return [
        "" if gap or (text := value.strip()).casefold() in GAPS else text
        for value, gap in zip(values, mask, strict=True)
    ]


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
