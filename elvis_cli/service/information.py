"""Endpoints that say what there is: instruments, examples, schemas, scenes; health, numbers, the OpenAPI document."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from elvis_cli import __version__
from elvis_cli.errors import choice_error
from elvis_cli.service import http, metrics, query
from elvis_cli.service.endpoint import TEXT, Endpoint

if TYPE_CHECKING:
    from starlette.requests import Request

    from elvis_cli.service.app import Service

MODE = query.Parameter("mode", "string", "Mode of the instrument; without it, the default mode.")


async def instruments(service: Service, request: Request) -> Response:
    """Answer with the modes of all instruments."""
    return _cacheable(request, _modes())


async def example(service: Service, request: Request) -> Response:
    """Answer with a valid request."""
    from elvis_cli.instrument import registry

    found = query.values(request.query_params.multi_items(), (MODE,))
    plugin = registry.load(request.path_params["instrument"])
    modes = [mode.mode for mode in plugin.modes()]
    if found.get("mode") not in (None, *modes):
        raise choice_error("/instrument/ins_configuration", found["mode"], modes)
    return _cacheable(request, plugin.example(found.get("mode")))


async def schema(service: Service, request: Request) -> Response:
    """Answer with the JSON Schema of a request."""
    import elvis_schemas

    return _cacheable(request, elvis_schemas.load())


async def mode_schema(service: Service, request: Request) -> Response:
    """Answer with the JSON Schema of a request for one mode."""
    from elvis_cli.instrument.mode_schema import narrowed

    return _cacheable(request, narrowed(request.path_params["instrument"], request.path_params["mode"]))


async def templates(service: Service, request: Request) -> Response:
    """Answer with the spectra of each catalogue."""
    from elvis_cli.scene.templates import CATALOGS

    return _cacheable(request, CATALOGS)


async def scenes(service: Service, request: Request) -> Response:
    """Answer with the parameters of each scene."""
    from elvis_cli.scene import library

    return _cacheable(request, {name: library.parameters(name) for name in library.scenes()})


async def live(service: Service, request: Request) -> Response:
    """Answer that the server runs."""
    return http.json_answer({"status": "live", "version": __version__})


async def ready(service: Service, request: Request) -> Response:
    """Answer whether each process has rendered a frame of each instrument."""
    workers = service.workers
    is_ready = workers.ready.is_set()
    value = {"status": "ready" if is_ready else "starting", "workers": len(workers.pool.alive()),
             "waiting": workers.waiting, "broken": list(workers.broken), "version": __version__}  # fmt: skip
    return http.json_answer(value, 200 if is_ready else 503)


async def numbers(service: Service, request: Request) -> Response:
    """Answer with the numbers for Prometheus."""
    return Response(service.metrics.text(), media_type=metrics.MEDIA_TYPE)


async def openapi(service: Service, request: Request) -> Response:
    """Answer with the OpenAPI document."""
    from elvis_cli.service.openapi import document

    return _cacheable(request, document(service.endpoints, request.scope.get("root_path", "")))


def warm() -> None:
    """Load what the first client of the page asks for."""
    from elvis_cli.instrument import mode_schema, registry

    _modes()
    mode_schema.narrowed(registry.names()[0])


@cache
def _modes() -> list[dict[str, Any]]:
    from elvis_cli.instrument import registry

    return [asdict(mode) for name in registry.names() for mode in registry.load(name).modes()]


def _cacheable(request: Request, value: Any) -> Response:
    """Return an answer that changes with the version only."""
    tag = http.entity_tag(__version__, request.url.path, request.url.query)
    headers = {"etag": tag, "cache-control": "no-cache"}
    if http.is_unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    return http.json_answer(value, headers=headers)


_OBJECT, _ARRAY = {"type": "object"}, {"type": "array"}
_NO_BODY = (400, 401, 403, 404, 422, 424)
ENDPOINTS = (
    Endpoint("GET", "/instruments", instruments, "Instruments and modes", schema=_ARRAY, refusals=_NO_BODY),
    Endpoint("GET", "/examples/{instrument}", example, "A valid request", query=(MODE,), schema=_OBJECT,
             refusals=_NO_BODY),
    Endpoint("GET", "/schema", schema, "JSON Schema of a request", schema=_OBJECT, refusals=_NO_BODY),
    Endpoint("GET", "/schema/{instrument}/{mode}", mode_schema, "JSON Schema of a request for one mode",
             schema=_OBJECT, refusals=_NO_BODY),
    Endpoint("GET", "/scenes", scenes, "Parameters of each scene", schema=_OBJECT, refusals=_NO_BODY),
    Endpoint("GET", "/templates", templates, "Spectra of each catalogue", schema=_OBJECT, refusals=_NO_BODY),
    Endpoint("GET", "/health/live", live, "Whether the server runs", schema=_OBJECT, refusals=_NO_BODY),
    Endpoint("GET", "/health/ready", ready, "Whether all processes are warm", schema=_OBJECT,
             refusals=(*_NO_BODY, 503)),
    Endpoint("GET", "/metrics", numbers, "Numbers for Prometheus", TEXT, refusals=_NO_BODY),
    Endpoint("GET", "/openapi.json", openapi, "This document", schema=_OBJECT, refusals=_NO_BODY),
)  # fmt: skip
