"""Ephemerides as people have them: text of JPL Horizons in its forms, ECSV; places and rates between the rows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table
from astropy.time import Time

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files.ephemeris import read_ephemeris
from elvis_cli.request.files.moving import Ephemeris, to_mjd

EAST, NORTH = 30.0, -40.0
"""arcsec per hour."""
START = datetime(2024, 3, 1, 2)
HEAD = """*******************************************************************************
Target body name: 1 Ceres (A801 AA)               {{source: JPL#48}}
Center-site name: {centre}
RA format       : {form}
*******************************************************************************
{titles}
*******************************************************************************
$$SOE
"""


def sixty(value: float, digits: int = 4) -> str:
    parts = round(abs(value) * 3600 * 10**digits)
    minutes, second = divmod(parts, 60 * 10**digits)
    sign = "-" if value < 0 else ""
    return f"{sign}{minutes // 60:02d} {minutes % 60:02d} {second / 10**digits:0{3 + digits}.{digits}f}"


def track(ra: float, dec: float, hours: float) -> tuple[float, float]:
    return (ra + EAST * hours / 3600 / math.cos(math.radians(dec))) % 360, dec + NORTH * hours / 3600


def horizons(path: Path, start: datetime = START, ra: float = 150.0, dec: float = -20.0, *, degrees: bool = False,
             rates: bool = True, commas: bool = False, julian: bool = False, apparent: bool = False,
             centre: str = "Cerro Paranal") -> Path:  # fmt: skip
    """Write six hours of a target, as Horizons does."""
    date = "Date_________JDUT" if julian else "Date__(UT)__HR:MN"
    titles = [
        f" {date}",
        *(["", ""] if commas else []),
        *(["R.A.___(ICRF)", "DEC____(ICRF)"] if commas else ["R.A._____(ICRF)_____DEC"]),
    ]
    if apparent:
        titles += ["R.A.__(a-app)", "DEC___(a-app)"] if commas else ["R.A.__(a-apparent)__DEC"]
    titles += (["dRA*cosD", "d(DEC)/dt"] if rates else []) + ["APmag"]
    lines = []
    for hour in range(7):
        time = start + timedelta(hours=hour)
        place = track(ra, dec, hour)
        angles = [f"{x:.9f}" for x in place] if degrees else [sixty(place[0] / 15), sixty(place[1], 3)]
        stamp = f"{to_mjd(time) + 2400000.5:.9f}" if julian else time.strftime("%Y-%b-%d %H:%M")
        marks = ("", "*", "Cm", "Nr", "m", "A", "*t")[hour]
        cells = [stamp, *(["*", "m"] if commas else [marks]), *angles]
        if apparent:
            cells += ["1.5", "2.5"] if degrees else ["01 02 03.4", "-05 06 07.8"]
        cells += [f"{EAST:.4f}", f"{NORTH:.4f}", "7.5"] if rates else ["7.5"]
        lines.append(" " + (", ".join(cells) + "," if commas else "  ".join(cells)))
    if not commas:
        lines.insert(3, ">..... Daylight Cut-off Requested .....")
    head = HEAD.format(centre=centre, form="DEG" if degrees else "HMS", titles=("," if commas else "  ").join(titles))
    path.write_text(head + "\n".join(lines) + "\n$$EOE\n" + "*" * 79 + "\nColumn meaning:\n")
    return path


def check(ephemeris: Ephemeris, ra: float = 150.0, dec: float = -20.0, tolerance: float = 0.02) -> None:
    """Check places and rates half way between rows."""
    for hours in (0.0, 0.5, 2.25, 5.9, 6.0):
        day = to_mjd(START) + hours / 24
        found, expected = (SkyCoord(*place, unit="deg") for place in (ephemeris.at(day), track(ra, dec, hours)))
        assert found.separation(expected).arcsec < tolerance
        assert ephemeris.rate(day) == pytest.approx((EAST, NORTH), abs=0.05)


@pytest.mark.parametrize("degrees", [True, False], ids=["degrees", "sexagesimal"])
@pytest.mark.parametrize("commas", [True, False], ids=["commas", "columns"])
@pytest.mark.parametrize("rates", [True, False], ids=["rates", "places"])
@pytest.mark.parametrize("julian", [True, False], ids=["JD", "calendar"])
@pytest.mark.parametrize("apparent", [True, False], ids=["quantities 1,2,3", "quantities 1,3"])
def test_the_forms_of_horizons(tmp_path, degrees, commas, rates, julian, apparent):
    path = horizons(tmp_path / "h.txt", degrees=degrees, commas=commas, rates=rates, julian=julian, apparent=apparent)
    check(read_ephemeris(path))


def test_the_answer_of_the_service(tmp_path):
    text = horizons(tmp_path / "h.txt").read_text()
    path = tmp_path / "h.json"
    path.write_text(json.dumps({"signature": {"version": "1.2"}, "result": text}))
    check(read_ephemeris(path))


def test_right_ascension_wraps(tmp_path):
    start = 360 - 75 / 3600 / math.cos(math.radians(20))
    check(read_ephemeris(horizons(tmp_path / "h.txt", ra=start)), start)
    without = read_ephemeris(horizons(tmp_path / "h.txt", ra=start, rates=False, degrees=True))
    check(without, start)
    assert 359.9 < without.at(to_mjd(START))[0] < 360
    assert 0 <= without.at(to_mjd(START) + 0.25)[0] < 0.1


def table(path: Path, make: Callable[[list[float]], dict[str, object]]) -> Ephemeris:
    """Write a table of six hours and read it; ``make`` returns its columns by the hours."""
    QTable(make(list(range(7)))).write(path, format="ascii.csv" if path.suffix == ".csv" else "ascii.ecsv")
    return read_ephemeris(path)


PLACES = [track(150.0, -20.0, hour) for hour in range(7)]
RA, DEC = (np.array(values) for values in zip(*PLACES, strict=True))
ISO = [(START + timedelta(hours=hour)).isoformat() for hour in range(7)]
JD = [to_mjd(START) + 2400000.5 + hour / 24 for hour in range(7)]


@pytest.mark.parametrize(
    ("suffix", "columns"),
    [
        ("ecsv", {"datetime": ISO, "RA": RA * u.deg, "DEC": DEC * u.deg}),
        ("ecsv", {"JD": JD, "RA": RA, "DEC": DEC}),
        ("ecsv", {"datetime_str": [time.replace("T", " ").replace("03", "Mar", 1) for time in ISO], "datetime_jd": JD,
                  "RA": RA * u.deg, "DEC": DEC * u.deg, "RA_rate": np.full(7, EAST) * u.arcsec / u.h,
                  "DEC_rate": np.full(7, NORTH) * u.arcsec / u.h}),
        ("ecsv", {"time": Time(ISO, scale="utc"), "coord": SkyCoord(RA, DEC, unit="deg")}),
        ("ecsv", {"time": Time(ISO, scale="utc").tdb, "ra": RA / 15 * u.hourangle, "dec": DEC * 60 * u.arcmin}),
        ("ecsv", {"mjd": np.array(JD) - 2400000.5, "ra": RA, "dec": DEC,
                  "RA_rate": np.full(7, EAST / 60) * u.arcsec / u.min,
                  "DEC_rate": np.full(7, NORTH / 60) * u.arcsec / u.min}),
        ("csv", {"date": ISO, "RA": [sixty(ra / 15).replace(" ", ":") for ra in RA],
                 "Dec": [sixty(dec).replace(" ", ":") for dec in DEC]}),
    ],
)  # fmt: skip
def test_tables_of_astropy(tmp_path, suffix, columns):
    check(table(tmp_path / f"e.{suffix}", lambda _: columns))


def test_across_the_pole_it_is_a_great_circle(tmp_path):
    found = table(tmp_path / "e.ecsv", lambda _: {"JD": JD[:2], "RA": [30.0, 210.0], "DEC": [89.9, 89.9]})
    day = to_mjd(START) + 0.5 / 24
    assert found.at(day)[1] == pytest.approx(90.0, abs=1e-6)
    assert math.hypot(*found.rate(day + 0.005)) == pytest.approx(720.0, rel=1e-4)


def test_a_curved_way_is_followed_between_the_rows(tmp_path):
    """A parabola in declination: 100 t + 10 t^2 arcsec; in the middle of the first hour 52.5, at 120 arcsec an hour."""
    hours = np.arange(7.0)
    dec = (100 * hours + 10 * hours**2) / 3600
    found = table(tmp_path / "e.ecsv", lambda _: {"JD": JD, "RA": np.zeros(7), "DEC": dec})
    assert found.at(to_mjd(START) + 0.5 / 24)[1] * 3600 == pytest.approx(52.5, abs=0.01)
    assert found.rate(to_mjd(START) + 1 / 24)[1] == pytest.approx(120.0, abs=0.01)


def test_the_centre_of_the_earth_is_noted(tmp_path):
    assert "parallax" in read_ephemeris(horizons(tmp_path / "h.txt", centre="GEOCENTRIC")).notes[0]
    assert read_ephemeris(horizons(tmp_path / "h.txt")).notes == ()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Date__(UT)__HR:MN", "Date__(TDB)_HR:MN", r"the dates are Date__\(TDB\)_HR:MN; allowed: dates in UT"),
        ("Date__(UT)__HR:MN", "Date__(UT+02)HR:MN", "allowed: dates in UT"),
        ("R.A._____(ICRF)_____DEC", "R.A.__(a-apparent)__DEC", r"allowed: quantity 1, R.A._\(ICRF\)_DEC"),
        ("$$EOE", "", "cut off"),
        ("2024-Mar-01 04:00", "2024-Mar-01 03:00", "row 3 is not later"),
        ("30.0000", "n.a.", "cannot read the line"),
        ("10 00 00.0000", "10 00", "cannot read the line"),
        ("30.0000", "0.5000", "the rates do not lead from one place to the next"),
    ],
)
def test_content_that_is_wrong_is_named(tmp_path, old, new, message):
    path = horizons(tmp_path / "h.txt")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(RequestError, match=message):
        read_ephemeris(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"RA": RA, "DEC": DEC}, "no column of times"),
        ({"JD": JD, "DEC": DEC}, "no column of right ascension"),
        ({"JD": np.arange(7.0), "RA": RA, "DEC": DEC}, "column JD holds no dates"),
        ({"JD": JD, "RA": RA, "DEC": DEC * u.m}, "column DEC"),
        ({"JD": JD, "RA": RA, "DEC": np.where(DEC > -20.03, np.nan, DEC)}, "column DEC: row 1 is not a number"),
        ({"JD": JD, "RA": RA + 300, "DEC": DEC}, "right ascension of row 1 is 450"),
        ({"JD": JD, "RA": np.arange(7) * 20, "DEC": DEC}, "more than 10 deg apart"),
        ({"JD": JD[:1], "RA": RA[:1], "DEC": DEC[:1]}, "has 1 rows"),
    ],
)
def test_tables_that_are_wrong_are_named(tmp_path, columns, message):
    Table(columns).write(tmp_path / "e.ecsv")
    with pytest.raises(RequestError, match=message):
        read_ephemeris(tmp_path / "e.ecsv")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_ephemeris(tmp_path / "nowhere.txt")
    (tmp_path / "notes.txt").write_text("see the web page\n")
    with pytest.raises(RequestError, match=r"notes\.txt"):
        read_ephemeris(tmp_path / "notes.txt")


MINOR_PLANETS = """ Ceres
Date       UT      R.A. (J2000) Decl.    Delta     r     El.    Ph.   V      Sky Motion
            h m s                                                            "/min    P.A.
{rows}
"""


@pytest.mark.parametrize("clock", ["%H%M", "%H%M%S"])
def test_the_text_of_the_minor_planet_center(tmp_path, clock):
    rows = []
    for hour in range(7):
        ra, dec = track(150.0, -20.0, hour)
        time = (START + timedelta(hours=hour)).strftime(f"%Y %m %d {clock}")
        rows.append(f"{time} {sixty(ra / 15, 2)} {sixty(dec, 1)}   2.000   3.000  170.0   3.0  7.5    0.81    144.7")
    (tmp_path / "mpc.txt").write_text(MINOR_PLANETS.format(rows="\n".join(rows)))
    check(read_ephemeris(tmp_path / "mpc.txt"), tolerance=0.2)


def test_dates_of_a_time_zone(tmp_path):
    path = horizons(tmp_path / "ceres.txt", START - timedelta(hours=3))
    path.write_text(path.read_text().replace("Date__(UT)__HR:MN", "Date__(UT-03:00)_HR:MN"))
    check(read_ephemeris(path))


def test_several_targets_are_refused(tmp_path):
    path = horizons(tmp_path / "ceres.txt")
    path.write_text(2 * path.read_text())
    with pytest.raises(RequestError, match="several ephemerides"):
        read_ephemeris(path)


def test_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "e.csv").write_text("mjd,ra,dec,RA\n61100,150,-20,10\n61100.1,150.01,-20,10\n")
    with pytest.raises(RequestError, match=r"several columns named (ra|RA)"):
        read_ephemeris(tmp_path / "e.csv")


def test_decimal_commas(tmp_path):
    (tmp_path / "e.csv").write_text("mjd;ra;dec\n61100,0;150,0;-20,5\n61100,1;150,01;-20,6\n")
    assert read_ephemeris(tmp_path / "e.csv").at(61100.0) == pytest.approx((150.0, -20.5))
