"""Blocks of METIS's coronagraphs: the field turns with the zenith, the star beside the mask, chops."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits

from tests.conftest import run
from tests.setups import target_in_field


def planned(
    template: str, parameters: dict[str, Any], acquisition: str = "METIS_img_lm_acq", *options: str
) -> list[dict[str, Any]]:
    """Return the requests of one template that follows the zenith."""
    block = {
        "obId": 7, "itemType": "OB", "name": "planet", "runId": "118.A-0001(B)",
        "target": {"name": "T", "ra": "05:26:00.000", "dec": "-05:00:00.00", "equinox": "J2000"},
        "templates": [
            {"templateName": acquisition, "type": "acquisition", "parameters": {"INS.DROT.MODE": "ELEV"}},
            {"templateName": template, "parameters": parameters},
        ],
    }  # fmt: skip
    made = run("ob", *options, stdin=json.dumps(block))
    assert made.code == 0, made.err
    return [json.loads(line) for line in made.out.decode().splitlines()]


def test_the_field_turns_with_the_zenith_and_sky_is_off_the_mask() -> None:
    """Half an hour of exposures about the meridian: position angles grow, the star stays on the axis."""
    parameters = {
        "INS.MODE": "IMG_LM_RAVC",
        "SEQ.NEXPO": 4,
        "DET.DIT": 0.2,
        "DET.NDIT": 1500,
        "SEQ.SKYOFFSET.ALPHA": 15,
    }
    requests = planned("METIS_img_lm_vc_obs_FixedSkyOffset", parameters)
    types = [one["elvis"]["template"]["type"] for one in requests]
    assert types == ["OBJECT"] * 4 + ["SKY"]
    angles = [one["elvis"]["pointing"]["position_angle"] for one in requests[:4]]
    steps = [(b - a + 180.0) % 360.0 - 180.0 for a, b in itertools.pairwise(angles)]
    assert all(step == pytest.approx(steps[0], rel=0.2) for step in steps)
    assert abs(steps[0]) > 2.0
    assert all(target_in_field(one) == pytest.approx([0, 0], abs=1e-6) for one in requests[:4])
    assert all(abs(complex(*target_in_field(one))) == pytest.approx(15.0, abs=0.01) for one in requests[4:])
    assert {one["instrument"]["ins_configuration"] for one in requests} == {"img_lm_ravc"}


def test_the_star_beside_the_mask() -> None:
    requests = planned(
        "METIS_img_lm_vc_obs_FixedSkyOffset",
        {"INS.MODE": "IMG_LM_CVC", "SEQ.PSF.OFFAXIS": True, "INS.FILT2.NAME": "ND_OD3", "SEQ.NEXPO": 2},
    )
    names = [(one["elvis"]["template"]["category"], one["elvis"]["template"]["type"]) for one in requests]
    assert names == [("CALIB", "PSF,OFFAXIS")] * 2
    assert abs(complex(*target_in_field(requests[0]))) == pytest.approx(1.0, abs=0.01)


def test_a_chop_takes_the_star_off_the_mask() -> None:
    requests = planned("METIS_img_n_cvc_obs_AutoChop", {"SEQ.CHOP.NCYCLES": 2})
    away = [abs(complex(*target_in_field(one))) for one in requests]
    assert away == pytest.approx([0.0, 3.0, 0.0, 3.0], abs=0.01)


def test_the_chopper_home_is_a_calibration() -> None:
    requests = planned("METIS_img_lm_cal_ChopperHome", {})
    assert [one["elvis"]["template"]["type"] for one in requests] == ["CHOPHOME"] * 3
    assert all(one["elvis"]["calibration"] == "pinhole" for one in requests)


@pytest.mark.parametrize(
    ("template", "parameters", "rule"),
    [
        # METIS_Pipeline: the workflow of metis_cal_chophome has this rule, metis_classification.py that of the other
        ("METIS_img_lm_cal_ChopperHome", {}, ("CALIB", "IMAGE,LM", "CHOPHOME")),
        ("METIS_img_lm_vc_obs_FixedSkyOffset", {"SEQ.PSF.OFFAXIS": True}, ("CALIB", "IMAGE,LM", "PSF,OFFAXIS")),
    ],
)
def test_the_files_are_of_their_rules(template: str, parameters: dict[str, Any], rule: tuple[str, ...]) -> None:
    document = planned(template, parameters)[0]
    document["elvis"] |= {"window": {"x0": 1016, "y0": 1016, "nx": 16, "ny": 16}, "bare": True}
    made = run(stdin=json.dumps(document))
    assert made.code == 0, made.err
    with fits.open(io.BytesIO(made.out)) as hdus:
        header = hdus[0].header
        assert tuple(header[f"ESO DPR {name}"] for name in ("CATG", "TECH", "TYPE")) == rule
        assert header["INSTRUME"] == "METIS"


def test_the_field_of_harmoni_turns_with_the_zenith() -> None:
    parameters = {"SEQ.NEXPO": 3, "INS.APOD.NAME": "SP2", "DET.NDIT": 10}
    requests = planned("HARMONI_ifs_hc_obs_FixedSkyOffset", parameters, "HARMONI_ifs_acq")
    assert [one["elvis"]["template"]["type"] for one in requests] == ["OBJECT"] * 3 + ["SKY"]
    assert {one["instrument"]["ins_configuration"] for one in requests} == {"ifs_hcao"}
    assert {one["instrument"]["INS.APOD.NAME"] for one in requests} == {"SP2"}
    angles = [one["elvis"]["pointing"]["position_angle"] for one in requests[:3]]
    assert all(abs((b - a + 180.0) % 360.0 - 180.0) > 2.0 for a, b in itertools.pairwise(angles))


def test_windows_of_a_series_follow_each_other_without_a_pause(tmp_path: Path) -> None:
    window = tmp_path / "window.json"
    window.write_text('{"elvis": {"chips": [5], "window": {"x0": 1984, "y0": 1984, "nx": 128, "ny": 128}}}')
    parameters = {"SEQ.NEXPO": 4, "DET.DIT": 0.05}
    series = planned("MICADO_ts_obs_Stare", parameters, "MICADO_img_acq", "--request", str(window))
    seconds = [float(one["elvis"]["date"].rpartition(":")[2]) for one in series]
    assert [round(b - a, 3) for a, b in itertools.pairwise(seconds)] == [0.05] * 3
