"""Text of an ETC request -> Request: parse, merge the options, check against the schema, normalise."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from itertools import islice
from types import MappingProxyType
from typing import Any

import elvis_schemas
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import best_match

from elvis_cli.errors import RequestError, choice_error, json_pointer, nearest_name
from elvis_cli.model.limits import DEFAULT, Limits
from elvis_cli.model.request import Request
from elvis_cli.request import budget, header_keywords, normalise

MAX_DEPTH = 100
"""Arrays and objects inside one another; no request has more than ten."""
MAX_UNKNOWN_KEYS = 20
"""Unknown keys that have a note of their own; the others are counted."""

_TYPES = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
}


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
    _check(document)
    if overrides:
        brightness = normalise.brightness(document)
        values = {key: value(brightness) if callable(value) else value for key, value in overrides.items()}
        document = _merge(document, values)
        _check(document)
    block = document.get("elvis") or {}
    header_keywords.check(block.get("keywords") or {})
    budget.check(block, limits)
    unknown = _unknown(document, elvis_schemas.load(), "")
    if strict and (first := next(unknown, None)):
        pointer, key, known = first
        raise RequestError(pointer, "unknown key", nearest=_nearest_key(key, known))
    return replace(normalise.normalise(document, _unknown_notes(unknown)), limits=limits)


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
        value = json.loads(
            decoded, parse_float=_real, parse_int=_whole, parse_constant=_refuse, object_pairs_hook=_pairs
        )
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


def _check(document: Mapping[str, Any]) -> None:
    error = best_match(_validator().iter_errors(document))
    if error is not None:
        raise _refusal(error)


@cache
def _validator() -> Any:
    extend: Any = validators.extend  # untyped
    rules = {"items": _items, "uniqueItems": _unique, "additionalProperties": _others, "oneOf": _one_of}
    return extend(Draft202012Validator, rules)(elvis_schemas.load())


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check ``items`` up to the first that is wrong, and not at all if there are too many.

    A column of numbers or words within limits is passed at once (1e5 of them in 5 ms, not 1 s).
    """
    if not isinstance(instance, list) or len(instance) > schema.get("maxItems", math.inf):
        return
    kinds = set(map(type, instance))
    if kinds == {str} and items.get("type") == "string" and max(map(len, instance)) <= items["maxLength"]:
        return
    if kinds and kinds <= {int, float} and items.get("type") == "number":
        low, high = min(instance), max(instance)
        above = items.get("minimum", -math.inf) <= low and items.get("exclusiveMinimum", -math.inf) < low
        if above and high <= items.get("maximum", math.inf):
            return
    for place, item in enumerate(instance):
        errors = list(validator.descend(item, items, path=place))
        if errors:
            yield from errors
            return


def _unique(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check ``uniqueItems`` of numbers and words; `_items` refuses any other kind, which takes a square of the time."""
    if not isinstance(instance, list) or len(instance) > schema.get("maxItems", math.inf):
        return
    plain = all(type(item) in (int, float, str) for item in instance)
    if unique and plain and len(set(instance)) < len(instance):
        yield ValidationError(f"{brief(instance)} has an item twice")


def _others(validator: Any, rule: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check ``additionalProperties``, not at all if there are too many."""
    if isinstance(instance, Mapping) and len(instance) > schema.get("maxProperties", math.inf):
        return
    yield from Draft202012Validator.VALIDATORS["additionalProperties"](validator, rule, instance, schema)


def _one_of(validator: Any, branches: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Check a scene against the branch that has its name: what is wrong then has a place of its own."""
    for number, branch in enumerate(branches):
        name = branch["properties"]["name"]["const"] if "properties" in branch else None
        if name and isinstance(instance, Mapping) and instance.get("name") == name:
            yield from validator.descend(instance, branch, schema_path=number)


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


def brief(value: Any) -> str:
    """Return ``value`` as JSON on one line of at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _refusal(error: Any) -> RequestError:
    """Return the schema's error (a ValidationError) in our words: where, what was found, what is allowed."""
    pointer = json_pointer(*error.absolute_path)
    found, rule, schema = error.instance, error.validator_value, error.schema
    reason, allowed = f"{brief(found)} does not keep the rule {error.validator}", None
    match error.validator:
        case "enum":
            return choice_error(pointer, found, [r for r in rule if r is not None])
        case "pattern":
            return choice_error(pointer, found, [rule.strip("^$")])
        case "type":
            names = [_TYPES[r] for r in ([rule] if isinstance(rule, str) else rule) if r != "null"]
            reason, allowed = f"{brief(found)} has the wrong type", " or ".join(names)
        case "minimum" | "maximum" | "exclusiveMinimum":
            reason, allowed = f"{brief(found)} is out of range", _range(schema)
        case "additionalProperties":
            extra = next(key for key in found if key not in schema["properties"])
            return RequestError(
                pointer + json_pointer(extra),
                "is not known here",
                found=brief(extra),
                allowed=list(schema["properties"]),
                nearest=nearest_name(extra, schema["properties"]),
            )
        case "required":
            missing = next(r for r in rule if r not in found)
            pointer, reason, allowed = f"{pointer}/{missing}", "is missing", _range(schema["properties"][missing])
        case "maxProperties":
            reason, allowed = f"has {len(found)} members", f"at most {rule}"
        case "minItems" | "maxItems":
            low, high = schema.get("minItems", 0), schema.get("maxItems")
            reason = f"has {len(found)} items"
            allowed = f"{low}" if low == high else f"at least {low}" if high is None else f"{low} to {high}"
        case "maxLength":
            reason, allowed = f"{brief(found)} has {len(found)} characters", f"at most {rule}"
        case "uniqueItems":
            reason = "the same value is given twice"
    return RequestError(pointer, reason, found=_short(found), allowed=allowed)


def _short(found: Any) -> Any:
    """Return ``found`` itself, or as much of it as a message bears."""
    return found if isinstance(found, (int, float)) else found[:60] if isinstance(found, str) else brief(found)


def _range(schema: Any) -> str | None:
    if "maximum" not in schema:
        return None
    above, high = schema.get("exclusiveMinimum"), schema["maximum"]
    return f"{schema['minimum']} to {high}" if above is None else f"above {above}, to {high}"
