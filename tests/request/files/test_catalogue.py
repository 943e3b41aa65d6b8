"""Tables and images of the user's: read, brought to our units, embedded, and the same after a replay."""

import io
import json
import math

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request import parse
from elvis_cli.request.files.catalogue import read_catalogue
from elvis_cli.request.files.image import read_image
from elvis_cli.scene import library
from tests.request.files.test_image import picture


def request(**block):
    return parse.read('{"instrumentName": "x"}', block)


@pytest.fixture
def stars():
    """Return a table in its own units and order."""
    return Table({
        "Name": ["a", "b", "c"],
        "MAG": [18.0, 19.5, 21.0],
        "X": [100.0, -200.0, 0.0] * units.mas,
        "y": [0.1, 0.2, 0.3],
        "Teff": [5770, 3500, 9700] * units.K,
    })  # fmt: skip


@pytest.mark.parametrize("suffix", ["ecsv", "fits", "csv"])
def test_tables(tmp_path, stars, suffix):
    path = tmp_path / f"stars.{suffix}"
    if suffix == "csv":  # which has no units
        stars["X"] /= 1000.0
    stars.write(path)
    block = read_catalogue(path)
    assert block["x"] == pytest.approx([0.1, -0.2, 0.0])
    assert (block["y"], block["mag"]) == ([0.1, 0.2, 0.3], [18.0, 19.5, 21.0])
    assert block["temperature"] == [5770, 3500, 9700]
    read = request(catalogue=json.loads(json.dumps(block))).elvis.catalogue
    assert (read.mag, read.celestial) == ((18.0, 19.5, 21.0), False)


def test_sky_and_spectra(tmp_path):
    path = tmp_path / "sky.ecsv"
    table = Table({"RAJ2000": [5.0, 5.001] * units.hourangle, "DEJ2000": [-30.0, -30.01], "mag": [15, 16]})
    table["sed"] = ["Pickles:G:2:V", "MARCS:4000:4.5"]
    table.write(path)
    block = read_catalogue(path)
    assert set(block) == {"ra", "dec", "mag", "sed"}
    assert block["ra"] == pytest.approx([75.0, 75.015])
    with pytest.raises(RequestError, match=r"--ra 75\.015000 --dec -30\.000000"):
        request(catalogue=block)
    made = request(catalogue=block, pointing={"ra": 75.0, "dec": -30.0})
    (stars,) = library.components(made)
    assert stars.shape.x == pytest.approx([0.0, -0.015 * 3600 * math.cos(math.radians(30.01))], abs=1e-3)


@pytest.mark.parametrize(("name", "unit", "factor"), [("RV", "km/s", 1), ("velocity", "m/s", 1000), ("vrad", None, 1)])
def test_velocities(tmp_path, name, unit, factor):
    table = Table({"x": [0.0, 1.0], "y": [0.0, 1.0], "mag": [15, 16]})
    table[name] = units.Quantity([factor * -12.5, factor * 300.0], unit) if unit else [-12.5, 300.0]
    table.write(tmp_path / "stars.ecsv")
    read = request(catalogue=read_catalogue(tmp_path / "stars.ecsv"))
    assert read.elvis.catalogue.velocity == (-12.5, 300.0)
    (stars,) = library.components(read)
    assert stars.shape.velocity.tolist() == [-12.5, 300.0]


def test_long_columns_are_packed(tmp_path):
    n = 50_000
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-50, 50, (2, n))
    path = tmp_path / "many.fits"
    Table({"x": x, "y": y, "mag": rng.uniform(15, 25, n).astype("f4")}).write(path)
    block = read_catalogue(path)
    text = json.dumps({"instrumentName": "x", "elvis": {"catalogue": block}})
    read = parse.read(text).elvis.catalogue
    assert np.array_equal(read.x, x)
    assert np.array_equal(read.y, y)


@pytest.mark.parametrize(
    ("columns", "pointer", "said"),
    [
        ({"x": [1.0], "y": [1.0]}, "/elvis/catalogue/mag", "no column mag"),
        ({"mag": [1.0]}, "/elvis/catalogue/x", "no column x and no y"),
        ({"mag": [1.0], "ra": [1.0]}, "/elvis/catalogue/dec", "no column dec"),
        ({"mag": ["bright"], "x": [1.0], "y": [1.0]}, "/elvis/catalogue/mag", "does not hold numbers"),
        ({"mag": [1.0, math.nan], "x": [1.0, 1], "y": [1.0, 2]}, "/elvis/catalogue/mag/1", "1 rows"),
        ({"mag": [1.0], "x": [1.0] * units.pix, "y": [1.0]}, "/elvis/catalogue/x", "is in pix"),
        ({"mag": np.zeros(0), "x": np.zeros(0), "y": np.zeros(0)}, "/elvis/catalogue", "0 rows"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path, columns, pointer, said):
    path = tmp_path / "stars.ecsv"
    Table(columns).write(path)
    with pytest.raises(RequestError, match=said) as caught:
        read_catalogue(path)
    assert caught.value.details["pointer"] == pointer


def test_gaps_are_no_numbers(tmp_path):
    path = tmp_path / "stars.ecsv"
    Table({"x": [1.0, 2.0], "y": [1.0, 2.0], "mag": MaskedColumn([1.0, 2.0], mask=[False, True])}).write(path)
    with pytest.raises(RequestError) as caught:
        read_catalogue(path)
    assert caught.value.details["pointer"] == "/elvis/catalogue/mag/1"


@pytest.mark.parametrize("name", ["missing.fits", "broken.fits", "broken.ecsv", "folder"])
def test_unreadable_files(tmp_path, name):
    path = tmp_path / name
    if name.startswith("broken"):
        path.write_bytes(b"\0\1nonsense\n" * 50)
    elif name == "folder":
        path.mkdir()
    for read in (read_catalogue, read_image):
        with pytest.raises(UsageError, match="cannot read") as caught:
            read(path)
        assert "\n" not in str(caught.value)


WINDOW = ("--window", "1948,1948,200,200", "--stages", "gain")


def test_replay_needs_no_files(tmp_path, elvis, micado):
    table, (path, _) = tmp_path / "stars.ecsv", picture(tmp_path, scale=0.01)
    Table({"ra": [150.0, 150.00002], "dec": [2.0, 2.00002], "mag": [20.0, 21.0], "temperature": [4000, 9000]}).write(
        table
    )
    where = ("--ra", "150", "--dec", "2", "--pa", "15")
    first = elvis(*WINDOW, *where, "--catalogue", str(table), "--image", str(path), stdin=json.dumps(micado()))
    assert first.code == 0, first.err
    table.unlink()
    path.unlink()
    assert elvis("replay", stdin=first.out).out == first.out
    with fits.open(io.BytesIO(first.out)) as hdus:
        assert hdus["TRUTH"].data["NAME"].tolist() == ["image", "star", "star"]
        assert hdus["TRUTH"].data["RA"][1:] == pytest.approx([150.0, 150.00002], abs=1e-9)
        assert hdus["TRUTH"].data["DEC"][1:] == pytest.approx([2.0, 2.00002], abs=1e-9)


def test_a_file_replaces_what_stands_in_the_request(tmp_path, elvis, micado):
    table = tmp_path / "stars.csv"
    table.write_text("x,y,mag\n0,0,20\n")
    document = micado(
        {"elvis": {"catalogue": {"ra": [1, 2], "dec": [3, 4], "mag": [5, 6]}, "pointing": {"ra": 1, "dec": 3}}}
    )
    done = elvis(*WINDOW, "--catalogue", str(table), stdin=json.dumps(document))
    assert done.code == 0, done.err
    with fits.open(io.BytesIO(done.out)) as hdus:
        assert hdus["TRUTH"].data["MAG"].tolist() == [20.0]
