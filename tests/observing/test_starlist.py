"""Keck's starlists, in both spellings."""

import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given, settings
from hypothesis import strategies as st

from elvis_cli.errors import RequestError
from elvis_cli.observing import starlist
from elvis_cli.observing.target import Target

LINE = "x                12 34 56.70 -10 20 30.00 2000 rotmode=pa PA=12.5 raoff=1.5 decoff=-2 vmag=9.5 # Kmag=8.1 nice"
KECK = LINE.replace("rotmode=pa PA=12.5 raoff=1.5 decoff=-2", "raoffset=1.5 decoffset=-2 rotmode=pa rotdest=12.5")


@pytest.mark.parametrize("line", [LINE, KECK])
def test_both_spellings_are_read(line):
    (one,) = starlist.read(f"# stars\n\n{line}\n")
    assert (one.ra_offset, one.dec_offset, one.pa, one.rotmode) == (1.5, -2.0, 12.5, "pa")
    assert one.mag == {"V": 9.5, "K": 8.1}
    assert one.comment == "nice"


def test_keck_s_own_keys_are_written():
    text = starlist.write(starlist.read(LINE))
    assert text == KECK.replace("56.70", "56.700") + "\n"
    assert starlist.read(text) == starlist.read(LINE)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(ra=st.floats(0, 359.9999999), dec=st.floats(-90, 90))
def test_coordinates_go_round_within_a_hundredth_of_an_arcsecond(ra, dec):
    (again,) = starlist.read(starlist.write([Target("a", ra, dec)]))
    assert SkyCoord(ra, dec, unit="deg").separation(SkyCoord(again.ra, again.dec, unit="deg")).arcsec < 0.01


def test_everything_goes_round():
    made = Target("star with blanks", 10.0, -0.5, 1975.0, "fk5", 2015.5, "vertical", 0.0, 1.0, 2.0, 0.5, -0.25,
                  {"V": 9.0, "Ks": 7.5}, "north", 0.125, -3.0, "a note")  # fmt: skip
    assert starlist.read(starlist.write([made])) == (made,)


def test_what_has_no_place_has_no_line():
    assert starlist.write([Target("DomeFlats")]) == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x                12 34 -10 20 30.00 2000", "not a line of a starlist"),
        ("x                12 34 56.70 -10 20 30.00 APP", "apparent"),
        ("x                12 34 56.70 -10 20 30.00 2000 spin=3", "/0: 'spin' is not a key"),
        ("x                12 34 56.70 -10 20 30.00 2000 rotdest=999", "PA|out of range"),
        ("x                32 34 56.70 -10 20 30.00 2000", "out of range"),
    ],
)
def test_bad_lines_are_named(line, message):
    with pytest.raises(RequestError, match=message):
        starlist.read(line)
