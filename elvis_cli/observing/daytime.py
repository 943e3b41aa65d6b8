"""Calibrations that belong to a night: darks, biases, flats and arcs for each configuration that it used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.observing import template_request, templates
from elvis_cli.observing.checked_object import MAX_TEXT_LENGTH
from elvis_cli.observing.templates import Template
from elvis_cli.observing.visit import ExposureStep, TemplateRun, Visit

CALIBRATIONS = ("dark", "bias", "flat", "arc")
"""Calibrations that need no sky."""


def calibrations(visits: Sequence[Visit], number: int, patch: Mapping[str, Any]) -> tuple[list[Visit], list[str]]:
    """Return a visit for each configuration of the night, with ``number`` files of each calibration, and notes.

    They have the integration time of the night's first exposure in that configuration; darks, and biases, do not care
    for filters. What an instrument cannot take in a configuration is left out, and noted.
    """
    calibration_visits: list[Visit] = []
    notes: list[str] = []
    keys_taken: set[str] = set()
    for visit, run in ((v, r) for v in visits for r in v.runs if r.calibration is None):
        taken: list[TemplateRun] = []
        kinds = list(_templates(visit.instrument, run.mode))
        if not kinds:
            notes.append(f"calibrations: {visit.instrument} has no templates for those of {run.mode}")
        for kind, template in kinds:
            step = run.steps[0] if run.steps else ExposureStep()
            keys = {} if kind in ("dark", "bias") else run.keys
            time = [step.dit, step.count, dict(run.timing)]
            key = json.dumps([visit.instrument, run.mode, kind, dict(keys), time], sort_keys=True)
            if key in keys_taken:
                continue
            keys_taken.add(key)
            one = _template_run(template, kind, run, step, len(taken) + 1, number)
            try:
                template_request.make(_visit(visit, [one]), one, step, patch)
            except RequestError as error:
                notes.append(f"calibrations: {template.id} is left out: {error.message}")
                continue
            taken.append(one)
        if taken:
            calibration_visits.append(_visit(visit, taken))
    return calibration_visits, list(dict.fromkeys(notes))


def _templates(instrument: str, mode: str) -> Iterator[tuple[str, Template]]:
    """Yield the first template of each kind that an instrument has for a mode."""
    for kind in CALIBRATIONS:
        for template in templates.load(instrument).templates.values():
            if template.calibration == kind and mode in template.modes.values():
                yield kind, template
                break


def _template_run(
    template: Template, kind: str, run: TemplateRun, step: ExposureStep, position: int, number: int
) -> TemplateRun:
    still = ExposureStep(dit=step.dit, count=step.count, elvis=step.elvis)
    return TemplateRun(
        template.id,
        template.title,
        position,
        run.pointer,
        run.mode,
        run.keys,
        run.timing,
        (still,) * number,
        category=None,
        object_type=None,
        sky_type=None,
        sky_category=None,
        calibration=kind,
    )


def _visit(night: Visit, runs: Sequence[TemplateRun]) -> Visit:
    return Visit(
        night.pointer,
        night.id,
        f"{night.name[: MAX_TEXT_LENGTH - 14]}, calibrations",
        night.programme,
        None,
        night.instrument,
        tuple(runs),
        slews=False,
        acquires=False,
        request=night.request,
    )
