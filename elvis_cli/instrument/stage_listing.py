"""The stages of a detector with their parameters, as `elvis stages` lists them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from elvis_cli.detector import steps
from elvis_cli.errors import ElvisError
from elvis_cli.model.detector import Detector

SCANS = ("pre_overscan", "parallel_overscan")
"""Stages of detectors whose quadrants have pre- and overscans."""


def listing(instrument: str | None, mode: str | None, order: str | None) -> Sequence[dict[str, Any]]:
    """Return the stages of an instrument's detector as it is by default, or (None) all that there are."""
    if instrument is None:
        return describe()
    from elvis_cli.instrument import registry
    from elvis_cli.request import parse

    plugin = registry.load(instrument)
    example = plugin.example(mode)

    def detector(*also: str) -> Detector:
        document = {**example, "elvis": {**example.get("elvis", {}), "also": list(also)}}
        return plugin.configure(parse.read(json.dumps(document))).detector

    shown = detector()
    for name in steps.sequence(shown, order):
        if name not in shown.stages and name not in steps.DRAWN and not steps.stage(name).own:
            with suppress(ElvisError):  # the instrument does not have it, whoever asks
                asked = detector(name)
                if name in asked.stages:
                    stages = {**shown.stages, name: asked.stages[name]}
                    shown = replace(shown, stages=stages, optional=(*shown.optional, name))
    return describe(shown, order)


def describe(detector: Detector | None = None, order: str | None = None) -> tuple[dict[str, Any], ...]:
    """Return the stages in order, with their parameters.

    With a detector, those of its order that it has, with the parameters' values.
    """
    described = []
    names = steps.NAMES if detector is None else steps.sequence(detector, order)
    for name in names:
        made = None if name in steps.DRAWN else steps.stage(name)
        if made and detector is not None and not made.own and name not in detector.stages:
            continue
        if name in SCANS and detector is not None and not detector.quadrants:
            continue
        values = {} if detector is None else detector.stages.get(name, {})
        described.append(
            {
                "name": name,
                "title": made.title if made else steps.DRAWN[name],
                "unit": steps.unit(names, name),
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
