"""A small echelle behind a bundle of fibres, of data alone: the model of a spectrograph holds for bundles too."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from elvis_cli import pipeline
from elvis_cli.focalplane import fibre_plane
from elvis_cli.focalplane.slit_plane import Drift
from elvis_cli.focalplane.trace import to_pixels
from elvis_cli.instrument import registry
from elvis_cli.light import calibration
from elvis_cli.light.compose import Extended, Scene, Sources, compose
from elvis_cli.model.elvis_block import PsfCube, Window
from elvis_cli.model.spectrograph import disc_profile
from elvis_cli.optics import user_psf
from elvis_cli.request import parse
from elvis_cli.scene.component import Picture
from tests import setups

STARS, SKY = frozenset({"stars"}), frozenset({"background"})
DIAMETER = 1.0
"""arcsec."""


@pytest.fixture
def bundle(bench):
    """Return a request for three fibres, one in the middle of the field and one 3 arcsec on either side."""

    def make(changes=None, *, first=125, orders=12, width=DIAMETER):
        apart = 0.015 * 240 / orders  # mm
        middle = 0.629 * (first + (orders - 1) / 2)
        traces = []
        for n in range(orders):
            order, centre = first + n, middle / (first + n)
            wave = centre * (1 - 0.5 / order), centre * (1 + 0.5 / order)
            blaze = {"wave": np.linspace(*wave, 65), "value": np.sinc(np.linspace(-0.5, 0.5, 65)) ** 2}
            blaze = {name: column.tolist() for name, column in blaze.items()}
            for fibre in range(3):
                y = apart * (n - (orders - 1) / 2) + 0.3 * apart * (fibre - 1)
                place = [[0.0, 0.0], [3.2, 0.0]], [[y, 0.06], [0.02, 0.0], [0.03, 0.0]]
                traces.append(bench.trace(wave, *place, order=order, aperture=fibre, efficiency=blaze))
        aperture = {"kind": "fibres", "width": (width, "arcsec")}
        aperture |= {"x": ([0.0, 3.0, -3.0], "arcsec"), "y": ([0.0, 0.0, 0.0], "arcsec")}
        return bench(changes, kind="echelle", aperture=aperture, traces=traces)

    return make


def draw(made, parts=STARS):
    detector = made.setup.detector
    return made.renderer.illuminate(detector.chip(1), Window(0, 0, detector.nx, detector.ny), parts).astype(float)


def through(made, density, fibre):
    """Return the electrons/s that one fibre's orders show of electrons/s/um (n,) on the light's wavelengths."""
    light, total = made.renderer.light.budget, 0.0
    for trace in made.setup.spectrograph.traces:
        if trace.aperture == fibre:
            wave = np.linspace(*trace.wave, 2000)
            total += np.trapezoid(np.interp(wave, light.wave, density) * trace.efficiency.at(wave), wave)
    return total


def coupled(bench, ready, diameter=DIAMETER):
    """Return the part of a Gaussian star in a fibre about it, as the ETC has it."""
    return 1 - 2 ** -((diameter / ready(bench()).renderer.psf.fwhm) ** 2)


@pytest.mark.parametrize("diameter", [0.5, 1.0, 1.6])
def test_a_fibre_takes_the_energy_of_the_psf_within_it(bundle, bench, ready, diameter):
    made = ready(bundle(width=diameter))
    expected = through(made, made.renderer.light.target.density, 0) * coupled(bench, ready, diameter)
    assert draw(made).sum() == pytest.approx(expected, rel=0.01)


def test_only_the_fibre_under_the_star_is_lit(bundle, ready):
    made = ready(bundle({"elvis/offset": [3.0, 0.0]}))
    found = made.renderer.wavelengths(made.setup.detector.chip(1), Window(0, 0, 512, 256))
    image = draw(made)
    inside = [image[found.aperture == fibre].sum() for fibre in range(3)]
    assert inside[1] > 0.9 * image.sum()
    assert image.sum() == pytest.approx(draw(ready(bundle())).sum(), rel=0.002)


def test_a_fibre_scrambles(bundle, ready):
    """Where in the fibre the star stands is not to be seen, only how much of it is inside."""
    centred, beside = (draw(ready(bundle({"elvis/offset": place}))) for place in ([0.0, 0.0], [0.25, 0.15]))
    assert beside.sum() < 0.95 * centred.sum()
    shapes = [image / image.sum() for image in (centred, beside)]
    assert np.abs(shapes[1] - shapes[0]).max() < 2e-3 * shapes[0].max()  # the colour changes a little


def test_the_sky_fills_every_fibre(bundle, ready):
    made = ready(bundle())
    area = np.pi * DIAMETER**2 / 4
    expected = sum(through(made, made.renderer.light.budget.density["sky"], fibre) * area for fibre in range(3))
    assert draw(made, SKY).sum() == pytest.approx(expected, rel=0.01)


def test_orders_lie_where_their_traces_do(bundle, ready):
    made = ready(bundle())
    image, detector = draw(made), made.setup.detector
    rows = np.arange(256)
    for trace in made.setup.spectrograph.traces[::3]:
        wave = np.linspace(*trace.wave, 9)[1:-1]
        x, y = to_pixels(*trace.place(wave, np.zeros(7)), detector.chip(1), detector)
        for column, row in zip(np.round(x).astype(int), y, strict=True):
            near = abs(rows - row) < 5
            assert np.average(rows[near], weights=image[near, column]) == pytest.approx(row, abs=0.05)


def test_the_map_knows_orders_and_fibres(bundle, ready):
    made = ready(bundle())
    chip, detector = made.setup.detector.chip(1), made.setup.detector
    found = made.renderer.wavelengths(chip, Window(0, 0, 512, 256))
    for trace in made.setup.spectrograph.traces:
        wave = np.linspace(*trace.wave, 9)[1:-1]
        x, y = (np.round(p).astype(int) for p in to_pixels(*trace.place(wave, np.zeros(7)), chip, detector))
        assert set(found.order[y, x]) == {trace.order}
        assert set(found.aperture[y, x]) == {trace.aperture}
        assert found.wave[y, x] == pytest.approx(wave, abs=0.6 * np.ptp(trace.wave) / 427)


def test_its_frames_are_called_echelle(bundle, elvis):
    result = elvis("--product=expected", stdin=json.dumps(bundle()))
    assert result.code == 0
    with fits.open(BytesIO(result.out)) as hdus:
        top = hdus[0].header
        assert (top["ESO DPR CATG"], top["ESO DPR TECH"], top["ESO DPR TYPE"]) == ("SCIENCE", "ECHELLE", "OBJECT")
        assert (top["ESO SIM SPEC APERTS"], top["ESO SIM SPEC TRACES"]) == (3, 36)
        assert "ESO INS SLIT1 WID" not in top
        assert hdus["WAVE"].data.shape == hdus["CHIP1"].data.shape == (256, 512)
        assert set(np.unique(hdus["APERTURE"].data)) == {0, 1, 2, 3}


def test_a_hundred_orders_share_the_light(bundle, ready):
    made = ready(bundle(first=1100, orders=100))
    image = draw(made)
    expected = through(made, made.renderer.light.target.density, 0)
    assert 0.4 * expected < image.sum() < expected


def share_of_gaussian(fwhm, diameter, offset):
    """Return the part of a Gaussian in a circle whose middle is ``offset`` from its own, on a fine grid."""
    x = np.linspace(-diameter / 2, diameter / 2, 1001)
    inside = np.add.outer(x**2, x**2) <= diameter**2 / 4
    profile = np.exp(-4 * np.log(2) * np.add.outer(x**2, (x - offset) ** 2) / fwhm**2)
    return float((profile * inside).sum()) * (x[1] - x[0]) ** 2 * 4 * np.log(2) / np.pi / fwhm**2


@pytest.mark.parametrize("diameter", [0.4, 1.0, 1.45])
def test_the_loss_at_a_fibre_is_that_of_the_profile_and_of_the_place(bundle, bench, ready, diameter):
    fwhm = ready(bench()).renderer.psf.fwhm
    for offset in (0.0, 0.2, 0.4):
        made = ready(bundle({"elvis/offset": [offset, 0.0]}, width=diameter))
        expected = share_of_gaussian(fwhm, diameter, offset)
        assert made.renderer.apertures.enslitted(0).mean() == pytest.approx(expected, rel=0.02)


SLIT = {"slit": ([[0.0], [20.0], [-60.0, -50.0, -40.0]], "pixel"), "image": ([4.0, 5.0], "pixel")}


@pytest.fixture
def slit(bench):
    """Return a request for three fibres in one slit of one order: the third, of three images, is 2 deg away."""

    def make(changes=None, **more):
        aperture = {"kind": "fibres", "width": (1.0, "arcsec"), **SLIT}
        aperture |= {"x": ([0.0, 3.0, 7200.0], "arcsec"), "y": ([0.0, 0.0, 0.0], "arcsec"), **more}
        place = [[0.0, 0.0], [3.2, 0.0]], [[0.0, 0.06], [0.02, 0.0]]
        trace = bench.trace((0.61, 0.65), *place)
        reference_lamp = {"lamps": ["neon"], "fill": {"value": 0.3, "unit": "1", "source": "test"}}
        return bench(
            changes,
            kind="echelle",
            aperture=aperture,
            traces=[trace],
            reference_lamp=reference_lamp,
            blur=(1.2, "pixel"),
        )

    return make


def test_fibres_of_a_slit_lie_where_their_places_are_however_far_apart_on_the_sky(slit, ready):
    made = ready(slit({"elvis/offset": [7200.0, 0.0]}))
    image, column = draw(made), 256
    light = image[:, column - 5 : column + 6].sum(axis=1)
    rows = np.arange(256) - 127.5
    tilt = 0.02 * 1000 / 15 * (column - 255.5) / 213
    for place in SLIT["slit"][0][2]:
        near = abs(rows - place - tilt) < 5
        assert np.average(rows[near], weights=light[near]) == pytest.approx(place + tilt, abs=0.05)
        assert light[near].sum() == pytest.approx(light.sum() / 3, rel=0.01)
    alone = draw(ready(slit()))
    assert image.sum() == pytest.approx(alone.sum(), rel=1e-3)


def test_the_image_of_a_fibre_does_not_know_where_the_star_is(slit, ready):
    """To 1e-3 of the peak at each wavelength: its colour changes a little, as the seeing's size does."""
    shapes = []
    for place in ([0.0, 0.0], [0.3, -0.2], [0.0, 0.4]):
        image = draw(ready(slit({"elvis/offset": place})))
        columns = image[:, 60:450]
        shapes.append(columns / columns.sum(axis=0))
    assert max(np.abs(shape - shapes[0]).max() for shape in shapes) < 1e-3 * shapes[0].max()


def test_a_neighbour_gets_what_the_profile_has_there(slit, ready):
    """Light of one fibre in the rows of the next falls as its image does: the ellipse, blurred."""
    near, far = (draw(ready(slit(slit=([[0.0], [apart], [-60.0]], "pixel")))) for apart in (6.0, 20.0))
    assert near == pytest.approx(far, abs=1e-5 * far.max())
    column = far[:, 256] / far[:, 256].sum()
    x, profile = disc_profile(5.0, 1.2)
    profile = np.cumsum(profile) * (x[1] - x[0])
    rows = np.arange(256) - 127.5
    tilt = float(np.sum(rows * column))
    for place in (-4.0, -3.0, -2.0, 0.0, 2.0, 3.0):
        row = int(np.round(place + 127.5))
        low, high = np.interp([rows[row] - tilt - 0.5, rows[row] - tilt + 0.5], x, profile)
        assert column[row] == pytest.approx(high - low, abs=0.003)


def test_a_reference_fibre_sees_its_lamp_or_nothing(slit, ready):
    sky, lamp, dark = (draw(ready(slit(feeds=["sky", feed, "dark"])), SKY) for feed in ("sky", "lamp", "dark"))
    rows = np.arange(256) - 127.5
    of_a, of_b, of_c = abs(rows) < 8, abs(rows - 20) < 8, abs(rows + 50) < 16
    assert lamp[of_a].sum() == pytest.approx(sky[of_a].sum(), rel=1e-4)
    assert dark[of_b].sum() < 1e-4 * sky[of_b].sum()
    assert lamp[of_b].max() == pytest.approx(0.3 * 1e5 / 10, rel=0.15)  # of the full well, in 10 s
    assert sky[of_c].sum() < 1e-4 * sky.sum()


def test_the_prediction_sums_all_images_of_a_fibre(slit, ready):
    near, far = (ready(slit({"elvis/offset": [x, 0.0]})).prediction for x in (0.0, 7200.0))
    assert np.median(far.inside.target) == pytest.approx(np.median(near.inside.target), rel=0.01)
    assert far.inside.npix[0] > 2.5 * near.inside.npix[0]
    assert far.resolution == pytest.approx(near.resolution)


@pytest.mark.parametrize(("x", "shines"), [(0.0, True), (34.0, True), (35.5, False)])
def test_a_picture_far_from_a_fibre_is_not_drawn(x, shines):
    """Corners 14.1 arcsec from the middle of a template, whose light ends 20 arcsec beyond them."""
    source = Extended(Picture(np.ones((20, 20), np.float32), 1.0, x, 0.0), 1.0)
    none = np.zeros(0)
    scene = Scene(none, none, none, (source,), 0.0, (x, 0.0), Sources(none, none, none, none, none))
    near = fibre_plane._near(scene, fibre_plane.Patch(0.0, 0.0, 2, 2, (0,)), 0.1, frozenset({"galaxies"}))
    assert (near is not None and near.extended == (source,)) == shines


def test_many_stars_have_the_psf_of_their_places_behind_adaptive_optics():
    """Two fibres, 12 arcsec apart, on two of twelve stars: each takes what it takes of one of two."""
    document = registry.load("andes").example("ifu")
    document["instrument"]["INS.SCALE.NAME"] = "100"
    taken = {}
    for count in (2, 12):
        x = [0.0, 12.0, *np.linspace(30.0, 60.0, count - 2)]
        document["elvis"] = {"arm": "j", "catalogue": {"x": x, "y": [0.0] * count, "mag": [12.0] * count}}
        request = parse.read(json.dumps(document))
        setup = pipeline.configure(request)
        _, light = calibration.illuminate(request, setup)
        first = setup.spectrograph.apertures[0]
        graph = replace(setup.spectrograph, apertures=tuple(replace(first, x=place, y=0.0) for place in (0.0, 12.0)))
        drift = Drift(1.25, 0.0, 1.0, 1.0, setup.atmosphere.site, 0.0)
        plane = fibre_plane.build(light, compose(request, light), drift, graph)
        taken[count] = plane.light(compose(request, light), STARS).mean(axis=0)
    assert taken[2][1] < 0.8 * taken[2][0]
    assert taken[12] == pytest.approx(taken[2], rel=0.03)


ACCEPTANCE = {
    ("kolmogorov", 0.8): {(0.9, 0.0): 0.4933, (0.9, 0.2): 0.4449, (1.0, 0.0): 0.5599, (1.4, 0.4): 0.6194},
    ("kolmogorov", 1.3): {(0.4, 0.0): 0.0538, (0.4, 0.2): 0.0504, (0.9, 0.4): 0.1915, (1.45, 0.0): 0.4880},
    ("moffat", 0.8): {(0.4, 0.0): 0.1089, (0.9, 0.2): 0.3635, (1.0, 0.4): 0.3259, (1.45, 0.0): 0.6592},
}
"""Fraction of a star of a FWHM (arcsec) in a fibre by diameter and offset (arcsec): GalSim 2.8.5. Beta is 2.5."""


def moffat(fwhm):
    """Return the PSF of a user: elements of 0.02 arcsec."""
    x = (np.arange(1501) - 750) * 0.02
    core = fwhm / 2 / np.sqrt(2 ** (1 / 2.5) - 1)
    image = (1 + (x**2 + x[:, None] ** 2) / core**2) ** -2.5
    return PsfCube((image / image.sum()).astype("<f4").tobytes(), (1, *image.shape), 0.02)


@pytest.mark.parametrize(("profile", "fwhm"), ACCEPTANCE)
def test_the_loss_at_a_fibre_is_that_of_turbulence_and_of_a_moffat_profile(profile, fwhm):
    """HARPS at 0.5 um, without an outer scale, on a telescope so large that nothing is lost by diffraction (3 % is)."""
    document = registry.load("harps").example()
    document["elvis"] = {"arm": "harps"}
    document["sky"]["airmass"] = 1.0
    request = parse.read(json.dumps(document))
    setup = setups.change(pipeline.configure(request), seeing=fwhm, airmass=1.0, band=(0.4995, 0.5005))
    still = replace(setup.atmosphere.turbulence, outer_scale=1e6)
    large = replace(setup.optics.telescope, diameter=40.0, inner=0.0, spider_width=0.0)
    setup = setups.change(setup, turbulence=still, telescope=large)
    if profile == "moffat":
        setup = user_psf.adopt(setup, moffat(fwhm), (0.0, 0.0))
    _, light = calibration.illuminate(request, setup)
    first = setup.spectrograph.apertures[0]
    fibres = tuple(replace(first, x=x, y=0.0, diameter=size, transmission=1.0) for size, x in ACCEPTANCE[profile, fwhm])
    graph = replace(setup.spectrograph, apertures=fibres)
    scene = compose(request, light)
    plane = fibre_plane.build(light, scene, Drift(0.5, 0.0, 1.0, 1.0, setup.atmosphere.site, 0.0), graph)
    fractions = plane.light(scene, STARS).mean(axis=0) / scene.rate.sum()
    assert fractions == pytest.approx(list(ACCEPTANCE[profile, fwhm].values()), rel=0.02)


def test_the_width_of_lines_follows_the_stretch_of_the_image(slit, ready):
    """A disc's image has a variance of (width / 4)^2, beside those of blur and pixel; no line of neon loses light.

    The lamp fills the brightest pixel alike, so the light of all lines is compared with that of one.
    """
    table = {"wave": [0.61, 0.65], "value": [0.7, 1.4], "unit": "1", "source": "test"}
    images = [draw(ready(slit(feeds=["dark", "lamp", "dark"], **own)), SKY) for own in ({}, {"stretch": table})]
    even, stretched = (image[140:156].sum(axis=0) for image in images)
    x = np.arange(512.0)
    for wave in (0.61448, 0.63848):  # in vacuum: lines without neighbours
        near = abs(x - 255.5 - (wave - 0.63) / 0.02 * 3.2 / 0.015) < 5
        assert stretched[near].sum() / stretched.sum() == pytest.approx(even[near].sum() / even.sum(), rel=3e-4)
        variances = []
        for light in (even[near], stretched[near]):
            middle = np.average(x[near], weights=light)
            variances.append(np.average((x[near] - middle) ** 2, weights=light))
        width = 4.0 * np.interp(wave, table["wave"], table["value"])
        assert variances[1] == pytest.approx(variances[0] + (width**2 - 4.0**2) / 16, rel=0.03)
