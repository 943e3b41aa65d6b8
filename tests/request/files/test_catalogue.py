"""Tables and images of the user's: read, brought to our units, embedded, and the same after a replay."""

import bz2
import gzip
import io
import json
import lzma
import math
from typing import ClassVar

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from elvis_cli.errors import RequestError, UsageError
from elvis_cli.model.request import Brightness
from elvis_cli.request import parse
from elvis_cli.request.files.catalogue import columns_named, read_catalogue
from elvis_cli.request.files.image import read_image
from elvis_cli.scene import library
from elvis_cli.survey.split import subset
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
    block = read_catalogue(path).block(None)
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
    block = read_catalogue(path).block(None)
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
    block = read_catalogue(path).block(None)
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
        ({"mag": [99.0, math.nan], "x": [1.0, 1], "y": [1.0, 2]}, "/elvis/catalogue", "no row has both"),
        ({"mag": [1.0], "x": [1.0] * units.pix, "y": [1.0]}, "/elvis/catalogue/x", "is in pix"),
        ({"mag": np.zeros(0), "x": np.zeros(0), "y": np.zeros(0)}, "/elvis/catalogue", "0 rows"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path, columns, pointer, said):
    path = tmp_path / "stars.ecsv"
    Table(columns).write(path)
    with pytest.raises(RequestError, match=said) as caught:
        read_catalogue(path).block(None)
    assert caught.value.details["pointer"] == pointer


FIVE = {"ra": [150.0, 150.1, 150.2, 150.3, 150.4], "dec": [2.0, -0.1, 2.2, 2.3, 2.4], "mag": [16.0, 17, 18, 19, 20]}
"""Five sources on the sky."""
IN_K = Brightness(band="K")


def text_file(tmp_path, text, name="stars.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def both(path, brightness=IN_K, **named):
    """Return the block and the notes of a table."""
    sources = read_catalogue(path, named)
    return sources.block(brightness), "\n".join(sources.notes)


class TestFormats:
    """All ways in which people write the same table."""

    TEXTS: ClassVar = {
        "commas": "x,y,mag\n0.5,-1,16\n2,3,17\n",
        "semicolons after a comment": "# exported\n# on a Monday\nx;y;mag\n0.5;-1;16\n2;3;17\n",
        "decimal commas": "x;y;mag\n0,5;-1,0;16,0\n2,0;3,0;17,0\n",
        "tabs": "x\ty\tmag\n0.5\t-1\t16\n2\t3\t17\n",
        "blanks": "  x     y   mag\n 0.5  -1    16\n 2.0   3    17\n",
        "names in a comment": "# x y mag\n0.5 -1 16\n2 3 17\n",
        "names and units in comments": "# x y mag\n# mas mas mag\n500 -1000 16\n2000 3000 17\n",
        "units in brackets": "x [mas],y (arcsec),mag\n500,-1,16\n2000,3,17\n",
        "units in names": "x_mas,y_arcsec,mag\n500,-1,16\n2000,3,17\n",
        "a line of units and one of dashes": "#R\nx;y;mag\nmas;mas;mag\n---;---;---\n500;-1000;16\n2000;3000;17\n",
        "quotes, blanks and lines of nothing": '\n"x", "y", "mag"\n\n0.5, -1, 16\n\n2, 3, 17\n\n',
        "a column of row numbers": ",x,y,mag\n0,0.5,-1,16\n1,2,3,17\n",
        "carriage returns": "x,y,mag\r\n0.5,-1,16\r\n2,3,17\r\n",
        "remarks": "x y mag\n0.5 -1 16 # a\n2 3 17 # b\n",
        "SExtractor": "# 1 X offset [arcsec]\n# 2 Y offset [arcsec]\n# 3 MAG magnitude [mag]\n0.5 -1 16\n2 3 17\n",
        "IPAC": "|x     |y     |mag   |\n|double|double|double|\n|arcsec|arcsec|mag   |\n|null  |null  |null  |\n"
        "  0.5    -1     16    \n  2      3      17    \n",
        "DAOPHOT": "#K MERGERAD = INDEF scaleunit %-23.7g\n#\n#N X Y MAG \\\n#U arcsec arcsec mag \\\n"
        "#F %9.3f %9.3f %9.3f\n#\n"
        "   0.500   -1.000   16.000\n   2.000    3.000   17.000\n",
    }

    @pytest.mark.parametrize("how", TEXTS)
    def test_text(self, tmp_path, how):
        block, _ = both(text_file(tmp_path, self.TEXTS[how], "stars.dat"))
        assert block["x"] == pytest.approx([0.5, 2])
        assert block["y"] == pytest.approx([-1, 3])
        assert block["mag"] == [16, 17]

    @pytest.mark.parametrize(
        "wrap",
        [
            gzip.compress,
            bz2.compress,
            lzma.compress,
            lambda data: b"\xef\xbb\xbf" + data,
            lambda data: data.decode().encode("utf-16"),
            lambda data: b"# star of \xc5ngstr\xf6m\n" + data,
        ],
        ids=["gzip", "bzip2", "xz", "byte-order mark", "UTF-16", "Latin-1"],
    )
    def test_bytes(self, tmp_path, wrap):
        block, _ = both(text_file(tmp_path, wrap(b"x,y,mag\n0.5,-1,16\n"), "stars.csv.gz"))
        assert (block["x"], block["y"], block["mag"]) == ([0.5], [-1], [16])

    @pytest.mark.parametrize("form", ["votable", "fits", "ascii.ecsv", "ascii.mrt"])
    def test_astropy_writes_them(self, tmp_path, form):
        table = Table(FIVE, units={"ra": "deg", "dec": "deg", "mag": "mag"})
        table["RV"] = [1000.0, 2000, 3000, 4000, 5000] * units.m / units.s
        table.write(tmp_path / "stars.any", format=form)
        block, _ = both(tmp_path / "stars.any")
        assert block["ra"] == pytest.approx(FIVE["ra"])
        assert block["dec"] == pytest.approx(FIVE["dec"])
        assert block["velocity"] == pytest.approx([1, 2, 3, 4, 5])

    def test_the_table_with_the_sources_among_several(self, tmp_path):
        path = tmp_path / "stars.fits"
        tables = [
            fits.table_to_hdu(Table(columns)) for columns in ({"a": [1]}, {"x": [0.5], "y": [1.0], "mag": [16.0]})
        ]
        tables[0].name, tables[1].name = "HEAD", "OBJECTS"
        fits.HDUList([fits.PrimaryHDU(), *tables]).writeto(path)
        block, notes = both(path)
        assert block["x"] == [0.5]
        assert "of 2 tables" in notes
        assert both(tmp_path / "stars.fits[OBJECTS]")[0] == block
        with pytest.raises(RequestError, match="no column"):
            both(tmp_path / "stars.fits[HEAD]")

    def test_without_names(self, tmp_path):
        path = text_file(tmp_path, "0.5 -1 16\n2 3 17\n")
        with pytest.raises(RequestError, match="no column x and no y"):
            both(path)
        assert both(path, x="1", y="2", mag="3")[0]["mag"] == [16, 17]


@pytest.mark.parametrize("texts", [["mag"], ["=K"], ["magg=K"], ["mag=K", "mag=J"]])
def test_columns_that_are_no_columns(texts):
    with pytest.raises(UsageError, match="--column"):
        columns_named(texts)


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(RequestError, match=r"no column Kmg.*did you mean 'Kmag'"):
        both(text_file(tmp_path, "x,y,Kmag\n0,0,18\n"), mag="Kmg")


def test_a_column_of_no_table(elvis):
    assert elvis("--column", "mag=K", stdin="{}").code == 2


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


@pytest.mark.parametrize("mark", ["\t", ";", "|", ","])
def test_an_empty_cell_moves_no_other(tmp_path, mark):
    text = "ra,dec,e_Kmag,Kmag,Jmag\n150,2,0.1,15,16\n151,3,,17,18\n152,4,0.1,,19\n".replace(",", mark)
    block = read_catalogue(text_file(tmp_path, text)).block(IN_K)
    assert (block["ra"], block["mag"], block["id"]) == ([150, 151], [15, 17], [0, 1])


def test_blanks_inside_cells_are_no_decimal_commas(tmp_path):
    text = "_RAJ2000,_DEJ2000,Kmag\n10 00 00.0,-00 30 00,15.5\n"
    block = read_catalogue(text_file(tmp_path, text)).block(IN_K)
    assert (block["ra"], block["dec"], block["mag"]) == ([150.0], [-0.5], [15.5])


@pytest.mark.parametrize("form", ["ascii.fixed_width", "ascii.fixed_width_two_line", "ascii.tab"])
def test_other_tables_that_astropy_reads(tmp_path, form):
    text = io.StringIO()
    Table({"ra": [150.0, 151.0], "dec": [2.0, 3.0], "Kmag": [15.0, 16.0], "name": ["a", "b"]}).write(text, format=form)
    assert read_catalogue(text_file(tmp_path, text.getvalue())).block(IN_K)["mag"] == [15.0, 16.0]


def test_names_of_galaxies_shapes(tmp_path):
    text = "ra,dec,mag,r_eff,n_sersic,ellip,theta\n150,2,15,1.2,4,0.5,30\n"
    block = read_catalogue(text_file(tmp_path, text)).block(IN_K)
    assert [block[key] for key in ("radius", "index", "ellipticity", "angle")] == [[1.2], [4], [0.5], [30]]


NAMES = ("alf Cen", "\N{GREEK SMALL LETTER BETA} Cen", "")
"""Names of stars, of which one has none."""


@pytest.mark.parametrize("column", ["id", "Name", "main_id", "designation"])
def test_names_of_stars_are_in_truth(elvis, micado, tmp_path, column):
    rows = "".join(f"{name},{n / 10},0,16\n" for n, name in enumerate(NAMES))
    path = text_file(tmp_path, f"{column},x,y,mag\n{rows}")
    done = elvis(*WINDOW, "--catalogue", str(path), stdin=json.dumps(micado()))
    assert done.code == 0, done.err
    with fits.open(io.BytesIO(done.out)) as hdus:
        truth = hdus["TRUTH"].data
        assert [name.strip() for name in truth["NAME"][[0, 2]]] == ["alf Cen", "star"]
        assert "Cen" in truth["NAME"][1]
        if column == "id":
            assert truth["ID"].tolist() == [0, 1, 2]
    (tmp_path / "frame.fits").write_bytes(done.out)
    again = elvis("replay", str(tmp_path / "frame.fits"))
    assert again.out == done.out


def test_huge_numbers_are_names_to_the_last_digit(tmp_path):
    path = text_file(tmp_path, "source_id,ra,dec,phot_g_mean_mag\n4295806720000000123,1,2,16\n")
    block, notes = both(path, Brightness(band="gaia_G"))
    assert (block["name"], block["id"]) == (["4295806720000000123"], [0])
    assert "NAME has them" in notes


def test_many_names_are_packed_and_go_to_the_detectors(tmp_path):
    names = [f"star {n}" for n in range(1500)]
    rows = "\n".join(f"{name},{n},0,16" for n, name in enumerate(names))
    block, _ = both(text_file(tmp_path, f"name,x,y,mag\n{rows}\n"))
    assert isinstance(block["name"], str)
    stars = request(catalogue=block).elvis.catalogue
    assert stars.name == tuple(names)
    assert subset(stars, np.array([7, 9]))["name"] == ["star 7", "star 9"]


@pytest.mark.parametrize("names", ["l,b", "GLON,GLAT", "_Glon,_Glat"])
def test_galactic_coordinates(tmp_path, names):
    places = SkyCoord(FIVE["ra"], FIVE["dec"], unit="deg").galactic
    rows = "".join(f"{place.l.deg},{place.b.deg},16\n" for place in places)
    block, notes = both(text_file(tmp_path, f"{names},mag\n{rows}"))
    assert block["ra"] == pytest.approx(FIVE["ra"], abs=1e-8)
    assert block["dec"] == pytest.approx(FIVE["dec"], abs=1e-8)
    assert "from Galactic coordinates to ICRS" in notes


def test_commas_between_thousands_are_not_decimal_commas(tmp_path):
    with pytest.raises(UsageError, match="thousands"):
        both(text_file(tmp_path, 'x,y,mag\n"1,000",0,16\n'))
    assert both(text_file(tmp_path, "x;y;mag\n1,000;0,5;16,0\n"))[0]["x"] == [1.0]


@pytest.mark.parametrize("temperature", [5.8, 3.76])
def test_temperatures_in_another_unit_are_refused(tmp_path, temperature):
    with pytest.raises(RequestError, match="in kK"):
        both(text_file(tmp_path, f"x,y,mag,Teff\n0,0,16,{temperature}\n"))


@pytest.mark.parametrize(("scale", "zero"), [(0.01, 0.0), (0.001, 10.0), (1.0, 32768.0)])
def test_nulls_of_scaled_columns(tmp_path, scale, zero):
    stored = np.array([(19.0 - zero) / scale, -99.0, (18.0 - zero) / scale])
    columns = [fits.Column("X", "D", array=[1.0, 2, 3]), fits.Column("Y", "D", array=[1.0, 2, 3])]
    columns.append(fits.Column("MAG", "J", array=np.round(stored).astype("i4"), null=-99))
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["TSCAL3"], hdu.header["TZERO3"] = scale, zero
    hdu.writeto(tmp_path / "scaled.fits")
    block, notes = both(tmp_path / "scaled.fits")
    assert block["mag"] == pytest.approx([19.0, 18.0])
    assert "1 row of 3 without a magnitude" in notes


@pytest.mark.parametrize("mag", ["1e300", "-31", "61"])
def test_numbers_that_are_no_magnitudes(tmp_path, mag):
    block, notes = both(text_file(tmp_path, f"x,y,mag\n0,0,{mag}\n1,1,19\n"))
    assert block["mag"] == [19]
    assert "1 row of 2 without a magnitude" in notes
