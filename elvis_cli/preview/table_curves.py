"""The curves in tables of FITS files: columns of numbers, or arrays in their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import RequestError
from elvis_cli.preview.plot import Column, Curves
from elvis_cli.preview.sheet import printable

MAX_VALUE = 1e100
"""Above it is no number of a curve; the inverse of it is 0."""


def curves(title: str, hdus: Sequence[Any]) -> Curves:
    """Return the numbers of a table, or of those of several orders, one behind the other, under a ``title``.

    Raises
    ------
    RequestError
        It has no two columns of numbers, or the first does not run one way.
    """
    pieces = [piece for hdu in hdus for piece in _pieces(hdu)]
    heads = [(column.name, column.unit) for column in pieces[0]]
    same = [piece for piece in pieces if [(column.name, column.unit) for column in piece] == heads]
    joined = (np.concatenate([np.append(piece[n].values, np.nan) for piece in same])[:-1] for n in range(len(heads)))
    x, *rest = (Column(*head, values) for head, values in zip(heads, joined, strict=True))
    for column in rest:
        with np.errstate(all="ignore"):
            ratio = column.values / x.values
        if (x.unit, column.unit) == ("pixel", "arcsec") and np.nanmax(ratio) - np.nanmin(ratio) < 1e-6:
            x = column  # the same axis, in the unit of the sky
            rest.remove(column)
            break
    return Curves(title, x, tuple(with_errors(rest)))


def with_errors(columns: Sequence[Column]) -> list[Column]:
    """Return the columns; ``flux`` and ``err``, ``flux_box`` and ``err_box`` of one unit are a curve and its error."""
    known = {(column.name, column.unit): column for column in columns}
    joined: list[Column] = []
    used: list[Column] = []
    for column in columns:
        error = known.get((column.name.replace("flux", "err", 1), column.unit))
        if error is None or error is column:
            joined.append(column)
        else:
            joined.append(replace(column, error=error.values))
            used.append(error)
    joined = [column for column in joined if not any(column is error for error in used)]
    empty = np.all([error.values == 0.0 for error in used], axis=0) if used else np.array(False)
    if not empty.any() or empty.all():
        return joined
    # no data, as between the orders of a product: a gap in each curve, not zero
    return [replace(column, values=np.where(empty, np.nan, column.values)) for column in joined]


def _pieces(hdu: Any) -> list[list[Column]]:
    """Return the columns of numbers of a table; if they tell of several chips, for each of these."""
    if rows := _rows(hdu):
        return rows
    columns = [column for column in map(_numbers(hdu), hdu.columns) if column is not None]
    name = printable(hdu.name)
    columns = [column for column in columns if column.values.size == columns[0].values.size]
    chip = next((column.values for column in columns if column.name == "chip"), None)
    columns = [column for column in columns if column.name != "chip"]
    if not columns or columns[0].values.size == 0 or (len(columns) < 2 and columns[0].values.size > 1):
        raise RequestError("", f"the table {name} holds no curve: it needs two columns of numbers")
    cuts: list[int] = [] if chip is None else (np.flatnonzero(np.diff(chip)) + 1).tolist()
    found = [
        [Column(column.name, column.unit, values) for column, values in zip(columns, part, strict=True)]
        for part in zip(*(np.split(column.values, cuts) for column in columns), strict=True)
    ]
    for first, *_ in found:
        steps = np.diff(first.values)
        if not ((steps >= 0.0).all() or (steps <= 0.0).all()):
            raise RequestError(
                "", f"the table {name} holds no curve: its first column, {first.name}, goes back and forth"
            )
    if chip is not None and (chip > 0).any():
        found = [piece for piece, first in zip(found, [0, *cuts], strict=True) if chip[first] > 0]
    return found


def _rows(hdu: Any) -> list[list[Column]]:
    """Return the arrays of each row of a table of orders or targets, whose other columns are one number each.

    Rows are sorted by their first array and end where it does: NaN fills those that are shorter.
    """
    names = [column.name for column in hdu.columns]
    arrays = [name for name in names if hdu.data[name].dtype.kind == "f" and hdu.data[name].ndim == 2]
    if len(arrays) < 2 or len(arrays) == len(names) or not len(hdu.data):
        return []
    found = []
    for row in hdu.data:
        x = np.asarray(row[arrays[0]], np.float64)
        order = np.argsort(x, kind="stable")[: np.count_nonzero(np.isfinite(x))]
        values = [np.asarray(row[name], np.float64) for name in arrays]
        if order.size and all(each.size == x.size for each in values):
            units = [printable(str(hdu.columns[name].unit or "")) for name in arrays]
            words = [printable(name.lower() if name.isupper() else name) for name in arrays]
            found.append(
                [Column(word, unit, each[order]) for word, unit, each in zip(words, units, values, strict=True)]
            )
    return found


def _numbers(hdu: Any) -> Any:
    """Return the function from a column's definition to its `Column`, or to None if it holds no list of numbers."""

    def column(definition: Any) -> Column | None:
        values: NDArray[Any] = np.asarray(hdu.data[definition.name])
        if values.dtype.kind not in "fiu" or values.ndim not in (1, 2):
            return None
        if values.ndim == 2:
            if values.shape[0] != 1:
                return None
            values = values[0]
        values = values.astype(np.float64)
        values[~(np.abs(values) < MAX_VALUE)] = np.nan
        values[np.abs(values) < 1.0 / MAX_VALUE] = 0.0
        name = printable(str(definition.name))
        return Column(name.lower() if name.isupper() else name, printable(str(definition.unit or "")), values)

    return column
