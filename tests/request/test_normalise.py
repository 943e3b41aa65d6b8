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
    assert two.image_quality == one.image_quality
    assert (three.image_quality.guide_star_mag, three.image_quality.separation, three.image_quality.aperture_pix) == (
        11,
        10,
        7,
    )
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


@pytest.mark.parametrize(
    ("timesnr", "pointers"),
    [
        ({"DET.DIT": 60, "dit": 30}, ("/timesnr/dit", "/timesnr/DET.DIT")),
        ({"DET1.DIT": 1, "DET.WIN1.UIT1": 2}, ("/timesnr/DET.WIN1.UIT1", "/timesnr/DET1.DIT")),
        ({"DET.NDIT": 3, "ndit": {"ndit": 4}}, ("/timesnr/ndit/ndit", "/timesnr/DET.NDIT")),
        ({"SEQ.NEXPO": 3, "SEQ.NEXPORED": 4}, ("/timesnr/SEQ.NEXPORED", "/timesnr/SEQ.NEXPO")),
    ],
)
def test_two_values_for_one_quantity_are_refused(timesnr: dict[str, Any], pointers: tuple[str, str]) -> None:
    with pytest.raises(RequestError) as caught:
        read(json.dumps({"instrumentName": "hawki", "timesnr": timesnr}))
    assert caught.value.details["pointer"] == pointers[0]
    assert f"contradicts {pointers[1]}:" in str(caught.value)


def test_two_names_with_one_value_are_not_refused() -> None:
    timing = read(
        '{"instrumentName": "hawki", "timesnr": {"DET.DIT": 60, "dit": 60.0, "DET.NDIT": 2, "ndit": 2}}'
    ).timing
    assert (timing.dit, timing.count) == (60.0, 2)


def test_the_arms_of_a_spectrograph_have_times_and_counts_of_their_own() -> None:
    blue, red = "DET1.WIN1.UIT1", "DET2.WIN1.UIT1"
    arms = {blue: 10, red: 20, "SEQ.NEXPOBLUE": 1, "SEQ.NEXPORED": 2}
    timing = read(json.dumps({"instrumentName": "uves", "timesnr": arms})).timing
    assert (timing.dit_of(blue), timing.dit_of(red)) == (10.0, 20.0)
    assert (timing.count_of("SEQ.NEXPOBLUE"), timing.count_of("SEQ.NEXPORED")) == (1, 2)
    assert timing.dit_of("DET.DIT") == timing.dit
    solved = read(json.dumps({"instrumentName": "uves", "timesnr": {**arms, "snr": 50}})).timing
    assert solved.count_of("SEQ.NEXPORED") is None


def test_the_words_of_another_simulator_for_stages_become_ours() -> None:
    block = {
        "stages": ["FITS_DARK", "gain"],
        "skip": ["FITS_BFE"],
        "only": ["FITS_STARS"],
        "also": ["FITS_CHARGEINJECTION"],
        "keep": ["FITS_NOISE", "all"],
        "FITS_BIAS": 1,
        "FITS_XTALK": 0,
        "models": {"prnu": {"parameters": {"amplitude": 0.01}}, "zero_point": {"parameters": {"factor": 1}}},
    }
    elvis = read(json.dumps({"instrumentName": "euclid-vis", "elvis": block})).elvis
    assert (elvis.stages, elvis.skip, elvis.only) == (("dark", "gain"), ("brighter_fatter",), ("stars",))
    assert (elvis.also, elvis.keep) == (("charge_injection",), ("shot_noise", "all", "bias"))
    assert set(elvis.models) == {"flat_field", "zero_point"}


def test_two_models_of_one_stage_are_refused() -> None:
    models = {"flat_field": {"parameters": {"amplitude": 0.01}}, "prnu": {"parameters": {"amplitude": 0.02}}}
    with pytest.raises(RequestError) as caught:
        read(json.dumps({"instrumentName": "euclid-vis", "elvis": {"models": models}}))
    assert caught.value.details["pointer"] == "/elvis/models/prnu"
