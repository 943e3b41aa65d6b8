"""Errors as RFC 9457 problem details: status, pointer, value, what is allowed; no traceback, no path of the server."""

from __future__ import annotations

import json
import re
import secrets
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from elvis_cli import errors
from elvis_cli.errors import ElvisError

MEDIA_TYPE = "application/problem+json"
MEMBERS = ("pointer", "found", "allowed", "nearest", "limit", "pixels", "retry_after", "reason")
"""Details of an error that travel."""
STATUSES = (
    (errors.NotEnoughMemoryError, HTTPStatus.INSUFFICIENT_STORAGE),
    (errors.RequestError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.UsageError, HTTPStatus.BAD_REQUEST),
    (errors.ResourceError, HTTPStatus.FAILED_DEPENDENCY),
    (errors.OutputError, HTTPStatus.INSUFFICIENT_STORAGE),
)
"""Status of each kind of error."""
LONGEST = 2000
"""Characters of a message."""


class ServiceError(ElvisError):
    """The service, not the renderer, refuses a request."""

    exit_code = 69

    def __init__(self, status: int, message: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.status = status


@dataclass(frozen=True, slots=True)
class Problem:
    """An error on its way to the client; it can be pickled."""

    status: int
    message: str
    exit_code: int = 70
    details: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    """By which the log has the cause of a fault of the server."""
    log: str | None = None
    """For the log only."""

    def as_dict(self) -> dict[str, Any]:
        """Return the problem as a JSON-serialisable object."""
        members = {name: value for name, value in self.details.items() if value is not None}
        identity = {"id": self.id} if self.id else {}
        head = {"type": "about:blank", "title": _phrase(self.status), "status": self.status, "detail": self.message}
        return {**head, "exit_code": self.exit_code, **members, **identity}

    def as_json(self) -> bytes:
        """Return the body of the answer."""
        return json.dumps(self.as_dict(), default=str).encode()


def of(error: BaseException) -> Problem:
    """Return the problem of any exception."""
    known = errors.expected(error) if isinstance(error, Exception) else ElvisError("the process ended")
    status = _status(known)
    details = {name: known.details[name] for name in MEMBERS if name in known.details}
    problem = Problem(status, without_paths(known.message)[:LONGEST], known.exit_code, _plain(details))
    if known.exit_code == ElvisError.exit_code and not isinstance(error, ServiceError):
        log = "".join(traceback.format_exception(error)) if known is not error else known.message
        identity = secrets.token_hex(8)
        return replace(problem, message=f"a fault of the server; its log has it as {identity}", id=identity, log=log)
    return replace(problem, log=known.message) if status >= 500 else problem


def _status(error: ElvisError) -> int:
    if isinstance(error, ServiceError):
        return error.status
    if error.exit_code > 128:  # its process ended
        out_of_time = "took more" in error.message
        return HTTPStatus.GATEWAY_TIMEOUT if out_of_time else HTTPStatus.INSUFFICIENT_STORAGE
    if isinstance(error, errors.RequestError) and "forbidden by the limit offline" in error.message:
        return HTTPStatus.FORBIDDEN
    if isinstance(error, errors.ResourceError) and "instrument" in error.details:
        return HTTPStatus.NOT_FOUND
    return next((status for kind, status in STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


def lost(error: ElvisError, seconds: float, memory: int) -> Problem:
    """Return the problem of a task whose process ended: out of time, or most likely out of memory."""
    problem = of(error)
    if problem.status == HTTPStatus.GATEWAY_TIMEOUT:
        cpu = error.exit_code == 128 + signal.SIGXCPU
        what = "processor time than the limit" if cpu else f"{seconds:g} s"
        return replace(problem, message=f"the request took more than {what}; POST /jobs has more time")
    reason = f"the process that rendered it ended; it may have {memory / 1e9:.3g} GB"
    return replace(problem, message=reason, details={**problem.details, "limit": memory})


def without_paths(message: str) -> str:
    """Return a message without the paths of this machine."""
    return _paths().sub("(a file of the server)", message)


@cache
def _paths() -> re.Pattern[str]:
    folders = {str(Path(__file__).parents[2]), sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(Path.home())}
    prefixes = sorted((f for f in folders if len(f) > 1), key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, prefixes))})/[^\\s'\",;:)]*")


def _plain(details: dict[str, Any]) -> dict[str, Any]:
    """Return details as JSON has them, texts without paths."""
    return {
        name: without_paths(value)[:LONGEST] if isinstance(value, str) else value
        for name, value in json.loads(json.dumps(details, default=str)).items()
    }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
