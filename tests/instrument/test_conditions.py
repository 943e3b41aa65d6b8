"""Turbulence categories, and what the block elvis changes in air and adaptive optics, down to the PSF."""

import io
import json
import math

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.instrument import conditions, registry
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.request import parse
from elvis_cli.sky.turbulence import coherence_time, fried
from tests import setups


@pytest.fixture
def setup(micado):
    """Return a function: the Setup of a request to MICADO with blocks ``elvis`` and ``seeing``."""

    def make(elvis=None, mode="img_4mas_scao", instrument="micado", **seeing):
        document = micado({"elvis": elvis or {}, "seeing": seeing})
        if instrument != "micado":
            document = registry.load(instrument).example(mode) | {"elvis": elvis or {}, "seeing": seeing}
        else:
            document["instrument"]["ins_configuration"] = mode
        return registry.load(instrument).configure(parse.read(json.dumps(document)))

    return make


def strehl(setup, wave=2.15, at=(0.0, 0.0)) -> float:
    return setups.psf_at(setup, 1.1, np.array([wave]), np.ones(1), np.array([at])).strehl


def tau0(setup) -> float:
    return coherence_time(setup.atmosphere.turbulence, fried(setup.atmosphere.seeing)) * 1e3


def test_coherence_times_are_the_published_ones(setup):
    """ESO-258292: tau0 5.35 ms for the median profile at its own seeing of 0.641 arcsec, 8.08 and 3.11 ms in Q1, Q4."""
    for name, seeing, published in (("median", 0.641, 5.35), ("q1", 0.430, 8.08), ("q4", 1.038, 3.11)):
        found = setup({"atmosphere": {"profile": name, "seeing": seeing}})
        assert found.atmosphere.turbulence.name == name
        assert tau0(found) == pytest.approx(published, rel=0.02)


def test_a_category_is_seeing_profile_and_wind(setup):
    found = [setup(turbulence_category=c) for c in (10, 30, 50, 70, 100)]
    assert [f.atmosphere.turbulence.name for f in found] == ["q1", "q2", "median", "q3", "q4"]
    assert all(np.diff([tau0(f) for f in found]) < 0)
    assert all(np.diff([strehl(f) for f in found]) < 0)


def test_above_paranal_a_category_has_its_coherence_time(setup):
    found = [setup(None, "img_ngs", "eris", turbulence_category=c) for c in (10, 50, 70)]
    assert [round(tau0(f), 6) for f in found] == [5.2, 3.2, 2.2]
    given = setup({"atmosphere": {"coherence_time": 6.0}}, "img_ngs", "eris", turbulence_category=50)
    assert (given.atmosphere.seeing, round(tau0(given), 6)) == (1.0, 6.0)


def test_a_seeing_alone_keeps_the_usual_profile(setup):
    found = setup({"atmosphere": {"seeing": 0.5}})
    assert (found.atmosphere.seeing, found.atmosphere.turbulence.name) == (0.5, "median")
    assert setup({"atmosphere": {"seeing": 0.5}}, turbulence_category=10).atmosphere.turbulence.name == "q1"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"seeing": 0.5}, {"seeing": 1.0}),
        ({"coherence_time": 8.0}, {"coherence_time": 1.5}),
        ({"wind_scale": 0.5}, {"wind_scale": 3.0}),
    ],
)
def test_worse_air_gives_a_lower_strehl(setup, better, worse):
    assert strehl(setup({"atmosphere": better})) > strehl(setup({"atmosphere": worse})) + 0.02


def test_a_small_outer_scale_calms_what_is_not_corrected(setup):
    wide = [strehl(setup({"atmosphere": {"outer_scale": scale}}), at=(20.0, 0.0)) for scale in (5.0, 25.0, 200.0)]
    assert all(np.diff(wide) < 0)


def test_a_high_layer_makes_the_field_smaller(setup):
    """At the same seeing Q1 has more of its turbulence aloft than Q4 (theta0 2.80 at 0.43, 2.15 at 1.04 arcsec)."""
    same = [setup({"atmosphere": {"seeing": 0.7, "profile": p, "coherence_time": 5.0}}) for p in ("q1", "q4")]
    fall = [strehl(s, at=(15.0, 0.0)) / strehl(s) for s in same]
    assert fall[0] < 0.8 * fall[1]


def test_a_faster_loop_is_better_until_noise_rules(setup):
    def rates(mag, *rates):
        ask = {"guide_star": {"x": 0, "y": 0, "mag": mag}}
        return [strehl(setup({"ao": {**ask, "rate": rate}})) for rate in rates]

    assert all(np.diff(rates(7, 50, 100, 200, 500, 1500)) > 0)
    faint = rates(17, 50, 200, 1000, 3000)
    assert int(np.argmax(faint)) == 1
    assert max(faint[0], faint[3]) < 0.5 * max(faint)


def test_ncpa_costs_what_marechal_says_and_jitter_too(setup):
    none, some = (strehl(setup({"ao": {"ncpa": ncpa}})) for ncpa in (0, 120))
    assert some / none == pytest.approx(math.exp(-((2 * math.pi * 120 / 2150) ** 2)), rel=0.02)
    assert strehl(setup({"ao": {"jitter": 5}})) < strehl(setup({"ao": {"jitter": 0}})) - 0.1


def test_the_guide_star_stands_where_it_is_told_to(setup, elvis, micado):
    block = {"window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16}, "ao": {"guide_star": {"x": 0, "y": 12, "mag": 9.5}}}
    near, far = (
        elvis("validate", stdin=json.dumps(micado({"elvis": block, "seeing": {"SEQ.NGS.MAG": 9.5}, **more}))).err
        for more in ({}, {"seeing": {"SEQ.NGS.MAG": 9.5, "separation": 12}})
    )
    snr = [float(text.split("S/N ")[1].split()[0]) for text in (near, far)]
    assert snr[0] == pytest.approx(snr[1], rel=1e-3)  # the separation is not used
    assert "separation: not used" in far
    block["ao"]["guide_star"]["y"] = 0
    on_axis = elvis("validate", stdin=json.dumps(micado({"elvis": block}))).err
    assert float(on_axis.split("S/N ")[1].split()[0]) > 1.1 * snr[0]


def test_an_asterism_is_best_around_its_stars(setup):
    """MORFEO: three bright stars on one side leave the other side moving."""

    def jitter(stars, at):
        found = setup({"ao": {"guide_star": stars, "jitter": 0}}, "img_4mas_mcao")
        return strehl(found, at=at)

    def star(x, y):
        return {"x": x, "y": y, "mag": 12}

    around = [star(0, 70), star(61, -35), star(-61, -35)]
    aside = [star(70, 0), star(80, 30), star(80, -30)]
    assert abs(jitter(around, (15.0, 0.0)) - jitter(around, (-15.0, 0.0))) < 0.01
    assert jitter(aside, (20.0, 0.0)) > jitter(aside, (-20.0, 0.0)) + 0.01
    assert jitter(around, (0.0, 0.0)) > jitter(aside, (0.0, 0.0))


@pytest.mark.parametrize(
    ("block", "pointer"),
    [
        ({"atmosphere": {"profile": "q5"}}, "/elvis/atmosphere/profile"),
        ({"atmosphere": {"seeing": 0}}, "/elvis/atmosphere/seeing"),
        ({"atmosphere": {"coherence_time": 3, "wind_scale": 2}}, "/elvis/atmosphere/wind_scale"),
        ({"ao": {"rate": 0}}, "/elvis/ao/rate"),
        ({"ao": {"guide_star": {"x": 1}}}, "/elvis/ao/guide_star/y"),
        ({"ao": {"guide_star": [{"x": 0, "y": 0}, {"x": 1, "y": 0}]}}, "/elvis/ao/guide_star"),
        ({"ao": {"guide_star": [{"x": 0, "y": 0, "mag": 99}]}}, "/elvis/ao/guide_star/0/mag"),
    ],
)
def test_what_cannot_be_is_refused(setup, block, pointer):
    with pytest.raises(RequestError) as caught:
        setup(block)
    assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize("kind", ["moffat", "ao"])
def test_an_unknown_kind_of_psf_is_an_error(micado, kind):
    """Nor is there one behind adaptive optics without the table ``ao``."""
    tree = {"psf": kind}
    with pytest.raises(ResourceError, match="gaussian, seeing, ao, diffraction"):
        conditions.psf_model(SourcedTable(tree, "t", root=tree), None, parse.read(json.dumps(micado())))


def test_without_adaptive_optics_there_is_none_to_change(setup):
    with pytest.raises(RequestError, match="no adaptive optics"):
        setup({"ao": {"ncpa": 10}}, None, "fors")


def test_the_header_tells(elvis, micado):
    block = {
        "window": {"x0": 0, "y0": 0, "nx": 16, "ny": 16},
        "atmosphere": {"profile": "q3", "coherence_time": 3.5, "outer_scale": 18, "seeing": 0.9},
        "ao": {"rate": 700, "ncpa": 55, "jitter": 2, "guide_star": {"x": 3, "y": -4, "mag": 8}},
    }
    made = elvis(stdin=json.dumps(micado({"elvis": block})))
    assert made.code == 0
    header = fits.getheader(io.BytesIO(made.out))
    cards = {
        "ATM PROFILE": "q3", "ATM TAU0": 3.5, "ATM L0": 18, "ATM SEEING": 0.9,
        "AO RATE": 700, "AO NCPA": 55, "AO JITTER": 2, "AO GSX": 3, "AO GSY": -4, "AO GSMAG": 8,
    }  # fmt: skip
    assert {key: header[f"ESO SIM {key}"] for key in cards} == cards
