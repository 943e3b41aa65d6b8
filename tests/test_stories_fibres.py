"""What astronomers ask of the ELT's fibre-fed spectrographs, each answered by one measured number (help scenes)."""

import io
import json

import numpy as np
from astropy.io import fits
from scipy.interpolate import CubicSpline

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.conftest import closure_only

LIGHT = 299792.458
LYMAN_ALPHA = 0.121567
"""um."""
REDSHIFTS = np.array([6.91, 6.93, 6.945, 6.96, 6.98, 7.0, 7.01, 7.03, 7.045, 7.06, 7.08, 7.1])


def galaxies(**elvis):
    """Ten hours of MOSAIC in J on galaxies of z = 7: continuum of 26 AB, a Lyman-alpha line 6 nm wide at rest."""
    document = registry.load("mosaic").example()
    document["target"]["brightness"] = {"brightnesstype": "mag", "magband": "J", "mag": 26, "magsys": "AB"}
    document["sky"] = {"airmass": 1.1, "fli": 0.1, "waterVapour": 2.5, "moonDistance": 90}
    document["timesnr"] = {"DET.DIT": 900, "DET.NDIT": 40}
    window = {"x0": 3650, "y0": 1704, "nx": 320, "ny": 688}
    document["elvis"] = {"window": window, "skip": ["cosmic_rays"], "seed": 1, **elvis}
    return document


def catalogue():
    """Twelve places within three arcmin, and the velocities that take z = 7 to each redshift."""
    rng, stretch = np.random.default_rng(7), ((1 + REDSHIFTS) / 8) ** 2
    r, angle = 170 * np.sqrt(rng.random(12)), 2 * np.pi * rng.random(12)
    velocity = LIGHT * (stretch - 1) / (stretch + 1)
    columns = {"x": r * np.cos(angle), "y": r * np.sin(angle), "mag": np.full(12, 26.0), "velocity": velocity}
    return {name: column.tolist() for name, column in columns.items()}


def spectrum(path):
    """Write the spectrum of a galaxy at z = 7: nothing below Lyman alpha, 48 nm of equivalent width in the line."""
    wave, line, sigma = np.arange(900.0, 1500.0, 0.1), 8e3 * LYMAN_ALPHA, 0.35
    shape = np.exp(-0.5 * ((wave - line) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
    np.savetxt(path, np.stack([wave, (wave >= line) + 48.0 * shape], axis=1))


def test_redshifts_of_twelve_galaxies_in_one_pointing_of_mosaic(elvis, tmp_path):
    """Dark, flat and the bundles on the sky as an observer has them; the place where a line fits best."""
    spectrum(tmp_path / "galaxy.txt")
    frames = {}
    for name, block, options in (
        (
            "image",
            {"catalogue": catalogue(), "wavemap": True},
            ["--sed", str(tmp_path / "galaxy.txt"), "--sed-unit", "nm"],
        ),
        ("dark", {"calibration": "dark", "exposure": 2}, []),
        ("flat", {"calibration": "flat", "exposure": 3}, []),
    ):
        result = elvis(*options, stdin=json.dumps(galaxies(**block)))
        assert result.code == 0, result.err
        with fits.open(io.BytesIO(result.out)) as hdus:
            frames[name] = hdus[1].data.astype(float)
            if "WAVE" in hdus:
                wave = along(hdus["WAVE"].data, True)
    image, dark, flat = frames["image"] - frames["dark"], frames["dark"], frames["flat"]
    setup = pipeline.configure(parse.read(json.dumps(galaxies(catalogue=catalogue()))))
    apertures = setup.spectrograph.apertures
    rows = np.rint([one.offset / setup.optics.pixel_scale + 2047.5 - 1704 for one in apertures]).astype(int)
    used = [n for n, row in enumerate(rows) if 4 < row < image.shape[0] - 5]
    good = (abs(dark - np.median(dark)) < 5 * 1.4826 * np.median(abs(dark - np.median(dark)))) & (flat > 0)

    def extracted(row):
        own = slice(row - 2, row + 3)
        light = np.maximum((flat * good)[own].sum(axis=0), 0.2 * flat[own].sum(axis=0))
        return (image * good)[own].sum(axis=0) / light

    spectra = np.array([extracted(rows[n]) for n in used])
    places = np.array(list(zip(*(catalogue()[axis] for axis in "xy"), strict=True)))
    distance = np.array([np.hypot(apertures[n].x - places[:, 0], apertures[n].y - places[:, 1]) for n in used])
    dark_sky = spectra[distance.min(axis=1) > 1.0]
    sky = np.median(dark_sky, axis=0)
    weight = 1 / np.median(abs(dark_sky - sky), axis=0) ** 2
    x, centres = np.arange(sky.size), np.arange(5.0, sky.size - 5.0, 0.1)
    line = np.exp(-0.5 * ((x - centres[:, None]) / 4.5) ** 2)
    measured = []
    for k in range(12):
        bundle = distance[:, k] < 0.3
        assert bundle.sum() == 7
        light = (spectra[bundle] - sky).sum(axis=0)
        fit = (line * light * weight).sum(axis=1) / np.sqrt((line**2 * weight).sum(axis=1))
        measured.append(np.interp(centres[fit.argmax()], x, wave) / LYMAN_ALPHA - 1)
    assert abs(np.array(measured) - REDSHIFTS).max() < 6e-4


def faint_star(**elvis):
    """Half an hour of ANDES in J on a dwarf of type K5 and V = 17; rows with two whole orders."""
    document = registry.load("andes").example()
    document["target"]["sed"]["spectrum"]["params"] = {"catalog": "Pickles", "id": "K:5:V"}
    document["target"]["brightness"] = {"brightnesstype": "mag", "magband": "V", "mag": 17, "magsys": "vega"}
    document["timesnr"] = {"DET1.UIT1": 1800, "SEQ.NEXPO": 1}
    window = {"x0": 0, "y0": 1300, "nx": 4096, "ny": 480}
    skip = ["cosmic_rays", "hot_pixels", "dead_pixels"]
    document["elvis"] = {"arm": "j", "window": window, "skip": skip, **elvis}
    return document


def along(wave, inside):
    """Return the mean wavelength of the pixels ``inside`` in each column, NaN where there are none."""
    return (
        np.ma.masked_where(~np.isfinite(wave) | ~np.broadcast_to(inside, wave.shape), wave).mean(axis=0).filled(np.nan)
    )


HALF = 38
"""Rows to either side of the middle of the 31 fibres that are summed."""


def summed(image, middle):
    rows, columns = np.rint(middle).astype(int), np.arange(image.shape[1])
    return sum(image[np.clip(rows + d, 0, image.shape[0] - 1), columns].astype(float) for d in range(-HALF, HALF + 1))


def middles(order, aperture, number):
    """Return the row of the middle of two apertures of an order in each column."""
    rows, columns = np.arange(order.shape[0])[:, None], np.arange(order.shape[1])
    for one in (1, 2):
        own = (order == number) & (aperture == one)
        count = own.sum(axis=0)
        whole = count >= count.max() - 1
        middle = (own * rows).sum(axis=0)[whole] / count[whole]
        yield np.polyval(np.polyfit(columns[whole], middle, 4), columns)


def velocity(flux, variance, model):
    """Return the velocity (km/s) of the ``model`` that fits best, and the error of the photons (Bouchy et al. 2001)."""
    inside = slice(150, -150)

    def scaled(v):
        shape = model(v)[inside]
        return shape * (shape * flux[inside] / variance[inside]).sum() / (shape**2 / variance[inside]).sum()

    grid = np.arange(10.0, 50.0, 0.5)
    away = [np.sum((flux[inside] - scaled(v)) ** 2 / variance[inside]) for v in grid]
    k = int(np.argmin(away))
    assert away[k] == np.clip(away[k], 0.9 * flux[inside].size, 1.1 * flux[inside].size)
    square, linear, _ = np.polyfit(grid[k - 2 : k + 3], away[k - 2 : k + 3], 2)
    best = -linear / square / 2
    slope = (scaled(best + 0.05) - scaled(best - 0.05)) / 0.1
    return best, 1 / np.sqrt(np.sum(slope**2 / variance[inside]))


@closure_only
def test_the_radial_velocity_of_a_faint_star_with_andes(render):
    """Against its noiseless spectrum at rest and a star without lines; the sky is in the other aperture."""
    powerlaw = faint_star(product="expected")
    powerlaw["target"]["sed"]["spectrum"] = {"spectrumtype": "powerlaw", "params": {"exponent": -1}}
    moving = {"x": [0.0], "y": [0.0], "mag": [17.0], "velocity": [30.0]}
    frames = {}
    for name, document in (
        ("rest", faint_star(product="expected", wavemap=True)),
        ("smooth", powerlaw),
        ("star", faint_star(seed=1, catalogue=moving)),
    ):
        with fits.open(io.BytesIO(render(document))) as hdus:
            frames[name] = hdus[1].data
            if name == "rest":
                wave, order, aperture = (hdus[key].data for key in ("WAVE", "ORDER", "APERTURE"))
            gain, ron = (hdus[1].header.get(f"ESO DET OUT1 {key}") for key in ("GAIN", "RON"))
    found = []
    for number in (99, 100):
        target, sky = middles(order, aperture, number)
        w = along(wave, (order == number) & (aperture == 1))
        seen = np.flatnonzero(np.isfinite(w) & (target > HALF) & (sky < order.shape[0] - HALF - 1))
        cut = slice(seen[0], seen[-1] + 1)
        rest, smooth = ((summed(frames[k], target) - summed(frames[k], sky))[cut] for k in ("rest", "smooth"))
        star, empty = (summed(frames["star"], middle)[cut] / gain for middle in (target, sky))
        shape = CubicSpline(w[cut], rest / smooth)

        def model(v, w=w[cut], smooth=smooth, shape=shape):
            return smooth * shape(w / np.sqrt((1 + v / LIGHT) / (1 - v / LIGHT)))

        found.append(velocity(star - empty, star + empty + 2 * (2 * HALF + 1) * ron**2, model))
    values, weight = [value for value, _ in found], [error**-2 for _, error in found]
    mean, error = np.average(values, weights=weight), sum(weight) ** -0.5
    assert 0.03 < error < 0.07
    assert abs(mean - 30.0) < 4 * error
