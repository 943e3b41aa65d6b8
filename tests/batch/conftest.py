"""Many small requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def night(micado: Callable[..., dict[str, Any]]) -> Callable[..., list[bytes]]:
    """Return lines of requests, 16 x 16 pixels each, a minute apart; ``changes`` by path."""

    def make(count: int, changes: dict[str, Any] | None = None) -> list[bytes]:
        window = {"elvis/window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "elvis/chips": [5]}
        own = [{"elvis/date": f"2026-11-20T05:{n:02d}:00", "elvis/seed": n} for n in range(count)]
        return [json.dumps(micado(window | each | (changes or {}))).encode() + b"\n" for each in own]

    return make
