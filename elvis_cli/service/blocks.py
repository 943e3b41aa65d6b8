"""Observing Blocks that clients of the p2-like interface build: runs, containers, blocks, in one SQLite file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elvis_cli import __version__
from elvis_cli.errors import RequestError, choice_error, nearest_name
from elvis_cli.service.problems import ServiceError
from elvis_cli.service.store import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER, kind TEXT NOT NULL, owner TEXT NOT NULL,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS children_of ON nodes (parent);
"""
CONTAINERS = ("Folder", "Group", "Concatenation", "TimeLink")
BLOCKS = ("OB", "CB")
MAX_IDENTITY = 2**63
"""SQLite's integers are smaller."""
MAX_NODES = 10_000
"""Items of an owner."""
READ_ONLY = ("obId", "itemType", "obStatus", "ipVersion", "exposureTime", "executionTime", "runId",
             "parentContainerId", "instrument")  # fmt: skip
WRITABLE = ("name", "userPriority", "target", "constraints", "obsDescription", "elvis")
TARGET = {"name": "No name", "ra": "00:00:00.000", "dec": "00:00:00.000", "equinox": "J2000", "epoch": 2000.0,
          "properMotionRa": 0.0, "properMotionDec": 0.0, "differentialRa": 0.0, "differentialDec": 0.0}  # fmt: skip
CONSTRAINTS = {"name": "No name", "airmass": 2.8, "fli": 1.0, "moonDistance": 30}


@dataclass(slots=True)
class Node:
    """A run, a container or a block."""

    id: int
    parent: int | None
    kind: str
    """run, one of CONTAINERS, or one of BLOCKS."""
    owner: str
    document: dict[str, Any]


class Blocks(Database):
    """All runs, containers and blocks."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA)

    def runs(self, owner: str) -> list[Node]:
        """Return the runs of an owner, one for each instrument that has templates."""
        from elvis_cli.observing import templates

        found = self._nodes("WHERE kind = 'run' AND owner = ? ORDER BY id", owner)
        known = {node.document["instrument"] for node in found}
        for name in sorted(set(templates.prefixes().values()) - known):
            root = self.add(None, "Folder", owner, {"name": name, "instrument": name})
            document = {"instrument": name, "containerId": root.id, "title": f"simulated observations with {name}"}
            found.append(self.add(None, "run", owner, document))
            root.document["runId"] = found[-1].id
            self.save(root)
        return found

    def find(self, identity: int, owner: str, kinds: tuple[str, ...]) -> Node:
        """Return a node of an owner.

        Raises
        ------
        ServiceError
            There is none of these kinds.
        """
        known = identity < MAX_IDENTITY
        node = next(iter(self._nodes("WHERE id = ? AND owner = ?", identity, owner)), None) if known else None
        if node is None or node.kind not in kinds:
            raise ServiceError(404, f"there is no {' or '.join(kinds)} {identity}")
        return node

    def children(self, node: Node) -> list[Node]:
        """Return the items of a container in their order: new ones are last."""
        order = {identity: place for place, identity in enumerate(node.document.get("order", ()))}
        found = self._nodes("WHERE parent = ? ORDER BY id", node.id)
        return sorted(found, key=lambda child: order.get(child.id, len(order)))

    def move(self, node: Node, container: Node) -> None:
        """Put a block or container at the end of another container."""
        container.document["order"] = [child.id for child in self.children(container) if child.id != node.id] + [
            node.id
        ]
        self.execute("UPDATE nodes SET parent = ? WHERE id = ?", container.id, node.id)
        self.save(container)

    def add(self, parent: int | None, kind: str, owner: str, document: Mapping[str, Any]) -> Node:
        """Return a new node.

        Raises
        ------
        ServiceError
            The owner has too many.
        """
        count = self.execute("SELECT count(*) FROM nodes WHERE owner = ?", owner)[0][0]
        if count >= MAX_NODES:
            raise ServiceError(429, f"{MAX_NODES} runs, containers and blocks are the most", limit=MAX_NODES)
        values = parent, kind, owner, json.dumps(document)
        rows = self.execute(
            "INSERT INTO nodes (parent, kind, owner, document) VALUES (?, ?, ?, ?) RETURNING id", *values
        )
        return Node(rows[0][0], parent, kind, owner, dict(document))

    def add_item(self, container: Node, kind: str, name: str) -> Node:
        """Return a new block or container at the end of a container."""
        shared = {"name": name, "instrument": container.document["instrument"], "runId": container.document["runId"]}
        if kind in CONTAINERS:
            return self.add(container.id, kind, container.owner, shared)
        block = {"obStatus": "P", "ipVersion": __version__, "exposureTime": 0, "executionTime": 0, "userPriority": 1,
                 "target": TARGET, "constraints": CONSTRAINTS,
                 "obsDescription": {"name": name, "userComments": "", "instrumentComments": ""}, **shared}  # fmt: skip
        if kind == "CB":
            del block["target"]
        document = {"block": block, "templates": [], "last": 0, "absolute": [], "sidereal": [], "executions": []}
        return self.add(container.id, kind, container.owner, document)

    def save(self, node: Node) -> None:
        """Keep the document of a node."""
        self.execute("UPDATE nodes SET document = ? WHERE id = ?", json.dumps(node.document), node.id)

    def delete(self, node: Node) -> None:
        """Delete a node."""
        self.execute("DELETE FROM nodes WHERE id = ?", node.id)

    def _nodes(self, where: str, *values: Any) -> list[Node]:
        rows = self.execute(f"SELECT id, parent, kind, owner, document FROM nodes {where}", *values)
        return [Node(identity, parent, kind, owner, json.loads(text)) for identity, parent, kind, owner, text in rows]


def block(node: Node) -> dict[str, Any]:
    """Return a block as p2 shows it."""
    return {"obId": node.id, "itemType": node.kind, "parentContainerId": node.parent, **node.document["block"]}


def change(node: Node, wanted: Any) -> None:
    """Change the members of a block that may be changed.

    Raises
    ------
    RequestError
        A member is unknown, cannot be changed, or has the wrong type.
    """
    present = block(node)
    if not isinstance(wanted, Mapping):
        raise RequestError("", "a block is an object")
    for name, value in wanted.items():
        if name in READ_ONLY:
            if value != present.get(name):
                raise RequestError(f"/{name}", f"{name} cannot be changed", found=value, allowed=present.get(name))
        elif name not in WRITABLE:
            near = nearest_name(name, WRITABLE)
            raise RequestError(f"/{name[:80]}", "is not a member of a block", allowed=WRITABLE, nearest=near)
        else:
            kind = {"name": str, "userPriority": int}.get(name, Mapping)
            if not isinstance(value, kind):
                raise RequestError(
                    f"/{name}", "has the wrong type", allowed="an object" if kind is Mapping else kind.__name__
                )
            node.document["block"][name] = value


def new_template(node: Node, name: Any) -> dict[str, Any]:
    """Return a template with its defaults, added to a block.

    Raises
    ------
    RequestError
        The instrument has no such template.
    """
    from elvis_cli.observing import templates

    signatures = templates.load(node.document["block"]["instrument"])
    template = signatures.find(name, "/templateName")
    listed = node.document["templates"]
    if template.type == "acquisition" and any(one["type"] == "acquisition" for one in listed):
        raise RequestError("/templateName", "the block has an acquisition template already", found=name)
    node.document["last"] += 1
    new = {"templateId": node.document["last"], "templateName": template.id, "type": template.type,
           "parameters": list(_parameters(signatures, template))}  # fmt: skip
    listed.insert(0 if template.type == "acquisition" else len(listed), new)
    return new


def find_template(node: Node, identity: int) -> dict[str, Any]:
    """Return a template of a block.

    Raises
    ------
    ServiceError
        It has none of this number.
    """
    for one in node.document["templates"]:
        if one["templateId"] == identity:
            return dict(one)
    raise ServiceError(404, f"the block has no template {identity}")


def change_template(node: Node, identity: int, wanted: Any) -> dict[str, Any]:
    """Return a template of a block with new values of its parameters.

    Raises
    ------
    RequestError
        A parameter is unknown, or its value is wrong.
    """
    from elvis_cli.observing import templates

    present = find_template(node, identity)
    parameters = wanted.get("parameters") if isinstance(wanted, Mapping) else None
    if not isinstance(parameters, list):
        raise RequestError("/parameters", "is missing", allowed="a list of {name, value}")
    signatures = templates.load(node.document["block"]["instrument"])
    template = signatures.templates[present["templateName"]]
    known = {one["name"]: dict(one) for one in present["parameters"]}
    signature = _signature(signatures, template)
    for place, one in enumerate(parameters):
        name, value = (str(one.get("name")), one.get("value")) if isinstance(one, Mapping) else ("", None)
        if name not in known:
            raise choice_error(f"/parameters/{place}/name", name, known)
        if value is None and known[name]["value"] is not None:
            raise RequestError(f"/parameters/{place}/value", f"{name} cannot be unset", found=None)
        if value is not None:
            signature[name].check(value, f"/parameters/{place}/value ({name})")
        known[name]["value"] = value
    changed = {**present, "parameters": list(known.values())}
    node.document["templates"] = [
        changed if one["templateId"] == identity else one for one in node.document["templates"]
    ]
    return changed


def exported(node: Node) -> dict[str, Any]:
    """Return a block as `elvis ob` reads it: with its templates and time constraints."""
    listed = [
        {"templateName": one["templateName"], "type": one["type"],
         "parameters": [{"name": p["name"], "value": p["value"]} for p in one["parameters"] if p["value"] is not None]}
        for one in node.document["templates"]
    ]  # fmt: skip
    shown = block(node)
    run = {"runId": f"SIMULATED-{shown['runId']}"}
    windows = {"absoluteTimeConstraints": node.document["absolute"],
               "siderealTimeConstraints": node.document["sidereal"]}  # fmt: skip
    return {**shown, **run, "templates": listed, **{key: value for key, value in windows.items() if value}}


def signature(instrument: str, name: str | None) -> Any:
    """Return the templates of an instrument, or the parameters of one.

    Raises
    ------
    RequestError
        There is no such template.
    """
    from elvis_cli.observing import templates

    signatures = templates.load(instrument)
    if name is None:
        listed = signatures.templates.values()
        return [{"templateName": one.id, "type": one.type, "title": one.title} for one in listed]
    template = signatures.find(name, "/templateName")
    described = _signature(signatures, template)
    parameters = [
        {**one, "allowedValues": described[one["name"]].allowed, "unit": described[one["name"]].unit,
         "label": described[one["name"]].about}
        for one in _parameters(signatures, template)
    ]  # fmt: skip
    return {"templateName": template.id, "type": template.type, "title": template.title, "parameters": parameters}


def _signature(signatures: Any, template: Any) -> dict[str, Any]:
    """Return the parameters of a template by name, those of all its modes."""
    found: dict[str, Any] = {}
    for mode in () if template.type == "acquisition" else list(template.modes.values())[::-1]:
        found |= {**signatures.keys(mode), **signatures.timing(mode)}
    return found | dict(template.parameters)


def _parameters(signatures: Any, template: Any) -> Iterator[dict[str, Any]]:
    """Yield name, type and default of each parameter; an older name of a key is none."""
    defaults: dict[str, Any] = {}
    if template.type != "acquisition":
        defaults = signatures.example(next(iter(template.modes.values())))
    for name, one in _signature(signatures, template).items():
        if name in defaults or name in template.parameters:
            value = template.keys.get(name, defaults.get(name, one.default))
            yield {"name": name, "type": one.type, "value": value}
