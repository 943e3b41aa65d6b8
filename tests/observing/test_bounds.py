"""Blocks that would make too much are refused before they are worked out, and equal runs are worked out once."""

import json

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.observing import load, template_request, templates
from elvis_cli.observing.languages import Language

TARGET = {"name": "a", "RA": 60.0, "Dec": -60.0}


def refused(document):
    with pytest.raises(RequestError) as caught:
        load.read(json.dumps(document).encode(), Language.AUTO, 0)
    return caught.value.details["pointer"], caught.value.details["reason"]


def odl(**lists):
    parts = {
        "Targets": [TARGET], "InstrumentConfigs": [{"instrument": "fors"}], "DetectorConfigs": [{"exptime": 1}], **lists
    }  # fmt: skip
    return [{key: value} for key, value in parts.items()]


@pytest.mark.parametrize("key", ["Targets", "DetectorConfigs", "InstrumentConfigs", "OffsetPatterns"])
def test_lists_are_counted_before_their_items_are_looked_at(key):
    assert refused(odl(**{key: [7] * 2001})) == (f"/{['Targets', 'InstrumentConfigs', 'DetectorConfigs', 'OffsetPatterns'].index(key)}/{key}", "has 2001 items")  # fmt: skip  # noqa: E501


def test_files_of_a_block_are_counted_before_they_are_made():
    pattern = {"name": "Box5", "dx": 5, "repeat": 2000}
    assert refused(odl(OffsetPatterns=[pattern], DetectorConfigs=[{"exptime": 1, "nexp": 100000}])) == (
        "/0/Targets/0", "makes too many files",
    )  # fmt: skip


def test_files_of_a_document_are_counted(make):
    block = make("METIS_img_lm_obs_AutoJitter", {"SEQ.NEXPO": 5000, "SEQ.NOFFSET": 4})
    assert refused([block] * 6)[1] == "makes too many files"


def test_files_of_a_template_are_counted(make):
    block = make("METIS_img_lm_obs_AutoJitter", {"SEQ.NEXPO": 10000, "SEQ.NOFFSET": 2000})
    assert refused([block]) == ("/0/templates/0/parameters", "makes too many files")


def test_blocks_and_templates_are_counted(make):
    block = make("METIS_img_lm_obs_AutoJitter")
    assert refused([block] * 2001) == ("", "has 2001 items")
    assert refused([{**block, "templates": [7] * 2001}]) == ("/0/templates", "has 2001 items")


def test_equal_runs_are_checked_once(make, plan, monkeypatch):
    block, made = make("METIS_img_lm_obs_AutoJitter"), []
    real = template_request.make
    monkeypatch.setattr(template_request, "make", lambda *a, **k: made.append(1) or real(*a, **k))
    block["templates"] *= 5
    assert len(plan([block, block])) == 10
    assert len(made) == 1
    other = {**block, "elvis": {"target": {"brightness": {"mag": 12}}}}
    assert len(plan([block, other])) == 10
    assert len(made) == 3


def test_keys_of_a_mode_may_be_changed_by_who_asks():
    signatures = templates.load("metis")
    mode = next(iter(signatures.templates.values())).modes
    keys = signatures.keys(next(iter(mode.values())))
    keys.clear()
    assert signatures.keys(next(iter(mode.values())))
