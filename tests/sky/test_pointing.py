"""When and where: defaults that agree with the airmass, angles that agree with astropy."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord
from astropy.time import Time

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.elvis_block import Pointing
from elvis_cli.model.exposure import Exposure
from elvis_cli.sky.pointing import EPOCH, observe, parallactic_angle
from tests.each import each


def altaz(observation, site):
    place = EarthLocation.from_geodetic(site.longitude, site.latitude, site.elevation)
    time = Time(observation.start, scale="utc", location=place)
    star = SkyCoord(observation.ra, observation.dec, unit="deg")
    return star.transform_to(AltAz(obstime=time, location=place)), time.sidereal_time("apparent").deg


@pytest.mark.parametrize("airmass", [1.0, 1.2, 2.0, 2.9])
def test_default_pointing_has_the_airmass_on_the_southern_meridian(setup, request_for, airmass):
    seen = observe(request_for().elvis, setup(airmass=airmass))
    assert 1 / np.sin(np.radians(seen.altitude)) == pytest.approx(airmass, rel=1e-6)
    assert seen.start == EPOCH
    if 1.0 < airmass < 2.0:
        assert seen.azimuth == pytest.approx(180.0, abs=1e-4)
        assert seen.hour_angle == pytest.approx(0.0, abs=1e-4)
        assert abs(seen.parallactic) < 1e-4
    assert not seen.notes


@pytest.mark.parametrize("date", ["2026-01-01T04:00:00", "2024-06-15T23:59:59.5Z", "2025-03-01T05:00:00+02:00"])
def test_angles_agree_with_astropy(setup, request_for, date):
    made = setup()
    seen = observe(request_for(pointing=Pointing(83.8, -5.4), date=date).elvis, made)
    expected, sidereal = altaz(seen, made.atmosphere.site)
    assert seen.altitude == pytest.approx(expected.alt.deg, abs=0.005)  # UT1 - UTC is 0 here: up to 15" of rotation
    assert (seen.azimuth - expected.az.deg + 180) % 360 - 180 == pytest.approx(0.0, abs=0.05)
    assert seen.sidereal_time == pytest.approx(sidereal, abs=0.005)
    assert seen.mjd == pytest.approx(Time(seen.start, scale="utc").mjd, abs=2e-8)


def test_time_zone_is_converted_to_utc(setup, request_for):
    seen = observe(request_for(date="2025-03-01T05:00:00+02:00").elvis, setup())
    assert seen.start == datetime(2025, 3, 1, 3, 0, 0)


@pytest.mark.parametrize("ra", [0.0, 100.0, 250.0])
def test_pointing_without_a_date_is_taken_when_it_has_the_airmass(setup, request_for, ra):
    seen = observe(request_for(pointing=Pointing(ra, -40.0, 30.0)).elvis, setup(airmass=1.5))
    assert 1 / np.sin(np.radians(seen.altitude)) == pytest.approx(1.5, rel=1e-4)
    assert abs((seen.start - EPOCH).total_seconds()) <= 86400 / 2
    assert seen.position_angle == 30.0
    assert not seen.notes


def test_pointing_that_never_has_the_airmass_is_noted(setup, request_for):
    seen = observe(request_for(pointing=Pointing(10.0, 20.0)).elvis, setup(airmass=1.01))
    assert abs(seen.hour_angle) < 0.01  # the best it can do
    assert "keeps the requested 1.01" in seen.notes[0]


def test_pointing_below_the_horizon_is_noted(setup, request_for):
    seen = observe(request_for(pointing=Pointing(10.0, 85.0), date="2026-01-01").elvis, setup())
    assert seen.altitude < 0
    assert "below the horizon" in seen.notes[0]


def test_exposures_of_a_series_follow_each_other_on_one_field(setup, request_for):
    first, third = (observe(request_for().elvis, setup(exposure=Exposure(60.0, 3, "DET.NDIT", n))) for n in (1, 3))
    assert (third.start - first.start).total_seconds() == 2 * 180.0
    assert (third.ra, third.dec) == (first.ra, first.dec)
    assert third.hour_angle - first.hour_angle == pytest.approx(360 / 240 * 1.0027379, abs=1e-4)


def test_a_ccd_exposure_lasts_one_integration(setup, request_for):
    assert observe(request_for().elvis, setup("ccd")).duration == 60.0
    assert observe(request_for().elvis, setup("ir")).duration == 180.0


def test_source_date_is_the_default_but_not_above_the_request(setup, request_for, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    seen = observe(request_for().elvis, setup())
    assert seen.start == seen.created == datetime(2023, 11, 14, 22, 13, 20)
    dated = observe(request_for(date="2026-02-01T01:02:03.004").elvis, setup())
    assert dated.start == datetime(2026, 2, 1, 1, 2, 3, 4000)
    assert dated.created == seen.created


def test_source_date_that_is_no_number_is_refused(setup, request_for, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(UsageError, match="yesterday"):
        observe(request_for().elvis, setup())


@each("date", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59"])
def test_bad_date_is_refused(setup, request_for, date):
    with pytest.raises(RequestError, match="/elvis/date"):
        observe(request_for(date=date).elvis, setup())


@pytest.mark.parametrize(("exposure", "date"), [(1, None), (1_000_000, None), (1_000_000, "2026-01-01")])
def test_exposures_beyond_the_end_of_time_are_refused(setup, request_for, exposure, date):
    endless = setup(exposure=Exposure(1e6, 1_000_000 if exposure == 1 else 1, "DET.NDIT", exposure))
    with pytest.raises(RequestError, match="/timesnr"):
        observe(request_for(date=date).elvis, endless)


def test_parallactic_angle():
    assert parallactic_angle(0.0, -60.0, -24.0) == pytest.approx(0.0)  # south of the zenith: zenith is to the North
    assert parallactic_angle(0.0, 10.0, -24.0) == pytest.approx(180.0)
    assert parallactic_angle(30.0, -24.0, -24.0) == pytest.approx(-parallactic_angle(-30.0, -24.0, -24.0))
    assert parallactic_angle(30.0, -60.0, -24.0) > 0  # west of the meridian
