"""The plan of a night: times, overheads, conditions."""

import json
from datetime import datetime, timedelta

import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.observing import schedule, templates
from elvis_cli.request import parse
from elvis_cli.sky.pointing import observe
from tests.setups import target_in_field

START = datetime(2026, 1, 2, 2, 0)
MOVES = {"SEQ.NEXPO": 2, "SEQ.OFFSET1.LIST": "0 5 0", "DET.DIT": 10, "DET.NDIT": 3}


def test_every_second_is_accounted_for(make, plan):
    exposures = plan([make("HAWKI_img_obs_GenericOffset", MOVES)] * 2, start=START)
    table = templates.load("hawki").overheads({})
    readout = table.readout + 2 * table.integration
    assert [e.shutter for e in exposures] == [30.0] * 12
    assert {e.readout for e in exposures} == {readout}
    assert exposures[0].before == {"preset": table.preset}
    assert exposures[0].start == START + timedelta(seconds=table.preset)
    assert exposures[2].before == {"offset": table.offset}
    assert exposures[4].before == {}  # the third move is 0
    # Between the blocks the telescope goes back and points again.
    assert exposures[6].before == {"offset": table.offset, "preset": table.preset}
    end = exposures[-1].start + timedelta(seconds=30 + readout)
    assert sum(e.wall for e in exposures) == pytest.approx((end - START).total_seconds(), abs=0.01)


def test_a_new_configuration_takes_time(make, plan):
    blocks = [make("METIS_img_lm_obs_GenericOffset", {"INS.FILT1.NAME": f}) for f in ("Lp", "Lp", "Mp")]
    setup = templates.load("metis").overheads({}).setup
    assert [e.before.get("setup", 0.0) for e in plan(blocks, start=START)] == [0.0, 0.0, setup]


def test_an_acquisition_takes_time_and_turns_the_field(make, plan):
    acquisition = {"TEL.ROT.OFFANGLE": 40.0, "TEL.TARG.OFFSETALPHA": 2.0}
    (exposure,) = plan(make("METIS_img_lm_obs_GenericOffset", {}, acquisition), start=START)
    assert exposure.before["acquisition"] > 0
    block = exposure.document["elvis"]
    assert block["pointing"]["position_angle"] == 40.0
    assert target_in_field(exposure.document) != pytest.approx([0, 0], abs=1.0)


def test_without_a_start_the_target_is_high(make, plan):
    exposures = plan(make("HAWKI_img_obs_GenericOffset", {"SEQ.NOFFSET": 30}))
    hours = [e.document["elvis"]["keywords"]["ESO TEL HA"][0] for e in exposures]
    assert hours[0] < 0 < hours[-1]
    assert sum(hours) / len(hours) == pytest.approx(0, abs=1.5)


@pytest.mark.parametrize("ra", ["00:00:00", "12:00:00", "17:45:40", "23:59:59"])
def test_without_a_start_it_is_night(make, plan, ra):
    target = {"name": "T", "ra": ra, "dec": "-29:00:28"}
    exposures = plan(make("HAWKI_img_obs_GenericOffset", {"SEQ.NOFFSET": 30}, target=target))
    assert [one.violations for one in exposures] == [()] * 30
    assert exposures[15].airmass == pytest.approx(1.0, abs=0.02)


def test_without_a_start_it_is_within_its_time_constraints(make, plan):
    window = {"from": "2030-07-01T02:00:00", "to": "2030-07-01T02:10:00"}
    target = {"name": "T", "ra": "17:45:40", "dec": "-29:00:28"}
    (exposure,) = plan(make("HAWKI_img_obs_GenericOffset", target=target, absoluteTimeConstraints=[window]))
    assert exposure.violations == ()
    assert exposure.document["elvis"]["obs"]["start"].startswith("2030-07-01T02:")


def test_the_headers_agree_with_the_plan(make, plan):
    exposure = plan(make("HAWKI_img_obs_GenericOffset", MOVES), start=START + timedelta(hours=2))[3]
    request = parse.read(json.dumps(exposure.document))
    seen = observe(request.elvis, pipeline.configure(request))
    assert seen.start == exposure.start
    assert seen.notes == ()  # airmass of the request and of the geometry agree
    assert request.sky.airmass == exposure.airmass > 1.0


def test_a_calibration_beside_a_target_knows_where_the_telescope_stands(make, plan):
    (exposure,) = plan(make("METIS_spec_lm_cal_rsrf"), start=START + timedelta(hours=2))
    request = parse.read(json.dumps(exposure.document))
    assert request.sky.airmass > 1.0
    assert observe(request.elvis, pipeline.configure(request)).notes == ()
    plan(make("METIS_spec_lm_cal_rsrf"), start=datetime(2026, 6, 20, 4))  # below the horizon, which no lamp minds


def test_a_target_below_the_horizon_is_refused(make, plan):
    with pytest.raises(RequestError, match=r"/target: T stands at an altitude of .*another time \(--start\)"):
        plan(make("HAWKI_img_obs_GenericOffset"), start=datetime(2026, 6, 20, 4))


def test_daylight_and_moon_are_noted(make, plan):
    (day,) = plan(make("HAWKI_img_obs_GenericOffset"), start=datetime(2026, 6, 20, 15))
    assert any("the Sun stands at" in one.text for one in day.violations)
    limits = {"moonDistance": 179, "fli": 0.0}
    (night,) = plan(make("HAWKI_img_obs_GenericOffset", constraints=limits), start=START)
    assert len(night.violations) == 2
    sky = night.document["sky"]
    assert (0.9 < sky["fli"] <= 1.0, 0 < sky["moonDistance"] < 180) == (True, True)  # the full Moon of 3 January 2026


def test_the_drift_is_of_the_seed_and_not_of_the_plan(make, plan):
    def conditions(blocks, **options):
        return [
            (e.start, e.document["elvis"]["atmosphere"]["seeing"], e.document["elvis"]["airglow"])
            for e in plan(blocks, start=START, steady=False, **options)
        ]

    one = make("HAWKI_img_obs_GenericOffset", {"SEQ.NOFFSET": 20})
    drifted = conditions(one, seed=1)
    assert len({seeing for _, seeing, _ in drifted}) > 10
    assert drifted == conditions(one, seed=1)
    assert drifted != conditions(one, seed=2)
    assert drifted == conditions([one, one], seed=1)[:20]
    assert all(0.3 < seeing < 2.0 and 0.6 < glow < 1.6 for _, seeing, glow in drifted)
    assert "atmosphere" not in plan(one, start=START)[0].document["elvis"]


def test_a_patch_lies_under_the_block(make, plan):
    patch = {
        "target": {"brightness": {"magband": "K", "mag": 11}},
        "elvis": {"window": {"x0": 0, "y0": 0, "nx": 9, "ny": 9}},
        "instrument": {"INS.FILT.NAME": "J"},
        "timesnr": {"DET.DIT": 3},
    }
    one = make("HAWKI_img_obs_GenericOffset", {"INS.FILT.NAME": "H"}, elvis={"target": {"brightness": {"mag": 12}}})
    (exposure,) = plan(one, request=patch)
    document = exposure.document
    assert document["target"]["brightness"] == {"brightnesstype": "mag", "magband": "K", "mag": 12, "magsys": "vega"}
    assert document["instrument"]["INS.FILT.NAME"] == "H"
    assert (document["timesnr"]["DET.DIT"], document["elvis"]["window"]["nx"]) == (3, 9)


def test_a_catalogue_moves_with_the_sky(make, plan):
    import json

    from elvis_cli.request import parse
    from elvis_cli.scene import library

    patch = {"elvis": {"catalogue": {"x": [1.0], "y": [2.0], "mag": [15.0]}}}
    places = []
    for exposure in plan(make("HAWKI_img_obs_GenericOffset", {"SEQ.OFFSET1.LIST": "0 5"}, elvis=patch)):
        request = parse.read(json.dumps(exposure.document))
        x, y = library.places(request, request.elvis.catalogue)
        places.append((float(x[0]), float(y[0])))
    assert places[0] == pytest.approx((1.0, 2.0), abs=1e-4)
    assert places[1] == pytest.approx((6.0, 2.0), abs=1e-4)  # East of the target by less: the star moves West


def test_a_catalogue_on_the_sky_needs_no_pointing_and_a_calibration_no_catalogue(make, plan):
    patch = {"elvis": {"catalogue": {"ra": [75.0, 75.001], "dec": [-30.0, -30.001], "mag": [15.0, 16.0]}}}
    exposures = plan(make("HAWKI_img_obs_GenericOffset", {"SEQ.OFFSET1.LIST": "0 5"}, elvis=patch))
    blocks = [exposure.document["elvis"] for exposure in exposures]
    assert [block["catalogue"]["ra"] for block in blocks] == [[75.0, 75.001]] * 2
    assert blocks[0]["pointing"] != blocks[1]["pointing"]
    (dark,) = plan(make("HAWKI_img_cal_Darks", {"SEQ.NEXPO": 1}, elvis=patch))
    assert "catalogue" not in dark.document["elvis"]


@pytest.mark.parametrize("change", ["rotation", "rate"])
def test_a_catalogue_stays_on_the_sky_while_the_field_turns_or_the_target_moves(make, plan, change):
    import math

    import numpy as np

    patch = {"elvis": {"catalogue": {"x": [3.0], "y": [0.0], "mag": [15.0]}}}
    turn = {"SEQ.OFFSET.POSANG.LIST": "0 90"} if change == "rotation" else {"SEQ.NOFFSET": 2, "DET.DIT": 100}
    one = make("HAWKI_img_obs_GenericOffset", turn, elvis=patch)
    one["target"]["differentialDec"] = 0.01 if change == "rate" else 0.0
    first, second = plan(one)
    blocks = [e.document["elvis"] for e in (first, second)]
    assert blocks[0]["catalogue"] == blocks[1]["catalogue"]
    ra, dec = (blocks[0]["catalogue"][key][0] for key in ("ra", "dec"))
    assert dec == pytest.approx(-30.0, abs=1e-6)
    assert (ra - 75.0) * math.cos(math.radians(30)) * 3600 == pytest.approx(-3.0, abs=1e-3)  # +x is West
    if change == "rate":
        moved = (blocks[1]["pointing"]["dec"] - blocks[0]["pointing"]["dec"]) * 3600
        assert moved == pytest.approx(0.01 * (second.start - first.start).total_seconds(), abs=1e-4)
        assert np.hypot(*target_in_field(second.document)) < 1e-4


def test_too_long_a_plan(make, plan):
    block = make("HAWKI_img_obs_GenericOffset", {"DET.DIT": 1e5, "DET.NDIT": 1000})
    with pytest.raises(RequestError, match=r"more than 366 days|cannot be|altitude"):
        plan([block] * 9, start=START)


def test_the_schedule_is_a_table(make, plan):
    exposures = plan(make("HAWKI_img_obs_GenericOffset", MOVES), start=START)
    row = dict(zip(schedule.COLUMNS, schedule.row(exposures[0]), strict=True))
    assert row["start (UTC)"] == "2026-01-02T02:06:00"
    assert row["template"] == "HAWKI_img_obs_GenericOffset 1/6"
    assert row["overheads s"].startswith("preset 360, readout ")
    assert "6 exposures" in schedule.summary([], exposures)


def test_stars_trail_where_the_telescope_follows_the_target(make, plan):
    import json

    import numpy as np

    from elvis_cli import pipeline
    from elvis_cli.request import parse

    patch = {"elvis": {"catalogue": {"x": [4.0], "y": [0.0], "mag": [15.0]}}}
    one = make("HAWKI_img_obs_GenericOffset", {"DET.DIT": 100, "DET.NDIT": 1}, elvis=patch)
    one["target"]["differentialDec"] = 0.01  # 1 arcsec in the exposure
    (exposure,) = plan(one)
    scene = pipeline.prepare(parse.read(json.dumps(exposure.document))).renderer.scene
    target, star = scene.sources.name == "target", scene.sources.name == "star"
    assert (target.sum(), star.sum()) == (1, 1)
    trail = scene.x > 2.0
    assert np.ptp(scene.y[~trail]) == 0.0
    assert np.ptp(scene.y[trail]) == pytest.approx(1.0, abs=0.06)
    assert scene.y[trail].mean() == pytest.approx(float(scene.sources.y[star][0]), abs=1e-6)


def test_the_header_has_the_airmass_at_both_ends(make, plan):
    import json

    from elvis_cli import pipeline
    from elvis_cli.product import header
    from elvis_cli.request import parse

    (exposure,) = plan(
        make("HAWKI_img_obs_GenericOffset", {"DET.DIT": 600, "DET.NDIT": 3}), start=START + timedelta(hours=2)
    )
    request = parse.read(json.dumps(exposure.document))
    setup = pipeline.configure(request)

    class Nothing:
        count = 3

        def cards(self):
            return []

    top = {key: value for key, value, _ in header.primary(request, setup, Nothing(), observe(request.elvis, setup))}
    start, end = top["ESO TEL AIRM START"], top["ESO TEL AIRM END"]
    assert start < exposure.airmass < end  # it sets
    assert exposure.airmass == pytest.approx((start + end) / 2, rel=0.01)
