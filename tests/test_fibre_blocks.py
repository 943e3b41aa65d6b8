"""Observing Blocks of the fibre-fed spectrographs: a block gives the requests of all arms, these raw frames."""

import io
import json

import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.product import header
from elvis_cli.request import parse
from elvis_cli.sky import pointing
from tests.conftest import run
from tests.frames import StandIn

UNITS = {"HARPS": "DET1.WIN1.UIT1", "ANDES": "DET1.UIT1", "MOSAIC": "DET.DIT", "QMOST": "DET1.UIT1"}
BLOCKS = {
    "HARPS": ["HARPS_ech_acq_objAB", "HARPS_ech_obs_objAB", "HARPS_ech_cal_thoAB", "HARPS_ech_cal_tun",
              "HARPS_ech_cal_dark"],
    "ANDES": ["ANDES_ech_acq", "ANDES_ech_obs", "ANDES_ech_cal_fp", "ANDES_ech_cal_flat", "ANDES_ech_cal_dark"],
    "MOSAIC": ["MOSAIC_mos_acq", "MOSAIC_mos_obs", "MOSAIC_mos_cal_arc", "MOSAIC_mos_cal_flat", "MOSAIC_mos_cal_dark"],
    "QMOST": ["QMOST_acq", "QMOST_obs", "QMOST_cal_arc", "QMOST_cal_flat", "QMOST_cal_bias"],
}  # fmt: skip
TYPES = {
    "HARPS": {"harps": ["STAR,SKY,G2V", "WAVE,WAVE,THAR2", "LAMP,DARK,TUN", "DARK,DARK"],
              "nirps": ["OBJECT,SKY", "WAVE,UN1,UN1", "FLAT,LAMP,DARK", "DARK"]},
    "ANDES": {arm: ["OBJECT", "WAVE,FP", "FLAT,LAMP", "DARK"] for arm in ("v", "u", "b", "r", "iz", "y", "j", "h")},
    "MOSAIC": {"": ["OBJECT", "WAVE,LAMP", "FLAT,LAMP", "DARK"]},
    "QMOST": {arm: ["OBJECT", "WAVE", "FLAT,LAMP", "BIAS"] for arm in ("blue", "green", "red")},
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_gives_raw_frames_of_each_arm(name):
    templates = [
        {"templateName": each, "parameters": {} if "_acq" in each else {UNITS[name]: 60, "SEQ.NEXPO": 1}}
        for each in BLOCKS[name]
    ]
    target = {"name": "T", "ra": "05:00:00.000", "dec": "-30:00:00.00", "equinox": "J2000"}
    block = {"obId": 7, "itemType": "OB", "name": "b", "runId": "110.A-0001(B)", "target": target}
    planned = run("ob", stdin=json.dumps({**block, "templates": templates}))
    assert planned.code == 0, planned.err
    types: dict[str, list[str]] = {}
    for line in planned.out.decode().splitlines():
        request = parse.read(line)
        setup = pipeline.configure(request)
        cards = header.primary(request, setup, StandIn(1), pointing.observe(request.elvis, setup))
        cards = {keyword: value for keyword, value, _ in cards}
        types.setdefault(setup.arm, []).append(cards["ESO DPR TYPE"])
        assert cards["ESO DPR CATG"] == ("SCIENCE" if len(types[setup.arm]) == 1 else "CALIB")
        assert (cards["ESO OBS ID"], cards["ESO TPL ID"]) == (7, BLOCKS[name][len(types[setup.arm])])
        assert cards["ESO DPR TECH"].startswith("ECHELLE" if name in ("HARPS", "ANDES") else "MOS")
    assert types == TYPES[name]
    last = json.loads(line)  # a dark or bias, rendered
    last["elvis"] |= {"window": {"x0": 0, "y0": 0, "nx": 64, "ny": 64}, "chips": [1]}
    made = run(stdin=json.dumps(last))
    assert made.code == 0, made.err
    with fits.open(io.BytesIO(made.out)) as hdus:
        assert hdus[0].header["ESO DPR TYPE"] == list(types.values())[-1][-1]
        assert hdus[0].header["ESO TPL ID"] == BLOCKS[name][-1]
        assert hdus[1].data.std() > 0
