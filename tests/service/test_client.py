"""`elvis --server`: the same bytes, notes, errors and exit codes as `elvis`."""

from __future__ import annotations

import json

import pytest

from elvis_cli.service import client

NOWHERE = "http://127.0.0.1:9"


def same(server, elvis, text, *argv):
    here, there = elvis(*argv, stdin=text), elvis("--server", server.url, *argv, stdin=text)
    assert there.code == here.code, there.err
    assert there.out == here.out
    assert set(there.err.splitlines()) == set(here.err.splitlines())
    return there


def test_the_bytes_are_those_of_the_filter(server, elvis, small):
    argv = ("--seed", "5", "--ra", "10.25", "--dec", "-3", "--chips", "1,5", "--skip", "dark,cosmetics", "--no-truth")
    assert same(server, elvis, json.dumps(small()), *argv).code == 0


def test_files_are_read_here(server, elvis, small, tmp_path):
    table = tmp_path / "stars.csv"
    table.write_text("x,y,mag\n0,0,18\n0.02,0.01,19\n")
    assert same(server, elvis, json.dumps(small()), "--catalogue", str(table), "--seed", "2").code == 0


def test_errors_are_those_of_the_filter(server, elvis, small):
    text = json.dumps(small({"instrument/INS.FILT2.NAME": "Kz"}))
    assert same(server, elvis, text).code == 65
    told = json.loads(elvis("--server", server.url, "--errors", "json", stdin=text).err)
    assert (told["pointer"], told["nearest"]) == ("/instrument/INS.FILT2.NAME", "Ks")
    assert same(server, elvis, "{").code == 65


def test_without_a_server(elvis, small):
    text = json.dumps(small())
    result = elvis("--server", NOWHERE, stdin=text)
    assert (result.code, result.out) == (69, b"")
    here = elvis("--server", NOWHERE, "--or-here", stdin=text)
    assert here.out == elvis(stdin=text).out
    assert "rendered here" in here.err
    assert elvis("--server", "localhost", stdin=text).code == 2


class Broken:
    """An answer that ends before its end."""

    status, headers = 200, {"content-length": "10"}

    def __init__(self):
        self.chunks = [b"12345", b""]

    def read(self, size):
        return self.chunks.pop(0)

    def close(self):
        pass


def test_an_answer_that_breaks_off_is_an_error(monkeypatch, elvis, small):
    monkeypatch.setattr(client, "_post", lambda *_: Broken())
    result = elvis("--server", NOWHERE, stdin=json.dumps(small()))
    assert (result.code, result.out) == (74, b"")
    assert "5 bytes before its end" in result.err


@pytest.mark.parametrize("argv", [["--limit", "memory=1GB"]])
def test_options_that_are_not_for_a_server(elvis, small, argv):
    assert elvis("--server", NOWHERE, *argv, stdin=json.dumps(small())).code == 2
