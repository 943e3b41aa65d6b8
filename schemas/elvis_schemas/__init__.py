"""JSON Schemas (2020-12) of what ELVIS reads."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


def text(name: str = "etc-request") -> str:
    """Return the schema of this name as it stands in its file."""
    return Path(__file__).with_name(f"{name}.schema.json").read_text(encoding="utf-8")


@cache
def load(name: str = "etc-request") -> dict[str, Any]:
    """Return the schema of this name; shared by all callers, so not to be changed."""
    schema: dict[str, Any] = json.loads(text(name))
    return schema
