"""FORS2 against the user manual and the ETC's form."""

import json
from functools import partial

import numpy as np
import pytest

from elvis_cli.focalplane import geometry
from elvis_cli.instrument import filters, registry
from elvis_cli.request import parse

# user manual, table of curves: half-power points (nm), mean between them, equivalent width (nm)
BROAD = {
    "u_HIGH+112": (336.0, 386.0, 0.763, 42.4),
    "b_HIGH+113": (386.5, 488.5, 0.816, 85.5),
    "v_HIGH+114": (494.0, 616.5, 0.870, 110.9),
    "g_HIGH+115": (387.0, 546.5, 0.849, 138.1),
    "R_SPECIAL+76": (570.0, 734.0, 0.891, 153.0),
    "I_BESS+77": (722.0, 872.5, 0.892, 143.7),
}
# centre SR, HR (nm); FWHM SR, HR (nm)
LINES = {
    "OII+44": ((371.7, 372.9), (7.3, 6.9)),
    "OIII+50": ((500.1, 500.9), (5.7, 5.5)),
    "H_Alpha+83": ((656.3, 657.4), (6.1, 5.7)),
    "SIII/3000+67": ((962.1, 963.7), (5.9, 5.2)),
    "FILT_485_37+68": ((485.0, 485.0), (37.0, 37.0)),
    "FILT_753_8+89": ((755.0, 755.0), (9.0, 9.0)),
    "z_SPECIAL+43": ((916.0, 916.0), (18.0, 18.0)),
}
COLLIMATORS = ("COLL_SR+6", "COLL_HR+7")


@pytest.fixture
def setup():
    plugin = registry.load("fors")

    def make(**keys):
        document = plugin.example()
        document["instrument"].update(keys)
        return plugin.configure(parse.read(json.dumps(document)))

    return make


@pytest.fixture
def curve(setup):
    return lambda **keys: next(s.throughput for s in setup(**keys).optics.surfaces if s.group == "filter")


@pytest.mark.parametrize("name", BROAD)
def test_broad_filter_has_its_published_shape(name, curve):
    cut_on, cut_off, mean, width = BROAD[name]
    found = curve(**{"INS.FILT1.NAME": name})
    assert filters.half_power(found) == pytest.approx((cut_on / 1e3, cut_off / 1e3), abs=1e-3)
    wave = np.linspace(0.3, 1.1, 16001)
    value = found.at(wave)
    inside = (wave >= cut_on / 1e3) & (wave <= cut_off / 1e3)
    assert value[inside].mean() == pytest.approx(mean, rel=0.01)
    assert value.sum() * 0.05 == pytest.approx(width, rel=0.015)


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("which", [0, 1])
def test_interference_filters_move_with_the_collimator(name, which, curve):
    centres, widths = LINES[name]
    low, high = filters.half_power(curve(**{"INS.FILT1.NAME": name, "INS.COLL.NAID": COLLIMATORS[which]}))
    assert (low + high) * 500 == pytest.approx(centres[which], abs=0.01)
    assert (high - low) * 1000 == pytest.approx(widths[which], abs=0.01)


def test_all_filters_of_the_etc_form(setup):
    options = registry.load("fors").modes()[0].filters
    assert len(options) == 46
    assert {"none", "GG435+81", "OII/8000+46", "FILT_388_4+118"} <= set(options)


@pytest.mark.parametrize(
    ("name", "centre"),
    [("v_HIGH+114", 0.557), ("g_HIGH+115", 0.475), ("R_SPECIAL+76", 0.655), ("z_GUNN+78", 0.910)],
)
def test_the_etc_s_wavelength_of_the_image_quality(name, centre, setup):
    assert setup(**{"INS.FILT1.NAME": name}).optics.filter_centre == centre


@pytest.mark.parametrize(
    ("collimator", "clock", "scale", "columns"),
    [
        ("COLL_SR+6", "200kHz,1x1,low", 0.125, 4096),
        ("COLL_SR+6", "200kHz,2x2,low", 0.25, 2048),
        ("COLL_HR+7", "200kHz,1x1,low", 0.0625, 4096),
        ("COLL_HR+7", "200kHz,2x2,low", 0.125, 2048),
    ],
)
def test_scales_and_binning(collimator, clock, scale, columns, setup):
    made = setup(**{"INS.COLL.NAID": collimator, "DET.READ.CLKIND": clock})
    assert made.optics.pixel_scale == pytest.approx(scale)
    assert (made.frame.window.nx, made.frame.window.ny) == (columns, columns // 2)
    binning = 4096 // columns
    assert made.detector.binning == binning
    assert made.detector.chips[0].dark == pytest.approx(0.000583 * binning**2)
    assert made.detector.chips[0].ron == 3.15


def test_the_etc_s_figures_of_the_red_ccd(setup):
    made = setup(**{"DET.READ.CLKIND": "200kHz,1x1,low"})
    assert (made.detector.full_well, made.optics.telescope.area) == (80400.0, 49.34)
    assert [c.gain for c in made.detector.chips] == [1.36, 1.32]
    assert [c.gain for c in setup(**{"DET.READ.CLKIND": "200kHz,2x2,low"}).detector.chips] == [1.25, 1.25]


@pytest.mark.parametrize(("ccd", "gap"), [("R", 0.480), ("B", 1.390)])
def test_mosaic(ccd, gap, setup):
    made = setup(**{"SEQ.CCD": ccd})
    one, two = made.detector.chips
    assert (one.extname, two.extname) == ("CHIP1", "CHIP2")
    middle = (made.detector.nx - 1) / 2
    to_field = partial(geometry.pixel_to_field, made)
    lower = to_field(one, middle, -0.5)[1] / made.optics.plate_scale
    upper = to_field(two, middle, made.detector.ny - 0.5)[1] / made.optics.plate_scale
    assert lower - upper == pytest.approx(gap, abs=1e-4)
    x, y = geometry.field_to_pixel(made, one, 0.0, 0.0)
    assert x == pytest.approx(middle)
    assert 80 < y < made.detector.ny - 80  # the field centre is well inside chip 1
    assert made.frame.chips == (1, 2)


# Vega, photon/s/m2/um (alpha_lyr_stis_011) near the effective wavelengths of the zero points' bands
ZERO_POINTS = {"R_SPECIAL+76": (28.30, 0.649, 7.10e10), "I_BESS+77": (27.80, 0.791, 4.93e10)}


@pytest.mark.parametrize("name", ZERO_POINTS)
def test_published_zero_points_relative_to_the_etc(name, setup):
    """The optics curve gives back the measured MIT zero points within 0.06 mag when V is fixed to the ETC's 0.42."""
    zero_point, near, vega = ZERO_POINTS[name]
    made = setup(**{"INS.FILT1.NAME": name})
    wave = np.linspace(*made.optics.band, 4000)
    total = np.prod([s.throughput.at(wave) for s in made.optics.surfaces], axis=0) * made.detector.qe.at(wave)
    rate = made.optics.telescope.area * vega * total.sum() * (wave[1] - wave[0])
    assert abs(float(np.average(wave, weights=total)) - near) < 0.02
    assert 2.5 * np.log10(rate) == pytest.approx(zero_point - 2.5 * np.log10(0.4311 / 0.42), abs=0.06)
