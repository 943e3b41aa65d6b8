"""Heights, angles and the Moon, beside astropy's."""

import math
from datetime import datetime

import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body
from astropy.time import Time

from elvis_cli.model.atmosphere import Site
from elvis_cli.observing import ephemeris

# astropy, not we, warns that it does not know the leap seconds of years to come.
pytestmark = pytest.mark.filterwarnings("ignore:.*dubious year", "ignore:.*polar motions")
PARANAL = Site("Paranal", -24.6272, -70.4042, 2635.0, 285.0, 743.0, 0.1)
TIMES = [datetime(2026, 1, 5, 2), datetime(2026, 7, 1, 6, 30), datetime(2030, 3, 1, 4)]


@pytest.mark.parametrize("when", TIMES)
def test_it_agrees_with_astropy(when):
    place = EarthLocation.from_geodetic(PARANAL.longitude, PARANAL.latitude, PARANAL.elevation)
    time, target = Time(when), SkyCoord(150.0, -30.0, unit="deg")
    frame = AltAz(obstime=time, location=place)
    seen = ephemeris.local_position(150.0, -30.0, when, PARANAL)
    expected = target.transform_to(frame)
    assert seen.altitude == pytest.approx(expected.alt.deg, abs=0.01)
    assert seen.azimuth == pytest.approx(expected.az.deg, abs=0.05)

    moon, sun = get_body("moon", time, place), get_body("sun", time, place)
    found = ephemeris.moon(when, PARANAL)
    assert found.altitude == pytest.approx(moon.transform_to(frame).alt.deg, abs=0.02)
    assert found.sun_altitude == pytest.approx(sun.transform_to(frame).alt.deg, abs=0.02)
    elongation = moon.separation(sun, origin_mismatch="ignore").rad
    assert found.illumination == pytest.approx((1 - math.cos(elongation)) / 2, abs=0.005)
    icrs = SkyCoord(moon.ra, moon.dec)
    assert found.separation(150.0, -30.0) == pytest.approx(icrs.separation(target).deg, abs=0.05)


def test_there_is_no_airmass_below_the_horizon():
    assert ephemeris.LocalPosition(-5.0, 0, 0, 0).airmass == float("inf")
    assert ephemeris.LocalPosition(30.0, 0, 0, 0).airmass == pytest.approx(2.0)


def test_years():
    assert ephemeris.decimal_year(datetime(2000, 1, 1, 12)) == 2000.0
    assert ephemeris.decimal_year(datetime(2001, 1, 1, 0)) == pytest.approx(2001.0, abs=0.002)
