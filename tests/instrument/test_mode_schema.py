"""The schema of one mode: valid, its example passes, nulls and other instruments' keys are gone."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from elvis_cli.errors import RequestError
from elvis_cli.instrument import mode_schema, registry


@pytest.mark.parametrize("instrument", registry.names())
def test_the_example_of_the_default_mode_passes(instrument):
    schema = mode_schema.narrowed(instrument)
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(registry.load(instrument).example())) == []
    assert '"null"' not in json.dumps(schema)


@pytest.mark.parametrize("instrument", registry.names())
def test_defaults_are_among_the_options(instrument):
    for mode in registry.load(instrument).modes():
        example = registry.load(instrument).example(mode.mode)
        keys = mode_schema.narrowed(instrument, mode.mode)["properties"]["instrument"]["properties"]
        assert keys["ins_configuration"]["enum"] == [mode.mode]
        for name, value in example["instrument"].items():
            assert keys[name]["default"] == value
            assert value in keys[name].get("enum", [value]), (mode.mode, name)


def test_a_key_has_options_title_and_unit():
    keys = mode_schema.narrowed("micado")["properties"]
    assert "Ks" in keys["instrument"]["properties"]["INS.FILT2.NAME"]["enum"]
    assert keys["instrument"]["properties"]["INS.FILT2.NAME"]["title"] == "filter wheel 2"
    assert keys["timesnr"]["properties"]["DET.DIT"]["unit"] == "s"
    assert "DET.WIN1.UIT1" not in keys["timesnr"]["properties"]
    assert "moon_fli" not in keys["sky"]["properties"]


def test_a_wrong_value_does_not_pass():
    document = registry.load("micado").example()
    document["instrument"]["INS.FILT2.NAME"] = "Kz"
    assert list(Draft202012Validator(mode_schema.narrowed("micado")).iter_errors(document))


def test_an_unknown_mode():
    with pytest.raises(RequestError, match="did you mean 'lss'"):
        mode_schema.narrowed("fors", "ls")


def test_the_command(elvis):
    assert json.loads(elvis("schema", "--instrument", "fors", "--mode", "lss").out)["title"].startswith("fors lss")
    assert elvis("schema", "--mode", "lss").code == 2
