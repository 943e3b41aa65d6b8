"""The JSON Schema of a request for one mode: its own keys with options, ranges, units and defaults, for forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import elvis_schemas

from elvis_cli.errors import choice_error
from elvis_cli.instrument import registry
from elvis_cli.scene.templates import CATALOGS

SECTIONS = ("target", "sky", "seeing", "output", "elvis")
"""Sections whose general schema goes in; of ``seeing`` the keys of the instrument."""
EARLIER = {
    "sky": ("moon_fli", "pwv", "moon_target_sep", "moon_sun_sep", "almanac"),
    "brightness": ("extinctionav", "params"),
    "params": ("ctlg", "objtype", "spectype"),
    "elvis": ("mosaic", "obs", "template", "previous"),
}
"""Keys of earlier generations of the ETC, and those that other commands write, by the object that holds them."""


def narrowed(instrument: str, mode: str | None = None) -> dict[str, Any]:
    """Return the JSON Schema of a request for a mode (None: the default mode).

    Raises
    ------
    RequestError
        The instrument has no such mode.
    ResourceError
        There is no such instrument.
    """
    plugin: Any = registry.load(instrument)
    modes = [info.mode for info in plugin.modes()]
    if mode not in (None, *modes):
        raise choice_error("/instrument/ins_configuration", mode, modes)
    example = plugin.example(mode)
    chosen = mode or example["instrument"]["ins_configuration"]
    general = elvis_schemas.load()
    known = general["properties"]
    properties: dict[str, Any] = {
        "instrumentName": {"const": example["instrumentName"], "default": example["instrumentName"]},
        "instrument": _instrument(plugin, chosen, example["instrument"]),
        "timesnr": _timing(known["timesnr"]["properties"], example["timesnr"]),
        **{name: _plain(known[name], name) for name in SECTIONS},
    }
    own = example.get("seeing", {})
    properties["seeing"]["properties"] = {key: properties["seeing"]["properties"].get(key, {}) for key in own}
    params = properties["target"]["properties"]["sed"]["properties"]["spectrum"]["properties"]["params"]
    params["properties"]["catalog"]["enum"] = list(CATALOGS)
    for name, section in properties.items():
        _set_defaults(section, example.get(name))
    title = next(info.title for info in plugin.modes() if info.mode == chosen)
    return {
        "$schema": general["$schema"],
        "title": f"{example['instrumentName']} {chosen}: {title}",
        "type": "object",
        "required": ["instrumentName", "instrument"],
        "properties": properties,
    }


def _instrument(plugin: Any, mode: str, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of the section ``instrument``."""
    properties: dict[str, Any] = {"ins_configuration": {"title": "mode", "enum": [mode]}}
    for name, key in (plugin.keys(mode) if hasattr(plugin, "keys") else {}).items():
        member: dict[str, Any] = {"title": key.get("about", name)}
        if key.get("role") == "number":
            low, high = key["range"]
            member |= {"type": "number", "minimum": low, "maximum": high, "unit": key["unit"]}
        else:
            refused = key.get("refused", {})
            kind = type(example.get(name, ""))  # of a wavelength the option's name is a text, its value a number
            offered = [option for option in key["options"] if option not in refused]
            member["enum"] = [kind(option) for option in offered] if kind in (int, float) else offered
        properties[name] = member
    for name, value in example.items():
        properties.setdefault(name, {"title": name, "default": value})
    return {"type": "object", "properties": properties}


def _timing(known: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of ``timesnr``: integration time and number of each arm, or the S/N in place of the number."""
    names = [*example, *(name for name in ("snr", "wavelengthmin", "wavelengthmax") if name not in example)]
    properties = {name: _plain(known.get(name, {}), name) for name in names}
    for name in list(example)[::2]:
        properties[name] |= {"title": "integration time", "unit": "s"}
    for name in list(example)[1::2]:
        properties[name] |= {"title": "number of integrations"}
    properties["snr"] = {"title": "signal-to-noise ratio", "type": "number", "exclusiveMinimum": 0, "maximum": 1e6}
    return {"type": "object", "properties": properties}


def _plain(schema: Any, name: str) -> Any:
    """Return a schema without null and without the keys of earlier generations."""
    if isinstance(schema, list):
        return [_plain(item, name) for item in schema if item not in (None, {"type": "null"})]
    if not isinstance(schema, Mapping):
        return schema
    plain = {key: _plain(value, key) for key, value in schema.items() if key not in ("type", "enum", "properties")}
    if "type" in schema:
        kinds = [schema["type"]] if isinstance(schema["type"], str) else [k for k in schema["type"] if k != "null"]
        plain["type"] = kinds[0] if len(kinds) == 1 else kinds
    if "enum" in schema:
        plain["enum"] = [value for value in schema["enum"] if value is not None]
    if "properties" in schema:
        left_out = EARLIER.get(name, ())
        plain["properties"] = {k: _plain(v, k) for k, v in schema["properties"].items() if k not in left_out}
    return plain


def _set_defaults(schema: dict[str, Any], value: Any) -> None:
    """Write the values of the mode's example into the schema as defaults."""
    if isinstance(value, Mapping):
        for key, member in value.items():
            if key in schema.get("properties", {}):
                _set_defaults(schema["properties"][key], member)
    elif value is not None:
        schema["default"] = value
