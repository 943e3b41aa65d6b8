"""The bytes of the filter by HTTP, and what else the processes answer."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import threading

import pytest
from astropy.io import fits
from PIL import Image

from elvis_cli.model.limits import DEFAULT
from elvis_cli.reduction import in_memory
from elvis_cli.service import query, tasks
from elvis_cli.service.run import _listen


def test_a_frame_has_the_bytes_of_the_filter(server, elvis, small):
    text = json.dumps(small()).encode()
    wanted = elvis("--seed", "3", stdin=text).out
    for path in ("/etc?seed=3", "/etcapi/Micado/?seed=3"):
        answer = server.post(path, text)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/fits"
        assert answer.body == wanted
    assert "assumed" in json.loads(answer.headers["elvis-notes"])[0]


def test_all_plain_options_have_the_same_bytes(server, elvis, small):
    argv = ["--window", "8,8,8,9", "--product", "expected", "--ra", "10", "--dec", "-20", "--pa", "30", "--truth",
            "--date", "2026-11-20T05:00:00", "--exposure", "2"]  # fmt: skip
    query = "window=8,8,8,9&product=expected&ra=10&dec=-20&pa=30&truth=true&date=2026-11-20T05:00:00&exposure=2"
    text = json.dumps(small()).encode()
    assert server.post(f"/etc?{query}", text).body == elvis(*argv, stdin=text).out


def test_an_etag_spares_the_rendering(server, small):
    first = server.post("/etc", small())
    again = server.post("/etc", small(), If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert server.post("/etc?seed=1", small(), If_None_Match=first.headers["etag"]).status == 200


def test_a_preview_is_that_of_the_command(server, elvis, small):
    answer = server.post("/preview?size=300&stretch=linear&window=0,0,64,64", small())
    assert answer.headers["content-type"] == "image/png"
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert picture.text["Area"]
    frame = elvis("--window", "0,0,64,64", stdin=json.dumps(small())).out
    assert answer.body == elvis("preview", "--size", "300", "--stretch", "linear", stdin=frame).out


def test_a_preview_of_a_large_frame_is_that_of_the_part_it_names(server, small):
    document = small({"elvis/window": {"x0": 10, "y0": 20, "nx": 100, "ny": 81}, "elvis/chips": [5, 6]})
    whole = server.post("/preview?pixels=16200", document)
    assert "elvis-part" not in whole.headers
    for pixels, part in ((8100, "chips=5"), (4096, "chips=5&window=28,28,64,64")):
        answer = server.post(f"/preview?pixels={pixels}", document)
        assert answer.headers["elvis-part"] == part
        assert answer.body == server.post(f"/preview?{part}", document).body != whole.body
    assert server.post("/preview?pixels=4096&product=reduced", document).status == 400


def test_answers_on_a_kept_connection_wait_for_no_acknowledgement():
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on: 40 ms an answer


def test_validate_and_explain_say_what_the_commands_print(server, elvis, small):
    text = json.dumps(small())
    value = server.post("/validate", text.encode()).json()
    assert f"elvis: note: valid: {value['summary']}" in elvis("validate", stdin=text).err
    cards = {card["keyword"]: card["value"] for card in value["prediction"]}
    assert value["snr"] == pytest.approx(cards["ESO SIM SNR"], abs=1e-4)
    assert server.post("/explain", text.encode()).json() == json.loads(elvis("explain", "--json", stdin=text).out)


def test_reduce_asks_for_the_product(server, monkeypatch, small, tmp_path):
    pytest.importorskip("drizzle", reason="needs the extra reduce")
    arc = small({"elvis/calibration": "dark"})
    assert server.post("/reduce", arc).json()["pointer"] == "/elvis/calibration"
    monkeypatch.setattr(in_memory, "reduce", lambda request, out: (out.write(b"x"), request.elvis.product)[1:])
    options = query.request_options({"product": "reduced"}, DEFAULT)
    answer = tasks.Render(json.dumps(small()).encode(), options, path=str(tmp_path / "x")).answer(print)
    assert (answer.size, answer.notes[-1]) == (1, "raw")


@pytest.mark.skipif("ELVIS_SERVICE_TESTS" not in os.environ, reason="takes a minute; ELVIS_SERVICE_TESTS=1 runs it")
def test_reduce_gives_the_product(server, elvis, small):
    document = small({"elvis/window": {"x0": 0, "y0": 0, "nx": 48, "ny": 48}})
    answer = server.post("/reduce", document)
    assert answer.status == 200, answer.body
    assert answer.body == elvis("--product", "reduced", stdin=json.dumps(document)).out
    with fits.open(io.BytesIO(answer.body)) as file:
        assert file[0].header["PRODCATG"].startswith("SCIENCE")


def test_what_there_is(server, elvis):
    assert {mode["instrument"] for mode in server.get("/instruments").json()} >= {"micado", "fors"}
    example = server.get("/examples/micado?mode=img_1.5mas_scao")
    assert example.json() == json.loads(elvis("example", "micado", "--mode", "img_1.5mas_scao").out)
    assert server.get("/examples/micado?mode=img_1.5mas_scao", If_None_Match=example.headers["etag"]).status == 304
    assert server.get("/schema").json() == json.loads(elvis("schema").out)
    narrow = server.get("/schema/micado/img_1.5mas_scao")
    assert narrow.json() == json.loads(elvis("schema", "--instrument", "micado", "--mode", "img_1.5mas_scao").out)
    assert server.get("/schema/micado/img").status == 422
    assert "stars" in server.get("/scenes").json()["globular-cluster"]
    assert "G:2:V" in server.get("/templates").json()["Pickles"]
    assert server.get("/health/live").json()["status"] == "live"
    assert server.get("/health/ready").json()["broken"] == []


def test_a_head_has_no_body(server):
    answer = server.ask("HEAD", "/schema")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 1000


def test_numbers_count_requests(server, small):
    server.post("/etc", small())
    text = server.get("/metrics").body.decode()
    assert 'elvis_requests_total{instrument="micado",route="POST /etc",status="200"}' in text
    assert "elvis_queue_length 0.0" in text
    assert 'elvis_limit{name="queue"} 32.0' in text
    resident = float(text.partition("\nelvis_worker_resident_bytes_max ")[2].split()[0])
    assert 50e6 < resident < 1e9


def test_the_openapi_document_has_every_route(server):
    document = server.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert document["paths"]["/etc"]["post"]["requestBody"]["content"]["application/json"]
    assert document["components"]["schemas"]["request"]["properties"]["elvis"]
    for path, operations in document["paths"].items():
        if "{" in path:
            continue
        other = {"get", "post", "put", "delete"} - set(operations)
        assert server.ask(other.pop().upper(), path).status in (401, 405), path


def test_a_killed_process_costs_nothing(server, small):
    server.post("/etc", small())
    killed = server.workers()
    os.kill(killed[0], signal.SIGKILL)
    assert server.post("/etc", small()).status == 200
    answers = []
    busy = threading.Thread(target=lambda: answers.append(server.post("/etc", small({"elvis/window": "full"}))))
    assert server.workers() != killed
    busy.start()
    busy.join()
    assert answers[0].status == 413  # 16 million pixels, and the limit is one
