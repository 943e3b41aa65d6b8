"""Packed numbers come back, and damaged ones are refused."""

import math

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.request import parse, payload


def test_round_trip():
    assert payload.unpack(payload.pack(b"12345678"), "/x", 8) == b"12345678"


@pytest.mark.parametrize(
    ("text", "most"), [("?", 9), ("QUJD", 9), (payload.pack(bytes(99)), 9), (payload.pack(bytes(9))[:-8], 9)]
)
def test_damage_and_bombs_are_refused(text, most):
    with pytest.raises(RequestError):
        payload.unpack(text, "/x", most)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 61.0])
def test_packed_numbers_keep_the_limits(bad):
    packed = payload.pack(np.array([20.0, bad]).tobytes())
    with pytest.raises(RequestError) as caught:
        parse.read('{"instrumentName": "x"}', {"catalogue": {"x": [0, 0], "y": [0, 0], "mag": packed}})
    assert caught.value.details["pointer"] == "/elvis/catalogue/mag/1"
