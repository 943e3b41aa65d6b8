"""A complete request with a scene: the example of an instrument, its target replaced."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from elvis_cli.errors import UsageError, choice_error
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.scene import library

_TARGETS: dict[str, dict[str, Any]] = {
    "globular-cluster": {"brightness": {"mag": 15}},
    "clumpy-galaxy": {"brightness": {"magband": "H", "mag": 21, "magsys": "AB"}},
    "protoplanetary-disc": {"brightness": {"mag": 12}},
    "companions": {"brightness": {"mag": 18.5}},
    "star-grid": {"brightness": {"mag": 19}},
    "moving-target": {"brightness": {"mag": 20}},
    "rotating-galaxy": {"brightness": {"magband": "H", "mag": 22, "magsys": "AB"}},
    "galactic-field": {"brightness": {"mag": 20}},
}
"""What a scene changes in the target of an instrument's example request."""
_FIELDS = {
    "globular-cluster": {"core_radius": 0.1, "tidal_radius": 3.0},
    "star-grid": {"spacing": 0.18},
    "moving-target": {"field": 1.0},
    "galactic-field": {"field": 1.1},
}
"""Lengths that go with the field of view: a fraction of the window's side."""


def listing() -> list[dict[str, Any]]:
    """Return each parameter of each scene: scene, parameter, default, and what it is."""
    return [
        {"scene": name, "parameter": key, "default": schema.get("default"), "description": schema["description"]}
        for name in library.scenes()
        for key, schema in library.parameters(name).items()
    ]


def document(name: str, instrument: str | None, mode: str | None, settings: Iterable[str]) -> dict[str, Any]:
    """Return the instrument's example request with a scene in place of its target, all parameters written out.

    ``settings`` are KEY=VALUE: a parameter of the scene, or (with a leading slash) any place of the request as a JSON
    pointer; values are JSON, or else text.

    Raises
    ------
    UsageError
        There is no such scene, no instrument is given, or a setting is not KEY=VALUE.
    RequestError
        The request would be refused.
    """
    if name not in library.scenes():
        error = choice_error("", name, library.scenes())
        raise UsageError(f"scene {error.message.removeprefix('/: ')}", **error.details)
    if instrument is None:
        raise UsageError(f"--instrument: which one? {', '.join(registry.names())}")
    request = registry.load(instrument).example(mode)
    side = _side(request)
    request["target"] = _laid(request["target"], _TARGETS[name])
    chosen = {key: p["default"] for key, p in library.parameters(name).items() if "default" in p}
    chosen |= {key: float(f"{side * part:.2g}") for key, part in _FIELDS.get(name, {}).items()}
    request["elvis"] = {**request.get("elvis", {}), "scene": {"name": name, **chosen}}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key.strip("/"):
            raise UsageError(f"--set: {setting!r} is not KEY=VALUE")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        _put(request, key if key.startswith("/") else f"/elvis/scene/{key}", value)
    parse.read(json.dumps(request))
    return request


def _side(request: dict[str, Any]) -> float:
    """Return the smaller side of the window, arcsec."""
    setup = registry.load(request["instrumentName"]).configure(parse.read(json.dumps(request)))
    return min(setup.frame.window.nx, setup.frame.window.ny) * setup.optics.pixel_scale


def _laid(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    return base | {k: _laid(base.get(k, {}), v) if isinstance(v, dict) else v for k, v in over.items()}


def _put(request: dict[str, Any], pointer: str, value: Any) -> None:
    *way, last = pointer[1:].split("/")
    place = request
    for step in way:
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set: {pointer} leads through {step}, which is no object")
    place[last] = value
