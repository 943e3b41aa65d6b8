"""Merge patches of JSON documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with a JSON merge patch (RFC 7396): objects merge, null takes away, all else replaces."""
    merged: dict[str, Any] = json.loads(json.dumps(base))
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            old = merged.get(key)
            merged[key] = merge(old if isinstance(old, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
