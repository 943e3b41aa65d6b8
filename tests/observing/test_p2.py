"""p2's blocks: how many files, what they are called, and what is refused."""

import json
from collections import Counter
from datetime import datetime
from itertools import pairwise

import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import registry
from elvis_cli.observing import templates
from elvis_cli.product import header
from elvis_cli.request import parse
from elvis_cli.sky.pointing import observe
from tests.setups import target_in_field

RULES = {  # METIS's own classification of raw files (EDPS): (TECH, TYPE) -> CATG and class; None = any category
    ("IMAGE,LM", "OBJECT"): ("SCIENCE", "LM_IMAGE_SCI_RAW"),
    ("IMAGE,LM", "SKY"): (None, "LM_IMAGE_SKY_RAW"),
    ("IMAGE,LM", "STD"): ("CALIB", "LM_IMAGE_STD_RAW"),
    ("IMAGE,N", "OBJECT"): ("SCIENCE", "N_IMAGE_SCI_RAW"),
    ("IMAGE,N", "SKY"): (None, "N_IMAGE_SKY_RAW"),
    ("IMAGE,N", "STD"): ("CALIB", "N_IMAGE_STD_RAW"),
    ("LSS,LM", "OBJECT"): ("SCIENCE", "LM_LSS_SCI_RAW"),
    ("LSS,LM", "STD"): ("CALIB", "LM_LSS_STD_RAW"),
    ("LSS,LM", "FLAT,LAMP"): ("CALIB", "LM_LSS_RSRF_RAW"),
    ("LSS,LM", "FLAT,LAMP,PINH"): ("CALIB", "LM_LSS_RSRF_PINH_RAW"),
    ("LSS,LM", "WAVE"): ("CALIB", "LM_LSS_WAVE_RAW"),
    ("LSS,LM", "SLITLOSS"): ("CALIB", "LM_ADC_SLITLOSS_RAW"),
    ("LSS,N", "OBJECT"): ("SCIENCE", "N_LSS_SCI_RAW"),
    ("LSS,N", "STD"): ("CALIB", "N_LSS_STD_RAW"),
    ("LSS,N", "FLAT,LAMP"): ("CALIB", "N_LSS_RSRF_RAW"),
    ("LSS,N", "FLAT,LAMP,PINH"): ("CALIB", "N_LSS_RSRF_PINH_RAW"),
    ("LSS,N", "WAVE"): ("CALIB", "N_LSS_WAVE_RAW"),
    ("LSS,N", "SLITLOSS"): ("CALIB", "N_ADC_SLITLOSS_RAW"),
    ("IFU", "OBJECT"): ("SCIENCE", "IFU_SCI_RAW"),
    ("IFU", "SKY"): ("CALIB", "IFU_SKY_RAW"),
    ("IFU", "STD"): ("CALIB", "IFU_STD_RAW"),
    ("IFU", "RSRF"): ("CALIB", "IFU_RSRF_RAW"),
    ("IFU", "WAVE"): ("CALIB", "IFU_WAVE_RAW"),
    ("IMAGE,LM", "FLAT,LAMP"): ("CALIB", "LM_FLAT_LAMP_RAW"),
    ("IMAGE,N", "FLAT,LAMP"): ("CALIB", "N_FLAT_LAMP_RAW"),
    ("IMAGE,LM", "FLAT,TWILIGHT"): ("CALIB", "LM_FLAT_TWILIGHT_RAW"),
    ("IMAGE,LM", "DISTORTION"): ("CALIB", "LM_DISTORTION_RAW"),
    ("IMAGE,N", "DISTORTION"): ("CALIB", "N_DISTORTION_RAW"),
    ("IFU", "DISTORTION"): ("CALIB", "IFU_DISTORTION_RAW"),
}
ANYWHERE = {"DARK": "DARK_RAW", "DARK,WCUOFF": "WCU_OFF_RAW", "DETLIN": "DETLIN_RAW"}


def classify(top):
    """Return METIS's class of a raw file's primary header, None if no rule takes it."""
    category, kind, tech = (top[f"ESO DPR {name}"] for name in ("CATG", "TYPE", "TECH"))
    if category == "CALIB" and kind in ANYWHERE:
        return ANYWHERE[kind]
    wanted, name = RULES.get((tech, kind), ("", None))
    return name if wanted in (None, category) else None


class Nothing:
    """What the header needs of a prediction; nothing is drawn here."""

    count = 1

    def cards(self):
        return []


def primary(exposure):
    """Return the primary header of a file."""
    request = parse.read(json.dumps(exposure.document))
    setup = pipeline.configure(request)
    cards = header.primary(request, setup, Nothing(), observe(request.elvis, setup))
    return {keyword: value for keyword, value, _ in cards}


FAMILIES = [
    ("METIS_img_lm_obs_GenericOffset", {"SEQ.NEXPO": 2, "SEQ.OFFSET1.LIST": "0 1 1", "SEQ.OBSTYPE.LIST": "O S O"}, 6,
     {"LM_IMAGE_SCI_RAW": 4, "LM_IMAGE_SKY_RAW": 2}),
    ("METIS_img_n_obs_GenericChopNod", {"SEQ.NOFFSET": 2, "SEQ.CHOP.NCYCLES": 3}, 12, {"N_IMAGE_SCI_RAW": 12}),
    ("METIS_img_n_obs_AutoChopNod", {"SEQ.NABCYCLES": 2}, 8, {"N_IMAGE_SCI_RAW": 8}),
    ("METIS_spec_lm_obs_AutoNodOnSlit", {"SEQ.NABCYCLES": 3, "SEQ.NEXPO": 2}, 12, {"LM_LSS_SCI_RAW": 12}),
    ("METIS_spec_n_obs_AutoChopNodOnSlit", {"SEQ.NABCYCLES": 1}, 4, {"N_LSS_SCI_RAW": 4}),
    ("METIS_ifu_obs_GenericOffset", {"SEQ.NOFFSET": 4, "SEQ.OBSTYPE.LIST": ["O", "S"]}, 4,
     {"IFU_SCI_RAW": 2, "IFU_SKY_RAW": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("template", "parameters", "number", "classes"), FAMILIES, ids=[f[0] for f in FAMILIES])
def test_metis_templates_make_files_that_its_pipeline_knows(make, plan, template, parameters, number, classes):
    exposures = plan(make(template, parameters, {}))
    assert len(exposures) == number
    assert Counter(classify(primary(exposure)) for exposure in exposures) == classes


CALIBRATIONS = [
    (name, word)
    for name, template in templates.load("metis").templates.items()
    if template.type == "calib"
    for word in template.modes
]


UNCLASSIFIED = {"METIS_img_lm_cal_ChopperHome", "METIS_pup_lm", "METIS_pup_n"}
"""Raw frames of the pipeline's design without a rule."""


@pytest.mark.parametrize(("name", "word"), CALIBRATIONS)
def test_metis_calibrations_are_classified_too(make, plan, name, word):
    several = len(templates.load("metis").templates[name].modes) > 1
    exposure = plan(make(name, {"INS.MODE": word} if several else {}))[0]
    known = name not in UNCLASSIFIED
    assert (classify(primary(exposure)) is not None) == known


def test_a_file_knows_its_place_in_the_night(make, plan):
    block = make("METIS_img_lm_obs_GenericOffset", {"SEQ.NOFFSET": 3, "SEQ.OFFSET1.LIST": [0, 1, 1]}, {})
    exposures = plan([block, {**block, "obId": 8, "name": "second"}])
    top = primary(exposures[4])
    found = {key: top[f"ESO {key}"] for key in ("OBS ID", "OBS NAME", "OBS PROG ID", "OBS TARG NAME", "OBS TPLNO",
                                                "TPL ID", "TPL NEXP", "TPL EXPNO")}  # fmt: skip
    assert found == {
        "OBS ID": 8, "OBS NAME": "second", "OBS PROG ID": "110.A-0001(B)", "OBS TARG NAME": "T", "OBS TPLNO": 2,
        "TPL ID": "METIS_img_lm_obs_GenericOffset", "TPL NEXP": 3, "TPL EXPNO": 2,
    }  # fmt: skip
    assert top["OBJECT"] == "T"
    assert top["DATE-OBS"] > top["ESO TPL START"] > top["ESO OBS START"]
    starts = [exposure.start for exposure in exposures]
    assert all(a < b for a, b in pairwise(starts))
    assert [exposure.number for exposure in exposures] == [1, 2, 3, 4, 5, 6]
    assert [exposure.document["elvis"]["exposure"] for exposure in exposures] == [1, 2, 3, 4, 5, 6]


def test_chop_and_nod_put_the_star_where_they_should(make, plan):
    parameters = {"SEQ.CHOP.THROW": 3.0, "SEQ.CHOP.POSANG": 90.0, "SEQ.NABCYCLES": 2}
    exposures = plan(make("METIS_img_n_obs_AutoChopNod", parameters, {}))
    places = [target_in_field(exposure.document) for exposure in exposures]
    cards = [exposure.document["elvis"]["keywords"] for exposure in exposures]
    names = ["".join(card[key] for key in ("ESO SEQ NODPOS", "ESO SEQ CHOP POS")) for card in cards]
    assert names == ["AA", "AB", "BA", "BB", "BA", "BB", "AA", "AB"]
    where = {"AA": 0.0, "AB": 3.0, "BA": -3.0, "BB": 0.0}  # +x is West: the chop to the East moves the star West
    for name, (x, y) in zip(names, places, strict=True):
        assert (x, y) == pytest.approx((where[name], 0.0), abs=1e-4)


def test_nods_along_the_slit_go_along_y(make, plan):
    parameters = {"SEQ.NOD.THROW": 4.0, "SEQ.NABCYCLES": 2}
    exposures = plan(make("METIS_spec_lm_obs_AutoNodOnSlit", parameters, {"TEL.ROT.OFFANGLE": 37.0}))
    places = [target_in_field(exposure.document) for exposure in exposures]
    assert places == [pytest.approx([0, y], abs=1e-4) for y in (-2, 2, 2, -2)]


def test_jitter_stays_in_its_box_and_is_the_same_again(make, plan):
    block = make("METIS_img_lm_obs_AutoJitter", {"SEQ.NOFFSET": 20, "SEQ.JITTER.WIDTH": 2.0}, {})
    first, second, other = plan(block, seed=3), plan(block, seed=3), plan(block, seed=4)
    offsets = [target_in_field(exposure.document) for exposure in first]
    assert offsets[0] == pytest.approx([0, 0], abs=1e-4)
    assert 0.3 < max(abs(value) for offset in offsets for value in offset) <= 1.0001
    assert [e.document for e in first] == [e.document for e in second]
    assert [target_in_field(e.document) for e in other] != offsets


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b["templates"][0].update(templateName="METIS_img_lm_obs_GenericOfset"),
         "/templates/0/templateName: .*did you mean 'METIS_img_lm_obs_GenericOffset'"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.NOFSET": 3}),
         "/templates/0/parameters/SEQ.NOFSET: .*no such parameter.*did you mean 'SEQ.NOFFSET'"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.NOFFSET": 2.5}), "not a whole number"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.NOFFSET": 0}), "out of range; allowed: 1 to 2000"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.OFFSET1.LIST": "1 x"}), "LIST/1: 'x' is not a number"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.OBSTYPE.LIST": "O X"}), "LIST/1: 'X' is not a valid"),
        (lambda b: b["templates"][0]["parameters"].update({"SEQ.RETURN": "maybe"}), "wrong type; allowed: T or F"),
        (lambda b: b["templates"][0]["parameters"].update({"INS.FILT1.NAME": "Br_alpa"}), "did you mean 'Br_alpha'"),
        (lambda b: b["templates"][0]["parameters"].update({"DET.DIT": 1e-4}), "cannot be carried out: .*DET.DIT"),
        (lambda b: b["templates"].append({"templateName": "METIS_img_lm_acq"}), "it must be the first"),
        (lambda b: b.pop("templates"), "/templates: is missing"),
        (lambda b: b.pop("target"), "/target: is missing"),
        (lambda b: b["target"].update(ra="99:00:00"), "/target/ra"),
        (lambda b: b["target"].update(dec="-30:00"), None),
        (lambda b: b.update(elvis={"elvis": {"date": "2026-01-01"}}), "/elvis/date: follows from the block"),
        (lambda b: b["templates"].append({"templateName": "MICADO_img_obs_AutoJitter"}), "/templates/1/templateName"),
        (lambda b: b["target"].update(dec="+80:00:00"), "stands at an altitude"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_the_nearest(make, plan, change, message):
    block = make("METIS_img_lm_obs_GenericOffset", {"DET.DIT": 0.2})
    change(block)
    if message is None:
        assert plan(block)
        return
    with pytest.raises(RequestError, match=message):
        plan(block)


def test_an_unknown_instrument(make, plan):
    with pytest.raises(RequestError, match="not a valid choice"):
        plan(make("SPHERE_img_obs"))
    with pytest.raises(ResourceError, match="no instrument 'sphere'"):
        plan(make("METIS_img_lm_obs_AutoJitter", instrument="SPHERE"))


@pytest.mark.parametrize("shape", ["bare", "lines", "folder", "list of parameters"])
def test_all_shapes_of_p2_are_read(make, plan, shape):
    one = make("METIS_img_lm_obs_GenericOffset", {"SEQ.NEXPO": 2})
    many = [one, {**one, "name": "b"}]
    text = json.dumps(one)
    if shape == "lines":
        text = "\n".join(map(json.dumps, many))
    elif shape == "folder":
        tree = {"itemType": "Folder", "name": "f", "children": [{"itemType": "Group", "children": many}, one]}
        text = json.dumps({**tree, "elvis": {"elvis": {"seed": 5}}})
    elif shape == "list of parameters":
        parameters = [{"name": "SEQ.NEXPO", "type": "integer", "value": 2}, {"name": "SEQ.NOFFSET", "value": None}]
        one["templates"][0]["parameters"] = parameters
        text = json.dumps(one)
    exposures = plan(text)
    assert len(exposures) == {"bare": 2, "lines": 4, "folder": 6, "list of parameters": 2}[shape]
    if shape == "folder":
        assert {e.document["elvis"]["seed"] for e in exposures} == {5}


def test_constraints_become_conditions_and_broken_ones_notes(make, plan):
    block = make(
        "METIS_img_lm_obs_GenericOffset", {}, constraints={"airmass": 1.0001, "atm": "20%", "waterVapour": 1.5}
    )
    exposure = plan(block)[0]
    assert exposure.document["seeing"]["turbulence_category"] == 20
    assert exposure.document["sky"]["waterVapour"] == 1.5
    assert any("airmass" in one.text and "constraint is 1.0001" in one.text for one in exposure.violations)


@pytest.mark.parametrize(
    ("key", "begin", "end", "kept"),
    [
        ("absoluteTimeConstraints", "2026-01-01T00:00", "2026-01-02T00:00", True),
        ("ATCs", "2026-01-01T04:01:00", "2026-01-02T00:00", False),
        ("siderealTimeConstraints", "05:00", "07:00", True),
        ("STCs", "23:00", "07:00", True),
        ("STCs", "07:00", "23:00:00", False),
    ],
)
def test_time_constraints_are_of_the_start_of_a_block(make, plan, key, begin, end, kept):
    block = make("METIS_img_lm_obs_GenericOffset", {"SEQ.NEXPO": 2}, {}, **{key: [{"from": begin, "to": end}]})
    exposures = plan(block, start=datetime(2026, 1, 1, 4))  # 6.0 h sidereal time
    assert [len(one.violations) for one in exposures] == [int(not kept), 0]


def test_a_calibration_block_needs_no_target(make, plan):
    block = make("METIS_gen_cal_dark", {"INS.MODE": "IMG_LM", "SEQ.NEXPO": 3}, itemType="CB")
    del block["target"]
    exposures = plan(block)
    assert len(exposures) == 3
    assert exposures[0].airmass is None
    assert exposures[0].before == {}


@pytest.mark.parametrize("instrument", [name for name in registry.names() if templates.load(name).templates])
def test_every_template_of_every_instrument_makes_requests_that_are_read(make, plan, instrument):
    signatures = templates.load(instrument)
    modes = {info.mode for info in registry.load(instrument).modes()}
    for name, template in signatures.templates.items():
        for word, mode in template.modes.items():
            assert mode in modes
            exposures = plan(make(name, {"INS.MODE": word} if len(template.modes) > 1 else {}))
            assert (len(exposures) > 0) == (template.type != "acquisition")
            for exposure in exposures:
                parse.read(json.dumps(exposure.document), strict=True)
            assert len({e.document["timesnr"].get("SEQ.NEXPO", 1) for e in exposures} - {1}) == 0


@pytest.mark.parametrize("instrument", [name for name in registry.names() if templates.load(name).templates])
def test_overheads_have_sources(instrument):
    table = templates.load(instrument).tree["overheads"]
    assert all(one["source"] and one["unit"] == "s" for key, one in table.items() if key != "by")


def test_ccd_read_outs_differ(make, plan):
    fast, slow = (
        plan(make("FORS2_img_obs_crsplit", {"DET.READ.CLKIND": mode}))[0].readout
        for mode in ("200kHz,2x2,low", "200kHz,1x1,low")
    )
    assert (fast, slow) == (23.0, 59.0)
