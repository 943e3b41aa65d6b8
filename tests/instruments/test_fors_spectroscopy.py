"""FORS2's spectra against the user manual's figures, and against its images."""

import itertools
import json
from functools import cache

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse

GRISMS = {  # F2UM Tab. 2.4: centre, shortest, longest (nm), R with 1 arcsec, order-sorting filter
    "GRIS_1200B+97": (436.0, 366, 511, 1420, "none"),
    "GRIS_1400V+18": (520.3, 456, 586, 2100, "none"),
    "GRIS_1200R+93": (653.0, 575, 731, 2140, "GG435+81"),
    "GRIS_1028z+29": (860.0, 773, 948, 2560, "OG590+32"),
    "GRIS_600B+22": (462.7, 330, 621, 780, "none"),
    "GRIS_600RI+19": (677.7, 512, 845, 1000, "GG435+81"),
    "GRIS_600z+23": (892.7, 737, 1070, 1260, "OG590+32"),
    "GRIS_300V+10": (584.9, None, None, 440, "GG435+81"),
    "GRIS_300I+11": (857.5, None, None, 660, "OG590+32"),
    "GRIS_150I+27": (716.9, None, None, 260, "OG590+32"),
    "GRIS_1200g+96": (486.0, 417, 564, 1605, "none"),
    "GRIS_600V+94": (581.0, 443, 737, 990, "GG435+81"),
    "GRIS_600R+14": (627.7, 501, 769, 1160, "GG435+81"),
    "GRIS_600I+25": (793.5, 663, 939, 1500, "OG590+32"),
    "GRIS_200I+28": (743.2, None, None, 380, "none"),
}
OWN_DISAGREEMENT = {"GRIS_1200B+97", "GRIS_600z+23", "GRIS_1200g+96"}
"""Whose R in the manual differs by 5 to 9 % from its own dispersion and the 8 pixels of an arcsec."""
SLITS = {"0_3": 0, "0_4": 91, "0_5": -91, "0_7": 182, "1_0": -182, "1_3": 272, "1_6": -272, "2_0": 362, "2_5": -362}
"""F2UM Tab. 2.5: pixels (SR) beside the field's middle."""


def request(mode="lss", elvis=None, mag=20, **keys):
    document = registry.load("fors").example(mode)
    document["instrument"] |= {"INS.FILT1.NAME": None, **keys}
    document["target"]["sed"]["spectrum"] = {"spectrumtype": "blackbody", "params": {"temperature": 9600}}
    document["target"]["brightness"]["mag"] = mag
    document["elvis"] = elvis or {}
    return document


def configure(mode="lss", mask=None, **keys):
    document = request(mode, {"mask": mask} if mask else None, **keys)
    return registry.load("fors").configure(parse.read(json.dumps(document), strict=True))


@cache
def prepared(text):
    return pipeline.prepare(parse.read(text))


def place(setup, wave):
    """Return the column (unbinned, from the detector's middle) of a wavelength (nm) in the middle of the slit."""
    trace = setup.spectrograph.traces[0]
    x, _ = trace.place(np.atleast_1d(wave) * 1e-3, np.zeros(np.size(wave)))
    return x / 0.015


@pytest.mark.parametrize("grism", GRISMS)
def test_wavelengths_and_resolving_power_are_those_of_the_manual(grism):
    centre, low, high, power, sorting = GRISMS[grism]
    setup = configure(**{"INS.GRIS1.NAME": grism, "INS.SLIT.NAME": "lSlit0_3arcsec"})
    assert place(setup, centre) == pytest.approx(0.0, abs=0.1)
    if low is not None:
        ends = place(setup, np.array([low, high]))
        assert ends == pytest.approx([-2048, 2048], abs=0.005 * 4096)
    assert setup.header["ESO INS FILT1 NAME"] == sorting
    trace = setup.spectrograph.traces[0]
    wide = configure(**{"INS.GRIS1.NAME": grism}).spectrograph
    middle = np.array([centre * 1e-3])
    reached = centre * 1e-3 / (trace.dispersion(middle, 0.0, 0.03)[0] * wide.line_width(wide.apertures[0]))
    assert reached == pytest.approx(power, rel=0.09 if grism in OWN_DISAGREEMENT else 0.05)


@pytest.mark.parametrize(("collimator", "factor"), [("COLL_SR+6", 1), ("COLL_HR+7", 2)])
def test_slits_stand_at_their_own_places(collimator, factor):
    found = {
        name: place(configure(**{"INS.SLIT.NAME": f"lSlit{name}arcsec", "INS.COLL.NAID": collimator}), 584.9)[0]
        for name in SLITS
    }
    assert found == pytest.approx({name: factor * pixels for name, pixels in SLITS.items()}, abs=2)


def test_a_named_filter_takes_the_place_of_the_grisms_own():
    assert configure(**{"INS.FILT1.NAME": "none"}).header["ESO INS FILT1 NAME"] == "none"
    assert "INS.FILT1.NAME" in registry.load("fors").example("lss")["instrument"]


def test_spectrum_is_the_image_times_the_grism():
    """Electrons of a star in a wide slit: the imaging mode's throughput times grism and filter, times slit."""
    keys = {"INS.GRIS1.NAME": "GRIS_600RI+19", "INS.SLIT.NAME": "lSlit2_5arcsec"}
    spectrum = prepared(json.dumps(request(**keys)))
    image = prepared(json.dumps(request("img_nopol", **{"INS.FILT1.NAME": "GG435+81"})))
    lit = {}
    for name, ready in (("spectrum", spectrum), ("image", image)):
        detector = ready.setup.detector
        whole = Window(0, 0, detector.nx, detector.ny)
        chip = detector.chip(1)
        lit[name] = float(ready.renderer.illuminate(chip, whole, frozenset({"stars"})).sum(dtype=float))
    budget, trace = image.renderer.light.budget, spectrum.setup.spectrograph.traces[0]
    light = image.renderer.light.target.density * budget.width
    sees = (budget.wave > trace.wave[0]) & (budget.wave < trace.wave[1])
    share = float(np.sum((light * trace.efficiency.at(budget.wave))[sees]) / light.sum())
    slit = float(spectrum.renderer.apertures.enslitted(0).mean())
    assert slit > 0.9
    assert lit["spectrum"] / lit["image"] == pytest.approx(share * slit, rel=0.03)


@pytest.mark.parametrize("kind", ["arc", "flat", "bias", "dark", "twilight", "std"])
def test_calibrations_are_told_as_the_data_flow_knows_them(kind):
    setup = registry.load("fors").configure(parse.read(json.dumps(request(elvis={"calibration": kind}))))
    types = {
        "arc": "WAVE,LAMP",
        "flat": "FLAT,LAMP",
        "bias": "BIAS",
        "dark": "DARK",
        "twilight": "FLAT,SKY",
        "std": "STD",
    }
    assert setup.header["ESO DPR TYPE"] == types[kind]
    assert setup.header["ESO DPR TECH"] == ("IMAGE" if kind in ("bias", "dark") else "SPECTRUM")


MASK = {"x": [-60.0, 0.0, 45.0], "y": [-12.0, 0.0, 14.0], "length": 10, "width": [0.8, 1.0, 2.0]}
STARS = {"x": [-60.0, 45.0, 20.0], "y": [-13.0, 16.0, 0.0], "mag": [19.0, 18.0, 15.0]}


def test_slits_of_a_mask_have_their_spectra_beside_each_other():
    setup = configure("mxu", MASK)
    assert (setup.kind, setup.header["ESO DPR TECH"]) == ("mos", "MXU")
    for trace, x, y in zip(setup.spectrograph.traces, MASK["x"], MASK["y"], strict=True):
        at = trace.place(np.array([0.5849]), np.array([y + 1.0]))
        assert [float(value[0]) for value in at] == pytest.approx([x * 0.12, (y + 1.0) * 0.12], abs=0.002)


def test_slitlets_move_along_the_dispersion_alone():
    places = [float(n) for n in range(-9, 10)]
    assert [a.x for a in configure("mos_nopol", {"x": places}).spectrograph.apertures] == places
    rows = [(a.y - a.length / 2, a.y + a.length / 2) for a in configure("mos_nopol").spectrograph.apertures]
    assert all(below[1] < above[0] for above, below in itertools.pairwise(rows))
    assert (rows[0][1], rows[-1][0]) == pytest.approx((204.0, -204.0), abs=0.01)


@pytest.mark.parametrize(
    ("mode", "mask", "where"),
    [
        ("mos_nopol", {"x": [0.0]}, "/elvis/mask/x"),
        ("mos_nopol", {"x": [0.0] * 19, "y": [0.0] * 19}, "/elvis/mask/y"),
        ("mxu", {"x": [0.0]}, "/elvis/mask/y"),
        ("mxu", {"x": [0.0, 190.0], "y": [0.0, 9.0], "length": 5, "width": 1}, "/elvis/mask/x/1"),
        ("mxu", {"x": [0.0], "y": [0.0], "length": 31, "width": 1}, "/elvis/mask/length/0"),
        ("mxu", {"x": [0.0], "y": [0.0, 1.0], "length": 3, "width": 1}, "/elvis/mask/y"),
        ("lss", {"x": [0.0]}, "/elvis/mask"),
        ("img_nopol", {"x": [0.0]}, "/elvis/mask"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(mode, mask, where):
    with pytest.raises(RequestError) as caught:
        configure(mode, mask, **({"INS.FILT1.NAME": "none"} if mode == "img_nopol" else {}))
    assert caught.value.details["pointer"] == where


def test_stars_in_slits_shine_and_those_between_do_not():
    """The light of a mask is what its slits take of each star, and nothing of one between them."""
    ready = prepared(json.dumps(request("mxu", {"mask": MASK, "catalogue": STARS})))
    detector, renderer = ready.setup.detector, ready.renderer
    stars = frozenset({"stars"})
    drawn = sum(
        float(renderer.illuminate(chip, Window(0, 0, detector.nx, detector.ny), stars).sum(dtype=float))
        for chip in detector.chips
    )
    budget, expected = renderer.light.budget, 0.0
    whole = sum(float(np.sum(group.scene.rate)) for group in renderer.apertures.groups)
    for number, trace in enumerate(ready.setup.spectrograph.traces):
        inside = float(renderer.apertures.enslitted(number).mean())
        assert (inside > 0) == (number != 1)
        sees = (budget.wave > trace.wave[0]) & (budget.wave < trace.wave[1])
        light = renderer.light.target.density * budget.width * trace.efficiency.at(budget.wave) * sees
        x, _ = trace.place(budget.wave, np.full(budget.wave.size, trace.s0))
        expected += float(light[np.abs(x) < 30.72].sum()) * inside * whole
    assert drawn == pytest.approx(expected / 1.0, rel=0.03)


def test_example_makes_a_mask_for_a_catalogue(elvis, tmp_path):
    path = tmp_path / "stars.csv"
    path.write_text("x,y,mag\n0,0,18\n10,4,20\n-170,30,19\n300,0,10\n")
    made = elvis("example", "fors", "--mode", "mxu", "--catalogue", str(path))
    assert made.code == 0
    document = json.loads(made.out)
    assert document["elvis"]["mask"] == {"x": [0.0, -170.0], "y": [0.0, 30.0], "length": 10.0, "width": 1.0}
    assert registry.load("fors").configure(parse.read(json.dumps(document))).kind == "mos"
    assert elvis("example", "fors", "--mode", "lss", "--catalogue", str(path)).code == 65


def test_headers_have_the_places_of_slits():
    header = configure("mxu", MASK).header
    assert header["ESO INS SLIT101 X"][0] == pytest.approx(-60.0 * 0.528)
    assert [header[f"ESO INS SLIT{n} WID"][0] for n in (101, 102, 103)] == [0.8, 1.0, 2.0]
    assert "ESO INS SLIT104 X" not in header
    header = configure("mos_nopol", {"x": [10.0] * 19}).header
    assert (header["ESO INS MOS19 POS"][0], header["ESO INS MOS2 LEN"][0]) == (pytest.approx(5.28), 20.0)


def test_slits_that_cut_into_each_other_are_refused_and_spectra_that_overlap_told():
    with pytest.raises(RequestError, match="cuts into slit 0"):
        configure("mxu", {"x": [0.0, 0.9], "y": [0.0, 4.0], "length": 10, "width": 1})
    beside = configure("mxu", {"x": [0.0, 40.0, -40.0], "y": [0.0, 4.0, 30.0], "length": 10, "width": 1})
    assert any("share rows of pixels: 1 and 0 (counted" in note for note in beside.notes)
    assert not any("share rows" in note for note in configure("mxu", MASK).notes)


@pytest.mark.parametrize(
    ("lamp", "lines"), [("He", [0.5877]), ("HgCd", [0.5462, 0.5087]), ("Ne", [0.6404]), ("Ar", [0.7637])]
)
def test_lamps_are_exposed_one_by_one(lamp, lines):
    """A strong line of each lamp is in its arc alone, and all are in that of all lamps."""

    def waves(name):
        document = request(elvis={"calibration": "arc"}, **{"INS.LAMP.NAME": name})
        setup = registry.load("fors").configure(parse.read(json.dumps(document)))
        return np.concatenate([each.wave for each in setup.calibration.lamps])

    for name in ("He", "HgCd", "Ne", "Ar", "all"):
        there = [bool(np.any(np.abs(waves(name) - line) < 2e-4)) for line in lines]
        assert all(there) == (name in (lamp, "all")), (name, there)


def lit(places, angle=30.0):
    """Return the part of stars (x, y; arcsec) that a tilted slit takes, and the renderer."""
    mask = {"x": [0.0], "y": [0.0], "length": 20, "width": 1.0, "angle": angle}
    stars = {"x": [x for x, _ in places], "y": [y for _, y in places], "mag": [18.0] * len(places)}
    ready = prepared(json.dumps(request("mxu", {"mask": mask, "catalogue": stars})))
    return float(ready.renderer.apertures.enslitted(0).mean()), ready


def test_a_tilted_slit_takes_the_stars_along_it():
    middle, _ = lit([(0.0, 0.0)])
    along = 8.0 * np.sin(np.radians(30.0)), 8.0 * np.cos(np.radians(30.0))
    assert 0.5 < middle < 1.0
    assert lit([along])[0] == pytest.approx(middle, rel=0.01)
    assert lit([(0.0, along[1])])[0] < 0.02  # where a slit that is not tilted would be
    straight, _ = lit([(0.0, 0.0)], angle=0.0)
    assert middle == pytest.approx(straight, rel=0.01)  # its width is that across the slit


def test_lines_lean_with_a_tilted_slit():
    """Wavelengths of a column change along the slit as the slit moves across; drawn and predicted light agree."""
    _, ready = lit([(0.0, 0.0)])
    detector = ready.setup.detector
    chip = detector.chip(1)
    window = Window(0, 0, detector.nx, 300)
    found = ready.renderer.wavelengths(chip, window)
    row = int(np.argmax(np.isfinite(found.wave).sum(axis=1)))
    rows = [r for r in range(row - 20, row + 20) if np.isfinite(found.wave[r]).sum() > 1000]
    low, high = rows[2], rows[-3]
    column = detector.nx // 2
    dispersion = float(found.wave[low, column + 1] - found.wave[low, column])
    moved = float(found.wave[high, column] - found.wave[low, column]) / dispersion
    along = float(found.s[high, column] - found.s[low, column])
    scale = ready.setup.optics.pixel_scale
    assert moved == pytest.approx(-np.tan(np.radians(30.0)) * along / scale, rel=0.02)
    stars = frozenset({"stars"})
    drawn = sum(
        float(ready.renderer.illuminate(one, Window(0, 0, detector.nx, detector.ny), stars).sum(dtype=float))
        for one in detector.chips
    )
    _, other = lit([(0.0, 0.0)], angle=0.0)
    expected = sum(
        float(other.renderer.illuminate(one, Window(0, 0, detector.nx, detector.ny), stars).sum(dtype=float))
        for one in detector.chips
    )
    assert drawn == pytest.approx(expected, rel=0.01)
