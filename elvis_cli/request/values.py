"""Values of a request as messages show them."""

from __future__ import annotations

import json
from typing import Any


def brief(value: Any) -> str:
    """Return ``value`` as JSON on one line of at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
