"""SPIFFIER and NIX's long slit against their manual: keys, ranges, dispersion, R, field, layout, light."""

import json
import os
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from elvis_cli.errors import RequestError
from elvis_cli.focalplane.layers import smoothed
from elvis_cli.focalplane.trace import FINE
from elvis_cli.instrument import registry
from elvis_cli.light.uniform import UniformSource
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.psf_model import AoPsf, SeeingPsf
from elvis_cli.model.spectrograph import SIGMA
from elvis_cli.request import parse
from tests.conftest import renderer

# range (um), R at a wavelength (um): user manual v117.1
GRATINGS = {
    "J_low": (1.09, 1.42, 5000, 1.25),
    "H_low": (1.45, 1.87, 5200, 1.66),
    "K_low": (1.93, 2.48, 5600, 2.21),
    "J_short": (1.10, 1.27, 10000, 1.18),
    "J_middle": (1.18, 1.35, 10000, 1.26),
    "J_long": (1.26, 1.43, 10000, 1.34),
    "H_short": (1.46, 1.67, 10400, 1.56),
    "H_middle": (1.56, 1.77, 10400, 1.67),
    "H_long": (1.66, 1.87, 10400, 1.76),
    "K_short": (1.93, 2.22, 11200, 2.07),
    "K_middle": (2.06, 2.34, 11200, 2.20),
    "K_long": (2.19, 2.47, 11200, 2.33),
}
SCALES = {"25mas": (0.025, 0.0125, 0.8), "100mas": (0.1, 0.05, 3.2), "250mas": (0.25, 0.125, 8.0)}
"""Width of a slitlet, pixel along it, field (arcsec)."""
# magnitudes than which a star may be no brighter in 1.6 s at 25, 100 and 250 mas: user manual v117.1
BRIGHT = {
    "J_low": (4.3, 6.9, 7.1),
    "H_low": (4.5, 6.8, 7.1),
    "K_low": (4.0, 6.3, 6.5),
    "J_middle": (3.2, 5.8, 6.0),
    "H_middle": (3.4, 5.8, 6.1),
    "K_middle": (3.2, 5.4, 5.7),
}
# slitlets from left to right on SINFONI's detector, as software that reduces its frames has them
ORDER = [9, 8, 10, 7, 11, 6, 12, 5, 13, 4, 14, 3, 15, 2, 16, 1]
ORDER += [32, 17, 31, 18, 30, 19, 29, 20, 28, 21, 27, 22, 26, 23, 25, 24]
ROWS = Window(0, 1000, 2048, 16)


def document(mode="ifs_ngs", grating=None, scale=None, **sections):
    made = registry.load("eris").example(mode)
    made["instrument"].update({k: v for k, v in (("INS.BAND.NAME", grating), ("INS.SPXW.NAME", scale)) if v})
    for name, section in sections.items():
        made[name] = {**made.get(name, {}), **section}
    return made


def configure(*args, **sections):
    return registry.load("eris").configure(parse.read(json.dumps(document(*args, **sections))))


def observe(*args, **sections):
    return renderer(document(*args, **sections))


@cache
def star(mode="ifs_ngs", grating=None, scale=None, mag=12.0, x=0.0, y=0.0):
    target = {"brightness": {"brightnesstype": "mag", "magband": "L" if "lss" in mode else "K", "mag": mag}}
    return observe(mode, grating, scale, target=target, elvis={"offset": [x, y]})


def draw(made, window, *parts):
    return made.illuminate(made.setup.detector.chips[0], window, frozenset(parts))


def refused(made):
    with pytest.raises(RequestError) as error:
        registry.load("eris").configure(parse.read(json.dumps(made)))
    return error.value


def width(profile, step=1.0):
    """Return the full width at half maximum."""
    top, level, reach = int(profile.argmax()), profile.max() / 2, 5 * FINE
    left = np.interp(level, profile[top - reach : top + 1], np.arange(-reach, 1))
    right = np.interp(-level, -profile[top : top + reach + 1], np.arange(reach + 1))
    return (right - left) * step


# ---- keys of both generations


@pytest.mark.parametrize("name", ["v117_form_default_ifs_lgs", "proto_format_a"])
def test_the_form_s_default_is_spiffier_in_j_at_25_mas(name):
    made = document("ifs_lgs", "J_low", "25mas")
    if name == "proto_format_a":
        made = {k: made[k] for k in ("target", "instrumentName")} | {"instrument": {"ins_configuration": "ifs_lgs"}}
    setup = registry.load("eris").configure(parse.read(json.dumps(made)))
    assert (setup.mode, setup.kind, setup.optics.pixel_scale, setup.optics.filter_name) == (
        "ifs_lgs",
        "ifu",
        0.0125,
        "J_low",
    )
    assert setup.header["ESO INS3 SPGW NAME"] == "J_low"
    assert setup.header["ESO INS3 SPXW NAME"] == "25mas"
    assert not [note for note in setup.notes if "unknown" in note]


@pytest.mark.parametrize(("old", "kind"), [("IFS", "ifs"), ("nixLSS", "lss")])
@pytest.mark.parametrize(("ao", "means"), [(None, "lgs"), ("aolgs", "lgs"), ("aongs", "ngs"), ("noao", "noao")])
def test_the_second_generation_names_the_mode_with_the_ao(old, kind, ao, means):
    made = document(f"{kind}_lgs")
    made["instrument"]["ins_configuration"] = old
    del made["seeing"]
    if ao:
        made["seeingiqao"] = {"mode": ao, "params": {"gsmag": 9.5, "turbulence_category": 30}, "aperturepix": 11}
    setup = registry.load("eris").configure(parse.read(json.dumps(made)))
    assert setup.mode == f"{kind}_{means}"
    assert isinstance(setup.psf, SeeingPsf if ao == "noao" else AoPsf)
    assert ("/seeingiqao/mode: not given, taken as aolgs" in setup.notes) == (ao is None)


@pytest.mark.parametrize(
    ("mode", "keys", "pointer"),
    [
        ("ifs_ngs", {"INS.BAND.NAME": "HK"}, "/instrument/INS.BAND.NAME"),
        ("ifs_ngs", {"INS.SPXW.NAME": "50mas"}, "/instrument/INS.SPXW.NAME"),
        ("lss_ngs", {"INS.NXCW.NAME": "13mas-JHK"}, "/instrument/INS.NXCW.NAME"),
        ("lss_ngs", {"INS.NXFW.NAME": "Lp"}, "/instrument/INS.NXFW.NAME"),
        ("lss_ngs", {"DET.READOUT": "MEDIUM"}, "/instrument/DET.READOUT"),
    ],
)
def test_what_the_form_does_not_offer_is_refused(mode, keys, pointer):
    error = refused(document(mode, instrument={"ins_configuration": mode, **keys}))
    assert (error.exit_code, error.details["pointer"]) == (65, pointer)


def test_nix_s_wheels_are_not_spiffier_s():
    setup = configure("ifs_ngs", instrument={"ins_configuration": "ifs_ngs", "DET.READOUT": "SLOW"})
    assert "/instrument/DET.READOUT: unknown key, ignored" in setup.notes


@pytest.mark.parametrize(("dit", "ron"), [(1.6, 12.0), (2.0, 12.0), (31.0, 9.5), (60.0, 7.0), (600.0, 11.0)])
def test_read_noise_depends_on_the_integration_time(dit, ron):
    detector = configure(timesnr={"DET.DIT": dit}).detector
    assert (detector.chips[0].ron, detector.chips[0].gain, detector.chips[0].dark) == (ron, 2.0, 0.19)


def test_spiffier_is_not_read_faster_than_it_can_be():
    assert refused(document(timesnr={"DET.DIT": 1.0})).details["pointer"] == "/timesnr/DET.DIT"


# ---- geometry


@pytest.mark.parametrize("name", GRATINGS)
def test_each_grating_has_its_range_dispersion_and_resolution(name):
    low, high, power, at = GRATINGS[name]
    setup = configure("ifs_ngs", name, "100mas")
    graph, pixel = setup.spectrograph, setup.detector.pixel_mm
    ends = np.array([low, high])
    rows = np.mean([trace.place(ends, np.zeros(2))[1] / pixel + 1023.5 for trace in graph.traces], axis=0)
    assert rows == pytest.approx([2047.5, -0.5], abs=0.1)  # the manual's range fills the array, red at the bottom
    dispersion = (high - low) / 2048
    line = np.zeros(64 * FINE)
    line[line.size // 2] = 1.0
    slitlet = graph.apertures[0].width / graph.dispersion_scale
    fwhm = width(smoothed(line, slitlet, graph.blur / SIGMA), 1 / FINE)
    assert at / (fwhm * dispersion) == pytest.approx(power, rel=0.02)
    assert setup.optics.band[0] < low < high < setup.optics.band[1]


@pytest.mark.parametrize("name", SCALES)
def test_the_slitlets_fill_the_field(name):
    slitlet, pixel, field = SCALES[name]
    setup = configure("ifs_ngs", "H_low", name)
    apertures = setup.spectrograph.apertures
    assert setup.optics.pixel_scale == pixel
    assert len(apertures) == 32
    y = np.array([a.y for a in apertures])
    assert y == pytest.approx((field - slitlet) / 2 - slitlet * np.arange(32))  # slitlet 1 on top, none overlap
    assert {(round(a.x, 9), a.length, a.width) for a in apertures} == {(0.0, field, slitlet)}
    for trace in setup.spectrograph.traces:  # 64 pixels each
        x = trace.place(np.full(2, trace.l0), np.array([-field / 2, field / 2]))[0] / setup.detector.pixel_mm
        assert np.diff(x) == pytest.approx(64.0)


def test_the_slitlets_lie_on_the_detector_as_sinfoni_s_do():
    made = star("ifs_ngs", "K_low", "100mas")
    seen = made.wavelengths(made.setup.detector.chips[0], ROWS)
    assert (seen.aperture == np.repeat(np.array(ORDER) - 1, 64)).all()
    assert seen.s[8] == pytest.approx(np.tile((np.arange(64) - 31.5) * 0.05, 32), abs=1e-4)
    step = (2.48 - 1.93) / 2048
    assert np.diff(seen.wave[:, 100]) == pytest.approx(-step, rel=1e-2)
    columns = seen.wave[8].reshape(32, 64).mean(axis=1)
    assert np.diff(columns) == pytest.approx(20 * step * (-1.0) ** np.arange(31), rel=1e-2)  # the brick wall


def test_a_line_of_the_sky_is_as_wide_as_slitlet_pixel_and_optics():
    made = star("ifs_ngs", "K_low", "100mas")
    line = made.spectrograph.traces[0].l0

    def density(edges):
        found = np.zeros(edges.size - 1)
        found[np.searchsorted(edges, line) - 1] = 1.0 / (edges[1] - edges[0])
        return found

    lit = replace(
        made,
        apertures=replace(made.apertures, light=replace(made.light, uniform=(UniformSource("background", density),))),
    )
    image = draw(lit, Window(64, 960, 64, 128), "background")
    profile, row = image[:, 32].astype(float), np.arange(128)
    mean = np.average(row, weights=profile)
    assert profile.sum() == pytest.approx(0.1 * 0.05, rel=1e-3)
    variance = np.average((row - mean) ** 2, weights=profile)
    slitlet, blur = 0.1 / made.spectrograph.dispersion_scale, made.spectrograph.blur / SIGMA
    assert variance == pytest.approx((slitlet**2 + 1) / 12 + blur**2, rel=0.02)


def test_the_long_slit_is_the_manual_s():
    setup = configure("lss_ngs")
    graph, pixel = setup.spectrograph, setup.detector.pixel_mm
    (slit,), (trace,) = graph.apertures, graph.traces
    assert (setup.kind, slit.width, slit.length, setup.optics.filter_name) == ("slit", 0.086, 12.0, "L-Broad")
    x, y = trace.place(np.array([3.05, 4.05]), np.array([-6.0, 6.0]))
    assert np.ptp(x) / pixel == pytest.approx(12.0 / 0.01303)
    assert (np.abs(y) / pixel < 1024).all()
    dispersion = 1.0 / (np.ptp(y) / pixel)
    assert 3.55 / (dispersion * slit.width / graph.dispersion_scale) == pytest.approx(900, rel=0.01)


# ---- light


@pytest.mark.parametrize(("grating", "scale"), [("K_low", "100mas"), ("J_short", "25mas"), ("H_long", "250mas")])
def test_the_slitlets_hold_the_light_of_the_field(grating, scale):
    target = {
        "morphology": {"morphologytype": "extended", "extendedtype": "infinite"},
        "brightness": {"brightnesstype": "mag", "magband": "H", "mag": 10},
    }
    made = observe("ifs_ngs", grating, scale, target=target)
    image = draw(made, ROWS, "galaxies")
    middle = made.wavelengths(made.setup.detector.chips[0], ROWS).wave
    light = made.light
    expected = (
        np.interp(middle, light.budget.wave, light.target.density)
        * (GRATINGS[grating][1] - GRATINGS[grating][0])
        / 2048
    )
    spaxel = SCALES[scale][0] * SCALES[scale][1]
    assert image.sum() == pytest.approx(expected.sum() * spaxel, rel=0.01)


def test_all_of_a_star_is_in_the_largest_field_and_less_in_the_smaller_ones():
    rates = {}
    for scale in SCALES:
        made = star("ifs_ngs", "K_low", scale)
        rates[scale] = draw(made, ROWS, "stars").sum()
    light = made.light
    seen = made.wavelengths(made.setup.detector.chips[0], ROWS).wave[:, ::64].ravel()
    whole = np.interp(seen, light.budget.wave, light.target.density).sum() * (2.48 - 1.93) / 2048 / 32
    assert 0.97 < rates["250mas"] / whole < 1.0
    assert 0.9 < rates["100mas"] / rates["250mas"] < 0.99
    assert 0.6 < rates["25mas"] / rates["250mas"] < 0.95


def test_a_star_stands_in_the_slitlet_and_column_where_it_is():
    made = star("ifs_ngs", "K_low", "100mas", x=0.525, y=0.55)  # the middle of slitlet 11, 10.5 pixels West
    image = draw(made, ROWS, "stars").sum(axis=0)
    assert int(image.argmax()) == 64 * ORDER.index(11) + 42
    slitlets = image.reshape(32, 64).sum(axis=1)[np.argsort(ORDER)]
    assert int(slitlets.argmax()) == 10
    assert slitlets[9] == pytest.approx(slitlets[11], rel=0.1)


def test_the_slit_loses_what_falls_beside_it():
    made = star("lss_ngs")
    found = made.samples(0, 32)
    at = np.interp([3.1, 3.5, 4.0], found.wave, found.enslitted)
    assert at[0] > at[1] > at[2]  # the image grows with the wavelength
    assert 0.45 < at[2] < at[0] < 0.75
    whole = np.interp(found.wave, made.light.budget.wave, made.light.target.density) * found.dispersion
    efficiency = made.spectrograph.traces[0].efficiency.at(found.wave)
    middle = slice(600, 1200)
    share = found.target.sum(axis=1)[middle].sum() / (whole * efficiency * found.enslitted)[middle].sum()
    assert 0.8 < share < 1.0  # of the slit's light, the rows around the target hold most
    window = Window(512, 900, 1024, 64)
    along = draw(star("lss_ngs", x=1.3), window, "stars").sum() / draw(made, window, "stars").sum()
    across = draw(star("lss_ngs", y=0.3), window, "stars").sum() / draw(made, window, "stars").sum()
    assert along == pytest.approx(1.0, rel=0.02)
    assert across < 0.1
    seeing = star("lss_noao").samples(0, 32)
    assert np.interp(3.5, seeing.wave, seeing.enslitted) < 0.25


@pytest.mark.parametrize("grating", BRIGHT if os.environ.get("ELVIS_CLOSURE") else ["J_low", "K_middle"])
def test_a_star_fills_the_well_near_the_bright_limit(grating):
    """The manual's limits are 0.6 to 1 mag fainter than a full well, -0.8 to 0.7 at 25 mas (the Strehl ratio's)."""
    above = []
    for (slitlet, pixel, _), limit in zip(SCALES.values(), BRIGHT[grating], strict=True):
        brightness = {"brightnesstype": "mag", "magband": grating[0], "mag": limit}
        scale = f"{round(slitlet * 1e3)}mas"
        made = observe(
            "ifs_ngs", grating, scale, target={"brightness": brightness}, elvis={"offset": [pixel / 2, slitlet / 2]}
        )
        column = Window(64 * ORDER.index(16) + 24, 0, 16, 2048)
        peak = draw(made, column, "stars").max() * 1.6
        above.append(-2.5 * np.log10(peak / made.setup.detector.full_well))
    assert -0.8 < above[0] < 0.7
    assert all(0.5 < found < 1.0 for found in above[1:])
