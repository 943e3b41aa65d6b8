"""Three generations of ETC JSON say the same in words of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from elvis_cli.errors import RequestError
from elvis_cli.request.parse import read

CORPUS = sorted((Path(__file__).parents[1] / "data" / "etc").glob("*.json"))

V1 = {
    "application": {"version": "1.0.8", "executiondate": "2020-06-15T11:58:05.345Z"},
    "observatory": {"site": "paranal"},
    "target": {
        "morphology": {"morphologytype": "point"},
        "sed": {
            "sedtype": "spectrum",
            "spectrum": {
                "spectrumtype": "template",
                "params": {"ctlg": "MARCS", "objtype": "star", "spectype": "p6000:g+4.0:m0.0:t02:st:z+0.00:a+0.00"},
            },
        },
        "brightness": {
            "brightnesstype": "mag",
            "extinctionav": 0.5,
            "params": {"magband": "J", "mag": 10, "magsys": "vega"},
        },
    },
    "sky": {"airmass": 1.2, "moon_target_sep": 45, "moon_sun_sep": 90, "pwv": 2.5},
    "seeingiqao": {
        "mode": "aongs",
        "params": {"turbulence_category": 50, "gsmag": 11, "separation": 10},
        "aperturepix": 7,
    },
    "timesnr": {"inputtype": "ndit", "dit": 10, "ndit": {"ndit": 6}},
    "instrument": {"name": "Crires", "slit": 0.2, "polarimetry": None},
}
V2 = {
    "target": {
        "morphology": {"morphologytype": "point"},
        "sed": {
            "sedtype": "spectrum",
            "spectrum": {"spectrumtype": "template", "params": {"catalog": "MARCS", "id": "6000:4.0"}},
            "extinctionav": 0.5,
        },
        "brightness": {"brightnesstype": "mag", "magband": "J", "mag": 10.0, "magsys": "vega"},
    },
    "sky": {"airmass": 1.2, "moon_fli": 0.5, "pwv": 2.5, "moonDistance": 45},
    "seeingiqao": V1["seeingiqao"],
    "timesnr": {"DET1.DIT": 10, "DET1.NDIT": 6},
    "instrument": {"slit": 0.2},
    "instrumentName": "crires",
}
V3 = {
    **V2,
    "sky": {"airmass": 1.2, "fli": 0.5, "waterVapour": 2.5, "moonDistance": 45, "airglowEnabled": True},
    "seeing": {"turbulence_category": 50, "SEQ.NGS.MAG": 11, "separation": 10, "aperturepix": 7},
}
del V3["seeingiqao"]


def sky(**members: Any) -> str:
    return json.dumps({"instrumentName": "x", "sky": members})


def test_they_are_told_apart() -> None:
    assert [read(json.dumps(v)).generation for v in (V1, V2, V3)] == [1, 2, 3]


def test_they_say_the_same() -> None:
    one, two, three = (read(json.dumps(v)) for v in (V1, V2, V3))
    for other in (two, three):
        assert other.target == one.target
        assert other.sky.fli == pytest.approx(one.sky.fli, abs=1e-12)
        assert (other.sky.airmass, other.sky.pwv, other.sky.moon_distance) == (1.2, 2.5, 45)
        assert other.timing == one.timing
        assert other.instrument == one.instrument == "crires"
        assert other.keys == one.keys == {"slit": 0.2}
        assert other.warnings == one.warnings == ()
    assert two.seeing == one.seeing
    assert (three.seeing.guide_star_mag, three.seeing.separation, three.seeing.aperture_pix) == (11, 10, 7)
    assert one.target.sed.id == "6000:4.0"
    assert one.target.sed.extinction_av == 0.5


@pytest.mark.parametrize(("phase", "fli"), [(0, 0.0), (60, 0.25), (90, 0.5), (180, 1.0)])
def test_phase_angle_of_the_moon(phase: float, fli: float) -> None:
    assert read(sky(moon_sun_sep=phase)).sky.fli == pytest.approx(fli, abs=1e-12)


def test_the_newest_name_wins_and_it_is_said() -> None:
    request = read(sky(moon_fli=0.25, fli=1, pwv=2.5, waterVapour=2.5))
    assert request.sky.fli == 1
    assert "/sky/moon_fli: not used, /sky/fli is given" in request.warnings
    assert not any("pwv: not used" in w for w in request.warnings)


@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_corpus(path: Path) -> None:
    document = json.loads(path.read_text())
    request = read(path.read_bytes())
    assert request.document == document
    named = document.get("instrumentName")
    assert request.instrument == named or request.generation == 1
    stem = path.stem.removeprefix("malformed_").removeprefix("repaired_").removeprefix("schema_")
    stem = stem.removeprefix("proto_")
    assert stem.startswith(request.instrument.replace("crires2", "crires")) or request.instrument in stem
    if "snr" in path.stem:
        assert request.timing.snr == document["timesnr"]["snr"]["snr"]
        assert request.timing.count is None
    elif "proto" not in path.stem or "timesnr" in document:
        assert request.timing.dit is not None
        assert request.timing.count is not None


def test_name_of_the_instrument_in_the_first_generation() -> None:
    assert read('{"application": {"instrument": "NIRPS"}, "instrument": {"driver": "nirps"}}').instrument == "nirps"
    for nameless in ("{}", '{"instrumentName": "  "}'):
        with pytest.raises(RequestError) as caught:
            read(nameless)
        assert caught.value.details["pointer"] == "/instrumentName"
