"""The archive by HTTP: which path has which protocol; what takes time runs in threads."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from elvis_cli.archive import coverage, dali, datalink, page, sia, soda, tap, uws, vosi
from elvis_cli.archive.dali import DaliError, Parameters, Reply
from elvis_cli.archive.store import Store
from elvis_cli.errors import ElvisError
from elvis_cli.service import archive_jobs, archive_openapi, http, problems
from elvis_cli.service.archive_jobs import Asked
from elvis_cli.service.limits import ServiceLimits
from elvis_cli.service.problems import ServiceError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

AT_ONCE = 8
"""Requests that are worked on at one time."""
MAX_FIELDS = 1000
PREVIEWS = 256
"""Pictures that are kept."""
CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """Options of `elvis archive serve`."""

    place: str
    """Of the store."""
    base: str
    """Address of the server as others know it, without the last slash."""
    root_path: str = ""
    limits: ServiceLimits = field(default_factory=ServiceLimits)


Handler = Callable[["Archive", Asked], Reply]


class Archive:
    """What all handlers share."""

    def __init__(self, options: ArchiveOptions) -> None:
        self.options = options
        self.base = options.base
        self.store = Store(options.place)
        self.jobs = uws.Jobs(self.store)
        self.bodies = http.Bodies(options.limits)
        self.started = time.time()
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.previews: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self.is_stopping = False

    def close(self) -> None:
        """End the jobs and close the store."""
        self.jobs.close()
        self.store.close()


# Protocols


def _sync(archive: Archive, asked: Asked) -> Reply:
    return tap.sync(archive.store, asked.parameters, lambda uri: archive.jobs.fetch(uri, asked.files), archive.base)


def _sia(archive: Archive, asked: Asked) -> Reply:
    return sia.search(archive.store, asked.parameters, archive.base)


def _cone(archive: Archive, asked: Asked) -> Reply:
    return sia.cone(archive.store, asked.parameters, archive.base)


def _links(archive: Archive, asked: Asked) -> Reply:
    return datalink.links(archive.store, asked.parameters, archive.base)


def _cut(archive: Archive, asked: Asked) -> Reply:
    return soda.sync(archive.store, asked.parameters)


def _moc(archive: Archive, asked: Asked) -> Reply:
    return coverage.moc(archive.store, asked.parameters)


def _map(archive: Archive, asked: Asked) -> Reply:
    return Reply(coverage.picture(page.footprints(archive.store, asked.parameters)), "image/png")


def _page(archive: Archive, asked: Asked) -> Reply:
    text, status = page.html(archive.store, asked.parameters)
    return Reply(text.encode(), dali.HTML, status)


def _found(archive: Archive, asked: Asked) -> dict[str, Any]:
    row = datalink.find(archive.store, asked.path["name"])
    if row is None:
        raise DaliError(f"there is no file {asked.path['name'][:200]!r}", 404)
    if not Path(row["path"]).is_file():
        raise DaliError("the file is not where it was when it was added", 404)
    return row


def _file(archive: Archive, asked: Asked) -> Reply:
    row = _found(archive, asked)
    headers = {"content-disposition": f'attachment; filename="{_quotable(row["file_name"])}"'}
    return Reply(media_type=dali.FITS, path=Path(row["path"]), headers=headers)


def _quotable(name: str) -> str:
    return "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)


def _preview(archive: Archive, asked: Asked) -> Reply:
    row = _found(archive, asked)
    size = asked.parameters.number("SIZE")
    size = 512.0 if size is None else size
    if not 16 <= size <= 2048:
        raise DaliError("SIZE is 16 to 2048")
    key = row["sha256"], int(size)
    if key not in archive.previews:
        from elvis_cli.preview import draw

        out = io.BytesIO()
        draw.png(row["path"], out, int(size))
        archive.previews[key] = out.getvalue()
        while len(archive.previews) > PREVIEWS:
            archive.previews.popitem(last=False)
    return Reply(archive.previews[key], "image/png", headers={"cache-control": "max-age=86400"})


def _capabilities(*names: str) -> Handler:
    return lambda archive, _: Reply(vosi.capabilities(archive.base, names))


def _availability(archive: Archive, asked: Asked) -> Reply:
    return Reply(vosi.availability(archive.started))


def _tables(archive: Archive, asked: Asked) -> Reply:
    return Reply(vosi.table_set())


def _examples(archive: Archive, asked: Asked) -> Reply:
    return Reply(vosi.examples(), "application/xhtml+xml")


def _openapi(archive: Archive, asked: Asked) -> Reply:
    found = archive_openapi.document(((path, methods) for path, methods, _ in ROUTES), archive.options.root_path)
    return Reply(json.dumps(found).encode(), "application/json")


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("/", "GET", _page),
    ("/coverage.png", "GET", _map),
    ("/files/{name}", "GET", _file),
    ("/previews/{name}", "GET", _preview),
    ("/openapi.json", "GET", _openapi),
    ("/capabilities", "GET", _capabilities()),
    ("/availability", "GET", _availability),
    ("/tap/sync", "GET POST", _sync),
    ("/tap/capabilities", "GET", _capabilities("tap")),
    ("/tap/availability", "GET", _availability),
    ("/tap/tables", "GET", _tables),
    ("/tap/examples", "GET", _examples),
    ("/tap/async", "GET POST", archive_jobs.jobs),
    ("/tap/async/{id}", "GET POST DELETE", archive_jobs.job),
    ("/tap/async/{id}/phase", "GET POST", archive_jobs.phase),
    ("/tap/async/{id}/results/result", "GET", archive_jobs.result),
    ("/tap/async/{id}/{part}", "GET POST", archive_jobs.part),
    ("/sia2/query", "GET POST", _sia),
    ("/sia2/capabilities", "GET", _capabilities("sia2")),
    ("/sia2/availability", "GET", _availability),
    ("/scs", "GET POST", _cone),
    ("/datalink/links", "GET POST", _links),
    ("/datalink/capabilities", "GET", _capabilities("datalink")),
    ("/datalink/availability", "GET", _availability),
    ("/soda/sync", "GET POST", _cut),
    ("/soda/capabilities", "GET", _capabilities("soda")),
    ("/soda/availability", "GET", _availability),
    ("/moc", "GET", _moc),
)


class _NoNumbers:
    def count(self, route: str, status: int, instrument: str, seconds: float) -> None:
        """Count nothing."""


def build(options: ArchiveOptions) -> Starlette:
    """Return the application."""
    archive = Archive(options)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(archive.jobs.resume, archive.base)
        try:
            yield
        finally:
            await asyncio.to_thread(archive.close)

    routes = [Route(path, _handler(archive, handler), methods=methods.split()) for path, methods, handler in ROUTES]
    handlers: dict[Any, Any] = {HTTPException: _http_problem}
    middleware = [Middleware(_wrapped)]
    app = Starlette(routes=routes, middleware=middleware, exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.service = archive
    return app


def _wrapped(app: ASGIApp) -> ASGIApp:
    return http.Wrapper(app, _NoNumbers())


async def _http_problem(request: Request, error: HTTPException) -> Response:
    reason = f"there is no {request.url.path[:200]!r}" if error.status_code == 404 else error.detail
    answer = http.problem_answer(problems.of(ServiceError(error.status_code, reason)))
    answer.headers.update(error.headers or {})
    return answer


def _handler(archive: Archive, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            asked = await _read(archive, request)
            if handler is archive_jobs.job and request.method == "GET":
                await archive_jobs.wait(archive, asked)
            async with archive.slots:
                reply = await asyncio.to_thread(handler, archive, asked)
            return _answer(reply)
        except DaliError as error:
            return _answer(dali.error_reply(error))
        except ElvisError as error:
            if error.exit_code == 65 and not isinstance(error, ServiceError):
                return _answer(dali.error_reply(DaliError(error.message)))
            return http.problem_answer(problems.of(error))

    return handle


async def _read(archive: Archive, request: Request) -> Asked:
    """Return parameters of the query and of the body, and the files in it."""
    pairs = _form(request.url.query)
    files: dict[str, bytes] = {}
    if request.method == "POST":
        data = await archive.bodies.read(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            more, files = await _multipart(request, data)
            pairs += more
        elif data:
            pairs += _form(data.decode(errors="replace"))
    return Asked(request.method, Parameters(pairs), pairs, files, dict(request.path_params))


def _form(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise DaliError(f"there are more than {MAX_FIELDS} parameters") from None


async def _multipart(request: Request, data: bytes) -> tuple[list[tuple[str, str]], dict[str, bytes]]:
    request._body = data
    pairs: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    try:
        async with request.form(max_files=20, max_fields=200, max_part_size=1 << 20) as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    pairs.append((name, value))
                else:
                    files[name] = await value.read()
    except HTTPException as error:
        raise DaliError(f"the body is no form: {error.detail}") from None
    return pairs, files


def _answer(reply: Reply) -> Response:
    answer = _body(reply)
    answer.headers["server"] = "elvis"
    return answer


def _body(reply: Reply) -> Response:
    if reply.status == 303:
        return RedirectResponse(reply.headers["location"], 303)
    if reply.path is not None:
        return FileResponse(reply.path, media_type=reply.media_type, headers=reply.headers)
    if reply.file is not None:
        task = BackgroundTask(reply.file.close)
        chunks = iter(lambda: reply.file.read(CHUNK), b"")
        return StreamingResponse(chunks, reply.status, reply.headers, reply.media_type, task)
    return Response(reply.body, reply.status, reply.headers, reply.media_type)
