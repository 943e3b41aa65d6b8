"""The members of an object that a person wrote, read one by one; every complaint says where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from elvis_cli.errors import RequestError, choice_error, json_pointer, nearest_name

MAX_TEXT_LENGTH = 200
"""Characters of a text."""
MAX_NESTING_DEPTH = 30
"""Nested levels of a document."""


class Members:
    """An object of JSON or YAML at a JSON pointer; keys that are null are not given."""

    def __init__(self, node: Any, pointer: str, known: Iterable[str] = ()) -> None:
        """Raise RequestError if ``node`` is no object, or has keys that are not among ``known`` (if there are any)."""
        if not isinstance(node, Mapping):
            raise RequestError(pointer, f"must be an object, not {brief(node)}")
        self.pointer = pointer
        self.node = {str(key): value for key, value in node.items() if value is not None}
        names = list(known)
        for key in self.node if names else ():
            if key not in names:
                raise RequestError(
                    pointer + json_pointer(key), "is not known here", allowed=names, nearest=nearest_name(key, names)
                )

    def __contains__(self, name: str) -> bool:
        return name in self.node

    def at(self, name: str) -> str:
        """Return the JSON pointer of a member."""
        return self.pointer + json_pointer(name)

    def need(self, name: str, allowed: Any = None) -> Any:
        """Return a member that must be there."""
        if name not in self.node:
            raise RequestError(self.at(name), "is missing", allowed=allowed)
        return self.node[name]

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; numbers are taken as they are written."""
        found = self.need(name) if default is None else self.node.get(name, default)
        if isinstance(found, bool) or not isinstance(found, (str, int, float)):
            raise RequestError(self.at(name), f"{brief(found)} is no text", found=brief(found))
        found = str(found)
        if len(found) > MAX_TEXT_LENGTH:
            raise RequestError(self.at(name), f"has {len(found)} characters", allowed=f"at most {MAX_TEXT_LENGTH}")
        return found

    def number(
        self, name: str, default: float | None = None, low: float = -1e12, high: float = 1e12, *, unit: str = ""
    ) -> float:
        """Return a number within limits; a text that is one will do."""
        found = self.need(name, allowed(low, high, unit)) if default is None else self.node.get(name, default)
        return number(found, self.at(name), low, high, unit)

    def maybe(self, name: str, low: float = -1e12, high: float = 1e12, *, unit: str = "") -> float | None:
        """Return a number, or None if it is not given."""
        return self.number(name, low=low, high=high, unit=unit) if name in self.node else None

    def whole(self, name: str, default: int | None = None, low: int = 0, high: int = 10**9) -> int:
        """Return a whole number within limits."""
        found = self.need(name, allowed(low, high)) if default is None else self.node.get(name, default)
        return whole(found, self.at(name), low, high)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        found = self.node.get(name, default)
        if not isinstance(found, bool):
            raise RequestError(self.at(name), f"{brief(found)} has the wrong type", allowed="true or false")
        return found

    def choice(self, name: str, options: Iterable[str], default: str | None = None) -> str:
        """Return one of some words, as it is spelled among them."""
        spelled = {option.casefold(): option for option in options}
        found = self.need(name, list(spelled.values())) if default is None else self.node.get(name, default)
        if not isinstance(found, str) or found.casefold() not in spelled:
            raise choice_error(self.at(name), found, spelled.values())
        return spelled[found.casefold()]

    def table(self, name: str) -> dict[str, Any]:
        """Return an object, empty if it is not given."""
        found = self.node.get(name, {})
        if not isinstance(found, Mapping):
            raise RequestError(self.at(name), f"must be an object, not {brief(found)}")
        return {str(key): value for key, value in found.items()}

    def items(self, name: str) -> list[Any]:
        """Return a list, empty if it is not given; one object stands for a list of one."""
        found = self.node.get(name, [])
        if isinstance(found, Mapping):
            return [found]
        if not isinstance(found, (list, tuple)):
            raise RequestError(self.at(name), f"must be a list, not {brief(found)}")
        return list(found)


def number(found: Any, pointer: str, low: float = -1e12, high: float = 1e12, unit: str = "") -> float:
    """Return a finite number within limits, or raise RequestError."""
    try:
        value = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise RequestError(
            pointer, f"{brief(found)} is no number", found=brief(found), allowed=allowed(low, high, unit)
        )
    if not low <= value <= high:
        raise RequestError(pointer, f"{brief(found)} is out of range", found=value, allowed=allowed(low, high, unit))
    return value


def whole(found: Any, pointer: str, low: int = 0, high: int = 10**9) -> int:
    """Return a whole number within limits, or raise RequestError."""
    value = number(found, pointer, low, high)
    if value != int(value):
        raise RequestError(pointer, f"{brief(found)} is no whole number", found=value, allowed=allowed(low, high))
    return int(value)


def allowed(low: float, high: float, unit: str = "") -> str:
    """Return the limits as a person reads them."""
    return f"{low:g} to {high:g} {unit}".rstrip()


def brief(value: Any) -> str:
    """Return a value in at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
