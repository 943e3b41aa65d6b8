"""A rotating galaxy: light of stars and gas, velocity field, dispersion, orientation."""

import numpy as np
import pytest

from elvis_cli.base.constants import LIGHT
from elvis_cli.scene import library
from elvis_cli.scene.generators.rotating_galaxy import velocity_field

LINE = {"wavelength": 656.461, "flux": 2e-19}


def galaxy(request_with, **parameters):
    scene = {"name": "rotating-galaxy", "lines": [LINE], **parameters}
    return library.components(request_with(mag=22.0, band="H", scene=scene))


def planes(line):
    """Return the velocity (km/s) of each plane of a line, from its redshift, and the planes."""
    shift = np.array([sed.redshift for sed in line.seds])
    return LIGHT * 1e-3 * ((1 + shift) / 3.2 - 1), line.shape.images


def test_the_curve_rises_to_its_asymptote():
    """Half of it at the turnover; nothing along the minor axis; sin i of it on the major one."""
    places = np.array([1.0, 1e6])
    half, full = velocity_field(places, np.zeros(2), 200.0, 1.0, 90.0)
    assert (half, full) == pytest.approx((100.0, 200.0), rel=1e-5)
    assert velocity_field(np.zeros(2), places, 200.0, 1.0, 60.0) == pytest.approx([0.0, 0.0], abs=1e-9)
    assert velocity_field(-places, np.zeros(2), 200.0, 1.0, 30.0)[1] == pytest.approx(-100.0, rel=1e-4)


def test_lines_hold_their_flux_and_the_mean_velocity_is_that_of_the_galaxy(request_with):
    stars, line = galaxy(request_with, redshift=2.2)
    assert (stars.name, line.name) == ("disc", "line")
    assert line.brightness.flux == LINE["flux"]
    velocity, images = planes(line)
    assert images.sum(dtype=float) == pytest.approx(1.0, rel=1e-4)
    light = images.sum(axis=(1, 2), dtype=float)
    assert light @ velocity == pytest.approx(0.0, abs=0.5)
    wide, narrow = (galaxy(request_with, dispersion=value)[1].seds[0].line_fwhm for value in (60.0, 30.0))
    assert wide / 656.461 * LIGHT * 1e-3 == pytest.approx(60 * 2.3548, rel=1e-3)
    assert narrow == pytest.approx(wide / 2, rel=1e-3)


@pytest.mark.parametrize(("angle", "east", "north"), [(0.0, 0, 1), (90.0, 1, 0), (180.0, 0, -1)])
def test_the_side_at_the_position_angle_moves_away(request_with, angle, east, north):
    _, line = galaxy(request_with, position_angle=angle, inclination=70.0, redshift=2.2)
    velocity, images = planes(line)
    mean = (images * velocity[:, None, None]).sum(axis=0) / images.sum(axis=0)
    count = mean.shape[0]
    assert mean[-count // 4, count // 2] > 100.0
    assert mean[count // 4, count // 2] < -100.0
    # the picture's +y lies at its angle from the field's +y (North), counter-clockwise: East for 90
    turn = np.radians(line.shape.angle)
    assert (np.sin(turn), np.cos(turn)) == pytest.approx((east, north), abs=1e-9)


def test_seen_edge_on_the_disc_is_thin_and_face_on_it_is_round(request_with):
    ratios = [1 - galaxy(request_with, inclination=i)[0].shape.sersic.ellipticity for i in (0.0, 60.0, 90.0)]
    assert ratios == pytest.approx([1.0, np.hypot(0.5, 0.2 * np.sin(np.radians(60))), 0.2])
    _, line = galaxy(request_with, inclination=0.0)
    assert len(line.seds) == 1
