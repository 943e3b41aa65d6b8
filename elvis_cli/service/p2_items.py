"""Items of containers in the p2-like interface, added, reordered, moved and duplicated; finding charts of blocks."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from elvis_cli.errors import RequestError, choice_error
from elvis_cli.service import job_endpoints, p2_answers
from elvis_cli.service.blocks import BLOCKS, CONTAINERS, Node
from elvis_cli.service.endpoint import JSON, Endpoint
from elvis_cli.service.p2_endpoints import REFUSALS, ROOT
from elvis_cli.service.problems import ServiceError

if TYPE_CHECKING:
    from elvis_cli.service.app import Service

MAX_CHART_BYTES = 1 << 20
"""Of a finding chart, as p2 has it."""
JPEG = b"\xff\xd8\xff"
"""First bytes of a JPEG file."""


async def items(service: Service, request: Request) -> Response:
    """Answer with the items of a container, or add one."""
    node = _node(service, request, CONTAINERS)
    if request.method == "POST":
        wanted = await p2_answers.body(service, request, dict)
        kind = wanted.get("itemType")
        if kind not in (*BLOCKS, *CONTAINERS):
            raise choice_error("/itemType", kind, (*BLOCKS, *CONTAINERS))
        new = service.blocks.add_item(node, kind, p2_answers.text(wanted, "name", "No name"))
        return p2_answers.tagged(request, p2_answers.item(service, new), 201)
    if request.method == "PUT":
        wanted = await p2_answers.body(service, request, list)
        p2_answers.check_tag(request, _items(service, node))
        present = [child.id for child in service.blocks.children(node)]
        node.document["order"] = p2_answers.new_order(wanted, present, ("obId", "containerId"))
        service.blocks.save(node)
    return p2_answers.tagged(request, _items(service, node))


def _items(service: Service, node: Node) -> list[dict[str, Any]]:
    return [p2_answers.item(service, child) for child in service.blocks.children(node)]


async def charts(service: Service, request: Request) -> Response:
    """Answer with the names of the finding charts of a block, or add one."""
    node = _node(service, request, BLOCKS)
    if request.method == "POST":
        data = await service.bodies.read(request)
        if len(data) > MAX_CHART_BYTES:
            raise ServiceError(413, f"a finding chart has at most {MAX_CHART_BYTES} bytes", limit=MAX_CHART_BYTES)
        if not data.startswith(JPEG):
            raise RequestError("", "is not a JPEG file")
        match = re.search(r'filename="([^"/\\]{1,200})"', request.headers.get("content-disposition", ""))
        service.charts.add(node, match[1] if match else "chart.jpg", data)
    names = [name for _, name in service.charts.of_block(node)]
    return p2_answers.tagged(request, names, 201 if request.method == "POST" else 200)


async def chart(service: Service, request: Request) -> Response:
    """Answer with a finding chart, or delete it: the numbers of those after it fall by one."""
    number, _ = _chart(service, request)
    if request.method == "DELETE":
        service.charts.delete(number)
        return p2_answers.nothing()
    return Response(service.charts.data(number), media_type="image/jpeg")


async def duplicate_chart(service: Service, request: Request) -> Response:
    """Add a finding chart of a block to another."""
    number, name = _chart(service, request)
    wanted = await p2_answers.body(service, request, dict)
    target = _other(service, request, wanted, "obId", BLOCKS)
    service.charts.add(target, name, service.charts.data(number))
    return p2_answers.tagged(request, [name for _, name in service.charts.of_block(target)], 201)


async def append(service: Service, request: Request) -> Response:
    """Move a block or a container to the end of a container of the same run."""
    container = _node(service, request, CONTAINERS)
    wanted = await p2_answers.body(service, request, dict)
    key, kinds = ("obId", BLOCKS) if "obId" in wanted else ("containerId", CONTAINERS)
    node = _other(service, request, wanted, key, kinds)
    if _run(node) != _run(container):
        raise RequestError(f"/{key}", "belongs to another run")
    above: Node | None = container
    while above is not None:
        if above.id == node.id or node.parent is None:
            raise ServiceError(409, "a container cannot be moved into itself, nor that of a run at all")
        above = None if above.parent is None else service.blocks.find(above.parent, node.owner, CONTAINERS)
    service.blocks.move(node, container)
    return p2_answers.nothing()


async def duplicate(service: Service, request: Request) -> Response:
    """Add a block like this one, with its templates and finding charts, to its container or another."""
    node = _node(service, request, BLOCKS)
    wanted = await p2_answers.body(service, request, dict)
    key = {"containerId": wanted.get("containerId", node.parent)}
    container = _other(service, request, key, "containerId", CONTAINERS)
    if container.document["instrument"] != node.document["block"]["instrument"]:
        raise RequestError("/containerId", "is a container of another instrument")
    document = copy.deepcopy(node.document) | {"executions": []}
    document["block"] |= {"obStatus": "P", "runId": container.document["runId"]}
    new = service.blocks.add(container.id, node.kind, node.owner, document)
    for number, name in service.charts.of_block(node):
        service.charts.add(new, name, service.charts.data(number))
    return p2_answers.tagged(request, p2_answers.item(service, new), 201)


def _node(service: Service, request: Request, kinds: tuple[str, ...]) -> Node:
    return service.blocks.find(request.path_params["id"], job_endpoints.owner_of(request), kinds)


def _other(service: Service, request: Request, wanted: dict[str, Any], key: str, kinds: tuple[str, ...]) -> Node:
    """Return the block or container that a body names.

    Raises
    ------
    RequestError
        It names none by a whole number.
    """
    if type(number := wanted.get(key)) is not int:
        raise RequestError(f"/{key}", "is not a whole number", found=number)
    return service.blocks.find(number, job_endpoints.owner_of(request), kinds)


def _run(node: Node) -> Any:
    return (node.document["block"] if node.kind in BLOCKS else node.document)["runId"]


def _chart(service: Service, request: Request) -> tuple[int, str]:
    """Return number and name of the finding chart of a path, which counts from 1."""
    present = service.charts.of_block(_node(service, request, BLOCKS))
    place = int(request.path_params["index"])
    if not 1 <= place <= len(present):
        raise ServiceError(404, f"the block has {len(present)} finding charts")
    return present[place - 1]


_ITEMS = f"{ROOT}/containers/{{id:int}}/items"
_CHARTS = f"{ROOT}/obsBlocks/{{id:int}}/findingCharts"
ENDPOINTS = tuple(
    Endpoint(method, path, handler, title, answer, status, scope="ob", body=body, refusals=REFUSALS,
             errors=p2_answers.error_answer)
    for method, path, handler, title, answer, status, body in (
        ("GET", _ITEMS, items, "Items of a container", JSON, 200, None),
        ("POST", _ITEMS, items, "Add an item to a container", JSON, 201, "object"),
        ("PUT", _ITEMS, items, "Order of the items of a container", JSON, 200, "array"),
        ("GET", _CHARTS, charts, "Names of the finding charts of a block", JSON, 200, None),
        ("POST", _CHARTS, charts, "Add a finding chart to a block", JSON, 201, "jpeg"),
        ("GET", f"{_CHARTS}/{{index:int}}", chart, "A finding chart", "image/jpeg", 200, None),
        ("DELETE", f"{_CHARTS}/{{index:int}}", chart, "Delete a finding chart", JSON, 204, None),
        ("POST", f"{_CHARTS}/{{index:int}}/duplicate", duplicate_chart, "Add a chart to another block", JSON, 201,
         "object"),
        ("POST", f"{_ITEMS}/append", append, "Move an item into a container", JSON, 204,
         "object"),
        ("POST", f"{ROOT}/obsBlocks/{{id:int}}/duplicate", duplicate, "Add a block like this one", JSON, 201, "object"),
    )
)  # fmt: skip
