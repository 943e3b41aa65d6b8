"""What `elvis stages` prints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from elvis_cli.detector import chain
from elvis_cli.instrument import Detector


def listing(instrument: str | None, mode: str | None, order: str | None) -> Sequence[dict[str, Any]]:
    """Return the stages of an instrument's detector as it is by default, or (None) all that there are."""
    if instrument is None:
        return describe()
    from elvis_cli import reader, registry

    plugin = registry.load(instrument)
    setup = plugin.configure(reader.read(json.dumps(plugin.example(mode))))
    return describe(setup.detector, order)


def describe(detector: Detector | None = None, order: str | None = None) -> tuple[dict[str, Any], ...]:
    """Return the stages in order, with their parameters.

    With a detector, those of its order that it has, with the parameters' values.
    """
    described = []
    names = chain.NAMES if detector is None else chain.sequence(detector, order)
    for name in names:
        made = None if name in chain.DRAWN else chain.stage(name)
        if made and detector is not None and not made.own and name not in detector.stages:
            continue
        values = {} if detector is None else detector.stages.get(name, {})
        described.append(
            {
                "name": name,
                "title": made.title if made else chain.DRAWN[name],
                "unit": chain.unit(names, name),
                "from": "focal plane" if not made else "chip or detector" if made.own else "stages table",
                "when": "asked for" if detector and name in detector.optional else "always",
                "parameters": [
                    {
                        "name": f.name,
                        "unit": f.metadata["unit"],
                        "low": f.metadata["low"],
                        "high": f.metadata["high"],
                        "text": f.metadata["text"],
                    }
                    | ({"value": values[f.name]} if f.name in values else {})
                    for f in (fields(made.parameters) if made else ())
                ],
            }
        )
    return tuple(described)


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
    elif isinstance(value, str):
        text += f" = {value}"
    elif value is not None:
        text += f" = {len(value)} values"
    return f"{text} {parameter['unit']}".rstrip()
