"""Endpoints that a process of the pool answers: /etc, /validate, /explain, /preview, /reduce."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from elvis_cli import __version__
from elvis_cli.request.option_values import picture_limits
from elvis_cli.service import http, query, tasks
from elvis_cli.service.endpoint import FITS, PNG, Endpoint
from elvis_cli.service.problems import Problem
from elvis_cli.service.workers import unlinked

if TYPE_CHECKING:
    from starlette.requests import Request

    from elvis_cli.service.app import Service


async def frame(service: Service, request: Request) -> Response:
    """Answer with the frame of an ETC request."""
    return await _file(service, request, tasks.Render, FITS)


async def reduced(service: Service, request: Request) -> Response:
    """Answer with the reduced image of an ETC request."""
    return await _file(service, request, tasks.Render, FITS, product="reduced")


async def preview(service: Service, request: Request) -> Response:
    """Answer with a picture of the frame."""
    found = query.values(request.query_params.multi_items(), (*query.REQUEST, *query.PICTURE))
    picture: dict[str, Any] = {"max_size": found.get("size", 1024), "limits": picture_limits(found.get("limits"))}
    if "stretch" in found:
        from elvis_cli.preview.stretch_kind import StretchKind

        picture["kind"] = StretchKind(found["stretch"])
    if "ext" in found:
        picture["extension"] = found["ext"]
    return await _file(service, request, partial(tasks.Preview, picture=picture, most=found.get("pixels")), PNG)


async def validate(service: Service, request: Request) -> Response:
    """Answer with what the ETC would say."""
    return await _value(service, request, tasks.Validate)


async def explain(service: Service, request: Request) -> Response:
    """Answer with every number that the request uses."""
    return await _value(service, request, tasks.Explain)


async def _file(service: Service, request: Request, task: Any, media_type: str, **fixed: Any) -> Response:
    """Answer with the file that a task writes."""
    body = await service.bodies.read(request)
    tag = http.entity_tag(__version__, request.url.path, request.url.query, body)
    if http.is_unchanged(request, tag):
        return Response(status_code=304, headers={"etag": tag})
    path = service.workers.file(".fits" if media_type == FITS else ".png")
    try:
        answer = await service.workers.ask(request, task(**_asked(service, request, body, fixed), path=str(path)))
        if isinstance(answer, Problem):
            return http.problem_answer(answer)
        descriptor = unlinked(path)
    finally:
        path.unlink(missing_ok=True)
    request.scope["elvis"]["instrument"] = answer.instrument
    service.metrics.bytes.labels(request.scope["elvis"]["route"]).inc(answer.size)
    headers = {"etag": tag, "cache-control": "private, no-cache", **http.notes_header(answer.notes)}
    if answer.value is not None:
        headers["elvis-part"] = answer.value
    return http.FileAnswer(descriptor, answer.size, media_type, headers, service.limits.answer_seconds)


async def _value(service: Service, request: Request, task: Any) -> Response:
    """Answer with the JSON value of a task."""
    body = await service.bodies.read(request)
    answer = await service.workers.ask(request, task(**_asked(service, request, body, {})))
    if isinstance(answer, Problem):
        return http.problem_answer(answer)
    request.scope["elvis"]["instrument"] = answer.instrument
    return http.json_answer(answer.value)


def _asked(service: Service, request: Request, body: bytes, fixed: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a task."""
    found = query.values(request.query_params.multi_items(), request.scope["elvis.endpoint"].query) | fixed
    options = query.request_options(found, service.render_limits(found))
    return {
        "text": body,
        "options": options,
        "limits": service.limits,
        "instrument": request.path_params.get("instrument"),
    }


_WITHOUT_PRODUCT = tuple(parameter for parameter in query.REQUEST if parameter.name != "product")
ENDPOINTS = (
    Endpoint("POST", "/etc", frame, "The frame of an ETC request", FITS, scope="render", query=query.REQUEST,
             body="request"),
    Endpoint("POST", "/etcapi/{instrument}/", frame, "The frame of the request that ETC 2.0 posts", FITS,
             scope="render", query=query.REQUEST, body="request"),
    Endpoint("POST", "/reduce", reduced, "The reduced image of an ETC request", FITS, scope="render",
             query=_WITHOUT_PRODUCT, body="request"),
    Endpoint("POST", "/preview", preview, "A picture of the frame", PNG, scope="render",
             query=(*query.REQUEST, *query.PICTURE), body="request"),
    Endpoint("POST", "/validate", validate, "Whether a request is right, and what the ETC would say",
             scope="render", query=query.REQUEST, body="request", schema={"type": "object", "required": ["valid"]}),
    Endpoint("POST", "/explain", explain, "Every number that a request uses, with unit and source",
             scope="render", query=query.REQUEST, body="request", schema={"type": "array"}),
)  # fmt: skip
