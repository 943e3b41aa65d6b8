"""PhotonBudget through apertures and along traces: nothing is lost, and everything is where it belongs."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from scipy.optimize import curve_fit

from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.model.elvis_block import Window
from elvis_cli.sky import refraction

SLIT = {"kind": "slit", "width": (20.0, "arcsec"), "length": (40.0, "arcsec")}
FWHM = math.sqrt(8 * math.log(2))
STARS, SKY = frozenset({"stars"}), frozenset({"background"})
LINE = {
    "target/sed": {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 630.0, "fwhm": 1e-4}}},
    "target/brightness": {"brightnesstype": "flux", "flux": 1e-15},
}
TURNED = [[[0.1, -0.02, 0.0001], [3.0, 0.01, 0.0], [0.05, 0.0, 0.0]], [[0.2, 0.06], [0.3, 0.001], [-0.1, 0.0]]]
"""Coefficients (mm) of a trace that is tilted and curved, and so are its lines."""


def draw(made, parts=STARS):
    detector = made.setup.detector
    return made.renderer.illuminate(detector.chip(1), Window(0, 0, detector.nx, detector.ny), parts).astype(float)


def electrons(made):
    return float(np.sum(made.renderer.light.target.density * made.renderer.light.budget.width))


def stretched(profile, model, step):
    """Return by how much a line is wider than ``model``, which is sampled every ``step`` pixels about its middle."""
    place = (np.arange(model.size) - model.size // 2) * step
    column = np.arange(profile.size)

    def line(x, height, middle, factor):
        return height * np.interp((x - middle) / factor, place, model, left=0.0, right=0.0)

    first = profile.max() / model.max(), np.average(column, weights=profile), 1.0
    return curve_fit(line, column, profile, first)[0][2]


def test_an_open_slit_sees_the_electrons_that_an_image_sees(bench, ready):
    image, spectrum = ready(bench()), ready(bench(kind="slit", aperture=SLIT))
    assert draw(spectrum).sum() == pytest.approx(draw(image).sum(), rel=0.01)
    assert draw(spectrum).sum() == pytest.approx(electrons(spectrum), rel=0.005)


def test_an_open_slit_sees_the_sky_that_an_image_sees(bench, ready):
    image, spectrum = ready(bench()), ready(bench(kind="slit", aperture=SLIT))
    per_arcsec2 = draw(image, SKY)[0, 0] / 0.25**2
    assert draw(spectrum, SKY).sum() == pytest.approx(per_arcsec2 * 20.0 * 40.0, rel=0.005)


@pytest.mark.parametrize("parts", [STARS, SKY])
def test_tilted_and_curved_traces_lose_nothing(bench, ready, parts):
    x, y = TURNED
    aperture = {**SLIT, "width": (3.0, "arcsec")}
    straight = draw(ready(bench(kind="slit", aperture=aperture)), parts)
    curved = draw(ready(bench(kind="slit", aperture=aperture, traces=[bench.trace((0.60, 0.66), x, y)])), parts)
    assert curved.sum() == pytest.approx(straight.sum(), rel=2e-3)
    assert not np.allclose(curved, straight, rtol=0.1)


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0, 12.0])
@pytest.mark.parametrize("blur", [0.0, 3.0])
def test_a_line_is_as_wide_as_slit_image_and_pixel_make_it(bench, ready, width, blur):
    aperture = {**SLIT, "width": (width, "arcsec")}
    made = ready(bench(LINE, kind="slit", aperture=aperture, blur=(blur, "pixel")))
    x = np.arange(-2000, 2001) * 0.02  # pixels
    sigma = ready(bench(LINE)).renderer.psf.fwhm / 0.25 / FWHM
    model = np.exp(-0.5 * (x / sigma) ** 2) * (abs(x) <= width / 0.25 / 2)
    if blur:
        model = np.convolve(model, np.exp(-0.5 * (x / (blur / FWHM)) ** 2), "same")
    model = np.convolve(model, np.ones(50), "same")
    assert stretched(draw(made).sum(axis=0), model, 0.02) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.3, 0.45])
@pytest.mark.parametrize("x", [-0.5, 0.0, 1.3])
def test_a_line_is_where_its_trace_and_its_place_in_the_slit_put_it(bench, ready, x, part):
    """A star beyond the middle of the slit (+x here) stands there on the detector, and looks redder."""
    step = 0.03 * 0.015 / 3.0  # um a pixel
    place = {"target/sed/emissionline/params/lambda": 630.0 + 1e3 * part * step, "elvis/offset": [x, 0.0]}
    made = ready(bench({**copy.deepcopy(LINE), **place}, kind="slit", aperture=SLIT))
    profile = draw(made).sum(axis=0)
    assert np.average(np.arange(512), weights=profile) == pytest.approx(255.5 + part + x / 0.25, abs=0.02)
    assert profile.sum() == pytest.approx(electrons(made), rel=0.01)


@pytest.mark.parametrize("width", [0.4, 0.8, 2.0])
def test_a_slit_takes_its_part_of_a_star(bench, ready, width):
    made = ready(bench(kind="slit", aperture={**SLIT, "width": (width, "arcsec")}))
    sigma = ready(bench()).renderer.psf.fwhm / FWHM
    assert draw(made).sum() / electrons(made) == pytest.approx(math.erf(width / 2 / sigma / math.sqrt(2)), rel=0.01)


def test_a_star_outside_leaves_the_slit_dark(bench, ready):
    made = ready(bench({"elvis/offset": [15.0, 0.0]}, kind="slit", aperture=SLIT))
    assert draw(made).sum() < 1e-6 * electrons(made)


def slices(bench, changes=None, count=8, width=0.5):
    """Return an integral field of 4 x 10 arcsec, each slice's trace of its own."""
    traces = [
        bench.trace((0.60, 0.66), [[0.05 * n], [3.0]], [[-1.57 + 0.42 * n, 0.03]], aperture=n) for n in range(count)
    ]
    aperture = {"kind": "slices", "width": (width, "arcsec"), "length": (10.0, "arcsec"), "count": (count, "1")}
    return bench(changes, kind="ifu", aperture=aperture, traces=traces)


@pytest.mark.parametrize(("x", "share"), [(0.0, 1.0), (0.3, 1.0), (2.0, 0.5)])
def test_slices_share_the_light_of_the_field(bench, ready, x, share):
    made = ready(slices(bench, {"elvis/offset": [x, 0.5]}))
    sigma = ready(bench()).renderer.psf.fwhm / FWHM
    inside = (math.erf((2.0 - x) / sigma / math.sqrt(2)) + math.erf((2.0 + x) / sigma / math.sqrt(2))) / 2
    assert inside == pytest.approx(share, abs=1e-3)
    assert draw(made).sum() / electrons(made) == pytest.approx(inside, rel=0.01)


def test_slices_far_from_the_target_count_as_its_light_too(bench, ready):
    """The prediction looks 8 arcsec around the target, the field is 24 arcsec wide."""
    galaxy = {"morphologytype": "extended", "extendedtype": "sersic", "index": 1, "radius": 6}
    made = ready(slices(bench, {"target/morphology": galaxy}, width=3.0))
    share = draw(made, {"galaxies"}).sum() / electrons(made)
    assert 0.5 < share < 0.7
    assert np.median(made.prediction.inside.enslitted) == pytest.approx(share, rel=0.01)


def test_each_slice_has_the_light_that_falls_into_it(bench, ready):
    image = draw(ready(slices(bench)))
    rows = [128 + (-1.57 + 0.42 * n) / 0.015 for n in range(8)]
    sums = np.array([image[round(row) - 12 : round(row) + 12].sum() for row in rows])
    made = ready(slices(bench))
    sigma = ready(bench()).renderer.psf.fwhm / FWHM
    edges = (np.arange(9) - 4) * 0.5
    shares = np.diff([math.erf(edge / sigma / math.sqrt(2)) / 2 for edge in edges])
    assert sums / electrons(made) == pytest.approx(shares, abs=0.005)


@pytest.mark.parametrize("curved", [False, True])
def test_the_map_of_wavelengths_inverts_the_traces(bench, ready, curved):
    shape = {"traces": [bench.trace((0.60, 0.66), *TURNED)]} if curved else {}
    made = ready(bench(kind="slit", aperture={**SLIT, "length": (30.0, "arcsec")}, **shape))
    detector = made.setup.detector
    found = made.renderer.wavelengths(detector.chip(1), Window(0, 0, detector.nx, detector.ny))
    (trace,) = made.setup.spectrograph.traces
    rows, columns = np.nonzero(found.order == 1)
    assert rows.size > 2e4
    x, y = trace.place(found.wave[rows, columns].astype(float), found.s[rows, columns].astype(float))
    px, py = to_pixels(x, y, detector.chip(1), detector)
    assert np.max(np.hypot(px - columns, py - rows)) < 0.05
    assert np.all(found.aperture[rows, columns] == 0)
    assert np.all(np.isnan(found.wave[found.order == 0]))


def test_a_window_is_a_part_of_the_frame(bench, ready):
    made = ready(bench(kind="slit", aperture=SLIT, traces=[bench.trace((0.60, 0.66), *TURNED)]))
    part = made.renderer.illuminate(made.setup.detector.chip(1), Window(101, 57, 130, 90))
    assert part == pytest.approx(draw(made, STARS | SKY | {"galaxies", "thermal"})[57:147, 101:231], rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("adc", [0.0, 0.7, 1.0])
def test_differential_refraction_bends_the_spectrum_of_a_star(bench, ready, adc):
    """The slit points to the zenith: on the meridian, at position angle 0."""
    changes = {"sky/airmass": 2.0}
    made = ready(bench(changes, kind="slit", aperture=SLIT, adc=(adc, "1"), reference=(0.63, "um")))
    image = draw(made)[:, 100:412:10]
    heights = 0.25 * np.array([np.average(np.arange(256) - 127.5, weights=column) for column in image.T])
    wave = 0.63 + (np.arange(100, 412, 10) - 255.5) * 0.015 / 3.0 * 0.03
    expected = [(1 - adc) * refraction.shift(w, 0.63, 2.0, made.setup.atmosphere.site) for w in wave]
    assert abs(expected[0]) > 0.08 * (1 - adc) - 1e-9
    assert abs(heights) == pytest.approx(np.abs(expected), abs=0.01)
    assert heights[0] * (expected[0] - expected[-1]) >= 0.0
