"""Targets: coordinates, proper motion, rates, and what goes round through dictionaries."""

import math

import pytest
from astropy.coordinates import SkyCoord

from elvis_cli.errors import RequestError, ResourceError
from elvis_cli.observing import target
from elvis_cli.observing.target import Target


def apart(a, b):
    return SkyCoord(*a, unit="deg").separation(SkyCoord(*b, unit="deg")).arcsec


def make(**members):
    return target.from_dict({"name": "x", "RA": 80.0, "Dec": -60.0, **members}, "")


@pytest.mark.parametrize(("pmra", "pmdec"), [(0.1, 0.0), (0.0, 0.1), (0.06, 0.08), (-0.1, 0)])
def test_proper_motion_moves_with_one_component_zero_too(pmra, pmdec):
    moved = make(PMRA=pmra, PMDec=pmdec, epoch=2000)
    assert apart(moved.at(2020.0), (80.0, -60.0)) == pytest.approx(2.0, abs=1e-6)
    assert moved.at(2000.0) == (80.0, -60.0)


def test_proper_motion_agrees_with_astropy():
    import astropy.units as u
    from astropy.time import Time

    star = SkyCoord(80 * u.deg, -60 * u.deg, pm_ra_cosdec=5 * u.arcsec / u.yr, pm_dec=-3 * u.arcsec / u.yr,
                    distance=10 * u.pc, obstime=Time(2000.0, format="jyear"))  # fmt: skip
    expected = star.apply_space_motion(Time(2020.0, format="jyear"))
    found = make(PMRA=5, PMDec=-3).at(2020.0)
    assert apart(found, (expected.ra.deg, expected.dec.deg)) < 0.001


def test_offsets_and_rates():
    assert apart(make(RAOffset=3, DecOffset=-4).at(2000.0), (80.0, -60.0)) == pytest.approx(5.0, abs=1e-6)
    moving = make(dra=1.0, ddec=0.0)  # a second of time an hour
    ra, dec = moving.at(2000.0, hours=2.0)
    assert ra - 80.0 == pytest.approx(2 * 15 / 3600, rel=1e-4)
    assert dec == pytest.approx(-60.0, abs=1e-6)
    assert make(ddec=36.0).at(2000.0, hours=1.0)[1] == pytest.approx(-60.0 + 0.01)


@pytest.mark.parametrize("ra", ["12 34 56.7", "12:34:56.70"])
def test_sexagesimal_needs_two_texts(ra):
    made = target.from_dict({"name": "x", "RA": ra, "Dec": "-10 20 30.0"}, "")
    assert made.ra == pytest.approx(15 * (12 + 34 / 60 + 56.7 / 3600))
    assert made.dec == pytest.approx(-(10 + 20 / 60 + 30 / 3600))
    with pytest.raises(RequestError, match="both of one kind"):
        target.from_dict({"name": "x", "RA": ra, "Dec": -10.3}, "")


def test_minus_zero_degrees():
    assert target.sexagesimal("-00 00 30", "") == pytest.approx(-30 / 3600)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"RA": 361}, "/RA: 361 is out of range"),
        ({"PA": 400}, "/PA"),
        ({"rotmode": "spin"}, "/rotmode: 'spin' is not a valid choice"),
        ({"wrap": "w"}, "/wrap"),
        ({"frame": "galactic"}, "/frame"),
        ({"Dec": None}, "/Dec: is missing"),
        ({"PMra": 1}, "/PMra: is not a known key.*'PMRA'"),
        ({"mag": {"X": 3}}, "/mag/X"),
        ({"RA": "12 99 00", "Dec": "1 1 1"}, "/RA"),
        ({"RA": True}, "/RA"),
    ],
)
def test_what_is_wrong_is_named(members, message):
    with pytest.raises(RequestError, match=message):
        make(**members)


def test_case_does_not_matter_in_rotmode_and_wrap():
    made = make(rotmode="VERTICAL", wrap="N")
    assert (made.rotmode, made.wrap) == ("vertical", "north")


def test_what_is_not_given_is_noted():
    assert make().notes() == ("target x: not given, so taken: rotmode = pa, PA = 0",)
    assert make(rotmode="pa", PA=0).notes() == ()


@pytest.mark.parametrize("name", ["None", "DomeFlats", "domeflat"])
def test_calibrations_need_no_coordinates_and_have_a_dictionary(name):
    made = target.from_dict({"name": name}, "")
    assert not made.placed
    assert target.from_dict(made.to_dict(), "") == made
    assert made.header()["TNAME"] == name
    assert "TRA" not in made.header()


def test_everything_goes_round():
    made = Target("a", 10.5, -20.25, 1975.0, "fk5", 2016.5, "vertical", 12.5, 1, -2, 0.1, 0, {"V": 12.5, "Ks": 9.0},
                  "north", 0.5, -3, "faint: yes")  # fmt: skip
    assert target.from_dict(made.to_dict(), "") == made


def test_a_key_of_the_original_breaks_nothing():
    assert make(objecttype="star").name == "x"


def test_the_equinox_2000_stays_2000():
    assert make().to_dict()["equinox"] == 2000.0
    assert make(frame="fk5", equinox="J2000").to_dict()["equinox"] == 2000.0
    assert make(equinox=1950).equinox == 2000.0  # ICRS has none


def test_keywords_of_magnitudes_have_no_blanks():
    assert make(mag={"V": 12.0, "g": 13.0}).header()["TVMAG"] == 12.0
    assert all(" " not in key and len(key) <= 8 for key in make(mag={"Ks": 12.0}).header())


def test_fk5_is_turned_into_icrs():
    made = make(frame="fk5", equinox=1975)
    expected = SkyCoord(80, -60, unit="deg", frame="fk5", equinox="J1975").icrs
    assert apart(made.at(2000.0), (expected.ra.deg, expected.dec.deg)) < 1e-6
    assert math.isclose(made.coord().ra.deg, 80.0)


def test_names_are_resolved_only_if_asked_and_offline_it_is_said(monkeypatch):
    with pytest.raises(RequestError, match="--resolve"):
        target.from_dict({"name": "M 31"}, "")

    def offline(*_args, **_kwargs):
        raise OSError("network is unreachable")

    monkeypatch.setattr(SkyCoord, "from_name", offline)
    with pytest.raises(ResourceError, match=r"could not be resolved.*give RA and Dec"):
        target.from_dict({"name": "M 31"}, "", resolve=True)
