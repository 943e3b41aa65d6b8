"""The header says what was done, in ESO's words."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from astropy.io import fits as afits

from elvis_cli.model.elvis_block import Pointing
from elvis_cli.product import header
from elvis_cli.sky.pointing import observe


@pytest.fixture
def opened(setup, request_for, written):
    def make(kind="ir", count=3, changes=None, **elvis_block):
        made = setup(kind, **(changes or {}))
        made = replace(made, exposure=replace(made.exposure, count=count))
        return afits.open(io.BytesIO(written(request_for(**elvis_block), made, count=count)))

    return make


@pytest.mark.parametrize(("kind", "ndit", "exptime", "nexp"), [("ir", 7, 420.0, 1), ("ccd", 1, 60.0, 7)])
def test_exptime_is_what_was_summed(opened, kind, ndit, exptime, nexp):
    top = opened(kind, count=7)[0].header
    assert top["EXPTIME"] == top["ESO DET DIT"] * top["ESO DET NDIT"] == exptime
    assert type(top["ESO DET NDIT"]) is int
    assert top["ESO DET NDIT"] == ndit
    assert top["ESO TPL NEXP"] == nexp


def test_times(opened):
    top = opened(date="2026-03-04T05:06:07.089")[0].header
    assert type(top["MJD-OBS"]) is float
    assert top["MJD-OBS"] == pytest.approx(61103 + (5 * 3600 + 6 * 60 + 7.089) / 86400, abs=1e-8)
    assert top["DATE-OBS"] == top["ESO TPL START"] == top["ESO OBS START"] == "2026-03-04T05:06:07.089"
    assert top["ARCFILE"] == "MICADO.2026-03-04T05:06:07.089.fits"
    assert top["DATE"] == "2026-03-04T05:09:07.089"
    assert top["UTC"] == 18367.089
    assert 0 <= top["LST"] < 86400


def test_simulated_beyond_doubt(opened):
    top = opened(seed=42)[0].header
    assert top["SIMUL"] is True
    assert top["ORIGIN"] == "ELVIS"
    assert top["ESO SIM SEED"] == 42
    assert any("SIMULATED DATA" in str(line) for line in top["COMMENT"])


def test_notes_and_warnings_are_kept(opened):
    text = "".join(str(line) for line in opened(pointing=Pointing(0.0, 85.0), date="2026-01-01")[0].header["COMMENT"])
    for note in ("the sky is assumed", "/target/colour: not known", "below the horizon"):
        assert note in text


def test_eso_dictionary(opened):
    top = opened(pointing=Pointing(150.0, -30.5, 25.0))[0].header
    expected = {
        "INSTRUME": "MICADO",
        "TELESCOP": "ELT",
        "RA": 150.0,
        "DEC": -30.5,
        "RADESYS": "ICRS",
        "ESO DPR CATG": "SCIENCE",
        "ESO DPR TECH": "IMAGE",
        "ESO DPR TYPE": "OBJECT",
        "ESO TPL EXPNO": 1,
        "ESO INS MODE": "img_4mas_scao",
        "ESO INS FILT1 NAME": "Ks",
        "ESO INS FILT2 NAME": "open",
        "ESO TEL AIRM START": 1.2,
        "ESO TEL AIRM END": 1.2,
        "ESO TEL AMBI FWHM START": 0.67,
        "ESO TEL GEOELEV": 3046.0,
        "ESO TEL GEOLAT": -24.589,
        "ESO TEL GEOLON": -70.192,
        "ESO TEL TARG ALPHA": 100000.0,
        "ESO TEL TARG DELTA": -303000.0,
        "ESO ADA POSANG": 25.0,
        "ESO SIM SNR": 12.5,
        "ESO SIM PEAK SATUR": False,
        "ESO SIM SKY ELEC": "inf",
    }
    assert {key: top[key] for key in expected} == expected
    assert top["ESO TEL ALT"] == pytest.approx(56.4427, abs=1e-3)


def test_a_full_turn_of_right_ascension_is_none(opened):
    hdus = opened(pointing=Pointing(360.0, -30.5))
    assert (hdus[0].header["RA"], hdus[0].header["ESO TEL TARG ALPHA"], hdus[1].header["CRVAL1"]) == (0.0, 0.0, 0.0)


def test_azimuth_is_counted_from_the_south(opened):
    assert opened()[0].header["ESO TEL AZ"] == 0.0  # on the meridian, South


def test_categories_stand_together(opened):
    words = [key.split()[1] for key in opened()[0].header if key.startswith("ESO ")]
    seen = list(dict.fromkeys(words))
    assert seen == ["DPR", "OBS", "TPL", "DET", "INS", "TEL", "ADA", "SIM"]
    assert words == sorted(words, key=seen.index)


def test_plugin_has_the_last_word(opened):
    own = {"INSTRUME": "TOY", "ESO DPR TECH": ("IMAGE,TOY", "technique"), "HIERARCH ESO INS SHUT ST": True}
    top = opened(changes={"header": own})[0].header
    assert (top["INSTRUME"], top["ESO DPR TECH"], top["ESO INS SHUT ST"]) == ("TOY", "IMAGE,TOY", True)
    assert top["ARCFILE"].startswith("TOY.2026-")
    assert top.comments["INSTRUME"] == "simulated instrument"


def test_chip(opened, setup):
    made = setup()
    binned = replace(made.detector, nx=2048, ny=2048, pixel_mm=0.03, binning=2, row_binning=2)
    chip = opened(changes={"detector": binned})["DET5.IMG"].header
    expected = {
        "ESO DET CHIP NO": 5,
        "ESO DET CHIP NX": 4096,
        "ESO DET CHIP NY": 4096,
        "ESO DET CHIP PSZX": 15.0,
        "ESO DET CHIP GAIN": 2.0,
        "ESO DET OUT1 CONAD": 2.0,
        "ESO DET OUT1 GAIN": 0.5,
        "ESO DET OUT1 RON": 12.0,
        "ESO DET WIN1 STRX": 2017,
        "ESO DET WIN1 STRY": 1001,
        "ESO DET WIN1 NX": 64,
        "ESO DET WIN1 NY": 48,
        "ESO DET WIN1 BINX": 2,
        "ESO DET WIN1 BINY": 2,
        "NAXIS1": 64,
        "NAXIS2": 48,
    }
    assert {key: chip[key] for key in expected} == expected


def test_ccd_chips_are_numbered_in_the_keyword(opened):
    assert opened("ccd")["CHIP2"].header["ESO DET CHIP1 NX"] == 4096


def test_only_eso_keywords_that_fit_are_taken_from_the_request(setup, request_for, prediction):
    made = setup()
    keys = {"INS.A.B": 1, "ins_configuration": "x", "INS." + "A" * 90: 2, "INS.LIST": [1], "DROP TABLE": 3}
    request = replace(request_for(), keys=keys)
    cards = header.primary(request, made, prediction, observe(request.elvis, made))
    assert [name for name, _, comment in cards if comment == "as requested"] == ["ESO INS A B"]


@pytest.mark.parametrize(
    ("value", "text"), [(12.5, "123000.000"), (-0.5, "-003000.000"), (23.9999999999, "240000.000"), (0.0, "000000.000")]
)
def test_sexagesimal(value, text):
    assert header._sexagesimal(value) == text
