"""Quantities of an ETC document by the names that the three generations gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Keys:
    """Looks quantities up by pointer, and notes what was overruled or not given."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.notes: list[str] = []
        self.defaults: list[str] = []

    def section(self, name: str) -> dict[str, Any]:
        """Return the values of a section that are not null; it is empty if it is null or not there."""
        return {key: value for key, value in (self.document.get(name) or {}).items() if value is not None}

    def find(self, *pointers: str) -> Any:
        """Return the first that holds a value (not null, not an object), or None."""
        for pointer in pointers:
            value: Any = self.document
            for step in pointer[1:].split("/"):
                value = value.get(step) if isinstance(value, Mapping) else None
            if value is not None and not isinstance(value, Mapping):
                return value
        return None

    def get(self, *pointers: str, default: Any = None) -> Any:
        """Return the first that holds a value, else ``default``, the default of the ETC's form, and note that."""
        given = [(p, v) for p in pointers if (v := self.find(p)) is not None]
        if not given:
            if default is not None:
                self.defaults.append(f"{pointers[0]} = {default}")
            return default
        self.notes += [f"{p}: not used, {given[0][0]} is given" for p, v in given[1:] if v != given[0][1]]
        return given[0][1]


def number(value: Any) -> float | None:
    """Return the number as a float, None as None."""
    return None if value is None else float(value)
