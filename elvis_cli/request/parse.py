"""Text of an ETC request -> Request: parse, merge the options, check against the schema, normalise."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import Any

import elvis_schemas

from elvis_cli.errors import RequestError, json_pointer
from elvis_cli.model.limits import DEFAULT, Limits
from elvis_cli.model.request import Request
from elvis_cli.request import budget, header_keywords, normalise, schema_check
from elvis_cli.request.values import brief

MAX_DEPTH = 100
"""Arrays and objects inside one another; no request has more than ten."""
MAX_UNKNOWN_KEYS = 20
"""Unknown keys that have a note of their own; the others are counted."""
_PERHAPS_INFINITE = re.compile(r"[0-9]{200}|[0-9.][eE]\+?[0-9]{3}")
"""Found in a text that has a number beyond 1e298; without it a catalogue's numbers need not be looked at one by one."""


def read(
    text: str | bytes,
    overrides: Mapping[str, Any] = MappingProxyType({}),
    *,
    strict: bool = False,
    limits: Limits = DEFAULT,
) -> Request:
    """Return the Request in ``text``: ETC JSON of any of the three generations.

    ``overrides`` are keys of the ``elvis`` block (the command line's options); they win over the block, and a
    ``sed`` among them makes the target's spectrum the uploaded one. One that is a function gets the target's brightness
    and returns the value. Unknown keys are kept and warned about.

    Raises
    ------
    RequestError
        The text is not JSON, or a value has the wrong type, is out of range or not one of those allowed,
        or (``strict``) a key is unknown, or the request needs more than ``limits`` allow.
    """
    document = _parse(text)
    schema_check.check(document)
    if overrides:
        brightness = normalise.brightness(document)
        values = {key: value(brightness) if callable(value) else value for key, value in overrides.items()}
        document = _merge(document, values)
        schema_check.check(document)
    block = document.get("elvis") or {}
    header_keywords.check(block.get("keywords") or {})
    memory = budget.check(block, limits)
    unknown = _unknown(document, elvis_schemas.load(), "")
    if strict and (first := next(unknown, None)):
        pointer, key, known = first
        raise RequestError(pointer, "unknown key", nearest=_nearest_key(key, known))
    return replace(normalise.normalise(document, _unknown_notes(unknown)), limits=limits, memory=memory)


def _unknown_notes(unknown: Iterator[tuple[str, str, Iterable[str]]]) -> list[str]:
    """Return a note for each of the first unknown keys, and one with the number of the others."""
    notes = []
    for pointer, key, known in islice(unknown, MAX_UNKNOWN_KEYS):
        nearest = _nearest_key(key, known)
        notes.append(f"{pointer}: unknown key, not used" + (f"; did you mean {nearest!r}?" if nearest else ""))
    others = sum(1 for _ in unknown)
    return [*notes, f"and {others} more unknown keys, not used"] if others else notes


def _parse(text: str | bytes) -> dict[str, Any]:
    document = parse_json(text)
    if not isinstance(document, dict):
        raise RequestError("", f"must be an object, not {brief(document)}")
    return document


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says; no key twice in an object, all numbers finite.

    Raises
    ------
    RequestError
        It is not JSON.
    """
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        if not decoded.strip():
            raise RequestError("", "the request is empty")
        checks: dict[str, Any] = (
            {"parse_float": _real, "parse_int": _whole} if _PERHAPS_INFINITE.search(decoded) else {}
        )
        value = json.loads(decoded, parse_constant=_refuse, object_pairs_hook=_pairs, **checks)
        # Values are copied and written by recursion, so deep ones are refused; few brackets cannot be deep.
        if decoded.count("[") + decoded.count("{") > MAX_DEPTH and _is_deep(value):
            raise RecursionError
        return value
    except UnicodeDecodeError as error:
        raise RequestError("", f"not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise RequestError("", f"not JSON: line {error.lineno} column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise RequestError("", "nested too deeply", allowed=f"{MAX_DEPTH} arrays and objects") from None


def _is_deep(value: Any) -> bool:
    """Return whether there are more than MAX_DEPTH arrays and objects inside one another."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        members = (item.values() if isinstance(item, dict) else item for item in level)
        level = [member for inside in members for member in inside if isinstance(member, (dict, list))]
    return bool(level)


def _real(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _whole(digits: str) -> int:
    # A longer one does not fit a float, and nothing that is asked for here needs it.
    return int(digits) if len(digits) <= 300 else _refuse(digits)


def _refuse(digits: str) -> Any:
    raise RequestError("", f"{brief(digits)} is not a finite number")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        known = set[str]()
        twice = next(name for name, _ in pairs if name in known or known.add(name))  # type: ignore[func-returns-value]
        raise RequestError("", f"the key {brief(twice)} is given twice in one object")
    return members


def _merge(document: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document with the options in its ``elvis`` block; a whole file replaces the one there."""
    cleared: dict[str, Any] = {key: None for key in ("catalogue", "image", "cube") if key in overrides}
    if "models" in overrides:
        cleared["models"] = dict.fromkeys(overrides["models"])
    merged = _deep(document, {"elvis": cleared})
    merged = _deep(merged, {"elvis": overrides})
    if "sed" in overrides:
        merged = _deep(merged, {"target": {"sed": {"sedtype": "spectrum", "spectrum": {"spectrumtype": "upload"}}}})
    return merged


def _deep(base: Any, over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base) if isinstance(base, Mapping) else {}  # an object replaces null, or the window "full"
    for key, value in over.items():
        merged[key] = _deep(merged.get(key), value) if isinstance(value, Mapping) else value
    return merged


def _unknown(value: Any, schema: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str, Iterable[str]]]:
    """Yield the pointer and the name of each key that the schema does not describe, and the names that it does.

    A key that holds null says nothing and is passed over: real inputs are full of them.
    """
    properties = schema.get("properties")
    if not isinstance(value, Mapping) or properties is None:
        return
    for key, member in value.items():
        where = pointer + json_pointer(key)
        if key in properties:
            yield from _unknown(member, properties[key], where)
        elif any(re.search(pattern, key) for pattern in schema.get("patternProperties", ())):
            continue
        elif member is not None and not schema.get("additionalProperties"):
            yield where, key, properties


def _nearest_key(key: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key[:60], list(known), n=1, cutoff=0.7)), None)
