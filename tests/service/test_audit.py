"""No string of a request is a path or an address: the processes of the server open none of them, nor any connection."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from urllib.parse import quote

import pytest

from elvis_cli.instrument import registry
from elvis_cli.instrument.mode_schema import narrowed
from tests.service.audit import MARK, Audit

ALL = "ELVIS_SERVICE_TESTS" in os.environ
INSTRUMENTS = registry.names() if ALL else ("micado",)
BLOCK = {
    "obId": 7, "name": "M 1", "runId": "1",
    "target": {"name": "M 1", "ra": "05:34:31.900", "dec": "+22:00:52.00"},
    "templates": [{"templateName": "MICADO_img_obs_GenericOffset", "parameters": [{"name": "SEQ.NEXPO", "value": 1}]}],
    "elvis": {"elvis": {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}}},
}  # fmt: skip


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """Return names of a file that exists, and of hosts."""
    file = tmp_path_factory.mktemp("there") / f"{MARK}.csv"
    file.write_text("x,y,mag\n0,0,18\n")
    up = os.path.relpath(file)
    return [str(file), up, f"../../../../../../../..{file}", f"file://{file}", f"http://{MARK}.invalid/x.fits",
            f"{file}[1]", f"@{file}", f"$(cat {file})"]  # fmt: skip


def paths(schema, path=()):
    """Yield the path of each member of a schema."""
    if path:
        yield path
    for name, member in schema.get("properties", {}).items():
        yield from paths(member, (*path, name))
    for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from paths(choice, path)


def places(document, path=()):
    """Yield the path of each value of a document."""
    if path:
        yield path
    members = document.items() if isinstance(document, dict) else enumerate(document)
    for name, member in members if isinstance(document, (dict, list)) else ():
        yield from places(member, (*path, name)) if isinstance(member, (dict, list)) else [(*path, name)]


def changed(document, path, value):
    document = copy.deepcopy(document)
    inner = document
    for step in path[:-1]:
        if isinstance(inner, dict) and not isinstance(inner.get(step), (dict, list)):
            inner[step] = {}
        inner = inner[step]
    inner[path[-1]] = value
    return document


def test_the_audit_sees_a_name_that_is_opened(tmp_path, names):
    audit = Audit(tmp_path)
    for code in ("open(sys.argv[1])", "socket.create_connection(('127.0.0.1', 9), 1)"):
        command = [sys.executable, "-c", f"import socket, sys; {code}", names[0]]
        subprocess.run(command, env={**os.environ, **audit.environment}, check=False, capture_output=True)
    opened, *others = audit.events()
    assert opened.startswith(f"open ('{names[0]}'")
    assert {event.partition(" ")[0] for event in others} == {"socket.getaddrinfo", "socket.connect"}


@pytest.mark.parametrize("instrument", INSTRUMENTS)
def test_a_name_in_any_place_of_a_request(server, names, instrument):
    plugin = registry.load(instrument)
    document = plugin.example()
    document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}}
    schema = narrowed(instrument, document["instrument"]["ins_configuration"])
    statuses = set()
    every = dict.fromkeys((*places(document), *paths(schema)))
    for number, path in enumerate(every if ALL else [path for path in every if path[0] != "output"][::3]):
        for name in names[: 3 * ALL] or [names[number % len(names)]]:
            statuses.add(server.post("/etc", changed(document, path, name)).status)
    assert statuses <= {200, 404, 422, 413}
    assert server.audit.events() == []


def test_a_name_where_a_file_is_expected(server, small, names):
    for name in names if ALL else names[:5:2]:
        for key in ("psf", "sed", "catalogue", "image", "cube", "mask", "models", "previous", "ephemeris", "standard"):
            assert server.post("/etc", small({f"elvis/{key}": name})).status in (200, 422)
            assert server.post("/etc", small({f"elvis/{key}": {"data": name, "file": name}})).status in (200, 422)
        for path in ("window", "chips", "stages", "date", "keep", "readout", "sed", "catalogue", "psf", "arm"):
            assert server.post(f"/etc?{path}={quote(name)}", small()).status in (400, 422)
    for query in ("sky=skycalc", "psf=tiptop"):
        assert server.post(f"/etc?{query}", small()).status == 403
    for key, value in (("sky", "skycalc"), ("psf", "tiptop"), ("sky", "SkyCalc"), ("psf", "TIPTOP")):
        assert server.post("/etc", small({f"elvis/{key}": value})).status in (403, 422)
    assert server.audit.events() == []


def test_a_name_in_any_place_of_a_block(server, names):
    for number, path in enumerate(places(BLOCK)):
        answer = server.post("/ob?check=true", changed(BLOCK, path, names[number % len(names)]))
        assert answer.status in (200, 404, 422), answer.body
    for text in (
        f'"{names[0]}"',
        names[0],
        f"star 00 00 00 +00 00 00 2000 vmag=5 # {names[0]}",
        f"include: {names[0]}",
    ):
        assert server.post("/ob?check=true", text.encode()).status in (200, 422)
    assert server.post("/ob?check=true&request=" + quote(json.dumps({"elvis": {"psf": names[4]}})), BLOCK).status in (
        400,
        422,
    )
    assert server.audit.events() == []
