"""An error points to the key that the request has, whatever its generation calls it."""

from __future__ import annotations

import json

import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.request.key_aliases import pointing_into

FIRST = {
    "application": {"instrument": "crires2"},
    "instrument": {"name": "crires", "settingkey": "K2217"},
    "target": {"brightness": {"params": {"mag": 12, "magband": "K"}}},
    "timesnr": {"inputtype": "snr", "dit": 10, "snr": {"snr": 20}},
    "seeingiqao": {"mode": "noao", "params": {"turbulence_category": 50}},
}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"timesnr": {"dit": 1e-3, "ndit": {"ndit": 1}}}, "/timesnr/dit"),
        ({"timesnr": {"dit": 10, "inputtype": "snr", "snr": {"snr": 9e5}}}, "/timesnr/snr/snr"),
        ({"seeingiqao": {"params": {"turbulence_category": 42}}}, "/seeingiqao/params/turbulence_category"),
        ({"target": {"brightness": {"params": {"mag": 12, "magband": "Q9"}}}}, "/target/brightness/params/magband"),
        (
            {"target": {"sed": {"spectrum": {"spectrumtype": "template", "params": {"ctlg": "MARKS"}}}}},
            "/target/sed/spectrum/params/ctlg",
        ),
    ],
)
def test_the_first_generation_s_keys(change, pointer):
    with pytest.raises(RequestError) as caught:
        pipeline.prepare(parse.read(json.dumps(FIRST | change)))
    assert caught.value.details["pointer"] == pointer
    assert caught.value.message.startswith(f"{pointer}: ")


def test_the_third_generation_s_key_and_all_else_stay():
    document = registry.load("crires2").example()
    document["timesnr"]["DET1.DIT"] = 1e-3
    with pytest.raises(RequestError) as caught:
        pipeline.explain(parse.read(json.dumps(document)))
    details = caught.value.details
    assert (details["pointer"], details["found"], details["allowed"]) == ("/timesnr/DET1.DIT", 1e-3, ">= 1.42705 s")
    with (
        pytest.raises(RequestError, match=r"^/elvis/window: too large; did you mean 'full'\?$"),
        pointing_into(document),
    ):
        raise RequestError("/elvis/window", "too large", nearest="full")
    with pytest.raises(RequestError, match=r"^/timesnr/snr: "), pointing_into(document):
        raise RequestError("/timesnr/snr", "is missing")
