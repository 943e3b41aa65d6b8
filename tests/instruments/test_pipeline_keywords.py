"""Headers hold the keywords by which the observatory's own pipelines classify, group and measure frames.

References: ESO's hawki.oca and recipes (hawki 2.4.11); workflows and keywords.py of AstarVienna/METIS_Pipeline;
crires_classification.py, crires_rules.py and cr2res_pfits.c of ivh/cr2rep; public scripts for ERIS.
"""

import csv
import json
from pathlib import Path

import elvis_instruments
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.product import header
from elvis_cli.product.quadrants import split
from elvis_cli.request import parse
from elvis_cli.sky.pointing import observe
from tests.each import each

SETTINGS = Path(elvis_instruments.__path__[0]) / "_build" / "crires2_settings.csv"
LONG_WORDS_OF_ESO = {"NDSAMPLES"}


def written(name, mode=None, keys=None, **elvis):
    """Return the cards of the primary header and of each chip's, without a pixel rendered."""
    document = registry.load(name).example(mode)
    document["instrument"] |= keys or {}
    document["elvis"] = elvis
    ready = pipeline.prepare(parse.read(json.dumps(document)))
    at = observe(ready.request.elvis, ready.setup)
    top = {keyword: value for keyword, value, _ in header.primary(ready.request, ready.setup, ready.prediction, at)}
    chips = []
    for number in ready.setup.frame.chips:
        chip, window = ready.setup.detector.chip(number), ready.setup.frame.window
        for part in split(ready.setup, chip, np.empty((window.ny, window.nx), np.float32)):
            cards = header.extension(ready.request, ready.setup, chip, part, at)
            chips.append({keyword: value for keyword, value, _ in cards})
    return top, chips


@each(("name", "mode"), [(name, info.mode) for name in registry.names() for info in registry.load(name).modes()])
def test_no_word_of_a_mode_s_keywords_is_longer_than_eight_letters(name, mode):
    setup = pipeline.configure(parse.read(json.dumps(registry.load(name).example(mode))))
    check_words(
        [*setup.header, *setup.repeated_cards, *(key for chip in setup.detector.chips for key, _ in chip.header)]
    )


@pytest.mark.parametrize("name", ["crires2", "fors", "hawki"])
def test_no_word_of_any_keyword_is_longer_than_eight_letters(name):
    top, chips = written(name)
    check_words([*top, *chips[0]])


def check_words(keywords):
    words = {word for keyword in keywords for word in keyword.split()} - LONG_WORDS_OF_ESO
    assert [word for word in words if len(word) > 8] == []
    assert all(len(keyword.split()) > 2 for keyword in keywords if keyword.startswith("ESO "))


# ---- HAWK-I


def test_hawki_names_its_wheels_and_reads():
    top, _ = written("hawki", keys={"INS.FILT.NAME": "J"})
    wheels = {top["ESO INS FILT1 NAME"], top["ESO INS FILT2 NAME"]}
    assert wheels == {"J", "OPEN"}
    assert top["ESO DET NDSAMPLES"] == 2


@pytest.mark.parametrize("asked", [{}, {"chips": "all"}, {"chips": [1, 2, 3, 4]}, {"chips": [4, 3, 2, 1]}])
def test_hawki_has_its_extensions_in_the_order_1_2_4_3(asked):
    _, chips = written("hawki", **asked)
    assert [chip["EXTNAME"] for chip in chips] == [f"CHIP{n}.INT1" for n in (1, 2, 4, 3)]


def test_hawki_points_into_its_gap():
    """The reference pixels of the manual (VLT-MAN-ESO-14800-3486 issue 96, appendix C)."""
    top, chips = written("hawki", pointing={"ra": 150.0, "dec": -30.0, "position_angle": 0.0})
    for chip, expected in zip(chips, [(2163, 2164), (-37.5, 2161.5), (2158, -25.5), (-42, -28)], strict=True):
        assert (chip["CRPIX1"], chip["CRPIX2"]) == pytest.approx(expected, abs=3.0)
        assert (chip["CRVAL1"], chip["CRVAL2"]) == (top["RA"], top["DEC"])
    west, north = (150.0 - top["RA"]) * np.cos(np.radians(30.0)) * 3600, (top["DEC"] + 30.0) * 3600
    assert (west, north) == pytest.approx((38.0, 38.0), abs=0.01)  # the target is on chip 1
    assert top["ESO TEL TARG ALPHA"] == 100000.0


@pytest.mark.parametrize("angle", [0.0, 70.0])
@pytest.mark.parametrize("dec", [-30.0, 60.0])
def test_the_wcs_of_hawki_knows_its_distortion(dec, angle):
    document = registry.load("hawki").example()
    setup = pipeline.configure(parse.read(json.dumps(document)))
    assert setup.optics.distortion == pytest.approx(400 / 206264.8**2, rel=1e-3)
    _, chips = written("hawki", pointing={"ra": 150.0, "dec": dec, "position_angle": angle})
    corner, axis = setup.detector.chip(3), setup.optics.axis
    assert np.hypot(*np.subtract(field_to_pixel(setup, corner, 250.0, 250.0), _straight(setup, corner))) > 2.0
    for number, cards in zip((1, 2, 4, 3), chips, strict=True):
        wcs = WCS(fits.Header([(key, value) for key, value in cards.items() if not key.startswith("ESO")]))
        for x, y in ((0.0, 0.0), (2047.0, 0.0), (1000.0, 1900.0), (2047.0, 2047.0)):
            field = pixel_to_field(setup, setup.detector.chip(number), x, y)
            ra, dec_ = deproject(*field_to_sky(*field, angle), 150.0, dec)
            assert wcs.wcs_world2pix([[ra, dec_]], 0)[0] == pytest.approx((x, y), abs=2e-3)
    assert axis == (38.0, 38.0)


def _straight(setup, chip):
    """Return where (250, 250) arcsec would be without distortion."""
    x, y = setup.optics.axis
    near = np.array(field_to_pixel(setup, chip, x, y))
    right, up = (np.array(field_to_pixel(setup, chip, x + dx, y + dy)) for dx, dy in ((1.0, 0.0), (0.0, 1.0)))
    return near + (right - near) * (250.0 - x) + (up - near) * (250.0 - y)


def test_a_twilight_fades_from_file_to_file():
    def level(**elvis):
        document = registry.load("hawki").example()
        document["timesnr"]["DET.NDIT"] = 1
        document["elvis"] = {"calibration": "twilight", **elvis}
        return pipeline.configure(parse.read(json.dumps(document))).calibration.fill

    first, second, third = (level(exposure=n) for n in (1, 2, 3))
    assert second / first == third / second == pytest.approx(np.exp(-10.0 / 283.0))
    template = {"id": "T", "name": "T", "start": "2026-01-01T23:00:00", "nexp": 3, "expno": 3}
    late = level(exposure=3, date="2026-01-01T23:04:43", template=template)
    assert late / first == pytest.approx(np.exp(-1.0))
    assert level(exposure=3, lamp=0.3) == 0.3  # an explicit level holds for all files


def test_a_twilight_flat_of_hawki_is_a_flat():
    top, _ = written("hawki", calibration="twilight")
    assert [top[f"ESO DPR {word}"] for word in ("CATG", "TYPE", "TECH")] == ["CALIB", "FLAT", "IMAGE"]


# ---- METIS


@pytest.mark.parametrize(
    ("mode", "detector", "wheels"),
    [
        ("img_lm_scao", "2RG", {"OPTI10": "Lp", "OPTI11": "open"}),
        ("lss_l_scao", "2RG", {"OPTI10": "L_spec", "OPTI11": "open"}),
        ("img_n_scao", "GEO", {"OPTI13": "N2", "OPTI14": "open"}),
        ("lms_scao", "IFU", {}),
    ],
)
def test_metis_has_what_its_look_ups_want(mode, detector, wheels):
    top, chips = written("metis", mode)
    assert (top["ESO DET ID"], top["ESO DET BINX"], top["ESO DET BINY"]) == (detector, 1, 1)
    assert isinstance(top["ESO DET DIT"], float)
    assert {wheel: top[f"ESO INS {wheel} NAME"] for wheel in wheels} == wheels
    assert top["ESO DRS FILTER"] == wheels.get("OPTI10", wheels.get("OPTI13", "open"))
    assert [top["EXTNAME"], *(chip["EXTNAME"] for chip in chips)][:2] == ["PRIMARY", "DET1.DATA"]


# ---- CRIRES2


@pytest.mark.parametrize(
    ("calibration", "triple", "slit"),
    [
        (None, ("SCIENCE", "OBJECT", "SPECTRUM,DIRECT,OTHER"), "w_0.2"),
        ("dark", ("CALIB", "DARK", "IMAGE"), "closed"),
        ("flat", ("CALIB", "FLAT", "SPECTRUM"), "w_0.2"),
        ("arc", ("CALIB", "WAVE,UNE", "SPECTRUM"), "w_0.2"),
    ],
)
def test_crires2_is_classified_and_grouped(calibration, triple, slit):
    top, chips = written("crires2", **({"calibration": calibration} if calibration else {}))
    assert [chip["ESO DET CHIP INDEX"] for chip in chips] == [1, 2, 3]
    assert top["ESO INS1 DROT POSANG"] == top["ESO ADA POSANG"]
    assert tuple(top[f"ESO DPR {word}"] for word in ("CATG", "TYPE", "TECH")) == triple
    assert top["ESO DET READ CURNAME"] == "New_RR_UpTheRamp"
    assert (top["ESO INS OPTI8 ID"], top["ESO INS OPTI8 NO"]) == ("Open", 3)
    assert top["ESO DET SEQ1 DIT"] == top["ESO DET DIT"]
    assert top["ESO INS SLIT1 ID"] == slit
    assert top["ESO INS WLEN ID"] == "K2148"
    assert calibration != "arc" or top["ESO INS1 LAMP8 ID"] == "UNe_HCL"


@pytest.mark.parametrize(("setting", "wavelength"), [("J1228", 1228.488), ("K2148", 2147.646), ("L3262", 3262.14)])
def test_crires2_tells_the_orders_of_each_detector(setting, wavelength):
    """Wavelengths are those of the manual's table (P116, table 20); rows ascend as the orders do."""
    top, chips = written("crires2", keys={"INS.WLEN.CWLEN": wavelength})
    with SETTINGS.open() as file:
        rows = [row for row in csv.DictReader(line for line in file if line[0] != "#") if row["setting"] == setting]
    assert len(rows) > 15
    zero = top["ESO INS GRAT1 ZP_ORD"]
    assert top["ESO OCS MTRLGY ST"] is False
    own = [row for row in rows if int(row["order"]) == top["ESO INS GRAT1 ORDER"]]
    assert min(float(row["first"]) for row in own) < wavelength < max(float(row["last"]) for row in own)
    for row in rows:
        n, cards = int(row["order"]) - zero + 1, chips[int(row["detector"]) - 1]
        assert n >= 1
        if f"ESO INS WLEN CENY{n}" in cards:
            limits = cards[f"ESO INS WLEN BEGIN{n}"], cards[f"ESO INS WLEN END{n}"]
            assert limits == pytest.approx((float(row["first"]), float(row["last"])), abs=0.01)
    for cards in chips:
        places = [value for keyword, value in cards.items() if "CENY" in keyword]
        assert all(isinstance(place, float) and 1.0 <= place <= 2048.0 for place in places)
        assert len(places) >= 5
        assert places == sorted(places) or places == sorted(places, reverse=True)


def test_rows_of_orders_count_from_the_window():
    window = Window(0, 200, 2048, 1500)
    _, whole = written("crires2")
    _, part = written("crires2", window={"x0": 0, "y0": 200, "nx": 2048, "ny": 1500})
    shared = {keyword for keyword in part[1] if "CENY" in keyword}
    assert shared
    assert {round(whole[1][keyword] - part[1][keyword], 6) for keyword in shared} == {window.y0}


# ---- ERIS


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("img_ngs", {"INS1 SCSM NAME": "NIX", "INS2 NXCW NAME": "13mas-JHK", "INS2 NXFW NAME": "Ks"}),
        ("app_ngs", {"INS1 SCSM NAME": "NIX", "INS2 NXPW NAME": "APP", "INS2 NXFW NAME": "Br-g"}),
        ("ifs_ngs", {"INS1 SCSM NAME": "SPIFFIER", "INS3 SPGW NAME": "K_low", "INS3 SPXW NAME": "25mas"}),
    ],
)
def test_eris_names_its_wheels_as_the_real_files_do(mode, expected):
    top, _ = written("eris", mode)
    assert {key: top[f"ESO {key}"] for key in expected} == expected
    assert top["ESO DET SEQ1 DIT"] == top["ESO DET DIT"]
