"""Checked access to the members of a JSON or YAML object: each error message has the JSON pointer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from elvis_cli.errors import RequestError, choice_error, json_pointer, nearest_name

MAX_TEXT_LENGTH = 200
"""Characters of a text."""
MAX_NESTING_DEPTH = 30
"""Nested levels of a document."""
MAX_ITEMS = 2000
"""Items of a list of blocks, targets, configurations or templates."""


class CheckedObject:
    """An object of JSON or YAML at a JSON pointer; members that are null count as missing."""

    def __init__(self, node: Any, pointer: str, known: Iterable[str] = ()) -> None:
        """Raise RequestError if ``node`` is not an object, or has keys besides ``known`` (unless that is empty)."""
        if not isinstance(node, Mapping):
            raise RequestError(pointer, f"must be an object, not {abbreviate(node)}")
        self.pointer = pointer
        self.node = {str(key): value for key, value in node.items() if value is not None}
        names = list(known)
        for key in self.node if names else ():
            if key not in names:
                raise RequestError(
                    pointer + json_pointer(key), "is not a known key", allowed=names, nearest=nearest_name(key, names)
                )

    def __contains__(self, name: str) -> bool:
        return name in self.node

    def at(self, name: str) -> str:
        """Return the JSON pointer of a member."""
        return self.pointer + json_pointer(name)

    def require(self, name: str, allowed: Any = None) -> Any:
        """Return a member, or raise RequestError if it is missing."""
        if name not in self.node:
            raise RequestError(self.at(name), "is missing", allowed=allowed)
        return self.node[name]

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; a number is converted to text."""
        value = self.require(name) if default is None else self.node.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise RequestError(self.at(name), f"{abbreviate(value)} is not a text", found=abbreviate(value))
        value = str(value)
        if len(value) > MAX_TEXT_LENGTH:
            raise RequestError(self.at(name), f"has {len(value)} characters", allowed=f"at most {MAX_TEXT_LENGTH}")
        return value

    def number(
        self, name: str, default: float | None = None, low: float = -1e12, high: float = 1e12, *, unit: str = ""
    ) -> float:
        """Return a number from ``low`` to ``high``; a text that is a number is converted."""
        value = self.require(name, describe_range(low, high, unit)) if default is None else self.node.get(name, default)
        return number(value, self.at(name), low, high, unit)

    def optional_number(self, name: str, low: float = -1e12, high: float = 1e12, *, unit: str = "") -> float | None:
        """Return a number, or None if it is missing."""
        return self.number(name, low=low, high=high, unit=unit) if name in self.node else None

    def integer(self, name: str, default: int | None = None, low: int = 0, high: int = 10**9) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self.require(name, describe_range(low, high)) if default is None else self.node.get(name, default)
        return integer(value, self.at(name), low, high)

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        value = self.node.get(name, default)
        if not isinstance(value, bool):
            raise RequestError(self.at(name), f"{abbreviate(value)} has the wrong type", allowed="true or false")
        return value

    def choice(self, name: str, options: Iterable[str], default: str | None = None) -> str:
        """Return one of ``options``, in their spelling; case does not matter."""
        spelled = {option.casefold(): option for option in options}
        value = self.require(name, list(spelled.values())) if default is None else self.node.get(name, default)
        if not isinstance(value, str) or value.casefold() not in spelled:
            raise choice_error(self.at(name), value, spelled.values())
        return spelled[value.casefold()]

    def table(self, name: str) -> dict[str, Any]:
        """Return an object; empty if it is missing."""
        value = self.node.get(name, {})
        if not isinstance(value, Mapping):
            raise RequestError(self.at(name), f"must be an object, not {abbreviate(value)}")
        return {str(key): value for key, value in value.items()}

    def items(self, name: str) -> list[Any]:
        """Return a list; empty if it is missing, of one item if the member is an object."""
        value = self.node.get(name, [])
        if isinstance(value, Mapping):
            return [value]
        if not isinstance(value, (list, tuple)):
            raise RequestError(self.at(name), f"must be a list, not {abbreviate(value)}")
        check_length(value, self.at(name))
        return list(value)


def check_length(items: Sized, pointer: str) -> None:
    """Raise RequestError if a list has too many items; before any of them is looked at."""
    if len(items) > MAX_ITEMS:
        raise RequestError(pointer, f"has {len(items)} items", allowed=f"at most {MAX_ITEMS}")


def number(value: Any, pointer: str, low: float = -1e12, high: float = 1e12, unit: str = "") -> float:
    """Return a finite number within limits, or raise RequestError."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        result = math.nan
    if not math.isfinite(result):
        raise RequestError(
            pointer,
            f"{abbreviate(value)} is not a number",
            found=abbreviate(value),
            allowed=describe_range(low, high, unit),
        )
    if not low <= result <= high:
        raise RequestError(
            pointer, f"{abbreviate(value)} is out of range", found=result, allowed=describe_range(low, high, unit)
        )
    return result


def integer(value: Any, pointer: str, low: int = 0, high: int = 10**9) -> int:
    """Return a whole number within limits, or raise RequestError."""
    result = number(value, pointer, low, high)
    if result != int(result):
        raise RequestError(
            pointer, f"{abbreviate(value)} is not a whole number", found=result, allowed=describe_range(low, high)
        )
    return int(result)


def describe_range(low: float, high: float, unit: str = "") -> str:
    """Return a range as text, such as "0 to 360 deg"."""
    return f"{low:g} to {high:g} {unit}".rstrip()


def abbreviate(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
