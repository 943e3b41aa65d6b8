"""A quick check of a document against the schema, which is sure where it says yes.

`jsonschema` takes longer to load than a small frame takes to render, and is needed only to say what is wrong. This
check knows the keywords of the schema of requests; with another keyword, or in any doubt, it says no, and `jsonschema`
decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def holds(instance: Any, schema: Mapping[str, Any]) -> bool:
    """Return True only if ``instance`` (of `json.loads`) keeps every rule of ``schema``."""
    for keyword, value in schema.items():
        rule = _RULES.get(keyword)
        if rule is None or not rule(instance, value, schema):
            return False
    return True


def _type(instance: Any, names: Any, _: Any) -> bool:
    return any(type(instance) in _TYPES[name] for name in ([names] if isinstance(names, str) else names))


def _equal(instance: Any, value: Any) -> bool:
    return type(instance) is type(value) and bool(instance == value)


def _is_number(instance: Any) -> bool:
    return type(instance) in (int, float)


def _properties(instance: Any, properties: Any, _: Any) -> bool:
    return not isinstance(instance, dict) or all(
        holds(member, properties[key]) for key, member in instance.items() if key in properties
    )


def _pattern_properties(instance: Any, patterns: Any, _: Any) -> bool:
    return not isinstance(instance, dict) or all(
        holds(member, rule)
        for pattern, rule in patterns.items()
        for key, member in instance.items()
        if re.search(pattern, key)
    )


def _others(instance: Any, rule: Any, schema: Any) -> bool:
    """Check the members that neither ``properties`` nor ``patternProperties`` names."""
    if rule is True or not isinstance(instance, dict):
        return True
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    others = [key for key in instance if key not in named and not any(re.search(p, key) for p in patterns)]
    return not others if rule is False else all(holds(instance[key], rule) for key in others)


def _items(instance: Any, items: Any, _: Any) -> bool:
    """Check the items; a column of numbers is passed at once, a rule of another kind item by item."""
    if not isinstance(instance, list) or not instance:
        return True
    if (
        set(items) <= {"type", "minimum", "maximum", "exclusiveMinimum", "description"}
        and items.get("type") == "number"
    ):
        return set(map(type, instance)) <= {int, float} and holds(min(instance), items) and holds(max(instance), items)
    return all(holds(item, items) for item in instance)


def _unique(instance: Any, unique: Any, _: Any) -> bool:
    if not unique or not isinstance(instance, list):
        return True
    return set(map(type, instance)) <= {int, float, str} and len(set(instance)) == len(instance)


def _one_of(instance: Any, branches: Any, _: Any) -> bool:
    """Check a scene against the branch of its name."""
    name = instance.get("name") if isinstance(instance, dict) else None
    named = [b for b in branches if name and b.get("properties", {}).get("name", {}).get("const") == name]
    return len(named) == 1 and holds(instance, named[0])


def _anything(_instance: Any, _value: Any, _schema: Any) -> bool:
    return True


_RULES: Mapping[str, Callable[[Any, Any, Any], bool]] = {
    **dict.fromkeys(("$schema", "$id", "title", "description", "default"), _anything),
    "type": _type,
    "enum": lambda instance, values, _: any(_equal(instance, value) for value in values),
    "const": lambda instance, value, _: _equal(instance, value),
    "minimum": lambda instance, low, _: not _is_number(instance) or instance >= low,
    "exclusiveMinimum": lambda instance, low, _: not _is_number(instance) or instance > low,
    "maximum": lambda instance, high, _: not _is_number(instance) or instance <= high,
    "maxLength": lambda instance, most, _: not isinstance(instance, str) or len(instance) <= most,
    "pattern": lambda instance, pattern, _: not isinstance(instance, str) or bool(re.search(pattern, instance)),
    "minItems": lambda instance, least, _: not isinstance(instance, list) or len(instance) >= least,
    "maxItems": lambda instance, most, _: not isinstance(instance, list) or len(instance) <= most,
    "maxProperties": lambda instance, most, _: not isinstance(instance, dict) or len(instance) <= most,
    "required": lambda instance, names, _: not isinstance(instance, dict) or all(name in instance for name in names),
    "propertyNames": lambda instance, rule, _: not isinstance(instance, dict) or all(holds(k, rule) for k in instance),
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _others,
    "items": _items,
    "uniqueItems": _unique,
    "oneOf": _one_of,
}
