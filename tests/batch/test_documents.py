"""Requests out of a stream."""

import json

import pytest

from elvis_cli.batch.documents import documents
from elvis_cli.errors import RequestError

PRETTY = json.dumps({"a": {"b": [1, {}]}, "c": {}}, indent=2).encode()


def cut(text):
    return list(documents(text.splitlines(keepends=True)))


def test_a_line_is_a_request_and_empty_ones_are_passed_over():
    assert cut(b'{"a": 1}\n\n  \n{"b": 2}') == [(1, b'{"a": 1}\n'), (4, b'{"b": 2}')]


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_objects_over_several_lines(end):
    found = cut(PRETTY + b"\n" + PRETTY + end)
    assert [line for line, _ in found] == [1, 10]
    assert [json.loads(text) for _, text in found] == [json.loads(PRETTY)] * 2


def test_both_kinds_after_one_another():
    found = cut(b"{}\n" + PRETTY + b'\n{"a": 1}\n')
    assert [(line, json.loads(text)) for line, text in found] == [(1, {}), (2, json.loads(PRETTY)), (11, {"a": 1})]


def test_what_is_never_closed_takes_no_other_along():
    assert cut(b'{\n  "a": 1,\n{"b": 2}\n{\n  "c"\n') == [
        (1, b'{\n  "a": 1,\n'),
        (3, b'{"b": 2}\n'),
        (4, b'{\n  "c"\n'),
    ]


def test_whatever_is_no_json_is_a_document_too():
    assert [line for line, _ in cut(b"}\n[\n \xff\n")] == [1, 2, 3]


def test_reads_no_further_than_asked():
    def lines():
        yield b"{}\n"
        raise AssertionError("read on")

    assert next(documents(lines())) == (1, b"{}\n")


@pytest.mark.parametrize("text", [b"", b"\n", b" \n\n\t\n"])
def test_no_request_at_all_is_refused(text):
    with pytest.raises(RequestError, match="the input is empty"):
        cut(text)


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_the_command_says_so_and_prints_nothing(elvis, tmp_path, text):
    result = elvis("batch", "--outdir", str(tmp_path), "--jobs", "1", stdin=text)
    assert (result.code, result.out) == (65, b"")
    assert "the input is empty" in result.err
