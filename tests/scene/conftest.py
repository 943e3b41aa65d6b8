"""Requests with a scene in them, as the reader gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from elvis_cli import reader
from elvis_cli.request import Request

Make = Callable[..., Request]


@pytest.fixture(scope="session")
def request_with() -> Make:
    """Return a request; keyword arguments are keys of the block ``elvis``, ``mag`` and ``band`` the target's."""

    def make(mag: float = 15.0, band: str = "K", target: dict[str, Any] | None = None, **elvis: Any) -> Request:
        brightness = {"brightnesstype": "mag", "mag": mag, "magband": band, "magsys": "vega"}
        document = {"instrumentName": "x", "target": {"brightness": brightness, **(target or {})}, "elvis": elvis}
        return reader.read(json.dumps(document))

    return make
