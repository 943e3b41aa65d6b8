"""Euclid VIS: the focal plane, what a quadrant's file holds, the zero point, the sky and the PSF."""

import copy
import io
import json
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli import pipeline
from elvis_cli.base import spectral_grid
from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.focalplane.geometry import field_to_pixel, pixel_to_field
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.sky.load import load

PRESCAN, OVERSCAN, ROWS = 51, 29, 20
DETID = {
    **{f"{r}-{c}": 3 * (r - 1) + c - 1 for r in range(1, 7) for c in (1, 2, 3)},
    **{"1-4": 20, "1-5": 19, "1-6": 18, "2-4": 23, "2-5": 22, "2-6": 21, "3-4": 26, "3-5": 25, "3-6": 24},
    **{"4-4": 29, "4-5": 28, "4-6": 27, "5-4": 32, "5-5": 31, "5-6": 30, "6-4": 35, "6-5": 34, "6-6": 33},
}
"""Of CCDID, as published."""
CORNERS = {
    "left": {"E": (False, False), "F": (True, False), "G": (True, True), "H": (False, True)},
    "right": {"E": (True, True), "F": (False, True), "G": (False, False), "H": (True, False)},
}
"""Whether a quadrant's amplifier is to the right and at the top, in the left and the right half of the focal plane."""


def document(**changes):
    made = copy.deepcopy(registry.load("euclid-vis").example())
    flat = {"spectrumtype": "powerlaw", "params": {"exponent": -2}}
    made["target"]["sed"] = {"sedtype": "spectrum", "spectrum": flat}
    made["output"] = {}
    made["elvis"] |= changes
    return made


@pytest.fixture(scope="module")
def ready():
    return pipeline.prepare(parse.read(json.dumps(document())))


def rendered(**changes):
    out = io.BytesIO()
    pipeline.render(parse.read(json.dumps(document(**changes))), out)
    return fits.open(io.BytesIO(out.getvalue()), checksum=True)


@pytest.fixture(scope="module")
def edges(ready):
    """Left, right, low and high edge (arcsec) of each CCD by row and column."""
    found = {}
    nx, ny = ready.setup.detector.nx, ready.setup.detector.ny
    for chip in ready.setup.detector.chips:
        x, y = zip(
            *(pixel_to_field(ready.setup, chip, i, j) for i in (-0.5, nx - 0.5) for j in (-0.5, ny - 0.5)), strict=True
        )
        found[divmod(chip.id, 10)] = min(x), max(x), min(y), max(y)
    return found


@pytest.fixture(scope="module")
def made():
    with rendered(chips=[43, 44], window={"x0": 2000, "y0": 2000, "nx": 100, "ny": 140}, skip=["cosmic_rays"]) as hdus:
        yield [(hdu.name, hdu.header.copy(), np.array(hdu.data)) for hdu in hdus if "QUADID" in hdu.header]


class TestFocalPlane:
    def test_36_of_4096_by_4132(self, ready, edges):
        assert (ready.setup.detector.nx, ready.setup.detector.ny) == (4096, 4132)
        assert sorted(edges) == [(r, c) for r in range(1, 7) for c in range(1, 7)]

    def test_gaps(self, edges):
        for row, column in edges:
            if column < 6:
                assert edges[row, column + 1][0] - edges[row, column][1] == pytest.approx(12.7, abs=0.5)
            if row < 6:
                assert edges[row, column][2] - edges[row + 1, column][3] == pytest.approx(64.4, abs=0.5)

    def test_first_row_is_north_first_column_east(self, edges):
        assert edges[1, 1][1] < -840
        assert edges[1, 1][2] > 980

    def test_names(self, ready):
        for chip in ready.setup.detector.chips:
            assert dict(chip.header) == {"CCDID": chip.extname, "DETID": DETID[chip.extname]}
        assert sorted(DETID.values()) == list(range(36))


class TestQuadrants:
    def test_names_in_order(self, made):
        assert [name for name, _, _ in made] == [f"4-{c}.{q}" for c in "34" for q in "EFGH"]

    def test_it_is_unsigned_16_bit(self, made):
        assert {(h["BITPIX"], h["BZERO"], str(data.dtype)) for _, h, data in made} == {(16, 32768, "uint16")}

    def test_scans_are_where_the_amplifier_is(self, made):
        for name, header, data in made:
            assert (header["PRESCANX"], header["OVRSCANX"], header["OVRSCANY"]) == (PRESCAN, OVERSCAN, ROWS)
            half = "left" if header["CCDID"].endswith("3") else "right"
            right, top = CORNERS[half][header["QUADID"]]
            read = data[:: -1 if top else 1, :: -1 if right else 1].astype(float)  # [0, 0] is read first
            light = read[:-ROWS, PRESCAN:-OVERSCAN]
            bias = np.median(read[:, :PRESCAN])
            assert bias == pytest.approx(2000, abs=2), name
            assert np.median(read[:-ROWS, -OVERSCAN:]) == pytest.approx(bias, abs=1), name
            assert np.median(read[-ROWS:, PRESCAN:-OVERSCAN]) == pytest.approx(bias, abs=1.5), name
            assert np.median(light) > bias + 25, name
            assert np.all(np.median(light, axis=0) > bias + 15), name
            assert np.all(np.median(light, axis=1) > bias + 15), name

    def test_shapes(self, made):
        assert [data.shape for _, _, data in made] == [(86, 128), (86, 132), (94, 132), (94, 128)] * 2
        full = (2066 + ROWS, PRESCAN + 2048 + OVERSCAN)
        assert full == (2086, 2128)

    def test_noise_of_the_read_out(self, made):
        scans = [
            data[:, : PRESCAN - 1].astype(float) for _, h, data in made if h["QUADID"] in "EH" and "-3" in h["CCDID"]
        ]
        assert np.std(np.concatenate(scans)) * 3.4 == pytest.approx(np.hypot(4.4, 3.4 / np.sqrt(12)), rel=0.03)


@pytest.mark.parametrize("chip", [33, 34, 16, 61])
def test_the_coordinates_of_every_quadrant_are_those_of_its_stars(ready, chip):
    """Four stars, one a quadrant: each is found where the WCS of the extension has it."""
    setup = ready.setup
    place = setup.detector.chip(chip)
    pixels = [(2020, 2040), (2075, 2041), (2076, 2090), (2021, 2091)]
    x, y = zip(*(pixel_to_field(setup, place, *p) for p in pixels), strict=True)
    pointing = {"ra": 150.0, "dec": 2.0, "position_angle": 25.0}
    catalogue = {"x": list(x), "y": list(y), "mag": [18.0] * 4}
    window = {"x0": 2000, "y0": 2000, "nx": 100, "ny": 140}
    with (
        rendered(
            chips=[chip],
            window=window,
            catalogue=catalogue,
            offset=[0, 0],
            pointing=pointing,
            skip=["cosmic_rays", "ghosts"],
        ) as hdus,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        ra, dec = deproject(*field_to_sky(np.array(x), np.array(y), 25.0), 150.0, 2.0)
        found = 0
        for hdu in hdus[1:5]:
            px, py = WCS(hdu.header).all_world2pix(ra, dec, 0)
            level = np.median(hdu.data)
            for i, j in zip(px, py, strict=True):
                if 12 <= i < hdu.data.shape[1] - 12 and 12 <= j < hdu.data.shape[0] - 12:
                    low, left = round(j) - 5, round(i) - 5
                    part = hdu.data[low : low + 11, left : left + 11] - level
                    rows, columns = np.mgrid[low : low + 11, left : left + 11]
                    assert np.sum(part * columns) / np.sum(part) == pytest.approx(i, abs=0.1)
                    assert np.sum(part * rows) / np.sum(part) == pytest.approx(j, abs=0.1)
                    found += 1
        assert found == 4


class TestLight:
    def test_zero_point(self, ready):
        """25.50 mag (AB) give 1 e/s; the example's target has 20."""
        assert 20.0 + 2.5 * np.log10(ready.renderer.light.target.rate) == pytest.approx(25.5, abs=0.005)

    def test_background(self, ready):
        """Zodiacal and scattered light give 0.183 + 0.030 e/s in a pixel."""
        assert ready.renderer.light.budget.background == {"sky": pytest.approx(0.213, rel=0.02)}

    @pytest.mark.parametrize(("option", "factor"), [("low", 10**-0.24), ("high", 10**0.24)])
    def test_zodiacal_light(self, ready, option, factor):
        made = document()
        made["instrument"]["SKY.ZODIACAL"] = option
        light = pipeline.prepare(parse.read(json.dumps(made))).renderer.light.budget
        assert light.background_rate == pytest.approx(factor * ready.renderer.light.budget.background_rate, rel=1e-6)

    def test_there_is_no_atmosphere(self, ready):
        assert np.all(ready.renderer.light.budget.atmosphere == 1.0)
        made = document()
        made["sky"] = {"airmass": 2.0, "fli": 1.0}
        other = pipeline.prepare(parse.read(json.dumps(made)))
        assert other.renderer.light.budget.background_rate == ready.renderer.light.budget.background_rate
        assert any("/sky/airmass, /sky/fli: not used" in note for note in other.notes)
        assert not any("not used" in note for note in ready.notes)

    def test_the_sky_has_the_brightness_asked_for(self, ready):
        site = ready.setup.atmosphere.site
        wave = spectral_grid.grid(0.6, 0.8)
        above = load(parse.read(json.dumps(document())).sky, site, wave)
        magnitude, at = site.zodiacal
        photons = np.interp(at, wave, above.emission) * 6.62607015e-34 * at  # f_nu, W/m2/Hz/arcsec2
        assert -2.5 * np.log10(photons / 3631e-26) == pytest.approx(magnitude, abs=1e-6)
        assert magnitude == pytest.approx(22.32 - 2.5 * np.log10(1.162), abs=1e-9)

    def test_psf(self, ready):
        """The FWHM of Q1, 0.16 arcsec with the pixel."""
        spread = ready.renderer.psf
        middle = spread.fine.shape[-1] // 2
        for line in (spread.fine[0][middle, middle:], spread.fine[0][middle:, middle]):
            k = int(np.argmax(line < line[0] / 2))
            half = k - 1 + (line[k - 1] - line[0] / 2) / (line[k - 1] - line[k])
            assert 2 * half / spread.oversample * 0.1 == pytest.approx(0.16, abs=0.002)
        assert spread.encircled(1001) == pytest.approx(1.0, abs=0.01)

    def test_short_exposure(self):
        setup = registry.load("euclid-vis").configure(
            parse.read(json.dumps(registry.load("euclid-vis").example("img_short")))
        )
        assert setup.exposure.dit == 89.52


def test_the_header_has_no_ground(ready):
    with rendered(window={"x0": 0, "y0": 0, "nx": 64, "ny": 64}) as hdus:
        top = hdus[0].header
        assert not any("GEO" in key or "AIRM" in key or "AMBI" in key for key in top)
        assert (top["RA"], top["DEC"]) == (270.0, 66.5607)
        assert top["EXPTIME"] == 560.52


def test_the_target_of_the_example_is_on_its_chip(ready):
    x, y = field_to_pixel(ready.setup, ready.setup.detector.chip(34), *ready.renderer.scene.centre)
    assert 1000 < x < 3000
    assert 1000 < y < 3000
