"""Calibrations that belong to a night: darks, biases, flats and arcs for each configuration that it used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.observing import template_request, templates
from elvis_cli.observing.checked_object import LONGEST
from elvis_cli.observing.templates import Template
from elvis_cli.observing.visit import ExposureStep, Series, Visit

KINDS = ("dark", "bias", "flat", "arc")
"""Those that need no sky."""


def calibrations(visits: Sequence[Visit], number: int, patch: Mapping[str, Any]) -> tuple[list[Visit], list[str]]:
    """Return a visit for each configuration of the night, with ``number`` files of each calibration, and notes.

    They have the integration time of the night's first exposure in that configuration; darks, and biases, do not care
    for filters. What an instrument cannot take in a configuration is left out, and noted.
    """
    made: list[Visit] = []
    notes: list[str] = []
    known: set[str] = set()
    for visit, series in ((v, s) for v in visits for s in v.series if s.calibration is None):
        taken: list[Series] = []
        found = list(_templates(visit.instrument, series.mode))
        if not found:
            notes.append(f"calibrations: {visit.instrument} has no templates for those of {series.mode}")
        for kind, template in found:
            step = series.steps[0] if series.steps else ExposureStep()
            keys = {} if kind in ("dark", "bias") else series.keys
            time = [step.dit, step.count, dict(series.timing)]
            key = json.dumps([visit.instrument, series.mode, kind, dict(keys), time], sort_keys=True)
            if key in known:
                continue
            known.add(key)
            one = _series(template, kind, series, step, len(taken) + 1, number)
            try:
                template_request.make(_visit(visit, [one]), one, step, patch)
            except RequestError as error:
                notes.append(f"calibrations: {template.id} is left out: {error.message}")
                continue
            taken.append(one)
        if taken:
            made.append(_visit(visit, taken))
    return made, list(dict.fromkeys(notes))


def _templates(instrument: str, mode: str) -> Iterator[tuple[str, Template]]:
    """Yield the first template of each kind that an instrument has for a mode."""
    for kind in KINDS:
        for template in templates.load(instrument).templates.values():
            if template.calibration == kind and mode in template.modes.values():
                yield kind, template
                break


def _series(template: Template, kind: str, series: Series, step: ExposureStep, position: int, number: int) -> Series:
    still = ExposureStep(dit=step.dit, count=step.count, elvis=step.elvis)
    return Series(
        template.id,
        template.title,
        position,
        series.pointer,
        series.mode,
        series.keys,
        series.timing,
        (still,) * number,
        category=None,
        object_type=None,
        sky_type=None,
        sky_category=None,
        calibration=kind,
    )


def _visit(night: Visit, series: Sequence[Series]) -> Visit:
    return Visit(
        night.pointer,
        night.id,
        f"{night.name[: LONGEST - 14]}, calibrations",
        night.programme,
        None,
        night.instrument,
        tuple(series),
        slews=False,
        acquires=False,
        request=night.request,
    )
