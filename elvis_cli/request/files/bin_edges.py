"""Spectra in bins: two columns with the edges of each become one with its middle."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
from astropy.table import Column, Table

LEAST_BINS = 3
"""Rows from which on columns without names that say so are edges if each bin begins where the one before ends."""
_STEM = r"(?i)^(?P<stem>(?:(?:wave|wav|wl|lam|freq|nu|ener|bin|chan)[a-z]*?|[wlex]|))"
_REST = r"(?P<rest>_[a-z]+|\s*[\[(].*)?$"
_LOW = re.compile(_STEM + r"[_.\s-]*(lo|low|lower|min|minimum|start|begin|left)" + _REST)
_HIGH = re.compile(_STEM + r"[_.\s-]*(hi|high|upper|max|maximum|stop|end|right)" + _REST)


def with_middles(table: Table) -> tuple[Table, list[str]]:
    """Return a table whose edges of bins are replaced by middles, the first column, and a note."""
    pair = _named(table) or _touching(table)
    if pair is None:
        return table, []
    low, high = (np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan) for name in pair)
    first, second = sorted(pair, key=table.colnames.index)
    middle = Column((low + high) / 2, name=first, unit=table[first].unit)
    table = table.copy()
    table.remove_columns([first, second])
    table.add_column(middle, index=0)
    return table, [f"columns {first} and {second} are the edges of bins: their middles are taken"]


def _named(table: Table) -> tuple[str, str] | None:
    """Return the columns whose names say that they are the lower and the upper edge, numbers both."""
    for low, high in permutations(map(str, table.colnames), 2):
        one, other = _LOW.match(low), _HIGH.match(high)
        if one and other and one["stem"].casefold() == other["stem"].casefold() and _are_numbers(table, (low, high)):
            return low, high
    return None


def _touching(table: Table) -> tuple[str, str] | None:
    """Return two columns of which one says where each bin begins, the other where it ends, the next one's beginning."""
    names = [str(name) for name in table.colnames[:4]]
    if len(table) < LEAST_BINS or len(names) < LEAST_BINS:
        return None
    for low, high in permutations(names, 2):
        if not _are_numbers(table, (low, high)):
            continue
        begin, end = (np.ma.filled(np.ma.asarray(table[name]).astype(float), np.nan) for name in (low, high))
        width = end - begin
        if not np.all(width > 0):
            continue
        slack = 1e-3 * float(np.min(width))
        ordered = ((begin, end), (begin[::-1], end[::-1]))
        if any(np.allclose(last[:-1], first[1:], rtol=0, atol=slack) for first, last in ordered):
            return low, high
    return None


def _are_numbers(table: Table, names: tuple[str, str]) -> bool:
    return all(table[name].ndim == 1 and table[name].dtype.kind in "iuf" for name in names)
