"""Endpoints of jobs: POST /jobs, POST /ob, state, files, events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse

from elvis_cli.errors import UsageError
from elvis_cli.service import http, query, store, tasks
from elvis_cli.service.endpoint import EVENTS, FITS, Endpoint
from elvis_cli.service.problems import Problem, ServiceError
from elvis_cli.service.query import Parameter
from elvis_cli.service.store import JobRow

if TYPE_CHECKING:
    from elvis_cli.service.app import Service

EVENT_SECONDS = 0.2
"""Seconds between looks at a job whose events are read."""
HEARTBEAT_SECONDS = 15.0
NIGHT = (
    Parameter("format", "string", "Language of the blocks.", ("auto", "p2", "odl", "starlist")),
    Parameter("start", "string", "Start of the night, ISO 8601, UTC."),
    Parameter("seed", "integer", "Seed of all random numbers.", low=0, high=2**63 - 1),
    Parameter("steady", "boolean", "Keep seeing, water vapour and airglow constant."),
    Parameter("persistence", "boolean", "Include the persistence of the exposure before."),
    Parameter("calibrations", "integer", "Append so many calibrations of each configuration.", low=0, high=100),
    Parameter("check", "boolean", "Check only: no job."),
    Parameter("request", "string", "JSON with defaults for all requests."),
)


async def add(service: Service, request: Request) -> Response:
    """Add a job for ETC requests; the first is checked at once."""
    found = query.values(request.query_params.multi_items(), query.REQUEST)
    if found.get("product") == "reduced":
        raise UsageError("product: reduced images are answers, not jobs: POST /reduce")
    owner = owner_of(request)
    service.jobs.check(owner)
    body = await service.bodies.read(request)
    options = query.request_options(found, service.render_limits(found))
    answer = await service.workers.ask(request, tasks.Check(body, options, service.limits))
    if isinstance(answer, Problem):
        return http.problem_answer(answer)
    return accepted(service, request, service.jobs.add("etc", answer.value, found, owner, answer.notes))


async def add_night(service: Service, request: Request) -> Response:
    """Add a job for the exposures of Observing Blocks; they are planned at once."""
    found = query.values(request.query_params.multi_items(), NIGHT)
    if not found.get("check"):
        service.check_archiving(request)
    owner = owner_of(request)
    service.jobs.check(owner)
    body = await service.bodies.read(request)
    answer = await service.workers.ask(request, tasks.PlanNight(body, found, service.limits))
    if isinstance(answer, Problem):
        return http.problem_answer(answer)
    if found.get("check"):
        return http.json_answer(answer.value)
    lines = "".join(f"{line}\n" for line in answer.value).encode()
    return accepted(service, request, service.jobs.add("ob", lines, {}, owner, answer.notes))


async def listing(service: Service, request: Request) -> Response:
    """Answer with the jobs of the client."""
    query.values(request.query_params.multi_items(), ())
    return http.json_answer([describe(service, request, row) for row in service.jobs.store.of_owner(owner_of(request))])


async def show(service: Service, request: Request) -> Response:
    """Answer with the state of a job."""
    return http.json_answer(describe(service, request, find(service, request)))


async def delete(service: Service, request: Request) -> Response:
    """End a job and delete its files."""
    service.jobs.delete(find(service, request).id)
    return Response(status_code=204)


async def only_file(service: Service, request: Request) -> Response:
    """Answer with the file of a job that has one."""
    row = find(service, request)
    names = [each["file"] for each in service.jobs.store.outcomes(row.id) if each["status"] != "failed"]
    if row.state not in store.ENDED:
        raise ServiceError(409, f"the job is {row.state}: its file is not complete", retry_after=2)
    if len(names) != 1:
        raise ServiceError(409, f"the job has {len(names)} files: GET /jobs/{row.id} lists them")
    return _file(service, row, names[0])


async def named_file(service: Service, request: Request) -> Response:
    """Answer with a file of a job."""
    row = find(service, request)
    name = request.path_params["name"]
    names = [each["file"] for each in service.jobs.store.outcomes(row.id) if each["status"] != "failed"]
    if name not in names:
        raise ServiceError(404, f"the job has no file {name[:100]!r}, or not yet")
    return _file(service, row, name)


async def events(service: Service, request: Request) -> Response:
    """Answer with each new state of a job (server-sent events) until it has ended."""
    row = find(service, request)
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(_events(service, request, row.id), media_type=EVENTS, headers=headers)


async def _events(service: Service, request: Request, identity: str) -> AsyncIterator[str]:
    last, quiet = "", 0.0
    while not service.is_stopping:
        row = service.jobs.store.find(identity)
        if row is None:
            yield "event: deleted\ndata: {}\n\n"
            return
        text = json.dumps(describe(service, request, row))
        if text != last:
            yield f"event: {row.state}\ndata: {text}\n\n"
            last, quiet = text, 0.0
        elif quiet > HEARTBEAT_SECONDS:
            yield ": \n\n"
            quiet = 0.0
        if row.state in store.ENDED:
            return
        await asyncio.sleep(EVENT_SECONDS)
        quiet += EVENT_SECONDS


def owner_of(request: Request) -> str:
    """Return whose a job is: the token's name, else the address of the client."""
    token = request.scope.get("elvis.token")
    return token.name if token else f"address {request.client.host if request.client else ''}"


def find(service: Service, request: Request) -> JobRow:
    """Return the job of the path.

    Raises
    ------
    ServiceError
        There is none, or it is another token's.
    """
    row = service.jobs.store.find(request.path_params["id"])
    if row is None or (service.tokens is not None and row.owner != owner_of(request)):
        raise ServiceError(404, "there is no such job: it may be too old")
    return row


def accepted(service: Service, request: Request, row: JobRow) -> Response:
    """Return the answer to a new job."""
    headers = {"location": _url(request, row.id), **http.notes_header(row.notes)}
    return http.json_answer(describe(service, request, row), 202, headers)


def describe(service: Service, request: Request, row: JobRow) -> dict[str, Any]:
    """Return a job as the client sees it."""
    outcomes = service.jobs.store.outcomes(row.id)
    progress = service.jobs.running.get(row.id)
    chips = list(progress.chips.values()) if progress else []
    url = _url(request, row.id)
    for outcome in outcomes:
        is_made = outcome["status"] != "failed"
        outcome["status"] = store.MADE if is_made else store.FAILED
        outcome["url"] = f"{url}/files/{quote(outcome['file'])}" if is_made else None
    return {
        "id": row.id,
        "url": url,
        "kind": row.kind,
        "state": row.state,
        "created": _iso(row.created),
        "started": _iso(row.started),
        "ended": _iso(row.ended),
        "place": service.jobs.store.place(row) if row.state == store.QUEUED else None,
        "requests": row.requests,
        "chips_done": sum(done for done, _ in chips),
        "chips": sum(total for _, total in chips),
        "files": outcomes,
        "notes": list(row.notes),
    }


def _file(service: Service, row: JobRow, name: str) -> Response:
    return FileResponse(service.jobs.files(row.id) / name, media_type=FITS, filename=name)


def _url(request: Request, identity: str) -> str:
    return f"{request.scope.get('root_path', '')}/jobs/{identity}"


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


_JOB = {"type": "object", "required": ["id", "state", "files"]}
_GET = (400, 401, 403, 404, 409, 416)
ENDPOINTS = (
    Endpoint("POST", "/jobs", add, "A job for ETC requests: whole focal planes, or many", status=202, scope="jobs",
             query=query.REQUEST, body="request", schema=_JOB),
    Endpoint("POST", "/ob", add_night, "A job for the exposures of Observing Blocks", status=202, scope="ob",
             query=NIGHT, body="blocks", schema=_JOB),
    Endpoint("GET", "/jobs", listing, "Jobs of the client", scope="jobs", schema={"type": "array"}, refusals=_GET),
    Endpoint("GET", "/jobs/{id}", show, "State of a job", scope="jobs", schema=_JOB, refusals=_GET),
    Endpoint("DELETE", "/jobs/{id}", delete, "End a job and delete its files", scope="jobs", status=204,
             refusals=_GET),
    Endpoint("GET", "/jobs/{id}/file", only_file, "The file of a job that has one", FITS, scope="jobs", refusals=_GET),
    Endpoint("GET", "/jobs/{id}/files/{name}", named_file, "A file of a job", FITS, scope="jobs", refusals=_GET),
    Endpoint("GET", "/jobs/{id}/events", events, "States of a job until it has ended, server-sent", EVENTS,
             scope="jobs", refusals=_GET),
)  # fmt: skip
