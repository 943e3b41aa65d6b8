import json

from elvis_cli.detector import steps
from elvis_cli.instrument import stage_listing


def test_all_stages_without_an_instrument(elvis):
    listed = json.loads(elvis("stages", "--json").out)
    assert [stage["name"] for stage in listed] == list(steps.NAMES)
    assert {stage["unit"] for stage in listed} == {"electron", "adu"}


def test_stages_of_an_instrument_with_their_parameters(elvis):
    listed = {stage["name"]: stage for stage in json.loads(elvis("stages", "fors", "--json").out)}
    assert list(listed)[:4] == ["stars", "galaxies", "thermal", "background"]
    assert "nonlinearity" not in listed
    assert listed["flat_field"]["parameters"][0]["value"] == 0.01
    assert (listed["read_noise"]["unit"], listed["gain"]["unit"]) == ("electron", "adu")
    lines = elvis("stages", "fors").out.decode().splitlines()
    assert len(lines) == len(listed) + 1
    assert any("rms = 0.01" in line for line in lines)


def test_unknown_orders_and_instruments(elvis):
    assert elvis("stages", "fros").code == 69
    wrong = elvis("stages", "fors", "--order=physical")
    assert wrong.code == 65
    assert "/elvis/order" in wrong.lines[0]


def test_description_is_json_and_complete():
    described = json.loads(json.dumps(stage_listing.describe(), allow_nan=False))
    assert [d["name"] for d in described] == list(steps.NAMES)
    assert all(d["title"] for d in described)
    assert {p["name"] for d in described for p in d["parameters"]} >= {"rms", "fraction", "rate", "beta", "level"}
