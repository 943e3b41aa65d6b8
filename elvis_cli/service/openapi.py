"""The OpenAPI 3.1 document, from the endpoints; the schema of a request goes in as it is (JSON Schema 2020-12)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from elvis_cli import __version__
from elvis_cli.service import problems
from elvis_cli.service.endpoint import Endpoint

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "exit_code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "exit_code": {"type": "integer", "description": "Exit code that `elvis` would have ended with."},
        "pointer": {"type": "string", "description": "JSON pointer (RFC 6901) to the wrong value."},
        "found": {"description": "The wrong value, or its beginning."},
        "allowed": {"description": "What is allowed in its place."},
        "nearest": {"type": "string", "description": "The nearest valid name."},
        "id": {"type": "string", "description": "By which the log of the server has the cause."},
    },
}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "blocks": ("text/plain", {"type": "string", "description": "Whatever `elvis ob` takes."}),
    "lines": ("application/json", {"type": "object", "description": "An ETC request, or several, one in a line."}),
    "object": ("application/json", {"type": "object"}),
    "jpeg": ("image/jpeg", {"type": "string", "contentMediaType": "image/jpeg"}),
    "array": ("application/json", {"type": "array"}),
}
"""Media type and schema of bodies by name; that of an ETC request is shipped."""


def document(endpoints: Iterable[Endpoint], root: str = "") -> dict[str, Any]:
    """Return the document of the endpoints."""
    import elvis_schemas

    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(_path(endpoint.path), {})[endpoint.method.lower()] = _operation(endpoint)
    request = {key: value for key, value in elvis_schemas.load().items() if not key.startswith("$")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ELVIS",
            "version": __version__,
            "summary": "ETC JSON in, detector frames out",
            "license": {"name": "BSD-3-Clause", "identifier": "BSD-3-Clause"},
        },
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": {"request": request, "problem": PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _path(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    """Return the description of an endpoint."""
    names = re.findall(r"\{(\w+)(?::(\w+))?\}", endpoint.path)
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if kind == "int" else "string"}}
        for name, kind in names
    ]
    parameters += [
        {"name": p.name, "in": "query", "description": p.about, "schema": p.schema()} for p in endpoint.query
    ]
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{re.sub(r'[^a-z0-9]+', '_', endpoint.path.casefold())}".rstrip("_"),
        "summary": endpoint.title,
        "responses": {str(endpoint.status): _answer(endpoint), **_refusals(endpoint)},
    }
    if parameters:
        operation["parameters"] = parameters
    if endpoint.scope:
        operation["security"] = [{}, {"token": []}]
    if endpoint.body:
        media, schema = BODIES.get(endpoint.body, ("application/json", {"$ref": "#/components/schemas/request"}))
        operation["requestBody"] = {"required": True, "content": {media: {"schema": schema}}}
    return operation


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    phrase = HTTPStatus(endpoint.status).phrase
    if endpoint.status == 204:
        return {"description": phrase}
    return {"description": phrase, "content": {endpoint.answer: {"schema": endpoint.schema or {}}}}


def _refusals(endpoint: Endpoint) -> dict[str, Any]:
    content: dict[str, Any] = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/problem"}}}
    if endpoint.path.startswith("/p2/"):
        content = {"application/json": {"schema": {"type": "object", "required": ["error"]}}}
    if endpoint.path == "/health/ready":
        content["application/json"] = {"schema": {"type": "object"}}
    return {str(status): {"description": HTTPStatus(status).phrase, "content": content} for status in endpoint.refusals}
