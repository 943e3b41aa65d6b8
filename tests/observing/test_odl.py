"""The Keck Observing Description Language: round trips, defaults, defects of the original that must not come back."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.observing import (
    alignment,
    block,
    detector_config,
    instrument_config,
    load,
    odl,
    offset,
    pattern,
    target,
    yaml_text,
)
from elvis_cli.observing.detector_config import IRDetectorConfig, VisibleDetectorConfig
from elvis_cli.observing.frames import InstrumentFrame, SkyFrame
from elvis_cli.observing.offset import TelescopeOffset, TelescopePosition

NIGHT = (Path(__file__).parent / "night.yaml").read_text()


def blocks(text=NIGHT):
    return odl.read(yaml_text.parse(text), load.patterns)


def test_a_document_names_its_parts():
    first, second = blocks()
    assert (first.type, first.target.name, first.pattern.name, first.pattern.repeat) == (
        "Science",
        "HL Tau",
        "StarSky",
        2,
    )
    assert first.instconfig.keys == {"INS.FILT2.NAME": "Ks"}
    assert isinstance(first.detconfig[0], IRDetectorConfig)
    assert isinstance(second.detconfig[0], VisibleDetectorConfig)
    assert second.programme == "2026B_U001"
    assert first.align.kind == "Guider"
    assert first.guidestar.mag == {"R": 11.0}


@pytest.mark.parametrize("way", ["yaml", "json"])
def test_blocks_go_round(way):
    made = blocks()
    document = odl.document(made)
    text = odl.to_yaml(document) if way == "yaml" else json.dumps(document)
    again = odl.read(yaml_text.parse(text), load.patterns)
    assert again == made
    assert odl.document(again) == document


@pytest.mark.parametrize(
    "kind", ["CDS", "MCDS16", "UTR", "UTR:8", "SINGLE"]
)  # CDS failed its own validation, bad modes raised NameError
def test_infrared_read_out_modes(kind):
    config = IRDetectorConfig("nires", "", 120.0, 2, kind, coadds=3)
    assert detector_config.from_dict(config.to_dict(), "") == config
    assert config.name == f"nires 120s ({kind}, 3 coadds) x2"


@pytest.mark.parametrize("mode", ["MCDS0", "MCDS33", "MCDS", "bad"])
def test_bad_read_out_modes_are_refused(mode):
    with pytest.raises(RequestError, match=r"/readoutmode: .*is not a read-out mode; allowed: CDS"):
        detector_config.from_dict({"exptime": 1, "coadds": 1, "readoutmode": mode}, "")


def test_coadds_count_in_the_time():
    config = IRDetectorConfig(exptime=10.0, nexp=4, coadds=3)
    assert config.shutter_time() == 120.0
    assert config.clock_time(5.0) == 140.0


def test_time_of_a_ccd():
    config = VisibleDetectorConfig(exptime=300.0, nexp=2, readoutmode="slow", ampmode="dual")
    assert config.clock_time(170.0) == 940.0  # KCWI's slow read-out by two amplifiers
    assert config.match_time(1000.0, 170.0) == 330.0
    assert config.match_time(100.0, 170.0) == 0.0


def test_names_of_patterns_do_not_grow():
    made = pattern.from_dict({"name": "Stare", "repeat": 3}, "")
    again = pattern.from_dict(pattern.from_dict(made.to_dict(), "").to_dict(), "")
    assert (again.name, again.repeat, again.label) == ("Stare", 3, "Stare x3")


def test_frames_of_a_name_of_their_own_are_read():
    own = TelescopeOffset(1, 2, frame=InstrumentFrame("MOSFIRE Slit", 0.18, -3.5), posname="A", unit="pixel")
    assert offset.from_dict(own.to_dict(), "") == own
    assert own.arcsec() == (0.18, 0.36)


def test_a_block_of_any_kind_of_part_is_a_block():
    made = blocks()[0]
    assert block.from_dict(made.to_dict(), "") == made


@pytest.mark.parametrize("kind", ["Guider", "Mask", "Blind"])
def test_alignments_go_round(kind):
    made = alignment.from_dict({"type": kind, "detconfig": {"exptime": 5, "nexp": 2}, "takesky": True}, "")
    assert alignment.from_dict(made.to_dict(), "") == made
    assert made.bright
    assert made.exposures() == 20.0


def test_configurations_go_round():
    made = instrument_config.from_dict({"instrument": "metis", "mode": "img_lm_scao", "keys": {"a": 1}}, "")
    assert instrument_config.from_dict(made.to_dict(), "") == made


def test_the_header_of_a_block_tells_of_all_its_parts():
    cards = blocks()[0].header()
    assert {"TNAME", "TRA", "TRMAG"} - set(cards) == {"TRMAG"}
    assert cards["OPNAME"] == "StarSky"
    assert (cards["OPLENGTH"], cards["OP02NAME"], cards["OP02GUID"]) == (2, "sky", False)
    assert (cards["ICINST"], cards["DCEXPT"], cards["DCCOADDS"]) == ("micado", 30.0, 2)
    assert all(len(key) <= 8 for key in cards)


@pytest.mark.parametrize(
    ("name", "number"), [("Stare", 1), ("StarSky", 2), ("SkyStar", 2), ("StarSkyStar", 3), ("Box5", 5), ("ABBA", 4)]
)
def test_patterns_have_their_places(name, number):
    made = pattern.from_dict(name, "")
    assert len(made.offsets) == number
    skies = [one for one in made.offsets if one.posname == "sky"]
    assert all((one.dx, one.dy, one.guide) == (10.0, 10.0, False) for one in skies)
    assert len(skies) == name.count("Sky")


def test_a_mosaic_is_centred_and_goes_to_and_fro():
    made = pattern.from_dict({"name": "Mosaic", "nx": 3, "ny": 2, "dx": 10, "dy": 20}, "")
    places = [(one.dx, one.dy) for one in made.offsets]
    assert places == [(-10, -10), (0, -10), (10, -10), (10, 10), (0, 10), (-10, 10)]
    assert not any(one.relative for one in made.offsets)


def test_abba_nods_about_the_target():
    assert [one.dy for one in pattern.from_dict({"name": "ABBA", "throw": 2.5}, "").offsets] == [
        1.25,
        -1.25,
        -1.25,
        1.25,
    ]


def test_relative_offsets_sum_and_absolute_ones_do_not():
    step = TelescopeOffset(3.0, 4.0, 5.0, relative=True)
    place = TelescopePosition().after(step, 0.0).after(step, 0.0)
    assert (place.east, place.north, place.rotation) == (6.0, 8.0, 10.0)
    assert place.after(dataclasses.replace(step, relative=False), 0.0) == TelescopePosition(3.0, 4.0, 5.0)


def test_a_sky_frame_may_be_turned():
    east, north = SkyFrame(angle=90.0).offset(0.0, 10.0, 37.0)
    assert (east, north) == pytest.approx((10.0, 0.0), abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "nobody"}, "/ObservingBlocks/0/target: 'nobody' is not a valid choice"),
        ({"target": [1, 2]}, "/target: 2 are given; allowed: one"),
        ({"pattern": None}, "/pattern: is missing"),
        ({"pattern": "Star"}, "/pattern/name: 'Star' is not a valid choice"),
        ({"detconfig": []}, "/detconfig: is missing"),
        ({"instconfig": None}, "/instconfig: is missing"),
        ({"type": "Sience"}, "/type: 'Sience' is not a valid choice.*did you mean 'Science'"),
        ({"target": None}, "/target: is missing: a block of the type Science"),
        ({"detector": 1}, "/detector: is not a known key.*did you mean 'detconfig'"),
        (
            {"pattern": {"offsets": [{"frame": "SkyFrame"}, {"frame": "InstrumentFrame"}]}},
            "mixes InstrumentFrame and Sky",
        ),
        ({"pattern": {"offsets": [{"frame": "Sky"}]}}, "/offsets/0/frame/class: 'Sky' is not a valid choice"),
        ({"detconfig": [{"exptime": -1}]}, "/detconfig/0/exptime: -1 is out of range"),
        ({"detconfig": [{"exptime": 1, "coadds": 0}]}, "/detconfig/0/coadds"),
        ({"detconfig": [{"exptime": 1, "window": "1:2"}]}, "/detconfig/0/window"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    document = yaml.safe_load(NIGHT)
    place = next(part for part in document if "ObservingBlocks" in part)
    place["ObservingBlocks"][0] |= change
    with pytest.raises(RequestError, match=message):
        odl.read(document, load.patterns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML: line 2 column 1"),
        ("a: &x 1\nb: *x", "anchors and aliases cannot be used"),
        ("- 1\n- 2", "must be an object"),
        ("Targets: []\nTarget: 1", "/Target: is not a known key.*'Targets'"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("a: !!timestamp x", "the tag 'tag:yaml.org,2002:timestamp' cannot be used"),
        ("a: !!binary x", "the tag .* cannot be used"),
        ("a: !!set {x}", "the tag .* cannot be used"),
        ("a: ! x", "the tag '!' cannot be used"),
        ("a: !!int x", "not YAML"),
        ("a: !!float ''", "not YAML"),
        ("a: !!bool x", "not YAML"),
        ("a: !!map x", "not YAML"),
        ("[" * 500, "not YAML|nested too deeply"),
        ("- Targets:\n  - {name: T, RA: 1.0, RA: 2.0}", "line 2: 'RA' is given twice"),
    ],
)
def test_texts_that_are_none(text, message):
    with pytest.raises(RequestError, match=message):
        odl.read(yaml_text.parse(text), load.patterns)


@pytest.mark.parametrize("text", ["00:03:20", "-00:01:02", "12:34:56.7", "010", "1:2", "2026-01-01", "1e3", "0x10"])
def test_numbers_to_base_60_and_the_like_stay_texts(text):
    assert yaml_text.parse(f"RA: {text}") == {"RA": text}
    assert yaml_text.parse(odl.to_yaml([{"RA": text}])) == [{"RA": text}]


@pytest.mark.parametrize("value", [200, -3, 0, 0.5, -1.0e-7, 1e300, True, None, "yes", "1.5e3", "00:03:20"])
def test_plain_values_go_round(value):
    assert yaml_text.parse(odl.to_yaml([{"a": value}])) == [{"a": value}]


def test_sexagesimal_coordinates_need_no_quotes():
    text = "Targets: [{name: T, RA: 00:03:20, Dec: -00:01:02}]"
    (found,) = odl.targets(yaml_text.parse(text), load.patterns)
    assert (found.ra, found.dec) == pytest.approx((50 / 60, -62 / 3600))


def test_without_blocks_every_target_gets_one(plan):
    document = {
        "Targets": [{"name": n, "RA": 75.0, "Dec": -30.0, "mag": {"V": 15, "Ks": 13}} for n in "ab"],
        "OffsetPatterns": [{"name": "StarSky"}],
        "InstrumentConfigs": [{"instrument": "micado"}],
        "DetectorConfigs": [{"exptime": 10, "nexp": 2}, {"exptime": 60, "coadds": 2}],
    }
    exposures = plan(document)
    assert len(exposures) == 2 * 2 * 3
    assert [e.type for e in exposures[:6]] == ["OBJECT"] * 3 + ["SKY"] * 3
    times = [e.document["timesnr"] for e in exposures[:3]]
    assert times == [{"DET.DIT": 10, "DET.NDIT": 1}] * 2 + [{"DET.DIT": 60, "DET.NDIT": 2}]
    assert exposures[0].document["target"]["brightness"]["magband"] == "VISTA_Ks"
    assert exposures[0].document["target"]["brightness"]["mag"] == 13


def test_a_plugin_has_patterns_of_its_own(plan):
    document = {
        "Targets": {"name": "a", "RA": 75.0, "Dec": -30.0},
        "OffsetPatterns": {"name": "Quadrants", "repeat": 2},
        "InstrumentConfigs": {"instrument": "hawki"},
        "DetectorConfigs": {"exptime": 10},
    }
    exposures = plan(document)
    assert len(exposures) == 8
    assert exposures[0].document["elvis"]["keywords"]["ESO SEQ POSNAME"][0] == "Q1"


def test_the_types_of_a_block_are_the_types_of_its_files(plan):
    for kind, dpr in (
        ("Science", ("SCIENCE", "OBJECT")),
        ("Telluric", ("CALIB", "STD")),
        ("Focus", ("TECHNICAL", "FOCUS")),
    ):
        document = yaml.safe_load(NIGHT)
        document[-1]["ObservingBlocks"] = [document[-1]["ObservingBlocks"][0] | {"type": kind}]
        template = plan(document)[0].document["elvis"]["template"]
        assert (template["category"], template["type"]) == dpr


@pytest.mark.parametrize(("dark", "kind"), [(True, "dark"), (False, "flat")])
def test_a_calibration_without_target_is_accepted(plan, dark, kind):
    document = {
        "ObservingBlocks": {
            "type": "Calibration", "target": {"name": "DomeFlats"}, "pattern": "Stare",
            "instconfig": {"instrument": "fors"}, "detconfig": {"exptime": 5, "dark": dark},
        }
    }  # fmt: skip
    assert plan(document)[0].document["elvis"]["calibration"] == kind


def test_read_out_and_window_reach_the_request(plan):
    document = yaml.safe_load(NIGHT)
    first, *_, last = plan(document)
    assert first.document["elvis"]["readout"] == "cds"
    assert last.document["elvis"]["window"] == {"x0": 0, "y0": 0, "nx": 500, "ny": 400}
    document[-1]["ObservingBlocks"][0]["detconfig"] = {"exptime": 1, "coadds": 1, "readoutmode": "MCDS16"}
    assert plan(document)[0].document["elvis"]["readout"] == "mcds:16"


def test_what_the_instrument_refuses_is_said_of_its_block(plan):
    document = yaml.safe_load(NIGHT)
    at = next(n for n, part in enumerate(document) if "ObservingBlocks" in part)
    number = len(document[at]["ObservingBlocks"]) - 1
    document[at]["ObservingBlocks"][number]["instconfig"] = {"instrument": "micado", "keys": {"INS.FILT2.NAME": "X"}}
    with pytest.raises(RequestError, match=f"^/{at}/ObservingBlocks/{number}"):
        plan(document)


def test_all_files_of_a_pattern_are_there(plan):
    document = yaml.safe_load(NIGHT)
    exposures = [e for e in plan(document) if e.block == "first"]
    assert len(exposures) == 2 * 2 * 3  # repeat, places, files
    made = blocks()[0]
    assert sum(e.shutter for e in exposures) == made.shutter_time() == 2 * 2 * 3 * 30 * 2
    assert made.wall_time(5.0) == made.shutter_time() + 2 * 2 * 3 * 5


def test_unknown_modes_and_instruments():
    document = yaml.safe_load(NIGHT)
    made = odl.read(document, load.patterns)[0]
    other = dataclasses.replace(made.instconfig, mode="img_3mas")
    with pytest.raises(RequestError, match="/0/instconfig/mode: 'img_3mas' is not a valid choice"):
        load.make_visit(dataclasses.replace(made, instconfig=other), "/0")


def test_an_instrument_without_overheads_cannot_be_planned(plan):
    document = {
        "Targets": {"name": "a", "RA": 75.0, "Dec": -30.0},
        "InstrumentConfigs": {"instrument": "euclid-vis"},
        "DetectorConfigs": {"exptime": 10},
    }
    with pytest.raises(ResourceError, match=r"no templates.toml with overheads"):
        plan(document)


def test_targets_of_a_document():
    assert [one.name for one in load.targets(NIGHT.encode(), load.Language.AUTO)] == ["HL Tau", "M 1"]
    assert target.from_dict({"name": "none"}, "").placed is False
