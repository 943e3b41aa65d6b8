"""Lines of sky and star in rendered frames, extracted as an observer does: places, widths, velocities.

The published places are those of `tests/sky/test_resolved.py`; frames are ``--product expected`` with ``--wavemap``.
"""

from __future__ import annotations

import functools
import io
import json
import os

import numpy as np
import pytest
from astropy.io import fits
from scipy.interpolate import CubicSpline

from elvis_cli import pipeline
from elvis_cli.focalplane import trace
from elvis_cli.instrument import registry
from elvis_cli.model.request import SkyConditions
from elvis_cli.request import parse
from elvis_cli.sky import resolved
from tests.conftest import run

KMS = 299792.458
STEP = 1e-6
"""Of ln(wavelength), of the extracted spectra: 0.3 km/s."""
heavy = pytest.mark.skipif(not os.environ.get("ELVIS_HIGH_RESOLUTION_TESTS"), reason="make lines renders these frames")

CRIRES2 = ("crires2", "spec_noao", {"INS.WLEN.CWLEN": 1582.339}, "1", (0, 480, 2048, 680))
"""Orders 35 to 37 on the first chip: 1.53 to 1.62 um."""
FLAT = {"spectrumtype": "powerlaw", "params": {"exponent": 0}}
GIANT = {"spectrumtype": "template", "params": {"catalog": "Pickles", "id": "K0III"}}


@functools.cache
def frame(instrument, mode, keys, chip, window, only, spectrum=None, redshift=0.0):
    """Return electrons/s, wavelength (um), order and aperture of each pixel (ny, nx)."""
    document = registry.load(instrument).example(mode)
    document["instrument"] |= dict(keys)
    if spectrum is not None:
        document["target"]["sed"] = {
            "sedtype": "spectrum",
            "spectrum": GIANT if spectrum == "giant" else FLAT,
            "redshift": {"redshift": redshift},
        }
    document["sky"] |= {"airmass": 1.0, "waterVapour": 2.5, "fli": 0}
    x0, y0, nx, ny = window
    document["output"] = {}
    document["elvis"] = {
        "product": "expected", "wavemap": True, "chips": [int(chip)], "only": [only],
        "window": {"x0": x0, "y0": y0, "nx": nx, "ny": ny},
    }  # fmt: skip
    result = run(stdin=json.dumps(document))
    assert result.code == 0, result.err
    with fits.open(io.BytesIO(result.out)) as hdus:
        image = hdus[1].data.astype(float)
        return image, *(hdus[name].data.astype(float) for name in ("WAVE", "ORDER", "APERTURE"))


def extracted(pixels, order, aperture=1, axis=1, step=STEP):
    """Return an even grid of ln(wavelength) and photons per unit of it, summed over the rows of an order."""
    image, wave, orders, apertures = (plane if axis == 1 else plane.T for plane in pixels)
    own = np.where((orders == order) & (apertures == aperture), wave, np.nan)
    rows = [row for row in range(len(own)) if np.isfinite(own[row]).sum() > 0.9 * own.shape[1]]
    low, high = max(np.nanmin(own[row]) for row in rows), min(np.nanmax(own[row]) for row in rows)
    grid = np.arange(np.log(low) + 2e-5, np.log(high) - 2e-5, step)
    total = np.zeros(grid.size)
    for row in rows:
        good = np.isfinite(own[row])
        place = np.log(own[row][good])
        along = np.argsort(place)
        density = image[row][good][along] / np.gradient(place[along])
        total += np.interp(grid, place[along], density)
    return grid, total


def centroid(grid, spectrum, place, reach=4.0):
    """Return how far the line at ``place`` (um) is from it, km/s, and its area over that of 1 (ln)."""
    near = np.abs(grid - np.log(place)) * KMS < reach
    level = np.percentile(spectrum, 5)
    light = spectrum[near] - level
    return float(np.average(grid[near] - np.log(place), weights=light)) * KMS


def place_of(document, wave):
    """Return order, aperture, chip and pixel (column, row) where a wavelength (um) is brightest, HARPS's fibre A."""
    setup = pipeline.configure(parse.read(json.dumps(document)))
    found = []
    for one in setup.spectrograph.traces:
        if one.aperture != 0 or not one.wave[0] < wave < one.wave[1]:
            continue
        x, y = one.place(np.array([wave]), np.array(setup.spectrograph.apertures[0].images[:1]))
        for chip in setup.detector.chips:
            column, row = (int(at[0]) for at in trace.to_pixels(x, y, chip, setup.detector))
            if 0 < column < setup.detector.nx and 0 < row < setup.detector.ny:
                found.append((float(one.efficiency.at(np.array([wave]))[0]), one.order, chip.id, column, row))
    return max(found)[1:]


def sunlight(kind, wave):
    """Return ln(wavelength) and photons per unit of it of HARPS's fibre A about a wavelength: moonlit sky, twilight.

    Wavelength runs along y.
    """
    document = registry.load("harps").example("unique")
    document["sky"] |= {"airmass": 1.0, "waterVapour": 2.5, "fli": float(kind == "moonlight"), "moonDistance": 30}
    order, chip, column, row = place_of(document, wave)
    block = {"calibration": "twilight"} if kind == "twilight" else {"only": ["background"]}
    window = {"x0": column - 20, "y0": row - 100, "nx": 40, "ny": 200}
    document |= {"output": {}, "elvis": {"product": "expected", "wavemap": True, "chips": [chip], "window": window}}
    document["elvis"] |= block
    result = run(stdin=json.dumps(document))
    assert result.code == 0, result.err
    with fits.open(io.BytesIO(result.out)) as hdus:
        image, wavelength = hdus[1].data.astype(float).T, hdus["WAVE"].data.T
        own = ((hdus["ORDER"].data == order) & (hdus["APERTURE"].data == 1)).T
    place, light = [], []
    for n in np.flatnonzero(own.any(axis=0)):
        rows = np.flatnonzero(own[:, n])
        place.append(np.log(wavelength[rows, n].astype(float)).mean())
        light.append(image[max(rows[0] - 4, 0) : rows[-1] + 5, n].sum())
    along = np.argsort(place)
    place, light = np.array(place)[along], np.array(light)[along]
    grid = np.arange(place[0], place[-1], STEP)
    return grid, CubicSpline(place, light / np.gradient(place))(grid)


SOLAR = [0.6163887, 0.6769642, 0.6303253, 0.5891583]
"""um: Ca I, Ni I, Fe I, Na D2 as Toon (2010) measured them."""


@pytest.mark.parametrize(
    ("kind", "place"),
    [("twilight", SOLAR[0]), *(pytest.param(kind, place, marks=heavy)
                               for kind in ("twilight", "moonlight") for place in SOLAR)],
)  # fmt: skip
def test_lines_of_the_sun_in_frames(kind, place):
    grid, spectrum = sunlight(kind, place)
    near = np.abs(grid - np.log(place)) * KMS < 6.0
    depth = 1 - spectrum / np.percentile(spectrum[np.abs(grid - np.log(place)) * KMS < 40.0], 95)
    core = near & (depth > 0.65 * depth[near].max())
    assert depth[near].max() > 0.4
    assert np.average(grid[core] - np.log(place), weights=depth[core]) * KMS == pytest.approx(0.0, abs=0.3)


def keys(case):
    """Return a case whose keys can be cached."""
    instrument, mode, chosen, chip, window = case
    return instrument, mode, tuple(chosen.items()), chip, window


@pytest.mark.parametrize(
    ("order", "place"),  # Rousselot et al. (2000): parts 60 pm apart are told apart at R = 90000
    [(37, 1.5332100), (37, 1.5332705), (35, 1.6128294), (35, 1.6128923)],
)
def test_oh_lines_of_an_echelle(order, place):
    grid, sky = extracted(frame(*keys(CRIRES2), "background"), order)
    assert centroid(grid, sky, place) == pytest.approx(0.0, abs=0.5)
    near = np.abs(grid - np.log(place)) * KMS < 5.0
    half = grid[near][sky[near] > sky[near].max() / 2]
    assert np.ptp(half) < 1.3 / 80000  # a line is as wide as the slit's image


def test_carbon_dioxide_of_an_echelle():
    """1571.4068 nm: at rest, and of the width that the air's own spectrum has within the same 12 km/s."""
    place, order = 1.5714068, 36
    grid, star = extracted(frame(*keys(CRIRES2), "stars", "flat"), order)
    near = np.abs(grid - np.log(place)) * KMS < 12.0
    level = np.interp(grid[near], grid[near][[0, -1]], star[near][[0, -1]])
    depth = 1 - star[near] / level
    core = depth > depth.max() / 2
    assert np.average(grid[near][core] - np.log(place), weights=depth[core]) * KMS == pytest.approx(0.0, abs=0.5)
    sky = air(1.56, 1.58)
    truth = np.interp(np.exp(grid), sky.wave, sky.transmission)
    sigma = 1 / 89200 / 2.3548 / STEP
    kernel = np.exp(-0.5 * (np.arange(-40, 41) / sigma) ** 2)
    truth = np.convolve(truth, kernel / kernel.sum(), "same")
    expected = 1 - truth[near] / np.interp(grid[near], grid[near][[0, -1]], truth[near][[0, -1]])
    assert depth.sum() == pytest.approx(expected.sum(), rel=0.1)


def shift(reference, spectrum, reach=300):
    """Return the shift (km/s) of the best cross-correlation of two spectra on the same grid, by a parabola."""
    inner = slice(reach, -reach)
    lags = np.arange(-reach, reach + 1)
    a = reference[inner] - reference[inner].mean()
    scores = []
    for lag in lags:
        b = spectrum[reach + lag : spectrum.size - reach + lag]
        scores.append(np.sum(a * (b - b.mean())) / np.sqrt(np.sum((b - b.mean()) ** 2)))
    best = int(np.argmax(scores))
    left, top, right = scores[best - 1 : best + 2]
    return (lags[best] + 0.5 * (left - right) / (left - 2 * top + right)) * STEP * KMS


@functools.cache
def giants(order):
    """Return a K giant's spectra at 0 and 30 km/s, and the air's, over the continuum."""
    redshift = np.sqrt((1 + 30 / KMS) / (1 - 30 / KMS)) - 1
    air_only = extracted(frame(*keys(CRIRES2), "stars", "flat"), order)[1]
    rest = extracted(frame(*keys(CRIRES2), "stars", "giant"), order)[1]
    moved = extracted(frame(*keys(CRIRES2), "stars", "giant", float(redshift)), order)[1]
    return rest, moved, air_only


def test_velocity_of_a_giant_without_noise():
    found = []
    for order in (35, 37):
        rest, moved, air_only = giants(order)
        found.append(shift(rest / air_only, moved / air_only))
    assert found == pytest.approx([30.0, 30.0], abs=0.1)


def test_lines_of_the_air_stay_at_rest():
    """In order 36 of the giant that moves, carbon dioxide is where it was."""
    rest, moved, air_only = giants(36)
    place = 1.5714068
    grid, _ = extracted(frame(*keys(CRIRES2), "stars", "flat"), 36)
    near = np.abs(grid - np.log(place)) * KMS < 4.0
    centres = []
    for spectrum in (rest, moved, air_only):
        depth = spectrum[near].max() - spectrum[near]
        core = depth > depth.max() / 2
        centres.append(np.average(grid[near][core], weights=depth[core]) * KMS)
    assert np.ptp(centres) < 0.5


def test_velocity_of_a_giant_at_a_ratio_of_100():
    """The scatter is that of the spectrum's own information (Bouchy et al. 2001, A&A 374, 733, eq. 9)."""
    rest, moved, air_only = giants(37)
    pixel = round(1.0 / KMS / STEP)  # samples of a pixel of 1 km/s
    star = moved / air_only
    star = star / np.median(star)
    slope = np.gradient(star[::pixel], STEP * pixel)
    error = KMS / np.sqrt(np.sum((slope * 100.0) ** 2))
    rng = np.random.default_rng(1)
    offsets = []
    for _ in range(12):
        noise = np.repeat(rng.normal(0.0, 0.01, star.size // pixel + 1), pixel)[: star.size]
        offsets.append(shift(rest / air_only, star + noise) - 30.0)
    assert np.std(offsets) < 3.0 * error
    assert abs(np.mean(offsets)) < 3.0 * error / np.sqrt(12) + 0.1


def air(low, high):
    """Return the sky over Paranal at the conditions of the frames."""
    document = registry.load("crires2").example("spec_noao")
    site = pipeline.configure(parse.read(json.dumps(document))).atmosphere.site
    return resolved.resolve(SkyConditions(airmass=1.0, pwv=2.5, fli=0.0), site, low, high)


@heavy
@pytest.mark.parametrize(("grating", "place", "aperture", "window"), [("K-short", 2.1507309, 2, (120, 2650, 100, 300))])
def test_oh_lines_of_an_integral_field(grating, place, aperture, window):
    case = ("harmoni", "ifs_ltao", {"INS.GRAT.NAME": grating}, "1", window)
    grid, sky = extracted(frame(*keys(case), "background"), 1, aperture, axis=0, step=3 * STEP)
    assert centroid(grid, sky, place, reach=14.0) == pytest.approx(0.0, abs=0.5)


@heavy
def test_lines_of_the_air_in_the_thermal_infrared():
    """The emission of an LMS frame at 3.8 um follows that of the air, slice by slice, within 0.5 km/s."""
    case = ("metis", "lms_scao", {}, "2", (0, 900, 2048, 200))
    pixels = frame(*keys(case), "background")
    own = np.unique(pixels[3][(pixels[2] > 0) & np.isfinite(pixels[1])])
    aperture = max(own, key=lambda a: np.sum(pixels[3] == a))
    order = np.max(pixels[2][pixels[3] == aperture])
    grid, sky = extracted(pixels, order, aperture)
    model = air(float(np.exp(grid[0])) * 0.999, float(np.exp(grid[-1])) * 1.001)
    truth = np.interp(np.exp(grid), model.wave, model.emission)
    kernel = np.exp(-0.5 * (np.arange(-40, 41) / (1 / 109000 / 2.3548 / STEP)) ** 2)
    truth = np.convolve(truth, kernel / kernel.sum(), "same")
    assert shift(truth, sky, 60) == pytest.approx(0.0, abs=0.5)
    assert np.corrcoef(truth[100:-100], sky[100:-100])[0, 1] > 0.99
