"""The application: which path has which handler, and what is checked before it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from elvis_cli.errors import ElvisError, UsageError
from elvis_cli.model.limits import Limits
from elvis_cli.service import (
    http,
    information,
    job_endpoints,
    p2_answers,
    p2_endpoints,
    p2_items,
    page_files,
    problems,
    rendering,
)
from elvis_cli.service.blocks import Blocks
from elvis_cli.service.charts import Charts
from elvis_cli.service.endpoint import Endpoint
from elvis_cli.service.jobs import Jobs
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.metrics import Metrics
from elvis_cli.service.problems import ServiceError
from elvis_cli.service.tokens import ARCHIVING, Token, Tokens
from elvis_cli.service.workers import Workers

if TYPE_CHECKING:
    from starlette.types import ASGIApp

NETWORKED = ("skycalc", "tiptop")
"""Options that reach the network or start another program."""


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """Options of `elvis serve`."""

    processes: int
    cores: int
    limits: ServiceLimits = field(default_factory=ServiceLimits)
    warm: tuple[str, ...] = ()
    """Instruments of which each process renders a frame before the service is ready."""
    tokens: Path | None = None
    origins: tuple[str, ...] = ()
    """Other origins whose pages may use the service."""
    allow: tuple[str, ...] = ()
    """Which of NETWORKED a request may ask for."""
    folder: Path | None = None
    """Where jobs and blocks are kept; None: as long as the server runs."""
    root_path: str = ""
    archive: str | None = None
    """Store of the archive into which the files of blocks go; it needs a folder."""


class Service:
    """All that the handlers share."""

    def __init__(self, options: ServiceOptions) -> None:
        self.options = options
        self.limits = options.limits
        self.tokens = Tokens(options.tokens) if options.tokens else None
        self.workers = Workers(options.processes, options.cores, options.limits)
        self.bodies = http.Bodies(options.limits)
        self.metrics = Metrics(self.workers)
        folder = options.folder or self.workers.spool
        self.jobs = Jobs(self.workers, options.limits, folder / "jobs")
        self.jobs.render_limits = self.render_limits({})
        if options.archive is not None:
            from elvis_cli.service.archived import ArchivedFiles

            self.jobs.archived = ArchivedFiles(options.archive, folder / "archive")
        self.blocks = Blocks(folder / "jobs" / "blocks.sqlite")
        self.charts = Charts(self.blocks)
        self.is_stopping = False
        self.endpoints: tuple[Endpoint, ...] = (
            *rendering.ENDPOINTS,
            *information.ENDPOINTS,
            *job_endpoints.ENDPOINTS,
            *p2_endpoints.ENDPOINTS,
            *p2_items.ENDPOINTS,
            *page_files.ENDPOINTS,
        )

    def render_limits(self, found: dict[str, Any]) -> Limits:
        """Return the limits of a request; what reaches the network is forbidden unless the server allows it.

        Raises
        ------
        ServiceError
            The query asks for what is forbidden.
        """
        allowed = set(self.options.allow)
        for name in (found.get("sky"), found.get("psf")):
            if name in NETWORKED and name not in allowed:
                raise ServiceError(403, f"{name!r} reaches the network, and this server does not allow it")
        return Limits(offline=not allowed)

    def check_token(self, request: Request, endpoint: Endpoint) -> Token | None:
        """Return the token of a request; None if the service has none.

        Raises
        ------
        ServiceError
            There is no token, it is unknown, or it has not the scope.
        """
        if self.tokens is None or endpoint.scope is None:
            return None
        kind, _, text = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.find(text.strip()) if kind.casefold() == "bearer" else None
        if token is None:
            raise ServiceError(401, "a token is needed: Authorization: Bearer TOKEN")
        if endpoint.scope not in token.scopes:
            raise ServiceError(403, f"the token {token.name!r} has not the scope {endpoint.scope!r}")
        return token

    def check_archiving(self, request: Request) -> None:
        """Check that the token of a request may write into the archive, if files of blocks go into one.

        Raises
        ------
        ServiceError
            It has not the scope.
        """
        token: Token | None = request.scope.get("elvis.token")
        if self.jobs.archived is not None and token is not None and ARCHIVING not in token.scopes:
            raise ServiceError(
                403, f"the token {token.name!r} has not the scope {ARCHIVING!r}: the files of blocks go there"
            )


def build(options: ServiceOptions) -> Starlette:
    """Return the application."""
    service = Service(options)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        service.workers.warm(options.warm)
        warmed = asyncio.create_task(asyncio.to_thread(information.warm))
        running = asyncio.create_task(service.jobs.run())
        try:
            yield
        finally:
            running.cancel()
            await warmed
            service.jobs.stop()
            await asyncio.to_thread(service.workers.close)
            await service.jobs.close()
            service.blocks.close()
            if service.jobs.archived is not None:
                service.jobs.archived.close()

    middleware = [Middleware(_wrapped, metrics=service.metrics)]
    if options.origins:
        from starlette.middleware.cors import CORSMiddleware

        exposed = ("ETag", "Elvis-Notes", "Elvis-Part", "Location", "Retry-After")
        cors: Any = CORSMiddleware
        middleware.append(
            Middleware(cors, allow_origins=options.origins, allow_methods=("GET", "POST", "PUT", "DELETE"),
                       allow_headers=("Authorization", "Content-Type", "If-Match", "If-None-Match"),
                       expose_headers=exposed)
        )  # fmt: skip
    handlers: dict[Any, Any] = {HTTPException: _http_problem}
    routes = [Route(path, handler, methods=methods) for path, methods, handler in _routes(service)]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.service = service
    return app


def _wrapped(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    return http.Wrapper(app, metrics)


def _routes(service: Service) -> list[tuple[str, list[str], Callable[[Request], Awaitable[Response]]]]:
    """Return path, methods and handler of each path: one route has all methods, so that 405 names them."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in service.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [(path, list(methods), _handler(service, methods)) for path, methods in paths.items()]


def _handler(service: Service, methods: dict[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    """Return the handler of a path."""

    async def handle(request: Request) -> Response:
        endpoint = methods["GET" if request.method == "HEAD" else request.method]
        request.scope["elvis.endpoint"] = endpoint
        told = request.scope["elvis"] = {"route": f"{endpoint.method} {endpoint.path}"}
        try:
            token = service.check_token(request, endpoint)
            if token is not None:
                told["token"] = token.name
            request.scope["elvis.token"] = token
            return await endpoint.handler(service, request)
        except ElvisError as error:
            return endpoint.errors(problems.of(error))

    return handle


async def _http_problem(request: Request, error: HTTPException) -> Response:
    """Answer for a path or a method that does not exist."""
    reason = {404: f"there is no {request.url.path[:200]!r}: GET /openapi.json lists all paths",
              405: f"{request.method} is not a method of this path"}.get(error.status_code, error.detail)  # fmt: skip
    is_p2 = request.url.path.startswith(f"{p2_endpoints.ROOT}/")
    make = p2_answers.error_answer if is_p2 else http.problem_answer
    answer = make(problems.of(ServiceError(error.status_code, reason)))
    answer.headers.update(error.headers or {})
    return answer


def check_address(host: str, *, is_public: bool) -> None:
    """Refuse an address that others reach unless they need a token or ``is_public``.

    Raises
    ------
    UsageError
        It is such an address.
    """
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not is_public:
        raise UsageError(f"--host {host}: others reach this address: it needs --tokens FILE or --public")


class JsonLines(logging.Formatter):
    """A line of JSON for each record."""

    KEYS = ("id", "method", "path", "route", "status", "seconds", "instrument", "token", "problem", "cause", "job")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        import json

        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": moment, "level": record.levelname.lower(), "message": record.getMessage()}
        line |= {key: record.__dict__[key] for key in self.KEYS if key in record.__dict__}
        if record.exc_info:
            line["cause"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
