"""Calibrations that belong to a night: darks, biases, flats and arcs for each configuration that it used."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.observing import template_request, templates
from elvis_cli.observing.checked_object import MAX_TEXT_LENGTH
from elvis_cli.observing.templates import Template
from elvis_cli.observing.visit import MAX_FILES, ExposureStep, TemplateRun, Visit, check_count

CALIBRATIONS = ("dark", "bias", "flat", "arc", "detlin")
"""Calibrations that need no sky."""
LEVELS = (0.1, 0.3, 0.5, 0.8, 1.0, 1.3, 1.6, 1.8)
"""Integration times of linearity frames, in units of the time that fills half of the full well."""
MIN_LEVELS = 4
"""Levels from which on a linearity is worth having."""


def calibrations(visits: Sequence[Visit], number: int, patch: Mapping[str, Any]) -> tuple[list[Visit], list[str]]:
    """Return a visit for each configuration of the night, with ``number`` files of each calibration, and notes.

    They have the integration time of the night's first exposure in that configuration; darks, and biases, do not care
    for filters. What an instrument cannot take in a configuration is left out, and noted.
    """
    calibration_visits: list[Visit] = []
    notes: list[str] = []
    keys_taken: set[str] = set()
    files = 0
    for visit, run, step in ((v, r, s) for v in visits for r in v.runs if r.calibration is None for s in _settings(r)):
        taken: list[TemplateRun] = []
        kinds = list(_templates(visit.instrument, run.mode))
        if not kinds:
            notes.append(f"calibrations: {visit.instrument} has no templates for those of {run.mode}")
        for kind, template in kinds:
            keys = {} if kind in ("dark", "bias", "detlin") else {**run.keys, **_optics(step)}
            time = None if kind == "detlin" else [step.dit, step.count, dict(run.timing)]
            key = json.dumps([visit.instrument, run.mode, kind, dict(keys), time], sort_keys=True)
            if key in keys_taken:
                continue
            keys_taken.add(key)
            one = _template_run(template, visit.instrument, run, step, number)
            steps, refused = _accepted(visit, one, patch)
            if refused and len(steps) < min(len(one.steps), MIN_LEVELS):
                notes.append(f"calibrations: {template.id} is left out: {refused.message}")
                continue
            files += len(steps)
            check_count(files, "/calibrations", MAX_FILES)
            one = replace(one, steps=steps)
            taken.append(replace(one, number=len(taken) + 1))
        if taken:
            calibration_visits.append(_visit(visit, taken))
    return calibration_visits, list(dict.fromkeys(notes))


def _settings(run: TemplateRun) -> list[ExposureStep]:
    """Return a step of each setting of the instrument that a run has: those of a decker's two sides."""
    first: dict[str, ExposureStep] = {}
    for step in run.steps or (ExposureStep(),):
        first.setdefault(json.dumps(_optics(step), sort_keys=True), step)
    return list(first.values())


def _optics(step: ExposureStep) -> dict[str, Any]:
    """Return the keys of a step that change what a lamp sees."""
    return {key: value for key, value in step.keys.items() if key.startswith("INS.")}


def _accepted(
    visit: Visit, run: TemplateRun, patch: Mapping[str, Any]
) -> tuple[tuple[ExposureStep, ...], RequestError | None]:
    """Return the steps of a run that the instrument can take, and why not the others."""
    steps, refused = [], None
    tried: dict[float | None, bool] = {}
    for step in run.steps:
        if step.dit not in tried:
            try:
                template_request.make(_visit(visit, [run]), run, step, patch)
                tried[step.dit] = True
            except RequestError as error:
                tried[step.dit], refused = False, error
        if tried[step.dit]:
            steps.append(step)
    return tuple(steps), refused


def _templates(instrument: str, mode: str) -> Iterator[tuple[str, Template]]:
    """Yield the first template of each kind that an instrument has for a mode; flats of the twilight if no lamp's."""
    listed = [each for each in templates.load(instrument).templates.values() if mode in each.modes.values()]
    for kind in CALIBRATIONS:
        kinds = ("flat", "twilight") if kind == "flat" else (kind,)
        template = next((each for name in kinds for each in listed if each.calibration == name), None)
        if template is not None:
            yield kind, template


def _template_run(
    template: Template, instrument: str, run: TemplateRun, step: ExposureStep, number: int
) -> TemplateRun:
    still = ExposureStep(dit=step.dit, count=step.count, elvis=step.elvis, keys=_optics(step))
    ramp: tuple[ExposureStep, ...] = ()
    timing = run.timing
    if template.calibration == "detlin":
        half_full = float(next(iter(registry.load(instrument).example(run.mode)["timesnr"].values())))
        ramp = tuple(replace(still, dit=float(f"{half_full * level:.6g}"), count=1) for level in LEVELS)
        timing = {}
    return TemplateRun(
        template.id,
        template.title,
        1,
        run.pointer,
        run.mode,
        run.keys,
        timing,
        ramp or (still,) * number,
        category=None,
        object_type=None,
        sky_type=None,
        sky_category=None,
        calibration=template.calibration,
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
