"""The WCS is the geometry, seen by astropy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.base.geometry import field_to_sky
from elvis_cli.focalplane.geometry import pixel_to_field
from elvis_cli.model.elvis_block import Window
from elvis_cli.product import wcs


def astropy_wcs(setup, chip, window, ra=150.1, dec=-30.0, angle=0.0):
    header = fits.Header()
    for keyword, value, comment in wcs.cards(setup, chip, window, ra, dec, angle):
        header[keyword] = (value, comment)
    return WCS(header)


@pytest.mark.parametrize("angle", [0.0, 30.0, -135.0])
@pytest.mark.parametrize("number", range(1, 10))
def test_pixel_sky_pixel(setup, number, angle):
    made = setup()
    w = astropy_wcs(made, made.detector.chip(number), Window(0, 0, 4096, 4096), angle=angle)
    x, y = np.meshgrid(np.linspace(0, 4095, 5), np.linspace(0, 4095, 5))
    back = w.wcs_world2pix(w.wcs_pix2world(np.stack([x.ravel(), y.ravel()], 1), 0), 0)
    assert np.abs(back - np.stack([x.ravel(), y.ravel()], 1)).max() < 1e-3


@pytest.mark.parametrize("angle", [0.0, 77.0])
@pytest.mark.parametrize("kind", ["ir", "ccd"])
def test_sky_of_every_corner_is_the_geometry(setup, kind, angle):
    made = setup(kind)
    window = Window(100, 200, 300, 400)
    for chip in made.detector.chips:
        w = astropy_wcs(made, chip, window, angle=angle)
        for x, y in ((0, 0), (299, 0), (0, 399), (299, 399)):
            ra, dec = w.wcs_pix2world([[x, y]], 0)[0]
            east, north = field_to_sky(*pixel_to_field(made, chip, x + 100.0, y + 200.0), angle)
            # gnomonic projection by hand (Calabretta & Greisen 2002, eq. 54)
            d0, d, da = np.radians(-30.0), np.radians(dec), np.radians(ra - 150.1)
            below = np.sin(d0) * np.sin(d) + np.cos(d0) * np.cos(d) * np.cos(da)
            xi = np.degrees(np.cos(d) * np.sin(da) / below) * 3600
            eta = np.degrees((np.cos(d0) * np.sin(d) - np.sin(d0) * np.cos(d) * np.cos(da)) / below) * 3600
            assert (xi, eta) == pytest.approx((east, north), abs=1e-3 * made.optics.pixel_scale)


def test_neighbouring_chips_see_the_gap_between_them(setup):
    """Chips 5 and 4 are 67.94 mm apart, so the facing edges leave 6.5 mm = 433.3 pixels."""
    made = setup()
    full = Window(0, 0, 4096, 4096)
    five, four = (astropy_wcs(made, made.detector.chip(n), full, dec=0.0) for n in (5, 4))
    sky = five.wcs_pix2world([[4095.5 + 6.5 / 0.015, 1000.0]], 0)
    x, y = four.wcs_world2pix(sky, 0)[0]
    assert x == pytest.approx(4095 - 1000.0, abs=1e-3)  # chip 4 is turned by 270 deg: its y axis points West
    assert y == pytest.approx(-0.5, abs=1e-3)


def test_window_and_binning_keep_the_sky(setup):
    made = setup()
    chip = made.detector.chip(2)
    full = astropy_wcs(made, chip, Window(0, 0, 4096, 4096))
    part = astropy_wcs(made, chip, Window(1000, 500, 64, 64))
    assert part.wcs_pix2world([[3, 4]], 0) == pytest.approx(full.wcs_pix2world([[1003, 504]], 0), abs=1e-11)
    binned = replace(made, detector=replace(made.detector, nx=2048, ny=2048, pixel_mm=0.03, binning=2))
    coarse = astropy_wcs(binned, chip, Window(0, 0, 2048, 2048))
    assert coarse.wcs_pix2world([[10, 20]], 0) == pytest.approx(full.wcs_pix2world([[20.5, 40.5]], 0), abs=1e-11)


def test_east_is_left_and_north_is_up(setup):
    made = setup()
    w = astropy_wcs(made, made.detector.chip(5), Window(0, 0, 4096, 4096))
    (ra0, dec0), (ra_right, _), (_, dec_up) = w.wcs_pix2world([[2047.5, 2047.5], [2147.5, 2047.5], [2047.5, 2147.5]], 0)
    assert (ra0, dec0) == pytest.approx((150.1, -30.0), abs=1e-10)
    assert ra_right < ra0
    assert (dec_up - dec0) * 3600 == pytest.approx(100 * 0.004, rel=1e-6)


def test_position_angle_turns_y_to_the_east(setup):
    made = setup()
    w = astropy_wcs(made, made.detector.chip(5), Window(0, 0, 4096, 4096), dec=0.0, angle=90.0)
    (ra0, dec0), (ra, dec) = w.wcs_pix2world([[2047.5, 2047.5], [2047.5, 2147.5]], 0)
    assert (ra - ra0) * 3600 == pytest.approx(0.4, rel=1e-6)
    assert dec == pytest.approx(dec0, abs=1e-9)
