"""Answers of the p2-like interface: ETags, stale ones refused, errors as the client p2api reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from elvis_cli import __version__
from elvis_cli.errors import RequestError
from elvis_cli.service import blocks, http
from elvis_cli.service.blocks import BLOCKS, Node
from elvis_cli.service.problems import Problem, ServiceError

if TYPE_CHECKING:
    from elvis_cli.service.app import Service


def error_answer(problem: Problem) -> Response:
    """Return an error as the client reads it."""
    answer = http.problem_answer(problem)
    members = problem.as_dict()
    return http.json_answer({"error": members["detail"], **members}, problem.status, _kept(answer))


async def body(service: Service, request: Request, kind: type) -> Any:
    """Return the JSON of a body.

    Raises
    ------
    RequestError
        It is not of this kind.
    """
    from elvis_cli.request.parse import parse_json

    value = parse_json(await service.bodies.read(request))
    if not isinstance(value, kind):
        raise RequestError("", f"must be {'an object' if kind is dict else 'an array'}")
    return value


def text(wanted: Mapping[str, Any], name: str, default: str) -> str:
    """Return a member that is a short text.

    Raises
    ------
    RequestError
        It is not.
    """
    value = wanted.get(name, default)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise RequestError(f"/{name}", "has the wrong type", allowed="a text of 1 to 200 characters")
    return value


def tagged(request: Request, value: Any, status: int = 200) -> Response:
    """Return an answer with its ETag."""
    return http.json_answer(value, status, {"etag": _tag(value)})


def _tag(value: Any) -> str:
    return http.entity_tag(json.dumps(value, sort_keys=True))


def check_tag(request: Request, present: Any) -> None:
    """Refuse a change of what the client has not seen.

    Raises
    ------
    ServiceError
        If-Match is missing or stale.
    """
    wanted = request.headers.get("if-match")
    if wanted is None:
        raise ServiceError(428, "If-Match is missing: the ETag of the last GET")
    if wanted.strip() not in ("*", _tag(present)):
        raise ServiceError(412, "it has changed meanwhile: the ETag in If-Match is stale")


def new_order(wanted: list[Any], present: list[int], keys: tuple[str, ...]) -> list[int]:
    """Return the numbers of items in their new order, from their documents, which have them at one of ``keys``.

    Raises
    ------
    RequestError
        They are not those that are ``present``.
    """
    named = [
        next((one[key] for key in keys if key in one), None) if isinstance(one, Mapping) else None for one in wanted
    ]
    order = [number for number in named if type(number) is int]
    if len(order) != len(wanted) or sorted(order) != sorted(present):
        raise RequestError("", "these are not the items that are there", allowed=present)
    return order


def nothing() -> Response:
    """Return the answer without a body."""
    return Response(status_code=204, media_type="text/plain")  # the client wants a type, and reads JSON if it is that


def _kept(answer: Response) -> dict[str, str]:
    return {key: value for key, value in answer.headers.items() if key not in ("content-type", "content-length")}


def run(node: Node) -> dict[str, Any]:
    """Return a run as the client sees it."""
    own = {"runId": node.id, "progId": f"SIMULATED-{node.id}", "ipVersion": __version__, "observingMode": "vm"}
    return {**own, **node.document}


def container(service: Service, node: Node) -> dict[str, Any]:
    """Return a container as the client sees it."""
    shown = {name: value for name, value in node.document.items() if name != "order"}
    return {"containerId": node.id, "itemType": node.kind, "itemCount": len(service.blocks.children(node)),
            "parentContainerId": node.parent, **shown}  # fmt: skip


def item(service: Service, node: Node) -> dict[str, Any]:
    """Return a block or a container as the client sees it."""
    return blocks.block(node) if node.kind in BLOCKS else container(service, node)
