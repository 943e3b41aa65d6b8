"""Tables and images of the user's: read, brought to our units, embedded, and the same after a replay."""

import io
import json
import math
import time

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request import parse, payload
from elvis_cli.request.files import catalogue
from elvis_cli.scene import library


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
    block = catalogue.catalogue(path)
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
    block = catalogue.catalogue(path)
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
    read = request(catalogue=catalogue.catalogue(tmp_path / "stars.ecsv"))
    assert read.elvis.catalogue.velocity == (-12.5, 300.0)
    (stars,) = library.components(read)
    assert stars.shape.velocity.tolist() == [-12.5, 300.0]


def test_long_columns_are_packed_and_quick(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-50, 50, (2, n))
    path = tmp_path / "many.fits"
    Table({"x": x, "y": y, "mag": rng.uniform(15, 25, n).astype("f4")}).write(path)
    began = time.perf_counter()
    block = catalogue.catalogue(path)
    text = json.dumps({"instrumentName": "x", "elvis": {"catalogue": block}})
    read = parse.read(text).elvis.catalogue
    assert time.perf_counter() - began < 10.0  # about 1.5 s when nothing else runs
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
        catalogue.catalogue(path)
    assert caught.value.details["pointer"] == pointer


def test_gaps_are_no_numbers(tmp_path):
    path = tmp_path / "stars.ecsv"
    Table({"x": [1.0, 2.0], "y": [1.0, 2.0], "mag": MaskedColumn([1.0, 2.0], mask=[False, True])}).write(path)
    with pytest.raises(RequestError) as caught:
        catalogue.catalogue(path)
    assert caught.value.details["pointer"] == "/elvis/catalogue/mag/1"


@pytest.mark.parametrize("name", ["missing.fits", "broken.fits", "broken.ecsv", "folder"])
def test_unreadable_files(tmp_path, name):
    path = tmp_path / name
    if name.startswith("broken"):
        path.write_bytes(b"\0\1nonsense\n" * 50)
    elif name == "folder":
        path.mkdir()
    for read in (catalogue.catalogue, catalogue.image):
        with pytest.raises(UsageError, match="cannot read") as caught:
            read(path)
        assert "\n" not in str(caught.value)


class TestPacking:
    def test_round_trip(self):
        assert payload.unpack(payload.pack(b"12345678"), "/x", 8) == b"12345678"

    @pytest.mark.parametrize(
        ("text", "most"), [("?", 9), ("QUJD", 9), (payload.pack(bytes(99)), 9), (payload.pack(bytes(9))[:-8], 9)]
    )
    def test_damage_and_bombs_are_refused(self, text, most):
        with pytest.raises(RequestError):
            payload.unpack(text, "/x", most)

    @pytest.mark.parametrize("bad", [math.nan, math.inf, 61.0])
    def test_packed_numbers_keep_the_limits(self, bad):
        packed = payload.pack(np.array([20.0, bad]).tobytes())
        with pytest.raises(RequestError) as caught:
            request(catalogue={"x": [0, 0], "y": [0, 0], "mag": packed})
        assert caught.value.details["pointer"] == "/elvis/catalogue/mag/1"


def picture(tmp_path, shape=(40, 60), angle=0.0, mirrored=False, scale=0.02, pixels=None, square=True):
    """Return a FITS image whose +y has position angle ``angle`` (deg)."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, 2.0], [1.0, 1.0]
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    matrix = np.array([[-c, s], [s, c]]) * scale / 3600
    if mirrored:
        matrix[:, 0] *= -1
    if not square:
        matrix[:, 1] *= 1.1
    wcs.wcs.cd = matrix
    data = np.arange(float(np.prod(shape))).reshape(shape) if pixels is None else pixels
    path = tmp_path / "image.fits"
    fits.writeto(path, data.astype("f4"), wcs.to_header(), overwrite=True)
    return path, data


class TestImage:
    @pytest.mark.parametrize("angle", [0.0, 30.0, -120.0, 180.0])
    @pytest.mark.parametrize("mirrored", [False, True])
    def test_scale_and_orientation(self, tmp_path, angle, mirrored):
        path, data = picture(tmp_path, angle=angle, mirrored=mirrored)
        block = catalogue.image(path)
        read = request(image=block).elvis.image
        assert read.scale == pytest.approx(0.02, rel=1e-6)
        assert (read.position_angle - angle + 180) % 360 == pytest.approx(180, abs=1e-6)
        pixels = np.frombuffer(read.data, "<f4").reshape(read.shape)
        assert np.array_equal(pixels, data[:, ::-1] if mirrored else data)

    def test_a_cube_of_one_plane_will_do(self, tmp_path):
        path, data = picture(tmp_path)
        with fits.open(path) as hdus:
            header = hdus[0].header
        fits.writeto(path, data[None].astype("f4"), header, overwrite=True)
        assert catalogue.image(path)["shape"] == [40, 60]

    def test_the_image_may_be_in_an_extension(self, tmp_path):
        path, data = picture(tmp_path)
        with fits.open(path) as hdus:
            header = hdus[0].header
        fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(data, header)]).writeto(path, overwrite=True)
        assert catalogue.image(path)["shape"] == [40, 60]

    def test_what_is_wrong(self, tmp_path):
        path, _ = picture(tmp_path, square=False)
        with pytest.raises(RequestError, match="not square"):
            catalogue.image(path)
        fits.writeto(path, np.ones((4, 4)), overwrite=True)
        with pytest.raises(RequestError, match="no celestial WCS"):
            catalogue.image(path)
        fits.writeto(path, np.ones(4), overwrite=True)
        with pytest.raises(RequestError, match="no image of two dimensions"):
            catalogue.image(path)
        path, _ = picture(tmp_path, shape=(2, 4097))
        with pytest.raises(RequestError, match="4096"):
            catalogue.image(path)


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
