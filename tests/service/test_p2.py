"""ESO's own client, p2api, builds a block, executes it and finds its files; a TOM's facility does so with a block."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import time
import types
from pathlib import Path

import pytest

from elvis_cli.service import tokens

p2api = pytest.importorskip("p2api", reason="needs p2api from the package index")
requests = pytest.importorskip("requests")
HAS_ARCHIVE = all(importlib.util.find_spec(name) for name in ("sqlalchemy", "alembic", "sqlglot", "defusedxml"))
FACILITY = Path(__file__).parents[1] / "tom_facility" / "elvis_facility.py"
WINDOW = {"elvis": {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "chips": [5]}}


@pytest.fixture(scope="module")
def guarded(start, tmp_path_factory):
    """Return a server with a token for blocks and jobs, and the token."""
    folder = tmp_path_factory.mktemp("p2")
    text = tokens.add(folder / "tokens.json", "alice", ["ob", "jobs", "archive:write"])
    more = ("--folder", str(folder / "state"), "--archive", str(folder / "archive.sqlite")) if HAS_ARCHIVE else ()
    server = start("--warm", "none", "--tokens", str(folder / "tokens.json"), "--deadline", "300", *more)
    server.archive = folder / "archive.sqlite"
    server.reader = tokens.add(folder / "tokens.json", "bob", ["ob", "jobs"])
    return server, text


@pytest.fixture
def api(guarded):
    """ESO's client, without its login at ESO."""
    server, text = guarded
    api = object.__new__(p2api.ApiConnection)
    api.debug, api.request_count = False, 0
    api.apiUrl, api.access_token = f"{server.url}/p2/api/v1", text
    api.session = api.requests_retry_session()
    yield api
    api.session.close()


def refusal(call, *argv):
    """Return status and text of the error of a call."""
    with pytest.raises(p2api.P2Error) as caught:
        call(*argv)
    status, _, _, text = caught.value.args
    return status, text


def test_a_block_from_its_creation_to_its_files(api, guarded):
    runs, _ = api.getRuns()
    run = next(run for run in runs if run["instrument"] == "micado")
    assert api.getRun(run["runId"])[0] == run
    folder, _ = api.createFolder(run["containerId"], "my folder")
    ob, version = api.createOB(folder["containerId"], "star")
    assert ob["obStatus"] == "P"

    stale = version
    ob["target"] |= {"name": "star", "ra": "05:34:31.900", "dec": "+22:00:52.00"}
    ob["elvis"] = WINDOW
    ob, version = api.saveOB(ob, version)
    assert refusal(api.saveOB, ob, stale)[0] == 412
    assert api.getOB(ob["obId"]) == (ob, version)
    assert refusal(api.saveOB, ob | {"obStatus": "C"}, version) == (
        422,
        "/obStatus: obStatus cannot be changed; allowed: P",
    )
    assert refusal(api.put, f"/obsBlocks/{ob['obId']}", ob)[0] == 428

    template, version = api.createTemplate(ob["obId"], "MICADO_img_obs_GenericOffset")
    template, version = api.setTemplateParams(
        ob["obId"], template, {"SEQ.NEXPO": 2, "INS.FILT2.NAME": "H", "DET.DIT": 2.0}, version
    )
    status, text = refusal(api.createTemplate, ob["obId"], "MICADO_img_obs_GenericOfset")
    assert status == 422
    assert "did you mean 'MICADO_img_obs_GenericOffset'?" in text
    status, text = refusal(api.setTemplateParams, ob["obId"], template, {"SEQ.NEXPO": 0}, version)
    assert status == 422
    assert "SEQ.NEXPO" in text
    template, version = api.getTemplate(ob["obId"], template["templateId"])
    assert {p["name"]: p["value"] for p in template["parameters"]}["SEQ.NEXPO"] == 2

    found, _ = api.verifyOB(ob["obId"], True)
    assert found["observable"], found["messages"]
    ob, version = api.getOB(ob["obId"])
    assert (ob["obStatus"], ob["exposureTime"]) == ("D", 4)

    info, version = api.getOBSchedulingInfo(ob["obId"])
    info["start"] = "2026-11-20T05:00:00"
    info, _ = api.saveOBSchedulingInfo(ob["obId"], info, version)
    end = time.monotonic() + 120
    while info["obStatus"] != "C" and time.monotonic() < end:
        time.sleep(0.2)
        info, _ = api.getOBSchedulingInfo(ob["obId"])
    executions, _ = api.get(f"/obsBlocks/{ob['obId']}/executions")
    assert [file["status"] for file in executions[0]["files"]] == ["made", "made"]
    server, text = guarded
    frame = server.get(executions[0]["files"][1]["url"], Authorization=f"Bearer {text}")
    assert frame.body.startswith(b"SIMPLE  =")
    assert b"'H       '" in frame.body[:60000]
    if HAS_ARCHIVE:
        check_archived(server.archive, executions[0]["files"], ob)


def check_archived(place, files, ob):
    """The files of the block are in the archive, whole, under the words of the block."""
    from elvis_cli.archive import query
    from elvis_cli.archive.store import Store

    store = Store(str(place))
    text = f"SELECT * FROM ivoa.obscore WHERE ob_id = {ob['obId']} AND target_name = 'star' ORDER BY t_min"
    rows = query.rows(store, text)
    assert [row["sha256"] for row in rows] == [file["sha256"] for file in files]
    assert {row["tpl_id"] for row in rows} == {"MICADO_img_obs_GenericOffset"}
    for row in store.find(ob_id=ob["obId"]):
        assert hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest() == row["sha256"]
    store.close()


def test_items_times_and_deleting(api):
    run = next(run for run in api.getRuns()[0] if run["instrument"] == "fors")
    ob, _ = api.createOB(run["containerId"], "b")
    items, _ = api.getItems(run["containerId"])
    assert [item["name"] for item in items] == ["b"]
    window = [{"from": "2026-11-20T05:00:00", "to": "2026-11-20T06:00:00"}]
    _, version = api.getAbsoluteTimeConstraints(ob["obId"])
    assert api.saveAbsoluteTimeConstraints(ob["obId"], window, version)[0] == window
    found, _ = api.verifyOB(ob["obId"], False)
    assert not found["observable"]
    assert "templates" in found["messages"][0]
    root, version = api.getContainer(run["containerId"])
    assert refusal(api.deleteContainer, root["containerId"], version)[0] == 409
    api.deleteOB(ob["obId"], api.getOB(ob["obId"])[1])
    assert refusal(api.getOB, ob["obId"])[0] == 404


def test_blocks_and_templates_are_moved_reordered_and_duplicated(api):
    run = next(run for run in api.getRuns()[0] if run["instrument"] == "micado")
    folder, _ = api.createFolder(run["containerId"], "night")
    blocks = [api.createOB(folder["containerId"], name)[0] for name in ("a", "b", "c")]
    items, version = api.getItems(folder["containerId"])
    items, _ = api.reorderItems(folder["containerId"], items[::-1], version)
    assert [item["name"] for item in items] == ["c", "b", "a"]
    assert refusal(api.reorderItems, folder["containerId"], items, version)[0] == 412
    items, version = api.getItems(folder["containerId"])
    assert refusal(api.reorderItems, folder["containerId"], items[:2], version)[0] == 422

    api.createTemplate(blocks[0]["obId"], "MICADO_img_obs_AutoJitter")
    api.createTemplate(blocks[0]["obId"], "MICADO_img_obs_GenericOffset")
    listed, version = api.getTemplates(blocks[0]["obId"])
    listed, _ = api.reorderTemplates(blocks[0]["obId"], listed[::-1], version)
    assert [one["templateName"] for one in listed] == ["MICADO_img_obs_GenericOffset", "MICADO_img_obs_AutoJitter"]
    new, _ = api.duplicateOB(blocks[0]["obId"])
    assert api.getTemplates(new["obId"])[0] == listed

    inner, _ = api.createFolder(folder["containerId"], "inner")
    api.moveOB(blocks[2]["obId"], inner["containerId"])
    assert [item["name"] for item in api.getItems(folder["containerId"])[0]] == ["b", "a", "a", "inner"]
    assert [item["name"] for item in api.getItems(inner["containerId"])[0]] == ["c"]
    assert refusal(api.moveFolder, folder["containerId"], inner["containerId"])[0] == 409
    other = next(run for run in api.getRuns()[0] if run["instrument"] == "fors")
    assert refusal(api.moveOB, new["obId"], other["containerId"])[0] == 422
    assert refusal(api.duplicateOB, new["obId"], other["containerId"])[0] == 422


def test_finding_charts(api, tmp_path):
    run = next(run for run in api.getRuns()[0] if run["instrument"] == "micado")
    first, second = (api.createOB(run["containerId"], name)[0]["obId"] for name in ("a", "b"))
    assert api.getFindingChartNames(first)[0] == []
    for name in ("field.jpg", "slit.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0 " + name.encode())
        assert api.addFindingChart(first, str(tmp_path / name))[0] == name
    assert api.getFindingChartNames(first)[0] == ["field.jpg", "slit.jpg"]
    api.getFindingChart(first, 2, str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "slit.jpg").read_bytes()
    api.duplicateFindingChart(first, 2, second)
    api.deleteFindingChart(first, 1)
    assert api.getFindingChartNames(first)[0] == api.getFindingChartNames(second)[0] == ["slit.jpg"]
    assert refusal(api.deleteFindingChart, first, 2)[0] == 404
    (tmp_path / "chart.pdf").write_bytes(b"%PDF")
    assert refusal(api.addFindingChart, first, str(tmp_path / "chart.pdf"))[0] == 422
    (tmp_path / "large.jpg").write_bytes(b"\xff\xd8\xff" + bytes(1 << 20))
    assert refusal(api.addFindingChart, first, str(tmp_path / "large.jpg"))[0] == 413
    assert refusal(api.getOB, 2**70)[0] == 404


def test_signatures(api):
    (version,), _ = api.getInstrumentPackageVersions("MICADO")
    listed, _ = api.getTemplateSignatures("MICADO", version)
    assert "MICADO_img_acq" in [one["templateName"] for one in listed]
    one, _ = api.getTemplateSignature("MICADO", version, "MICADO_img_obs_AutoJitter")
    assert next(p for p in one["parameters"] if p["name"] == "SEQ.JITTER.WIDTH")["unit"] == "arcsec"
    assert refusal(api.getTemplateSignature, "MICADO", version, "X")[0] == 422


@pytest.mark.skipif(not HAS_ARCHIVE, reason="needs the extra archive")
def test_files_of_blocks_go_into_the_archive_only_by_a_token_with_its_scope(api, guarded):
    server, _ = guarded
    api.access_token = server.reader
    run = next(run for run in api.getRuns()[0] if run["instrument"] == "micado")
    headers = {"Authorization": f"Bearer {server.reader}", "If-Match": "*"}
    mine, _ = api.createOB(run["containerId"], "star")
    answer = server.ask("PUT", f"/p2/api/v1/obsBlocks/{mine['obId']}/schedule", {}, headers)
    assert (answer.status, "archive:write" in answer.json()["error"]) == (403, True)
    answer = server.ask("POST", "/ob", b"{}", headers)
    assert (answer.status, "archive:write" in answer.json()["detail"]) == (403, True)


def test_without_a_token(api):
    api.access_token = "wrong"
    status, text = refusal(api.getRuns)
    assert status == 401
    assert "token" in text


@pytest.fixture
def facility(guarded, monkeypatch):
    """The example of a TOM's facility; of Django and the toolkit only the names that it imports."""
    server, text = guarded
    fields = types.SimpleNamespace(CharField=lambda **_: None, JSONField=lambda **_: None)
    settings = types.SimpleNamespace(FACILITIES={"ELVIS": {"url": server.url, "token": text}})
    modules = {
        "django": types.ModuleType("django"),
        "django.forms": fields,
        "django.conf": types.SimpleNamespace(settings=settings),
        "tom_observations": types.ModuleType("tom_observations"),
        "tom_observations.facility": types.SimpleNamespace(
            BaseRoboticObservationFacility=object, BaseRoboticObservationForm=object
        ),
    }
    modules["django"].forms = fields
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("elvis_facility", FACILITY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_facility_of_the_tom_toolkit(facility, guarded):
    _, text = guarded
    elvis = facility.ElvisFacility()
    block = facility.block("star", 83.633, 22.0145, "MICADO_img_obs_GenericOffset", {"INS.FILT2.NAME": "H"})
    block["elvis"] = WINDOW
    assert block["target"]["ra"] == "05:34:31.920"
    assert elvis.validate_observation(block) == {}
    (wrong,) = elvis.validate_observation({**block, "templates": [{"templateName": "MICADO_img_obs"}]})
    assert wrong == "/templates/0/templateName"
    (identity,) = elvis.submit_observation(block)
    end = time.monotonic() + 120
    while (status := elvis.get_observation_status(identity))["state"] not in elvis.get_terminal_observing_states():
        assert time.monotonic() < end
        time.sleep(0.2)
    assert status["state"] == "COMPLETED"
    (product,) = elvis.data_products(identity)
    assert elvis.data_products(identity, product["id"]) == [product]
    got = requests.get(product["url"], headers={"Authorization": f"Bearer {text}"}, timeout=60)
    assert got.content.startswith(b"SIMPLE  =")
    assert elvis.cancel_observation(identity)
    assert not elvis.cancel_observation(identity)
    assert {"Paranal", "Armazones"} == set(elvis.get_observing_sites())
