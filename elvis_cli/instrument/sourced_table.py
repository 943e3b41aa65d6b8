"""Numbers with unit and source: tables of TOML with a ledger of all values read from them, for `elvis explain`.

A number is written ``{ value = 0.015, unit = "mm", source = "handbook: table 3" }``, with ``assumed = true`` when
nobody has published it. A source may begin with a key of the file's ``[sources]`` table; a file may state one
``source`` for all. A curve has ``wave`` and ``value`` lists; ``wave`` is in um (``wave_unit = "nm"``: nm) or the name
of a list in ``[waves]``; beyond the list the end points hold, or ``outside``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.model.sourced_value import SourcedValue

EVERYWHERE = (0.01, 1000.0)
"""um: the range of a constant curve."""


def read(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file, which are shared by all who read it: not to be changed.

    Raises
    ------
    ResourceError
        There is no such file, or it is not TOML.
    """
    try:
        state = path.stat()
        return _load(path, state.st_mtime_ns, state.st_size)
    except (OSError, ValueError) as error:
        raise ResourceError(f"cannot read {path}: {error}", file=str(path)) from error


@lru_cache(maxsize=64)
def _load(path: Path, _changed: int, _size: int) -> dict[str, Any]:
    """Return the tables of a file as it is; a process that makes many frames reads each once."""
    with path.open("rb") as file:
        return tomllib.load(file)


def overlay(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``patch`` laid over it: tables merge, everything else (numbers included) is replaced."""
    merged = dict(base)
    for name, new in patch.items():
        old = merged.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping) and "value" not in new:
            merged[name] = overlay(old, new)
        else:
            merged[name] = new
    return merged


@dataclass(frozen=True, slots=True, eq=False)
class SourcedTable:
    """One table of a data file; ``ledger`` collects a SourcedValue for everything that is read from it or its parts."""

    tree: Mapping[str, Any]
    file: str
    path: str = ""
    """Where the table stands: the prefix of the names in the ledger."""
    root: Mapping[str, Any] = field(default_factory=dict)
    """The whole file: its sources and named wavelength lists."""
    ledger: list[SourcedValue] = field(default_factory=list)

    def __contains__(self, name: object) -> bool:
        return name in self.tree

    def __iter__(self) -> Iterator[str]:
        return iter(self.tree)

    def part(self, *names: str) -> SourcedTable:
        """Return the table below this one; the last of ``names`` may lead to an empty one."""
        tree, path = self.tree, self.path
        for name in names:
            path = f"{path}.{name}" if path else name
            tree = tree.get(name, {})
            if not isinstance(tree, Mapping):
                raise self._error(path, "is not a table")
        return SourcedTable(tree, self.file, path, self.root, self.ledger)

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string."""
        value = self.tree.get(name, default)
        if not isinstance(value, str):
            raise self._error(name, "a string is needed")
        return value

    def value(self, name: str, unit: str | None = None) -> Any:
        """Return the value of ``name`` and add it to the ledger.

        Raises
        ------
        ResourceError
            It is missing, lacks a unit or a source, or its unit is not ``unit``.
        """
        node = self._node(name, unit)
        result = node["value"]
        self._note(name, tuple(result) if isinstance(result, list) else result, node)
        return result

    def number(self, name: str, unit: str) -> float:
        """Return a number in ``unit``; raise as ``value`` does."""
        value = self.value(name, unit)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._error(name, "a number is needed")
        return float(value)

    def against(self, name: str, unit: str, axis: str, at: float) -> float:
        """Return a number in ``unit``, interpolated at ``at`` if the entry is a list against its list ``axis``.

        Linear between the points, constant beyond them; raise as ``value`` does.
        """
        node = self._node(name, unit)
        if axis not in node:
            return self.number(name, unit)
        points, values = (np.asarray(node[part], dtype=float) for part in (axis, "value"))
        if points.ndim != 1 or points.shape != values.shape or np.any(np.diff(points) <= 0):
            raise self._error(name, f"{axis} must ascend and be as long as value")
        result = float(np.interp(at, points, values))
        self._note(name, result, node)
        return result

    def curve(self, name: str) -> Curve:
        """Return a dimensionless quantity against wavelength (um); a single number is the same everywhere."""
        node = self._node(name, "1")
        values = np.asarray(node["value"], dtype=float)
        if values.ndim == 0:
            self._note(name, float(values), node)
            return Curve(np.array(EVERYWHERE), np.full(2, float(values)))
        wave = node.get("wave", [])
        if isinstance(wave, str):
            wave = self.root.get("waves", {}).get(wave, {}).get("value", [])
        waves = np.asarray(wave, dtype=float) * (1e-3 if node.get("wave_unit") == "nm" else 1.0)
        if waves.shape != values.shape or values.size == 0 or np.any(np.diff(waves) <= 0):
            raise self._error(name, "wave must ascend and be as long as value")
        self._note(
            name, f"{len(waves)} points, {waves[0]:g}-{waves[-1]:g} um, {values.min():g}..{values.max():g}", node
        )
        return Curve(waves, values, node.get("outside"))

    def _node(self, name: str, unit: str | None) -> Mapping[str, Any]:
        node = self.tree.get(name)
        if isinstance(node, (list, int, float)) and "source" in self.root:
            node = {"value": node, "unit": unit or "1"}
        if not isinstance(node, Mapping) or "value" not in node:
            raise self._error(name, "a value with unit and source is needed")
        if not isinstance(node.get("unit"), str) or not (node.get("source") or self.root.get("source")):
            raise self._error(name, "unit or source is missing")
        if unit is not None and node["unit"] != unit:
            raise self._error(name, f"the unit is {node['unit']!r}, needed is {unit!r}")
        return node

    def _note(self, name: str, value: Any, node: Mapping[str, Any]) -> None:
        full = f"{self.path}.{name}" if self.path else name
        self.ledger.append(
            SourcedValue(full, value, node["unit"], self._source(node), bool(node.get("assumed", False)))
        )

    def _source(self, node: Mapping[str, Any]) -> str:
        source = str(node.get("source") or self.root["source"])
        head, _, rest = source.partition(":")
        known = self.root.get("sources", {}).get(head)
        if known is None:
            return source
        return f"{known}: {rest.strip()}" if rest else str(known)

    def _error(self, name: str, reason: str) -> ResourceError:
        where = name if name.startswith(self.path) or not self.path else f"{self.path}.{name}"
        return ResourceError(f"{self.file}: {where}: {reason}", file=self.file)
