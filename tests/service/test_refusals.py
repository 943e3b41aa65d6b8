"""Errors: status, pointer, what is allowed; never a traceback or a path of the server."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest

from elvis_cli import errors
from elvis_cli.service import problems

ROOT = str(Path(__file__).parents[2])


def problem(answer):
    """Return the problem in an answer, checked."""
    assert answer.headers["content-type"] == "application/problem+json"
    text = answer.body.decode()
    assert "Traceback" not in text
    assert ROOT not in text
    assert sys.prefix not in text
    value = json.loads(text)
    assert value["status"] == answer.status
    assert {"type", "title", "detail", "exit_code"} <= set(value)
    return value


def test_a_wrong_value_has_its_pointer(server, small):
    answer = server.post("/etc", small({"instrument/INS.FILT2.NAME": "Kz"}))
    value = problem(answer)
    assert (answer.status, value["pointer"], value["nearest"]) == (422, "/instrument/INS.FILT2.NAME", "Ks")
    assert value["found"] == "Kz"
    assert "Ks" in value["allowed"]
    assert value["exit_code"] == 65


@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [
        ("/etc", b"", 422, "empty"),
        ("/etc", b"{", 422, "not JSON"),
        ("/etc", b"\xff\xfe", 422, "UTF-8"),
        ("/etc", b"[1]", 422, "object"),
        ("/etc", b'{"instrumentName": "../../etc/passwd"}', 404, "no instrument"),
        ("/etc?sede=1", b"{}", 400, "did you mean 'seed'?"),
        ("/etc?seed=1&seed=2", b"{}", 400, "twice"),
        ("/etc?seed=x", b"{}", 400, "integer"),
        ("/etc?seed=-1", b"{}", 400, "out of range"),
        ("/etc?window=1,2", b"{}", 400, "4 whole numbers"),
        ("/etc?product=rare", b"{}", 400, "did you mean 'raw'?"),
        ("/etc?sed=/etc/passwd", b"{}", 400, "unknown parameter"),
        ("/preview?size=5", b"{}", 400, "out of range"),
        ("/preview?limits=a", b"{}", 400, "zscale"),
        ("/etc?sky=skycalc", b"{}", 403, "network"),
        ("/etc?psf=tiptop", b"{}", 403, "network"),
        ("/nowhere", b"{}", 404, "openapi"),
        ("/schema", b"{}", 405, "method"),
    ],
)
def test_what_is_refused(server, path, body, status, word):
    answer = server.post(path, body)
    assert answer.status == status
    assert word in problem(answer)["detail"]


def test_the_p2_interface_answers_as_its_client_reads(server):
    for answer in (server.get("/p2/api/v1/obsBlocks/null"), server.post("/p2/api/v1/obsRuns", b"{}")):
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"] == answer.json()["detail"]


def test_another_instrument_than_that_of_the_path(server, small):
    answer = server.post("/etcapi/Fors/", small())
    assert (answer.status, problem(answer)["pointer"]) == (422, "/instrumentName")
    assert problem(server.post("/etcapi/Nothing/", small()))["status"] == 404


@pytest.mark.parametrize(("key", "value"), [("sky", "skycalc"), ("psf", "tiptop")])
def test_the_network_is_out_of_reach_of_the_body_too(server, small, key, value):
    answer = server.post("/etc", small({f"elvis/{key}": value}))
    assert (answer.status, problem(answer)["pointer"]) == (403, f"/elvis/{key}")


def test_too_many_pixels_are_for_a_job(server, small):
    answer = server.post("/etc", small({"elvis/window": "full"}))
    value = problem(answer)
    assert (answer.status, value["limit"], value["pixels"]) == (413, 10**6, 4096**2)
    assert "/jobs" in value["detail"]


def test_a_large_body_is_refused_before_it_is_read(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /etc HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n{")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_counted(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"POST /etc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(40):
                connection.sendall(chunk)
        except OSError:  # it has closed already
            pass
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_every_answer_has_the_headers_of_safety(server, small):
    for answer in (server.get("/schema"), server.get("/nowhere"), server.post("/etc", small())):
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


def test_a_fault_is_in_the_log_only():
    try:
        raise KeyError(f"{ROOT}/secret")
    except KeyError as error:
        found = problems.of(error)
    assert found.status == 500
    assert found.id in found.as_dict()["detail"]
    assert "secret" not in str(found.as_dict())
    assert "Traceback" in found.log


def test_a_message_loses_the_paths_of_the_server():
    found = problems.of(errors.ResourceError(f"there is no x.toml in {ROOT}/elvis_cli/data, or elsewhere"))
    assert found.status == 424
    assert found.as_dict()["detail"] == "there is no x.toml in (a file of the server), or elsewhere"
