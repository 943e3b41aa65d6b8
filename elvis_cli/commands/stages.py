"""What `elvis stages` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from elvis_cli.detector import chain


def listing(instrument: str | None, mode: str | None, order: str | None) -> Sequence[dict[str, Any]]:
    """Return the stages of an instrument's detector as it is by default, or (None) all that there are."""
    if instrument is None:
        return chain.describe()
    from elvis_cli import reader, registry

    plugin = registry.load(instrument)
    setup = plugin.configure(reader.read(json.dumps(plugin.example(mode))))
    return chain.describe(setup.detector, order)


def rows(described: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the lines of the table: a parameter is its name, with its value if that is known, and its unit."""
    return [
        (s["name"], s["unit"], s["title"] + (" (when asked for)" if s["when"] != "always" else ""),
         ", ".join(_parameter(p) for p in s["parameters"]))
        for s in described
    ]  # fmt: skip


def _parameter(parameter: dict[str, Any]) -> str:
    value = parameter.get("value")
    text = parameter["name"]
    if isinstance(value, (int, float)):
        text += f" = {value:g}"
    elif value is not None:
        text += f" = {len(value)} values"
    return f"{text} {parameter['unit']}".rstrip()
