"""Tables in text: astropy's formats, separated cells with names and units, LaTeX, HTML."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from astropy import units
from astropy.table import Table

from elvis_cli.errors import ElvisError, UsageError
from elvis_cli.request.files.markup import rows_of
from elvis_cli.request.files.unit_words import is_number, is_unit, unit_of

REPEATED = "elvis_repeated"
"""Key of a table's ``meta``: numbers (from 1) of the columns that have the same name in the file, by that name."""
_COMMENTS = ("#", "%", "!", "//")
_SEPARATOR = "\x1f"
"""A character between cells that no text has: ASCII's own, US."""
_DELIMITERS = (_SEPARATOR, "\t", ";", "|", ",")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_RULE = re.compile(r"[-=+|;,:\s]*(?:--|==)[-=+|;,:\s]*")
"""A line between rows."""
_WORD = re.compile(r"[^\s,;|\[\]()]+(?:\s*[\[(][^\])]*[\])])?")
_NAME_AND_UNIT = re.compile(r"([^\[(]+?)\s*[\[(](.+)[\])]")
_GUESSED = 1_000_000
"""Characters of a text up to which astropy tries all its formats: each is a pass over it."""


def read_text(text: str) -> tuple[Table, list[str]]:
    """Return the table in a text, and notes; text that no format fits raises whatever its reader does."""
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


def read_markup(path: Path, text: str, suits: Callable[[Sequence[str]], bool]) -> tuple[Table, list[str]]:
    """Return the table in HTML or LaTeX whose names ``suits`` accepts, and a note if it is one of several."""
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
    numbers_first = any(map(is_number, rows[0].split()))  # not the names of columns, which commas separate
    if (
        mark == ","
        and numbers_first
        and any(len(cell.split()) > 1 and _are_numbers(cell.split()) for cell in _split(rows[-1], mark))
    ):
        mark = " "  # decimal commas
    if mark == " ":
        rows = [re.sub(r"\s*,\s+|\s+,", " ", row) if "," in row else row for row in rows]
    header = _WORD.findall(rows[0]) if mark == " " and re.search(r"[\[(]", rows[0]) else _split(rows[0], mark)
    if any(map(is_number, header)):
        names, named_units = _names_in(comments, len(header))
        return _table_of(rows, mark, names or [f"col{n}" for n in range(1, len(header) + 1)], named_units), []
    rows = rows[1:]
    second = _split(rows[0], mark) if rows else []
    ruled = [_RULE.fullmatch(row) is not None for row in rows[:2]]
    if ruled[1:] == [True]:  # as VizieR writes
        return _table_of(rows[2:], mark, header, second), []
    if ruled[:1] == [True]:
        return _table_of(rows[1:], mark, header, None), []
    if len(rows) > 1 and all(not word or is_unit(word) for word in second):
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
    fitting = [words for words in fitting if not any(map(is_number, words))]
    if len(fitting) > 1 and all(word == "-" or is_unit(word) for word in fitting[-1]):
        return fitting[-2], [word.strip("[]()") for word in fitting[-1]]
    return (fitting[-1] if fitting else None), None


def _without_remark(row: str) -> str:
    """Return a row of numbers without the remark at its end."""
    numbers = row.partition("#")[0]
    return numbers if numbers.strip() and _are_numbers(re.split(r"[\s,;]+", numbers.strip(", ;\t"))) else row


def _are_numbers(words: Sequence[str]) -> bool:
    return all(map(is_number, words))
