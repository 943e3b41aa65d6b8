"""A block of a standard star in the catalogue observes that star, as bright as it is."""

import json

import pytest

from elvis_cli.scene import standards
from tests.conftest import MICADO, changed, run


def block(number, template, name, ra, dec):
    keys = {"DET.DIT": 20, "DET.NDIT": 3, "INS.FILT2.NAME": "Ks"}
    parameters = [{"name": key, "value": value} for key, value in keys.items()]
    templates = [
        {"templateName": "MICADO_img_acq", "parameters": []},
        {"templateName": template, "parameters": parameters},
    ]
    target = {"name": name, "ra": ra, "dec": dec}
    return {"obId": number, "name": template, "target": target, "templates": templates}


@pytest.mark.parametrize(("name", "known"), [("SDSS J111059", True), ("some star", False)])
def test_a_standard_star_of_the_catalogue_is_observed_as_it_is(name, known, tmp_path):
    field = {"ra": [165.0], "dec": [-20.0], "mag": [19.0]}
    (tmp_path / "request.json").write_text(json.dumps(changed(MICADO, {"elvis": {"catalogue": field}})))
    night = [
        block(1, "MICADO_img_obs_GenericOffset", "FIELD", "11:00:00.000", "-20:00:00.00"),
        block(2, "MICADO_img_cal_StandardStar", name, "11:10:59.430", "-17:09:54.10"),
    ]
    result = run("ob", "--request", str(tmp_path / "request.json"), stdin="\n".join(map(json.dumps, night)))
    assert result.code == 0, result.err
    science, star = (json.loads(line) for line in result.out.splitlines())
    assert science["elvis"]["catalogue"]["mag"] == [19.0]
    assert star["elvis"]["template"]["type"] == "STD"
    assert ("catalogue" in star["elvis"]) != known
    if known:
        (row,) = [each for each in standards.named([name], standards.read()) if each.band == "K"]
        assert star["target"]["brightness"] == {
            "brightnesstype": "mag", "magband": "K", "mag": row.mag, "magsys": "vega",
        }  # fmt: skip
        assert star["target"]["sed"]["spectrum"]["params"] == {"catalog": "Pickles", "id": "O5V"}
