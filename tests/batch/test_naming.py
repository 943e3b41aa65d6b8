"""The names of files."""

import json

import pytest

from elvis_cli import pipeline
from elvis_cli.batch.naming import Template, keywords
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.instrument import registry
from elvis_cli.product import header
from elvis_cli.request import parse
from elvis_cli.sky.pointing import observe
from tests.conftest import closure_only


def read(document):
    return parse.read(json.dumps(document))


def written(request):
    """Return the primary header that the file gets, without the prediction."""
    ready = pipeline.prepare(request)
    when = observe(ready.request.elvis, ready.setup)
    told = {keyword for keyword, _, _ in ready.prediction.cards()}
    cards = header.primary(ready.request, ready.setup, ready.prediction, when)
    return {keyword.removeprefix("ESO "): value for keyword, value, _ in cards if keyword not in told}


DEAR = {"harmoni", "andes", "mosaic", "crires2", "fourmost", "harps", "uves"}
"""Instruments whose predictions take seconds; X-shooter's and METIS's headers are made in the same way."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=closure_only) if name in DEAR else name for name in registry.names()]
)
def test_the_name_is_the_archives_and_fields_are_the_headers(name):
    request = read(registry.load(name).example())
    expected = written(request)
    assert Template().name(request, 1, "") == expected["ARCFILE"]
    assert expected.items() <= keywords(request, exact=True).items()


CASES = {
    "the second of a series without a date": {"elvis/exposure": 2},
    "a ratio is asked for": {"timesnr/DET.NDIT": None, "timesnr/snr": 50, "elvis/exposure": 3},
    "a calibration frame": {"elvis/calibration": "flat", "elvis/exposure": 2},
    "a dark": {"elvis/calibration": "dark", "elvis/date": "2026-11-20T05:00:00.1239"},
    "a standard star": {"elvis/calibration": "std", "elvis/exposure": 2},
    "the user's keywords": {"elvis/keywords": {"INSTRUME": "OTHER"}, "elvis/date": "2026-11-20"},
}


@pytest.mark.parametrize("case", CASES)
def test_the_name_is_known_before_the_frame_is_drawn(micado, case):
    request = read(micado(CASES[case]))
    assert Template().name(request, 1, "") == written(request)["ARCFILE"]


def test_eso_keywords_numbers_line_and_hash(micado):
    block = {"id": 7, "name": "a night/../x", "programme": "P", "target": "A", "start": "2030-01-01", "template": 2}
    request = read(micado({"elvis/obs": block, "elvis/exposure": 3, "timesnr/DET.NDIT": 4}))
    template = Template("{OBS ID}_{OBS.NAME}_{ESO DET NDIT:03d}_{line:04d}_{id}.fits")
    assert template.name(request, 12, "0123abcd") == "7_a_night_.._x_004_0012_0123abcd.fits"


def test_a_value_cannot_lead_out_of_the_folder_or_hide_the_file(micado):
    request = read(micado({"elvis/keywords": {"OBJECT": "../../x"}}))
    assert Template("{OBJECT}.fits").name(request, 1, "") == "_._.._x.fits"


@pytest.mark.parametrize(
    "text", ["", "{", "a}.fits", "{}.fits", "{line!r}.fits", "a/{line}.fits", "../{line}.fits", "{line}"]
)
def test_templates_that_cannot_be(text):
    with pytest.raises(UsageError, match="--name"):
        Template(text)


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("{OBS NAM}.fits", UsageError, "did you mean 'OBS NAME'"),
        ("{OBJECT:d}.fits", UsageError, "OBJECT is"),
        ("{line:0300d}.fits", RequestError, "305 characters"),
    ],
)
def test_names_that_cannot_be(micado, text, error, reason):
    with pytest.raises(error, match=reason):
        Template(text).name(read(micado()), 1, "")
