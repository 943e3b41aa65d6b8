"""The quick check says yes only where `jsonschema` does, and does so for what people send."""

import json
import random
import subprocess
import sys

import jsonschema
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.request.parse import parse_json
from elvis_cli.request.schema_check import holds
from tests.each import each
from tests.fuzz import requests
from tests.request.test_schema import CORPUS, SCHEMA, VALIDATOR


def test_it_accepts_the_corpus_without_jsonschema():
    assert [path.stem for path in CORPUS if not holds(json.loads(path.read_text()), SCHEMA)] == []


def test_what_it_accepts_is_right():
    accepted, rng = 0, random.Random(23)
    for _ in range(600):
        try:
            document = parse_json(requests.request(rng))
        except (RequestError, UnicodeError):
            continue
        if holds(document, SCHEMA):
            accepted += 1
            VALIDATOR.validate(document)
    assert accepted > 20


@each(
    ("schema", "wrong"),
    [
        ({"type": "number"}, True),
        ({"type": ["integer", "null"]}, 1.5),
        ({"enum": [1, "a"]}, True),
        ({"const": 0}, False),
        ({"minimum": 0}, -1),
        ({"exclusiveMinimum": 0}, 0),
        ({"maximum": 0}, 0.1),
        ({"maxLength": 2}, "abc"),
        ({"pattern": "^a$"}, "b"),
        ({"minItems": 1}, []),
        ({"maxItems": 1}, [1, 2]),
        ({"maxProperties": 1}, {"a": 1, "b": 2}),
        ({"required": ["a"]}, {"b": 1}),
        ({"propertyNames": {"pattern": "^a"}}, {"b": 1}),
        ({"properties": {"a": {"type": "null"}}}, {"a": 1}),
        ({"patternProperties": {"^a": {"type": "null"}}}, {"ab": 1}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}),
        ({"additionalProperties": {"type": "null"}}, {"b": 1}),
        ({"items": {"type": "number", "minimum": 0}}, [1, -1]),
        ({"items": {"type": "number"}}, [1, "1"]),
        ({"items": {"type": "string"}}, ["a", 1]),
        ({"uniqueItems": True}, [1, 1]),
        ({"oneOf": [{"properties": {"name": {"const": "a"}, "b": {"type": "null"}}}]}, {"name": "a", "b": 1}),
    ],
)
def test_every_keyword_refuses(schema, wrong):
    assert not jsonschema.Draft202012Validator(schema).is_valid(wrong)
    assert not holds(wrong, schema)


def test_a_keyword_that_it_does_not_know_is_left_to_jsonschema():
    assert not holds(1, {"multipleOf": 1})


@pytest.mark.parametrize("argv", [[], ["validate"]])
def test_a_right_request_needs_no_jsonschema(argv):
    script = "import sys; from elvis_cli.cli import run; print(run(sys.argv[1:]), *sys.modules, file=sys.stderr)"
    request = json.dumps({"instrument": {"name": "hawki"}, "elvis": {"window": {"x0": 0, "y0": 0, "nx": 8, "ny": 8}}})
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], input=request.encode(), capture_output=True, check=True
    )
    code, *modules = done.stderr.decode().splitlines()[-1].split()
    assert code == "0", done.stderr
    assert not {"jsonschema", *(() if argv else ("typer", "pydantic"))} & set(modules)
