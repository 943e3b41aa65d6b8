"""Sources, fluxes, PSF fits and injected stars on an image whose stars are known."""

import io
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from elvis_cli.detection import apertures, sources
from elvis_cli.kernels.apertures import aperture_sums
from tests.conftest import run

SIGMA, SIZE = 1.4, 300


def star(x, y, flux, sigma=SIGMA, size=SIZE):
    rows, columns = np.indices((size, size))
    return flux / (2 * np.pi * sigma**2) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))


def product(path, stars, noise=1.0, seed=0, size=SIZE):
    """Write an image of Gaussian stars with errors, flags, WCS and a zero point of 25."""
    sci = sum(star(*each, size=size) for each in stars) + np.random.default_rng(seed).normal(0, noise, (size, size))
    links = [
        ("HDUCLAS2", "DATA"),
        ("ERRDATA", "ERR"),
        ("QUALDATA", "DQ"),
        ("MAGZPT", 25.0),
    ]
    wcs = [("CTYPE1", "RA---TAN"), ("CTYPE2", "DEC--TAN"), ("CRVAL1", 10.0), ("CRVAL2", -20.0), ("CRPIX1", 150.0),
           ("CRPIX2", 150.0), ("CD1_1", -1e-5), ("CD1_2", 0.0), ("CD2_1", 0.0), ("CD2_2", 1e-5)]  # fmt: skip
    hdus = fits.HDUList([
        fits.PrimaryHDU(header=fits.Header([("MJD-OBS", 60000.0), ("EXPTIME", 86.4)])),
        fits.ImageHDU(sci.astype(np.float32), fits.Header([*links, *wcs]), name="SCI"),
        fits.ImageHDU(np.full((size, size), noise, np.float32), name="ERR"),
        fits.ImageHDU(np.zeros((size, size), np.int32), name="DQ"),
    ])  # fmt: skip
    hdus["SCI"].header["HIERARCH ESO QC FWHM"] = 2.355 * SIGMA
    hdus.writeto(path, overwrite=True)
    return path


GRID = [(30.3 + 60 * i, 30.7 + 60 * j, 2000.0 * 1.3 ** (i + j)) for i in range(5) for j in range(5)]


@pytest.fixture
def image(tmp_path):
    return product(tmp_path / "image.fits", GRID)


def ecsv(text):
    return Table.read(io.BytesIO(text), format="ascii.ecsv")


def test_the_area_of_an_aperture_is_that_of_a_circle():
    ones, good = np.ones((40, 40), np.float32), np.ones((40, 40), bool)
    for radius in (1.0, 2.5, 7.3):
        sums = aperture_sums(ones, ones, good, np.array([20.3]), np.array([19.6]), radius, 16)
        assert sums[0, 0] == pytest.approx(np.pi * radius**2, rel=5e-3)


def test_detect_finds_every_star_where_it_is(image):
    found = ecsv(run("detect", str(image)).out)
    assert len(found) == 25
    for x, y, flux in GRID:
        row = found[np.argmin(np.hypot(found["X"] - 1 - x, found["Y"] - 1 - y))]
        assert np.hypot(row["X"] - 1 - x, row["Y"] - 1 - y) < 0.02
        assert row["FLUX"] == pytest.approx(flux * (1 - np.exp(-((1.5 * 2.355) ** 2) / 2)), abs=5 * row["FLUX_ERR"])
        assert row["MAG"] == pytest.approx(25 - 2.5 * np.log10(row["FLUX"]))


def test_detect_writes_fits_and_reads_a_pipe(image):
    result = run("detect", "--fits", stdin=image.read_bytes())
    assert len(fits.getdata(io.BytesIO(result.out))) == 25


def test_empty_sky_has_few_sources(tmp_path):
    found = ecsv(run("detect", str(product(tmp_path / "empty.fits", [(150.0, 150.0, 5000.0)]))).out)
    assert len(found) <= 2


def test_aperture_errors_are_the_scatter_over_seeds(tmp_path):
    pulls = []
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 1, (200, 200)).astype(np.float32)
        x, y = (v.ravel() for v in np.meshgrid(np.arange(20.0, 180, 20), np.arange(20.0, 180, 20)))
        each = apertures.measure(noise, np.ones_like(noise), np.ones(noise.shape, bool), x, y, 3.0)
        pulls.append(each.flux / each.error)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.05)


def test_psf_fits_part_two_stars_that_overlap(tmp_path):
    pair = [*GRID[:20], (270.2, 150.1, 20000.0), (274.4, 150.1, 8000.0)]
    path = product(tmp_path / "pair.fits", pair)
    places = tmp_path / "places.ecsv"
    Table({"X": [271.2, 275.4], "Y": [151.1, 151.1]}).write(places)
    found = ecsv(run("photom", str(path), "--at", str(places), "--psf").out)
    assert np.allclose(found["FLUX"], [20000, 8000], rtol=0.03)
    one = ecsv(run("photom", str(path), "--at", str(places)).out)
    assert one["FLUX"][1] > 10000  # the neighbour's light in the aperture


def test_a_light_curve_has_a_row_for_each_star_and_time(image, tmp_path):
    places = tmp_path / "places.csv"
    places.write_text("ra,dec\n10.0,-20.0\n")
    second = tmp_path / "second.fits"
    with fits.open(image) as hdus:
        hdus[0].header["MJD-OBS"] = 60001.0
        hdus.writeto(second)
    curve = ecsv(run("photom", str(image), str(second), "--at", str(places)).out)
    assert list(curve["STAR"]) == [1, 1]
    assert np.allclose(curve["MJD"], [60000.0005, 60001.0005])


def test_half_of_the_stars_at_the_limit_are_found(image, tmp_path):
    # the peak of the filtered image is flux / (2 sigma sqrt(pi)), its noise 1 / (2 sigma sqrt(pi))
    limit = 5.0 * 2 * SIGMA * np.sqrt(np.pi)
    empty = product(tmp_path / "one.fits", [(150.0, 150.0, 20000.0)], seed=3, size=600)
    table = tmp_path / "injected.ecsv"
    more = run("inject", str(empty), "--flux", str(limit), "--count", "200", "--table", str(table))
    result = run("detect", "--injected", str(table), stdin=more.out)
    found = ecsv(result.out)
    assert len(found) == 200
    assert np.mean(found["FOUND"]) == pytest.approx(0.5, abs=0.1)
    assert "completeness" in result.err


def test_injected_light_is_what_was_asked_for(image, tmp_path):
    table = tmp_path / "stars.ecsv"
    Table({"X": [61.0], "Y": [61.0], "MAG": [15.0]}).write(table)
    before, after = fits.getdata(image, "SCI"), None
    after = fits.getdata(io.BytesIO(run("inject", str(image), "--at", str(table)).out), "SCI")
    assert (after - before).sum() == pytest.approx(10 ** (0.4 * 10), rel=1e-3)


def test_rings_of_diffraction_are_not_sources_but_companions_are():
    rows, columns = np.indices((200, 200)) - 100
    r = np.hypot(rows, columns)
    ring = star(100, 100, 1e5, size=200) + 60 * np.exp(-((r - 12) ** 2) / 4) * (
        1 + np.cos(6 * np.arctan2(rows, columns))
    )
    image = (ring + star(100 + 12, 100, 2500, size=200)).astype(np.float32)
    good, err = np.ones(image.shape, bool), np.ones(image.shape, np.float32)
    found = sources.find(image, err, good, 3.3, 5.0)
    assert len(found.x) == 2
    assert np.allclose(sorted(found.x), [100, 112], atol=0.5)


def test_faults_are_named(image, tmp_path):
    assert run("inject", str(image)).code == 2
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("a,b\n1,2\n")
    result = run("photom", str(image), "--at", str(nothing), "--errors", "json")
    assert result.code in (2, 69)
    result = run("photom", str(image), "--at", str(nothing))
    assert result.code == 69
    assert "RA, DEC" in result.err
    assert json.dumps(run("detect", str(tmp_path / "none.fits")).code) == "69"


@pytest.mark.parametrize(
    ("command", "table", "words"),
    [
        (("inject", "--flux", "inf", "--count", "2"), None, "the flux of star 1 is inf"),
        (("inject", "--mag", "-1e308", "--count", "2"), None, "the flux of star 1 is inf"),
        (("inject",), "X,Y,FLUX\n5,,100\n", "star 1 has no place"),
        (("inject",), "RA,DEC,MAG\n10,100,20\n", "star 1 has no place"),
        (("photom",), "X,Y\na,b\n", "X does not hold numbers"),
    ],
)
def test_stars_that_pixels_cannot_hold_are_refused(image, tmp_path, command, table, words):
    """Pixels that are not finite, or a fault of elvis, came of them."""
    (tmp_path / "at.csv").write_text(table or "")
    more = ("--at", str(tmp_path / "at.csv")) if table else ()
    result = run(command[0], str(image), *command[1:], *more)
    assert (result.code, result.out, len(result.lines)) == (65, b"", 1)
    assert words in result.err


def test_what_has_no_place_is_not_found(image, tmp_path):
    (tmp_path / "at.csv").write_text("X,Y\n31.3,31.7\n5,nan\n")
    result = run("detect", str(image), "--injected", str(tmp_path / "at.csv"))
    assert list(ecsv(result.out)["FOUND"]) == [1, 0]
    (tmp_path / "at.csv").write_text("X,Y\n")
    assert "completeness: not known" in run("detect", str(image), "--injected", str(tmp_path / "at.csv")).err


@pytest.mark.parametrize("card", [("MJD-OBS", "never"), ("EXPTIME", "long"), ("CONTINUE", "5")])
def test_cards_that_are_not_what_they_should_be_are_named(image, tmp_path, card):
    key, value = card
    data = image.read_bytes()
    wrong = f"{key:8}= {value!r:>20}" if key != "CONTINUE" else f"{key}= {value:>20}"
    at = data.index(b"EXPTIME")
    (tmp_path / "wrong.fits").write_bytes(data[:at] + wrong.ljust(80).encode() + data[at + 80 :])
    (tmp_path / "at.csv").write_text("X,Y\n31,31\n")
    result = run("photom", str(tmp_path / "wrong.fits"), "--at", str(tmp_path / "at.csv"))
    assert (result.code, result.out, key in result.err) == (65, b"", True)


def test_centroids_of_two_stars_that_overlap_are_apart():
    fwhm = 8.0
    image = sum(star(x, 100.3, 1e5, sigma=fwhm / 2.3548, size=200) for x in (95.0, 105.2)).astype(np.float32)
    found = sources.find(image, np.ones_like(image), np.ones(image.shape, bool), fwhm, 10.0)
    assert np.sort(found.x) == pytest.approx([95.0, 105.2], abs=0.05)
    assert found.y == pytest.approx([100.3, 100.3], abs=0.02)


@pytest.mark.parametrize("fwhm", [1.5, 1.8, 3.3])
def test_the_fwhm_of_undersampled_stars_is_found(fwhm):
    """Gaussians in pixels: sampling one at points and averaging it over pixels differ by 1/12 pixel2 of variance."""
    places = [(40.0 + 60 * i + 0.17 * k, 40.0 + 60 * k - 0.23 * i) for i in range(4) for k in range(4)]
    image = sum(star(x, y, 1e5, fwhm / sources.FWHM) for x, y in places).astype(np.float32)
    x, y = np.array(places).T
    shape = sources.shape(image, np.ones(image.shape, bool), x, y, 3.0)
    assert shape.count == 16
    assert shape.fwhm == pytest.approx(fwhm, rel=0.02)
