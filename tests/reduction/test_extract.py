"""Optimal extraction of an object on synthetic pixels: its flux is all of its light, however faint it is."""

import numpy as np
import pytest

from elvis_cli.model.spectrograph import Aperture
from elvis_cli.reduction import extract
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.object_place import Place
from elvis_cli.reduction.strip_pixels import Pixels

ROWS, COLUMNS, HALF = 4000, 24, 6.0
"""Pixels of the strip, and half of the slit's length."""


def strip():
    """A slit of 12 pixels along the columns, of 1 arcsec each."""
    row = np.arange(ROWS)
    column = np.broadcast_to(np.arange(COLUMNS), (ROWS, COLUMNS))
    s = column - (COLUMNS - 1) / 2
    wave = np.broadcast_to(1.0 + 1e-5 * row[:, None], s.shape)
    slit = Aperture(0.0, 0.0, 2 * HALF, 1.0)
    return Strip(1, 1, slit, row, column, wave, s, 1.0, 1.0, 2.0, np.ones(s.shape, bool), np.full(ROWS, 11.5))


@pytest.mark.parametrize(("light", "fwhm"), [(1000.0, 4.0), (20.0, 4.0), (20.0, 2.0)])
def test_the_flux_is_all_light_of_the_slit(light, fwhm):
    """An order of many electrons beside the slit is no part of the profile, nor is noise in the object's wings."""
    made = strip()
    random = np.random.default_rng(1)
    shares = np.exp(-4 * np.log(2) * np.square(made.s / fwhm)) * (np.abs(made.s) <= HALF)
    shares /= shares.sum(axis=1, keepdims=True)
    sci = random.poisson(light * shares) + random.normal(0.0, 1.0, shares.shape)
    sci[:, np.abs(made.s[0]) > HALF + 2] += 1e4
    pixels = Pixels(sci, np.ones_like(sci), made.inside & (np.abs(made.s) < HALF), 1.0)
    one = extract.extract(made, pixels, np.zeros_like(sci), Place(np.zeros(ROWS), HALF), HALF + 1.0)
    error = np.sqrt(np.mean(np.square(one.err)) / ROWS)
    assert one.flux.mean() == pytest.approx(light, abs=3 * error)
    assert np.std(one.flux) / np.sqrt(np.mean(np.square(one.err))) == pytest.approx(1.0, abs=0.05)


def test_a_narrow_profile_between_two_pixels_is_not_mixed():
    """A trace that winds about the edge between two pixels: one side of its middle is not the other."""
    made = strip()
    middle = 0.02 * np.sin(np.arange(ROWS) / 20.0)
    shares = np.exp(-4 * np.log(2) * np.square((made.s - middle[:, None]) / 1.7))
    shares /= shares.sum(axis=1, keepdims=True)
    random = np.random.default_rng(2)
    sci = random.poisson(150.0 * shares) + random.normal(0.0, 2.0, shares.shape)
    pixels = Pixels(sci, np.full_like(sci, 4.0), made.inside, 1.0)
    one = extract.extract(made, pixels, np.zeros_like(sci), Place(middle, 1.7), 2.2)
    assert one.flux.mean() == pytest.approx(150.0, abs=3 * np.median(one.err) / ROWS**0.5)


def test_wings_count_alike_wherever_an_object_stands_on_the_pixels():
    """A third of the light is in a halo: as much of it is in the flux at the middle of a pixel as between two."""
    made = strip()
    middle = np.linspace(-0.5, 0.5, ROWS)
    x = made.s - middle[:, None]
    shares = np.exp(-4 * np.log(2) * np.square(x / 1.7)) / 1.7 + 0.5 * np.exp(-4 * np.log(2) * np.square(x / 8)) / 8
    sci = 1e5 * shares / 1.5
    pixels = Pixels(sci, np.ones_like(sci), made.inside, 1.0)
    one = extract.extract(made, pixels, np.zeros_like(sci), Place(middle, 1.7), 2.2)
    blocks = one.flux[: ROWS // 100 * 100].reshape(-1, 100).mean(axis=1)
    assert np.ptp(blocks) < 0.01 * blocks.mean()


def test_what_is_far_along_a_long_slit_changes_nothing():
    """The light of an order 60 pixels away, and pixels without data, are not those of the object."""
    short = strip()
    random = np.random.default_rng(4)
    shares = np.exp(-4 * np.log(2) * np.square(short.s / 2.0))
    sci = random.poisson(200.0 * shares) + random.normal(0.0, 1.0, shares.shape)
    whole = np.full((ROWS, 3 * COLUMNS), np.nan)
    whole[:, :COLUMNS], whole[:, COLUMNS : 2 * COLUMNS] = 1e5, sci
    column = np.broadcast_to(np.arange(3 * COLUMNS), whole.shape)
    s = column - COLUMNS - (COLUMNS - 1) / 2
    wave = np.broadcast_to(short.wave[:, :1], whole.shape)
    slit = Aperture(0.0, 0.0, 3.0 * COLUMNS, 1.0)
    long = Strip(1, 1, slit, short.row, column, wave, s, 1.0, 1.0, 2.0, np.ones(s.shape, bool), np.full(ROWS, 35.5))
    spectra = [
        extract.extract(
            made, Pixels(each, np.ones_like(each), np.isfinite(each), 1.0), each, Place(np.zeros(ROWS), 2.0), 4.0
        )
        for made, each in ((short, sci), (long, whole))
    ]
    for name in ("wave", "flux", "err", "box", "box_err", "sky", "bad"):
        np.testing.assert_allclose(*(getattr(one, name) for one in spectra), rtol=1e-12, err_msg=name)
