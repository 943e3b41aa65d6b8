"""Parameters of a model: declared on a dataclass with unit and range, read from a table of plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from typing import Any, TypeVar

from elvis_cli.errors import ResourceError, nearest_name

P = TypeVar("P")


def number(unit: str, low: float, high: float, text: str, default: Any = MISSING) -> Any:
    """Declare a parameter: a number within ``low``..``high``."""
    return field(default=default, metadata={"unit": unit, "low": low, "high": high, "text": text, "table": False})


def numbers(unit: str, low: float, high: float, text: str, default: Any = MISSING) -> Any:
    """Declare a parameter that is a list of numbers, each within ``low``..``high``."""
    return field(default=default, metadata={"unit": unit, "low": low, "high": high, "text": text, "table": True})


def one_or_more(unit: str, low: float, high: float, text: str) -> Any:
    """Declare a parameter that is a number, or a list with one for each of the detector's quadrants."""
    return field(metadata={"unit": unit, "low": low, "high": high, "text": text, "table": None})


def choice(choices: tuple[str, ...], text: str) -> Any:
    """Declare a parameter that is one of some words, the first by default."""
    meta = {"unit": "", "low": None, "high": None, "text": text, "choices": choices}
    return field(default=choices[0], metadata=meta)


def read(kind: type[P], where: str, table: Mapping[str, Any]) -> P:
    """Make the dataclass ``kind`` of an instrument's numbers.

    Raises
    ------
    ResourceError
        Naming the key ``where.parameter``, what was found and what is allowed.
    """
    declared = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in declared:
            raise _error(where, key, "is not a parameter", table[key], list(declared), nearest_name(key, declared))
    values: dict[str, Any] = {}
    for key, item in declared.items():
        meta = item.metadata
        if "choices" in meta:
            values[key] = table.get(key, item.default)
            if values[key] not in meta["choices"]:
                raise _error(where, key, f"is {values[key]!r}", values[key], list(meta["choices"]))
            continue
        allowed = f"{meta['low']:g}..{meta['high']:g} {meta['unit']}".rstrip()
        if key not in table:
            if item.default is MISSING:
                raise _error(where, key, "is missing", None, allowed)
            continue
        found = table[key]
        many = isinstance(found, (list, tuple))
        if meta["table"] is not None and meta["table"] != many:
            raise _error(where, key, "must be a list" if meta["table"] else "must be a number", found, allowed)
        for value in found if many else [found]:
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise _error(where, key, f"must be a number, not {value!r}", found, allowed)
            if not meta["low"] <= value <= meta["high"]:
                raise _error(where, key, f"is {value!r}", found, allowed)
        values[key] = float(found) if meta["table"] is False else tuple(float(v) for v in (found if many else [found]))
    try:
        return kind(**values)
    except ValueError as error:  # a relation between the parameters, checked by the dataclass itself
        raise ResourceError(f"{where}: {error}", key=where) from error


def _error(
    where: str, key: str, reason: str, found: object, allowed: object, nearest: str | None = None
) -> ResourceError:
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return ResourceError(
        f"{where}.{key} {reason}; allowed: {allowed}{hint}",
        key=f"{where}.{key}",
        found=found,
        allowed=allowed,
        nearest=nearest,
    )
