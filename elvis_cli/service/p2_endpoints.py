"""A p2-like interface that ESO's client p2api works with: runs, containers, blocks, templates, verify, execute.

Every GET has an ETag. PUT and DELETE want it back in If-Match: 428 without, 412 if it is stale. Errors are JSON objects
with ``error``, which the client reads. PUT of the schedule executes a block in the simulator: a job whose files are the
exposures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from elvis_cli import __version__
from elvis_cli.errors import RequestError, choice_error
from elvis_cli.service import blocks, job_endpoints, p2_answers, store, tasks
from elvis_cli.service.blocks import BLOCKS, CONTAINERS, Node
from elvis_cli.service.endpoint import Endpoint
from elvis_cli.service.problems import Problem, ServiceError

if TYPE_CHECKING:
    from elvis_cli.service.app import Service

ROOT = "/p2/api/v1"
WINDOWS = ("absolute", "sidereal")
REFUSALS = (400, 401, 403, 404, 408, 409, 412, 413, 422, 424, 428, 429, 503, 504, 507)


async def user(service: Service, request: Request) -> Response:
    """Answer with whose token it is."""
    return p2_answers.tagged(request, {"userId": _owner(request), "name": _owner(request)})


async def runs(service: Service, request: Request) -> Response:
    """Answer with the runs: one for each instrument."""
    return p2_answers.tagged(request, [p2_answers.run(node) for node in service.blocks.runs(_owner(request))])


async def run(service: Service, request: Request) -> Response:
    """Answer with a run."""
    return p2_answers.tagged(request, p2_answers.run(_node(service, request, ("run",))))


async def container(service: Service, request: Request) -> Response:
    """Answer with a container; or change its name, or delete it if it is empty."""
    node = _node(service, request, CONTAINERS)
    shown = p2_answers.container(service, node)
    if request.method in ("GET", "HEAD"):
        return p2_answers.tagged(request, shown)
    p2_answers.check_tag(request, shown)
    if request.method == "DELETE":
        if service.blocks.children(node):
            raise ServiceError(409, "the container is not empty")
        if node.parent is None:
            raise ServiceError(409, "the container of a run cannot be deleted")
        service.blocks.delete(node)
        return p2_answers.nothing()
    wanted = await p2_answers.body(service, request, dict)
    node.document["name"] = p2_answers.text(wanted, "name", node.document["name"])
    service.blocks.save(node)
    return p2_answers.tagged(request, p2_answers.container(service, node))


async def block(service: Service, request: Request) -> Response:
    """Answer with a block; or change or delete it."""
    node = _node(service, request, BLOCKS)
    if request.method in ("GET", "HEAD"):
        return p2_answers.tagged(request, blocks.block(node))
    wanted = await p2_answers.body(service, request, dict) if request.method == "PUT" else None
    p2_answers.check_tag(request, blocks.block(node))
    if wanted is None:
        service.charts.delete_all(node)
        service.blocks.delete(node)
        return p2_answers.nothing()
    blocks.change(node, wanted)
    service.blocks.save(node)
    return p2_answers.tagged(request, blocks.block(node))


async def templates(service: Service, request: Request) -> Response:
    """Answer with the templates of a block; or add one, or bring them into another order."""
    node = _node(service, request, BLOCKS)
    if request.method == "POST":
        wanted = await p2_answers.body(service, request, dict)
        new = blocks.new_template(node, wanted.get("templateName"))
        service.blocks.save(node)
        return p2_answers.tagged(request, new, 201)
    if request.method == "PUT":
        wanted = await p2_answers.body(service, request, list)
        p2_answers.check_tag(request, node.document["templates"])
        present = {one["templateId"]: one for one in node.document["templates"]}
        order = p2_answers.new_order(wanted, list(present), ("templateId",))
        node.document["templates"] = [present[identity] for identity in order]
        service.blocks.save(node)
    return p2_answers.tagged(request, node.document["templates"])


async def template(service: Service, request: Request) -> Response:
    """Answer with a template of a block; or set its parameters, or delete it."""
    node = _node(service, request, BLOCKS)
    identity = request.path_params["template"]
    present = blocks.find_template(node, identity)
    if request.method in ("GET", "HEAD"):
        return p2_answers.tagged(request, present)
    wanted = await p2_answers.body(service, request, dict) if request.method == "PUT" else None
    p2_answers.check_tag(request, present)
    if wanted is None:
        node.document["templates"].remove(present)
        service.blocks.save(node)
        return p2_answers.nothing()
    changed = blocks.change_template(node, identity, wanted)
    service.blocks.save(node)
    return p2_answers.tagged(request, changed)


async def windows(service: Service, request: Request) -> Response:
    """Answer with the time constraints of a block, absolute or sidereal; or change them."""
    node = _node(service, request, BLOCKS)
    kind = request.path_params["kind"]
    if kind not in WINDOWS:
        raise ServiceError(404, f"time constraints are {' or '.join(WINDOWS)}")
    if request.method == "PUT":
        wanted = await p2_answers.body(service, request, list)
        p2_answers.check_tag(request, node.document[kind])
        for place, one in enumerate(wanted):
            if not isinstance(one, Mapping) or not all(isinstance(one.get(key), str) for key in ("from", "to")):
                raise RequestError(f"/{place}", "has not the form of an interval", allowed="{from, to}")
        node.document[kind] = wanted
        service.blocks.save(node)
    return p2_answers.tagged(request, node.document[kind])


async def verify(service: Service, request: Request) -> Response:
    """Answer whether a block can be observed; it is planned."""
    node = _node(service, request, BLOCKS)
    wanted = await p2_answers.body(service, request, dict)
    planned = await _plan(service, request, node, {})
    if isinstance(planned, Problem):
        if planned.status >= 500:
            return p2_answers.error_answer(planned)
        return p2_answers.tagged(request, {"observable": False, "messages": [planned.message]})
    lines = planned.value
    shutter = sum(sum(_seconds(json.loads(line))) for line in lines)
    if wanted.get("submit"):
        node.document["block"]["obStatus"] = "D"
    node.document["block"]["exposureTime"] = round(shutter)
    service.blocks.save(node)
    found = {"observable": True, "messages": list(planned.notes), "exposures": len(lines)}
    return p2_answers.tagged(request, found)


async def revise(service: Service, request: Request) -> Response:
    """Open a block for changes again."""
    node = _node(service, request, BLOCKS)
    node.document["block"]["obStatus"] = "P"
    service.blocks.save(node)
    return p2_answers.nothing()


async def schedule(service: Service, request: Request) -> Response:
    """Answer with what is executed of a block; or execute it: a job makes its files."""
    node = _node(service, request, BLOCKS)
    if request.method in ("GET", "HEAD"):
        return p2_answers.tagged(request, _schedule(service, request, node))
    service.check_archiving(request)
    wanted = await p2_answers.body(service, request, dict)
    p2_answers.check_tag(request, _schedule(service, request, node))
    owner = _owner(request)
    service.jobs.check(owner)
    found = {key: wanted[key] for key in ("start", "seed", "steady") if wanted.get(key) is not None}
    if not isinstance(found.get("start", ""), str) or not isinstance(found.get("seed", 0), int):
        raise RequestError("/start", "has the wrong type", allowed="start: ISO 8601; seed: a whole number")
    planned = await _plan(service, request, node, found)
    if isinstance(planned, Problem):
        return p2_answers.error_answer(planned)
    lines = "".join(f"{line}\n" for line in planned.value).encode()
    job = service.jobs.add("ob", lines, {}, owner, planned.notes)
    node.document["executions"].append({"job": job.id, "start": found.get("start")})
    service.blocks.save(node)
    return p2_answers.tagged(request, _schedule(service, request, node))


async def executions(service: Service, request: Request) -> Response:
    """Answer with the executions of a block, each with the files that it has so far."""
    node = _node(service, request, BLOCKS)
    return p2_answers.tagged(request, _executions(service, request, node))


async def packages(service: Service, request: Request) -> Response:
    """Answer with the versions of an instrument's package."""
    _instrument(request)
    return p2_answers.tagged(request, [__version__])


async def signatures(service: Service, request: Request) -> Response:
    """Answer with the templates of an instrument, or the parameters of one."""
    instrument = _instrument(request)
    if request.path_params["version"] != __version__:
        raise choice_error("/ipVersion", request.path_params["version"], (__version__,))
    return p2_answers.tagged(request, blocks.signature(instrument, request.path_params.get("name")))


async def _plan(service: Service, request: Request, node: Node, found: dict[str, Any]) -> Any:
    text = json.dumps(blocks.exported(node)).encode()
    return await service.workers.ask(request, tasks.PlanNight(text, found, service.limits))


def _seconds(document: dict[str, Any]) -> list[float]:
    """Return DIT times number of integrations of a request."""
    values = list(document["timesnr"].values())
    return [float(dit) * count for dit, count in zip(values[::2], values[1::2], strict=False)]


def _owner(request: Request) -> str:
    return job_endpoints.owner_of(request)


def _node(service: Service, request: Request, kinds: tuple[str, ...]) -> Node:
    return service.blocks.find(request.path_params["id"], _owner(request), kinds)


def _instrument(request: Request) -> str:
    from elvis_cli.instrument import registry

    return registry.load(request.path_params["instrument"]).name


def _executions(service: Service, request: Request, node: Node) -> list[dict[str, Any]]:
    found = []
    for one in node.document["executions"]:
        row = service.jobs.store.find(one["job"])
        job = job_endpoints.describe(service, request, row) if row else {"state": "deleted", "files": []}
        found.append({"obId": node.id, **one, "state": job["state"], "url": job.get("url"), "files": job["files"]})
    return found


def _schedule(service: Service, request: Request, node: Node) -> dict[str, Any]:
    """Return the state of the last execution; its status is C (complete), A (aborted) or S (started)."""
    done = _executions(service, request, node)
    state = done[-1]["state"] if done else None
    status = {store.MADE: "C", store.FAILED: "A", None: node.document["block"]["obStatus"]}.get(state, "S")
    last = {"job": done[-1]["job"], "start": done[-1]["start"]} if done else {"job": None, "start": None}
    return {"obId": node.id, "obStatus": status, "state": state, **last}


def _endpoints() -> tuple[Endpoint, ...]:
    """Return the endpoints; every method of a path has the same handler."""
    blocks_path, node = f"{ROOT}/obsBlocks/{{id:int}}", f"{ROOT}/containers/{{id:int}}"
    instrument = f"{ROOT}/instrumentPackages/{{instrument}}"
    paths: list[tuple[str, str, Any, str, str]] = [
        (f"{ROOT}/authenticatedUser", "GET", user, "Whose token it is", ""),
        (f"{ROOT}/obsRuns", "GET", runs, "Runs, one for each instrument", ""),
        (f"{ROOT}/obsRuns/{{id:int}}", "GET", run, "A run", ""),
        (node, "GET PUT DELETE", container, "A container", "object"),
        (blocks_path, "GET PUT DELETE", block, "A block", "object"),
        (f"{blocks_path}/templates", "GET POST", templates, "Templates of a block", "object"),
        (f"{blocks_path}/templates", "PUT", templates, "Order of the templates of a block", "array"),
        (f"{blocks_path}/templates/{{template:int}}", "GET PUT DELETE", template, "A template of a block", "object"),
        (f"{blocks_path}/timeConstraints/{{kind}}", "GET PUT", windows, "Time constraints of a block", "array"),
        (f"{blocks_path}/verify", "POST", verify, "Whether a block can be observed", "object"),
        (f"{blocks_path}/revise", "POST", revise, "Open a block for changes", ""),
        (f"{blocks_path}/schedule", "GET PUT", schedule, "Execution of a block in the simulator", "object"),
        (f"{blocks_path}/executions", "GET", executions, "Executions of a block and their files", ""),
        (f"{instrument}/", "GET", packages, "Versions of the templates", ""),
        (f"{instrument}/{{version}}/templateSignatures", "GET", signatures, "Templates of an instrument", ""),
        (f"{instrument}/{{version}}/templateSignatures/{{name}}", "GET", signatures, "Parameters of a template", ""),
    ]
    return tuple(
        Endpoint(method, path, handler, title, scope="ob", body=body if body and method in ("PUT", "POST") else None,
                 status=_status(method, path), refusals=REFUSALS, errors=p2_answers.error_answer)
        for path, methods, handler, title, body in paths for method in methods.split()
    )  # fmt: skip


def _status(method: str, path: str) -> int:
    if method == "DELETE" or path.endswith("/revise"):
        return 204
    return 201 if method == "POST" and not path.endswith("/verify") else 200


ENDPOINTS = _endpoints()
