"""HTTP itself: bodies within limits, answers, the wrapper around every request, and connections that never ask."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from elvis_cli.service import problems
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.problems import Problem, ServiceError
from elvis_cli.service.workers import GoneError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CHUNK = 1 << 20
HEADER_SECONDS = 15.0
"""Seconds that a connection may take to send a request line and headers."""
MAX_NOTES = 4000
"""Characters of notes in a header."""
CLOSED_BY_CLIENT = 499
"""Status in the log of a request whose client has gone."""
CSP = (
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self' 'unsafe-inline'; script-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    b"content-security-policy": CSP.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
}
log = logging.getLogger("elvis.service")


class Bodies:
    """Reads bodies; all of them together take a bounded memory."""

    def __init__(self, limits: ServiceLimits) -> None:
        self.limits = limits
        self.held = 0
        """Bytes of all bodies that are in memory."""

    async def read(self, request: Request) -> bytes:
        """Return the body.

        Raises
        ------
        ServiceError
            It is too large or too slow, or all bodies together are too large.
        """
        limit = self.limits.body
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise ServiceError(413, f"the body has {announced} bytes, of at most {limit}", limit=limit)
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                stream = request.stream().__aiter__()
                while True:
                    async with asyncio.timeout(self.limits.body_pause):
                        chunk = await anext(stream, None)
                    if chunk is None:
                        return b"".join(chunks)
                    size += len(chunk)
                    self.held += len(chunk)
                    chunks.append(chunk)
                    if size > limit:
                        raise ServiceError(413, f"the body has more than {limit} bytes", limit=limit)
                    if self.held > self.limits.bodies:
                        reason = "the bodies of all requests take too much memory"
                        raise ServiceError(503, reason, limit=self.limits.bodies, retry_after=5)
        except TimeoutError:
            raise ServiceError(408, "the body came too slowly", limit=self.limits.body_seconds) from None
        except ClientDisconnect:
            raise GoneError from None
        finally:
            self.held -= size


class FileAnswer(Response):
    """A file without a name, sent and gone."""

    def __init__(self, descriptor: int, size: int, media_type: str, headers: dict[str, str], seconds: float) -> None:
        super().__init__(None, media_type=media_type, headers={**headers, "content-length": str(size)})
        self.descriptor, self.seconds = descriptor, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file."""
        with open(self.descriptor, "rb", buffering=0) as file:
            async with asyncio.timeout(self.seconds):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                while chunk := file.read(CHUNK):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(json.dumps(value, default=str), status, headers, "application/json")


def problem_answer(problem: Problem) -> Response:
    """Return the answer for an error; the log has what the client does not see."""
    headers: dict[str, str] = {}
    if (pause := problem.details.get("retry_after")) is not None:
        headers["retry-after"] = str(pause)
    if problem.status == 401:
        headers["www-authenticate"] = "Bearer"
    if problem.status in (408, 413):  # the rest of the body is not wanted
        headers["connection"] = "close"
    if problem.log:
        log.error(problem.message, extra={"problem": problem.id, "cause": problem.log})
    return Response(problem.as_json(), problem.status, headers, problems.MEDIA_TYPE)


def notes_header(notes: tuple[str, ...]) -> dict[str, str]:
    """Return the header of the notes on an answer: a JSON array in ASCII, the last member tells what did not fit."""
    kept: list[str] = []
    for number, note in enumerate(notes):
        if len(json.dumps([*kept, note])) > MAX_NOTES:
            kept.append(f"and {len(notes) - number} more notes")
            break
        kept.append(note)
    return {"elvis-notes": json.dumps(kept)} if kept else {}


class Numbers(Protocol):
    """Counts requests."""

    def count(self, route: str, status: int, instrument: str, seconds: float) -> None:
        """Count a request that has ended."""


class Wrapper:
    """Around every request: an id, security headers, a line in the log, numbers; no exception leaves it."""

    def __init__(self, app: ASGIApp, metrics: Numbers) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin, status = time.monotonic(), 0
        identity = secrets.token_hex(8)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                more = [(name, value) for name, value in HEADERS.items() if name not in present]
                message["headers"] = [*message["headers"], *more, (b"elvis-request-id", identity.encode())]
            await send(message)

        try:
            await self._answer(scope, receive, sending, lambda: status)
        except GoneError:
            status = CLOSED_BY_CLIENT
        finally:
            seconds = time.monotonic() - begin
            endpoint = scope.get("elvis", {})
            self.metrics.count(endpoint.get("route", "none"), status, endpoint.get("instrument", ""), seconds)
            log.info(
                "request",
                extra={"id": identity, "method": scope["method"], "path": scope["path"][:200], "status": status,
                       "seconds": round(seconds, 4), **endpoint},
            )  # fmt: skip

    async def _answer(self, scope: Scope, receive: Receive, send: Send, status: Callable[[], int]) -> None:
        try:
            await self.app(scope, receive, send)
        except GoneError:
            raise
        except TimeoutError:  # the client does not read
            raise GoneError from None
        except Exception as error:
            problem = problems.of(error)
            if status():  # the answer has begun, so the connection must break
                log.exception("broken answer")
                raise GoneError from error
            await problem_answer(problem)(scope, receive, send)


def entity_tag(*parts: bytes | str) -> str:
    """Return an ETag: the SHA-256 of the parts."""
    import hashlib

    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f'"{digest.hexdigest()}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Return whether the client has the answer with this ETag."""
    wanted = request.headers.get("if-none-match", "")
    return wanted.strip() == "*" or tag in [each.strip().removeprefix("W/") for each in wanted.split(",")]


class Connection(H11Protocol):
    """A connection that is closed if no whole request head comes."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take bytes; between two requests begin to wait for the next."""
        super().data_received(data)
        self._wait()

    def _wait(self) -> None:
        if self._is_idle() and self._patience is None:
            self._patience = self.loop.call_later(HEADER_SECONDS, self._close_idle)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_idle(self) -> None:
        self._patience = None
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()


Handler = Callable[[Request], Awaitable[Response]]
