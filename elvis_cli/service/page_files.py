"""Endpoints of the page: static files without a build step, which call the other endpoints."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from elvis_cli.service import http
from elvis_cli.service.endpoint import Endpoint
from elvis_cli.service.problems import ServiceError

if TYPE_CHECKING:
    from elvis_cli.service.app import Service

MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


async def index(service: Service, request: Request) -> Response:
    """Answer with the page."""
    return _static(request, "index.html")


async def static(service: Service, request: Request) -> Response:
    """Answer with a file of the page."""
    return _static(request, request.path_params["name"])


def _static(request: Request, name: str) -> Response:
    known = {file.name: file for file in files("elvis_cli.service").joinpath("page").iterdir()}
    media_type = MEDIA_TYPES.get(name.rpartition(".")[2])
    if name not in known or media_type is None:
        raise ServiceError(404, f"the page has no file {name[:100]!r}")
    content = known[name].read_bytes()
    headers = {"etag": http.entity_tag(content), "cache-control": "no-cache"}
    if http.is_unchanged(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


_REFUSALS = (400, 404)
ENDPOINTS = (
    Endpoint("GET", "/", index, "The page", "text/html", refusals=_REFUSALS),
    Endpoint("GET", "/page/{name}", static, "A file of the page", "text/css", refusals=_REFUSALS),
)
