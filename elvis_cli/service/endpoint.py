"""An endpoint: what the router, the checks before the handler, and the OpenAPI document know about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from elvis_cli.service import http
from elvis_cli.service.problems import Problem
from elvis_cli.service.query import Parameter

if TYPE_CHECKING:
    from starlette.requests import Request

    from elvis_cli.service.app import Service

FITS, PNG, JSON, TEXT, EVENTS = "application/fits", "image/png", "application/json", "text/plain", "text/event-stream"
REFUSALS = (400, 401, 403, 404, 408, 413, 422, 424, 429, 500, 503, 504, 507)
"""Statuses of a problem that any endpoint with a body may answer with."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path."""

    method: str
    path: str
    handler: Callable[[Service, Request], Awaitable[Response]]
    title: str
    answer: str = JSON
    """Media type of the answer."""
    status: int = 200
    scope: str | None = None
    """Scope of the token that it wants; None: it is open to all."""
    query: tuple[Parameter, ...] = ()
    body: str | None = None
    """Name of the schema of the body; None: no body."""
    schema: dict[str, Any] | None = None
    """JSON Schema of the answer."""
    refusals: tuple[int, ...] = REFUSALS
    errors: Callable[[Problem], Response] = http.problem_answer
    """Makes the answer of an error."""
