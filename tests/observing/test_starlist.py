"""Keck's starlists: the observatory's units, lists that keep to no columns, keys of other software."""

import math

import pytest
from astropy.coordinates import TETE, SkyCoord
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st

from elvis_cli.errors import RequestError
from elvis_cli.observing import starlist, target
from elvis_cli.observing.target import Target

LINE = "x                12 34 56.70 -10 20 30.00 2000 rotmode=pa PA=12.5 raoff=1.5 decoff=-2 vmag=9.5 # Kmag=8.1 nice"
KECK = LINE.replace("rotmode=pa PA=12.5 raoff=1.5 decoff=-2", "raoffset=1.5 decoffset=-2 rotmode=pa rotdest=12.5")
PLACE = "12 34 56.70 -10 20 30.00 2000"


def one(line):
    (found,) = starlist.read(line)
    return found


@pytest.mark.parametrize("line", [LINE, KECK])
def test_both_spellings_are_read(line):
    star = one(f"# stars\n\n{line}\n")
    assert (star.ra_offset, star.dec_offset, star.pa, star.rotmode) == (1.5, -2.0, 12.5, "pa")
    assert star.mag == {"V": 9.5, "K": 8.1}
    assert star.comment == "nice"


def test_keck_s_own_keys_are_written():
    text = starlist.write(starlist.read(LINE))
    assert text == KECK.replace("56.70", "56.700") + "\n"
    assert starlist.read(text) == starlist.read(LINE)


# Units


@pytest.mark.parametrize(
    ("line", "pmra", "pmdec"),
    [
        ("fast star       04 15 20.000 -07 39 30.00  2000.0 vmag=9.50  pmra=-0.1500 pmdec=-3.4 # 9880", -2.22993, -3.4),
        ("Barnard         17 57 48.50 +04 41 36.1 2000 pmra=-0.0535 pmdec=10.36", -0.79981, 10.36),
        ("near the pole   02 31 49.09 +89 15 50.8 2000 pmra=0.2304 pmdec=-0.012", 0.04439, -0.012),
        ("south           10 00 00 -60 00 00 2000 pmra=+0.4", 3.0, 0.0),
    ],
)
def test_the_proper_motion_is_in_seconds_of_time_a_year(line, pmra, pmdec):
    star = one(line)
    assert star.pmra == pytest.approx(pmra, abs=2e-5)
    assert star.pmdec == pmdec


@pytest.mark.parametrize(("dec", "pmra", "written"), [(60.0, 3.0, "0.4"), (0.0, -1.5, "-0.1"), (-60.0, 0.075, "0.01")])
def test_the_proper_motion_is_written_so_too(dec, pmra, written):
    text = starlist.write([Target("a", 60.0, dec, pmra=pmra, pmdec=-1.0)])
    assert f" pmra={written} pmdec=-1" in text
    assert one(text).pmra == pytest.approx(pmra)


def test_at_the_pole_it_cannot_be_written():
    with pytest.raises(RequestError, match="a is at the pole"):
        starlist.write([Target("a", 0.0, 90.0, pmra=1.0)])


def test_rates_go_through_unchanged():
    star = one("comet           12 00 00 +60 00 00 2000 dra=0.4 ddec=-7.5")
    assert (star.dra, star.ddec) == (0.4, -7.5)
    assert "dra=0.4 ddec=-7.5" in starlist.write([star])
    east, north = star.rate(2026.0)
    assert (east, north) == pytest.approx((0.4 * 15 / 2, -7.5))


@pytest.mark.parametrize(("written", "angle"), [("-45", 315.0), ("0", 0.0), ("-0.5", 359.5), ("360", 360.0)])
def test_a_rotator_angle_has_any_sign(written, angle):
    assert one(f"x                {PLACE} rotmode=pa rotdest={written}").pa == angle


# Columns


@pytest.mark.parametrize(
    ("line", "name", "ra", "dec"),
    [
        ("tgt_9\t10 00 12.3\t-02 12 44.5\t2000.0", "tgt_9", 150.05125, -2.212361),
        ("my1 11 00 12.3 -02 12 44.5 2000.0 vmag=12", "my1", 165.05125, -2.212361),
        ("1 2 03 04 05.6 +07 08 09.1 2000", "1 2", 46.023333, 7.135861),
        ("NGC 2000 12 10 00 12 02 12 34 2000", "NGC 2000 12", 150.05, 2.209444),
        ("a_name_that_is_much_longer_than_16 10 00 12.3 +02 12 34.5 2000", "a_name_that_is_much_longer_than_16",
         150.05125, 2.209583),
        ("SDSSJ1000+0212ab10 00 12.3 +02 12 34.5 2000", "SDSSJ1000+0212ab", 150.05125, 2.209583),
        ("colons 10:00:12.3 -00:12:34.5 2000", "colons", 150.05125, -0.209583),
        ("letters 10h00m12.3s -00d12m34.5s J2000", "letters", 150.05125, -0.209583),
        ("close 10 00 12.3-00 12 34.5 2000", "close", 150.05125, -0.209583),
        ("sign apart 10 00 12.3 - 02 12 34.5 2000", "sign apart", 150.05125, -2.209583),
        ("no. #3           10 00 12.3 +02 12 34.5 2000", "no. #3", 150.05125, 2.209583),
    ],
)  # fmt: skip
def test_places_are_found_from_the_equinox_backwards(line, name, ra, dec):
    assert starlist.looks_like(line)
    star = one(line)
    assert star.name == name
    assert (star.ra, star.dec) == pytest.approx((ra, dec), abs=1e-6)


def test_a_right_ascension_is_never_cut():
    for width in range(1, 30):
        for gap in (" ", "   ", "\t"):
            assert one(f"{'n' * width}{gap}10 00 12.3 +02 12 34.5 2000").ra == pytest.approx(150.05125)
    with pytest.raises(RequestError, match="not a line of a starlist"):
        one("fifteen_letters10 00 12.3 +02 12 34.5 2000")


@pytest.mark.parametrize(
    ("equinox", "frame", "year"),
    [("1950.0", "fk4", 1950.0), ("1900", "fk4", 1900.0), ("1975", "fk5", 1975.0), ("B1975", "fk4", 1975.0),
     ("J1950", "fk5", 1950.0), ("2000.00", "icrs", 2000.0)],
)  # fmt: skip
def test_years_up_to_1950_are_fk4(equinox, frame, year):
    star = one(f"x                12 34 56.70 -10 20 30.00 {equinox}")
    assert (star.frame, star.equinox) == (frame, year)
    assert starlist.read(starlist.write([star])) == (star,)


def test_a_star_of_an_old_list_is_there_in_the_year_of_the_list():
    assert one("G77-31          03 10 40.5  +04 35 12       1950 pmra=0.1139 pmdec=0.107").epoch == 1950.0


# The equinox APP


@pytest.mark.parametrize("rates", ["dra=0.35 ddec=7.3", "pmra=0.35 pmdec=7.3"])
def test_apparent_places_are_those_of_the_date(rates):
    comet = one(f"comet 5hr       17 30 06.62 -04 41 58.4 APP {rates}")
    assert (comet.ra, comet.dec) == pytest.approx((262.5276, -4.6996), abs=1e-4)
    assert (comet.dra, comet.ddec, comet.pmra, comet.frame) == (0.35, 7.3, 0.0, "apparent")
    assert target.from_dict(comet.to_dict(), "") == comet
    assert "equinox" not in comet.to_dict()
    assert starlist.read(starlist.write([comet])) == (comet,)
    assert any("apparent" in note for note in comet.notes())


@pytest.mark.parametrize(("ra", "dec", "year"), [(262.5, -4.7, 2026.0), (10.0, 80.0, 2021.5), (359.99, -60.0, 2015.25)])
def test_apparent_places_agree_with_astropy(ra, dec, year):
    place = SkyCoord(ra, dec, unit="deg", frame=TETE(obstime=Time(year, format="jyear", scale="utc")))
    found = SkyCoord(*Target("a", ra, dec, frame="apparent").at(year), unit="deg")
    # The distance is not known here and there: the light of a star.
    expected = SkyCoord(place.ra, place.dec, frame=place.frame).transform_to("icrs")
    assert found.separation(SkyCoord(expected.ra, expected.dec)).arcsec < 0.1


# Keys


@pytest.mark.parametrize(
    ("pairs", "mag", "comment"),
    [
        ("lgs=1", {}, "lgs=1"),
        ("rmag=15.2 b-v=0.66 sep=20.1", {"R": 15.2}, "b-v=0.66 sep=20.1"),
        ("rmag=14.1 sep= b-r=1.2", {"R": 14.1}, "sep= b-r=1.2"),
        ("lgs=0 Kmag=8 priority=high seen twice", {"K": 8.0}, "lgs=0 priority=high seen twice"),
        ("gs=1,vmag=12.5;", {"V": 12.5}, "gs=1"),
        ("vmag= # faint", {}, "vmag= faint"),
        ("vmag = 12 # imag=11.5", {"V": 12.0, "i": 11.5}, ""),
        ("# rmag=14 Rmag=13", {"r": 14.0, "R": 13.0}, ""),
    ],
)
def test_other_keys_are_kept_in_the_comment(pairs, mag, comment):
    star = one(f"x                {PLACE} {pairs}")
    assert (star.mag, star.comment) == (mag, comment)
    again = one(starlist.write([star]))
    assert (again.mag, again.comment) == (mag, comment)


def test_keys_of_adaptive_optics_stand_before_the_comment_again():
    assert starlist.write(starlist.read(f"x {PLACE} lgs=1 rmag=15 # note")).endswith(" rmag=15 lgs=1 # note\n")


@pytest.mark.parametrize(
    ("pairs", "members"),
    [
        ("vmag=13.06pmra=0.0759  pmdec=-0.5426  # DA", {"pmdec": -0.5426, "mag": {"V": 13.06}}),
        ("raoffset=3decoffset=-4", {"ra_offset": 3.0, "dec_offset": -4.0}),
        ("lgs=1pmdec=0.5", {"pmdec": 0.5, "comment": "lgs=1"}),
        ("rotdest=90.wrap=north", {"pa": 90.0, "wrap": "north"}),
    ],
)
def test_keys_that_run_together_are_taken_apart(pairs, members):
    star = one(f"x                {PLACE} {pairs}")
    assert {key: getattr(star, key) for key in members} == members
    if "pmra" in pairs:
        assert star.pmra == pytest.approx(0.0759 * 15 * math.cos(math.radians(star.dec)))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(ra=st.floats(0, 359.9999999), dec=st.floats(-90, 90))
def test_coordinates_go_round_within_a_hundredth_of_an_arcsecond(ra, dec):
    (again,) = starlist.read(starlist.write([Target("a", ra, dec)]))
    assert SkyCoord(ra, dec, unit="deg").separation(SkyCoord(again.ra, again.dec, unit="deg")).arcsec < 0.01


def test_everything_goes_round():
    made = Target("star with blanks", 10.0, -0.5, 1975.0, "fk5", 2015.5, "vertical", 0.0, 1.0, 2.0, 0.5, -0.25,
                  {"V": 9.0, "Ks": 7.5}, "north", 0.125, -3.0, "a note")  # fmt: skip
    (again,) = starlist.read(starlist.write([made]))
    assert again.pmra == pytest.approx(0.5)
    assert target.replace(again, pmra=0.5) == made


def test_what_has_no_place_has_no_line():
    assert starlist.write([Target("DomeFlats")]) == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x                12 34 -10 20 30.00 2000", "not a line of a starlist"),
        ("x                12 34 56.70 -10 20 30.00 2000 rotdest=999", "PA|out of range"),
        ("x                32 34 56.70 -10 20 30.00 2000", "out of range"),
        ("                 12 34 56.70 -10 20 30.00 2000", "has no name"),
        (f"x               {PLACE} pmra=fast", "the value of pmra is not a number"),
        (f"x               {PLACE} pmra=0.1arcsec", "the value of pmra is not a number"),
        (f"x               {PLACE} vmag=~12", "the value of vmag is not a number"),
        (f"x               {PLACE} rotmode=pawrap=south", "two keys run together"),
        (f"x               {PLACE} seen=late,pmra=0.1", "two keys run together"),
        (f"x               {PLACE} (pmra=0.1)", "a key inside a word"),
        (f"x               {PLACE} pmra=0.1 pmra=0.2", "pmra is given twice"),
        (f"x               {PLACE} rotmode=spin", "rotmode: 'spin' is not a valid choice"),
        ("x               12 34 56.70 -10 20 30.00 APP pmra=0.1 dra=0.2", "both rates"),
    ],
)
def test_bad_lines_are_named(line, message):
    with pytest.raises(RequestError, match=message):
        starlist.read(line)


MAGELLAN = (
    "001 hd12345 02:03:04.5 -05:06:07.8 2000.0 0.01 -0.2 -45.0 OFF 02:03:10 -05:06:00 2000 00:00:00 00:00:00 0 2015.5"
)


def test_columns_of_magellan():
    star = one(MAGELLAN)  # https://www.lco.cl/observing-catalogs-format/: seconds of time and arcsec a year
    assert (star.name, star.epoch, star.pmdec) == ("hd12345", 2015.5, -0.2)
    assert star.pmra == pytest.approx(0.01 * 15 * math.cos(math.radians(star.dec)))
    still = one(MAGELLAN.replace("0.01 -0.2", "0.0 0.0"))
    assert (still.name, still.pmra, still.pmdec) == ("hd12345", 0.0, 0.0)


@pytest.mark.parametrize("columns", ["0.010 -0.20", "0 -0.20 V=12", "3.5"])
def test_numbers_without_a_key_are_not_passed_over(columns):
    with pytest.raises(RequestError, match=r"behind the equinox has no key.*pmra="):
        starlist.read(f"a {PLACE} {columns}")
    assert one(f"a {PLACE} 0.0 0.0 vmag=9").mag == {"V": 9}
