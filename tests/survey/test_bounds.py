"""Surveys that are wrong are refused with the place; none ends in a fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.survey import split
from elvis_cli.survey.plan import plan

REQUEST = registry.load("hawki").example("img_noao")


def survey(**members: Any) -> str:
    return json.dumps({"request": REQUEST, "survey": {"pointings": [{"ra": 53, "dec": -27}], **members}})


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"pointings": [{"ra": 53, "dec": -27, "position_angle": "north"}]}, "/survey/pointings/0/position_angle"),
        ({"pointings": [{"ra": 53, "dec": -97}]}, "/survey/pointings/0/dec"),
        ({"pointings": [{"ra": 53, "dec": -27, "name": {}}]}, "/survey/pointings/0/name"),
        ({"pointings": {"ra": 53}}, "/survey/pointings"),
        ({"pointings": [5]}, "/survey/pointings/0"),
        ({"exposures": [{"request": "x"}]}, "/survey/exposures/0/request"),
        ({"exposures": [{"request": {"elvis": 5}}]}, "/elvis"),
        ({"exposures": 7}, "/survey/exposures"),
        ({"dithers": [[1e300, 0]]}, "/survey/dithers/0/0"),
        ({"dithers": [[1]]}, "/survey/dithers/0"),
        ({"dithers": [[0, 0]] * 1001, "exposures": [{}] * 1000}, "/survey"),
        ({"overhead": 1e299}, "/survey/overhead"),
        ({"overhead": -1}, "/survey/overhead"),
        ({"start": 5}, "/survey/start"),
        ({"start": "2099-12-31", "overhead": 1e6}, "/survey/start"),
    ],
)
def test_a_wrong_survey(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(RequestError) as caught:
        list(plan(survey(**members)))
    assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"request": {}, "request": {}}', '{"a": NaN}', "[" * 5000, b"\xff"])
def test_what_is_no_survey(text: str | bytes) -> None:
    with pytest.raises(RequestError):
        list(plan(text))


def test_null_is_no_block() -> None:
    text = json.dumps({"request": {**REQUEST, "elvis": None}, "survey": {"pointings": [{"ra": 53, "dec": -27}]}})
    assert next(plan(text))["elvis"]["exposure"] == 1


def test_deep_values_are_not_copied() -> None:
    deep = json.dumps(REQUEST)[:-1] + ',"application":{"executiondate":' + "[" * 600 + "]" * 600 + "}}"
    with pytest.raises(RequestError, match="nested too deeply"):
        list(split.lines(deep.encode()))
