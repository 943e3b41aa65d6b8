"""The thermal sky beside an object, a thousand times as bright: what is left of it is less than its noise."""

import numpy as np
import pytest
from scipy.special import erf

from elvis_cli.model.spectrograph import Aperture
from elvis_cli.reduction import slit_sky
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.strip_pixels import Pixels

ROWS, COLUMNS = 300, 240
SKY = 6e7
"""Electrons of a pixel between the lines: METIS's sky in N in a minute."""


def lines(place, fwhm):
    """Emission lines anywhere, ``fwhm`` pixels wide, on pixels at ``place``, and a sky of 1 between them."""
    random = np.random.default_rng(3)
    edge = 2.0 * np.sqrt(np.log(2)) / fwhm
    return 1.0 + sum(
        height * (erf(edge * (place + 0.5 - at)) - erf(edge * (place - 0.5 - at))) / 2
        for at, height in zip(random.uniform(0, ROWS, 60), random.uniform(0.0, 0.3, 60), strict=True)
    )


def sky_of(bend, fwhm, object_, arc=lambda x: 0.0 * x):
    """The error over the noise of the sky model (n, m) of a slit whose wavelengths are off by ``arc`` pixels, and s."""
    row, column = np.arange(ROWS), np.broadcast_to(np.arange(COLUMNS), (ROWS, COLUMNS))
    s = column - (COLUMNS - 1) / 2
    x = s / (COLUMNS / 2)
    truth = SKY * lines(row[:, None] + bend * np.square(x) + 0.02 * x, fwhm) * (1.0 + 1e-3 * x)
    wave = 10.0 + 1e-3 * (row[:, None] + bend * np.square(x) + 0.02 * x + arc(x))
    slit = Aperture(0.0, 0.0, 400.0, 1.0)
    strip = Strip(1, 1, slit, row, column, wave, s, 1.0, 1.0, fwhm, np.ones(s.shape, bool), np.full(ROWS, 119.5))
    sci = truth + np.random.default_rng(1).normal(0.0, np.sqrt(truth))
    pixels = Pixels(sci, np.full(sci.shape, 100.0), np.ones(sci.shape, bool), 1.0)
    model = slit_sky.sky_beside(strip, pixels, object_(s)).light
    return (model - truth) / np.sqrt(truth), s


@pytest.mark.parametrize(("bend", "fwhm"), [(0.15, 2.5), (2.5, 4.0)])
def test_lines_whose_bend_the_arc_has_wrong_leave_nothing(bend, fwhm):
    """By a twentieth of a pixel, and the flat the light along the slit by a part in a thousand."""
    wrong, s = sky_of(bend, fwhm, lambda s: np.abs(s) < 20, lambda x: -0.05 * np.square(x) - 0.02 * x)
    wrong = wrong[5:-5, np.abs(s[0]) < 8]
    assert np.std(wrong.mean(axis=1)) < 0.25
    assert abs(wrong.mean()) < 0.02


def test_an_object_at_the_end_of_a_slit_has_the_sky_of_its_one_side():
    """To less than a thousandth of it: beyond that side the slope of the light along the slit is not known."""
    wrong, s = sky_of(2.5, 4.0, lambda s: np.abs(s + 115) < 20)
    assert np.abs(wrong[5:-5, s[0] < -107]).max() < 1e-3 * np.sqrt(SKY)


@pytest.mark.parametrize(("bend", "middle"), [(0.0, 0.0), (0.0, 60.0), (2.5, 0.0)])
def test_the_error_of_the_sky_is_its_scatter(bend, middle):
    """A straight line beyond its pixels is less certain than among them; a spline is a little less at its knots."""
    row, column = np.arange(ROWS), np.broadcast_to(np.arange(COLUMNS), (ROWS, COLUMNS))
    s = column - (COLUMNS - 1) / 2
    wave = 10.0 + 1e-3 * (row[:, None] + bend * np.square(s / (COLUMNS / 2)))
    slit = Aperture(0.0, 0.0, COLUMNS, 1.0)
    strip = Strip(1, 1, slit, row, column, wave, s, 1.0, 1.0, 4.0, np.ones(s.shape, bool), np.full(ROWS, 119.5))
    object_ = np.abs(s - middle) < 50
    pulls = []
    for seed in range(10):
        sci = 100.0 + np.random.default_rng(seed).normal(0.0, 5.0, s.shape)
        sky = slit_sky.sky_beside(strip, Pixels(sci, np.full(s.shape, 24.0), np.ones(s.shape, bool), 100.0), object_)
        at = int(np.argmin(np.abs(s[0] - middle)))
        pulls.append((sky.light[:, at] - 100.0) / sky.err)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.1 if bend else 0.05)
