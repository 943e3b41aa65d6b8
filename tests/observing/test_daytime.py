"""Calibrations of a night."""

import copy
import io
import json
from collections import Counter

import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.observing import daytime, load, plan, templates
from elvis_cli.observing.languages import Language
from elvis_cli.observing.plan import Options
from elvis_cli.request import parse


def calibrated(document, number=2):
    visits = load.read(json.dumps(document).encode(), Language.AUTO, 0)
    made, notes = daytime.calibrations(visits, number, {})
    return list(plan.plan([*visits, *made], Options(steady=True))), notes


def test_each_configuration_gets_its_own(make):
    lp, mp = (make("METIS_img_lm_obs_GenericOffset", {"INS.FILT1.NAME": f, "DET.DIT": 0.1}) for f in ("Lp", "Mp"))
    exposures, notes = calibrated([lp, mp, lp])
    assert notes == []
    kinds = [(e.document["elvis"].get("calibration"), e.document["instrument"]["INS.FILT1.NAME"]) for e in exposures]
    flats = Counter(name for kind, name in kinds if kind == "flat")
    assert flats == {"Lp": 2, "Mp": 2}
    assert sum(kind == "dark" for kind, _ in kinds) == 2  # of one integration time, whatever the filter
    assert [kind for kind, _ in kinds[:3]] == [None] * 3
    for exposure in exposures[3:]:
        request = parse.read(json.dumps(exposure.document), strict=True)
        assert request.timing.dit == 0.1 or request.elvis.calibration == "detlin"
        assert exposure.airmass is None


def test_linearity_frames_are_a_ramp_taken_once(make):
    lp, mp = (make("METIS_img_lm_obs_GenericOffset", {"INS.FILT1.NAME": f, "DET.DIT": 0.1}) for f in ("Lp", "Mp"))
    exposures, _ = calibrated([lp, mp])
    ramp = [e.document["timesnr"] for e in exposures if e.document["elvis"].get("calibration") == "detlin"]
    times = [each["DET.DIT"] for each in ramp]
    assert times == sorted(set(times))
    assert len(times) >= 4
    assert times[-1] / times[0] > 3


def test_other_times_need_other_darks(make):
    short, long = (make("METIS_img_lm_obs_GenericOffset", {"DET.DIT": dit}) for dit in (0.1, 0.2))
    exposures, _ = calibrated([short, long])
    darks = [e.document["timesnr"]["DET.DIT"] for e in exposures if e.document["elvis"].get("calibration") == "dark"]
    assert darks == [0.1, 0.1, 0.2, 0.2]


def test_what_cannot_be_taken_is_noted(make):
    exposures, notes = calibrated(make("METIS_ifu_obs_GenericOffset", {"INS.WLEN.CEN": 4.0}))
    assert any("METIS_ifu_cal_InternalWave is left out" in note and "no line" in note for note in notes)
    assert {e.document["elvis"].get("calibration") for e in exposures} == {None, "dark", "flat", "detlin"}


def test_an_odl_block_has_calibrations_too():
    document = {
        "Targets": {"name": "a", "RA": 75.0, "Dec": -30.0},
        "InstrumentConfigs": {"instrument": "fors"},
        "DetectorConfigs": {"exptime": 33},
    }
    exposures, _ = calibrated(document, 1)
    kinds = Counter(e.document["elvis"].get("calibration") for e in exposures)
    assert {kind: count for kind, count in kinds.items() if kind != "detlin"} == {None: 1, "bias": 1, "flat": 1}
    assert kinds["detlin"] >= 4


@pytest.mark.parametrize("instrument", [name for name in registry.names() if templates.load(name).templates])
def test_every_mode_that_a_block_can_have_has_calibrations(instrument):
    for template in templates.load(instrument).templates.values():
        for mode in template.modes.values() if template.type == "science" else ():
            kinds = {kind for kind, _ in daytime._templates(instrument, mode)}
            spectra = registry.load(instrument).example(mode)
            assert kinds & {"dark", "bias"}, mode
            if pipeline.configure(parse.read(json.dumps(spectra))).spectrograph is not None:
                assert kinds >= {"flat", "arc"}, mode


@pytest.mark.parametrize("template", ["METIS_img_lm_cal_DetLin", "METIS_img_n_cal_DetLin", "METIS_ifu_cal_DetLin"])
def test_the_ramp_of_a_linearity_template_has_pairs_with_the_lamp_on_off_and_closed(make, template):
    visits = load.read(json.dumps(make(template, {"SEQ.DIT.FACTORS": [1.0, 1.5]})).encode(), Language.AUTO, 0)
    ramp = [
        (request.timing.dit, request.elvis.calibration)
        for exposure in plan.plan(visits, Options(steady=True))
        for request in [parse.read(json.dumps(exposure.document), strict=True)]
    ]
    short, long = ramp[0][0], ramp[6][0]
    assert long == pytest.approx(1.5 * short)
    assert ramp == [(t, kind) for t in (short, long) for kind in ("detlin", "detlin", "off", "off", "dark", "dark")]


def test_the_darks_of_a_linearity_ramp_are_of_its_class_with_the_filter_closed(make):
    visits = load.read(
        json.dumps(make("METIS_img_lm_cal_DetLin", {"SEQ.DIT.FACTORS": [1.0]})).encode(), Language.AUTO, 0
    )
    for exposure in plan.plan(visits, Options(steady=True)):
        document = copy.deepcopy(exposure.document)
        document["elvis"]["window"] = {"x0": 0, "y0": 0, "nx": 16, "ny": 16}
        request, out = parse.read(json.dumps(document)), io.BytesIO()
        pipeline.render(request, out)
        header = fits.getheader(io.BytesIO(out.getvalue()))
        kind = request.elvis.calibration
        assert header["ESO DPR TYPE"] == ("DARK,WCUOFF" if kind == "off" else "DETLIN")
        assert (header["ESO DRS FILTER"] == "closed") == (kind == "dark")
        assert isinstance(header["ESO DET DIT"], float)


def test_calibrations_count_among_the_files_of_a_night(make, elvis, monkeypatch):
    """A thousand million of them kept a processor busy for ever."""
    lp = make("METIS_img_lm_obs_GenericOffset", {"INS.FILT1.NAME": "Lp", "DET.DIT": 0.1})
    monkeypatch.setattr(daytime, "MAX_FILES", 10)
    with pytest.raises(RequestError, match="too many files"):
        calibrated([lp], 9)
    result = elvis("ob", "--calibrations", "1000000000", stdin=json.dumps(lp))
    assert (result.code, result.out) == (2, b"")
