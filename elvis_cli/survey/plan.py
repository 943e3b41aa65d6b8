"""`elvis plan`: a survey -> a request for each exposure of each pointing."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from elvis_cli import pipeline
from elvis_cli.base.dates import parse_date
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.base.merge import merge
from elvis_cli.errors import RequestError, nearest_name
from elvis_cli.request import parse
from elvis_cli.request.values import brief

SURVEY_KEYS = {
    "survey": ("pointings", "dithers", "exposures", "start", "overhead"),
    "pointings": ("ra", "dec", "position_angle", "name"),
    "exposures": ("name", "request"),
}
"""Keys of the survey and of its parts."""
MAX_EXPOSURES = 1_000_000
"""Exposures of a survey."""
LAST_DATE = datetime(2100, 1, 1)


def plan(text: str | bytes) -> Iterator[dict[str, Any]]:
    """Yield the requests of a survey, in the order in which they are taken.

    ``text`` is ``{"request": a request, "survey": {"pointings": [{"ra", "dec", "position_angle", "name"}], "dithers":
    [[x, y]], "exposures": [{"name", "request": changes}], "start": date, "overhead": s}}``. Dithers move the pointing
    by arcsec in the field; target and scene stay where they are on the sky: at ``elvis.place``, or where
    ``elvis.offset`` is without dithers. The changes of an exposure are merged into the request (RFC 7396). Exposures
    are numbered through, so that each has its own noise; with a start they get their dates.

    Raises
    ------
    RequestError
        The survey or one of its requests is wrong.
    """
    survey, base = _read(text)
    dithers, exposures = survey.get("dithers") or [[0, 0]], survey.get("exposures") or [{}]
    when, number = _start(survey), 0
    moved = any(x or y for x, y in dithers)
    first = _dithered(survey["pointings"][0], 0.0, 0.0)
    seconds = [_duration(merge(base, exposure.get("request") or {}), first) for exposure in exposures]
    for pointing in survey["pointings"]:
        for dx, dy in dithers:
            for exposure, duration in zip(exposures, seconds, strict=True):
                number += 1
                document = merge(base, exposure.get("request") or {})
                block = document["elvis"] = dict(document.get("elvis") or {})
                block["pointing"] = _dithered(pointing, float(dx), float(dy))
                if moved and not block.get("place"):
                    block["place"] = _place(pointing, block.pop("offset", None) or (0.0, 0.0))
                block["exposure"] = number
                block.setdefault("window", "full")
                block.setdefault("chips", "all")
                if when is not None:
                    block["date"] = when.isoformat(timespec="milliseconds")
                    when = _later(when, duration + float(survey.get("overhead", 0)))
                name = " ".join(str(part["name"]) for part in (pointing, exposure) if part.get("name"))
                if name:
                    document = merge(document, {"sky": {"almanac": {"targetName": name}}})
                yield document


def _read(text: str | bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    document = parse.parse_json(text)
    if not isinstance(document, dict) or not all(isinstance(document.get(k), dict) for k in ("request", "survey")):
        raise RequestError("", "must be an object with the objects request and survey")
    survey = document["survey"]
    _check_keys(survey, "survey", "/survey")
    if not survey.get("pointings"):
        raise RequestError("/survey/pointings", "is missing", allowed="[{ra, dec, position_angle, name}]")
    _check_pointings(survey)
    _check_exposures(survey)
    for i, dither in enumerate(_list(survey, "dithers")):
        if not isinstance(dither, list) or len(dither) != 2:
            raise RequestError(f"/survey/dithers/{i}", "must be [x, y], arcsec", found=brief(dither))
        for j, value in enumerate(dither):
            _check_number(value, f"/survey/dithers/{i}/{j}", -36000, 36000)
    if "overhead" in survey:
        _check_number(survey["overhead"], "/survey/overhead", 0, 1e6)
    if survey.get("start") is not None:
        _check_type(survey["start"], str, "/survey/start")
    count = math.prod(len(survey.get(name) or [0]) for name in ("pointings", "dithers", "exposures"))
    if count > MAX_EXPOSURES:
        raise RequestError("/survey", f"has {count} exposures", allowed=f"up to {MAX_EXPOSURES}")
    return survey, document["request"]


def _check_pointings(survey: Mapping[str, Any]) -> None:
    for i, pointing in enumerate(_list(survey, "pointings")):
        where = f"/survey/pointings/{i}"
        _check_keys(pointing, "pointings", where)
        _check_number(pointing.get("ra"), f"{where}/ra", -360, 360)
        _check_number(pointing.get("dec"), f"{where}/dec", -90, 90)
        if pointing.get("position_angle") is not None:
            _check_number(pointing["position_angle"], f"{where}/position_angle", -360, 360)
        if pointing.get("name") is not None:
            _check_type(pointing["name"], str, f"{where}/name")


def _check_exposures(survey: Mapping[str, Any]) -> None:
    for i, exposure in enumerate(_list(survey, "exposures")):
        where = f"/survey/exposures/{i}"
        _check_keys(exposure, "exposures", where)
        for key, kind in (("name", str), ("request", dict)):
            if exposure.get(key) is not None:
                _check_type(exposure[key], kind, f"{where}/{key}")


def _check_type(value: Any, kind: type, pointer: str) -> None:
    if not isinstance(value, kind):
        name = "a string" if kind is str else "an object"
        raise RequestError(pointer, f"must be {name}", found=brief(value))


def _list(survey: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = survey.get(name) or []
    if not isinstance(found, list):
        raise RequestError(f"/survey/{name}", "must be an array")
    return found


def _check_keys(member: Any, kind: str, pointer: str) -> None:
    if not isinstance(member, dict):
        raise RequestError(pointer, "must be an object")
    for key in member:
        if key not in SURVEY_KEYS[kind]:
            nearest = nearest_name(key, SURVEY_KEYS[kind])
            raise RequestError(
                f"{pointer}/{key}", "is not known here", allowed=list(SURVEY_KEYS[kind]), nearest=nearest
            )


def _check_number(value: Any, pointer: str, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RequestError(pointer, "is missing" if value is None else "must be a number", found=brief(value))
    if not low <= value <= high:
        raise RequestError(pointer, f"{value:g} is out of range", found=value, allowed=f"{low:g} to {high:g}")


def _start(survey: Mapping[str, Any]) -> datetime | None:
    return None if survey.get("start") is None else parse_date(survey["start"], "/survey/start")


def _later(when: datetime, seconds: float) -> datetime:
    """Return the start of the next exposure."""
    if seconds > (LAST_DATE - when).total_seconds():
        raise RequestError("/survey/start", f"the survey goes on after {LAST_DATE.year}", allowed="an earlier start")
    return when + timedelta(seconds=seconds)


def _duration(document: Mapping[str, Any], pointing: Mapping[str, float]) -> float:
    """Return the seconds of one exposure; the request is checked by the way."""
    block = document.get("elvis") or {}
    if isinstance(block, dict):
        document = {**document, "elvis": {**block, "pointing": pointing}}
    setup = pipeline.configure(parse.read(json.dumps(document)))
    return setup.exposure.dit * (setup.exposure.count or 1 if setup.detector.kind == "ir" else 1)


def _place(pointing: Mapping[str, Any], offset: Sequence[float]) -> dict[str, float]:
    """Return where on the sky a target is that stands at an offset (arcsec) in the field without dithers."""
    ra, dec = _sky(pointing, *offset)
    return {"ra": ra, "dec": dec}


def _sky(pointing: Mapping[str, Any], x: float, y: float) -> tuple[float, float]:
    """Return RA and Dec (deg) of field coordinates (arcsec)."""
    east, north = field_to_sky(x, y, float(pointing.get("position_angle") or 0.0))
    ra, dec = deproject(east, north, float(pointing["ra"]), float(pointing["dec"]))  # type: ignore[arg-type]
    return round(float(ra), 9) % 360.0, round(float(dec), 9)


def _dithered(pointing: Mapping[str, Any], dx: float, dy: float) -> dict[str, float]:
    ra, dec = _sky(pointing, dx, dy)
    return {"ra": ra, "dec": dec, "position_angle": float(pointing.get("position_angle") or 0.0)}
