"""Catalogues (scenario 10)."""

import time

import numpy as np
import pytest
from astropy.table import Table

from elvis_cli.errors import ResourceError
from elvis_cli.observatory.catalog import Catalog
from elvis_cli.observatory.parameters import CatalogParameters
from elvis_cli.observatory.source import Source, merged


def load(path, **more):
    return Catalog.load(CatalogParameters(file=path.name, **more), path.parent)


@pytest.fixture
def table():
    drawn = Catalog.random(50, 4)
    return Table(dict(drawn.columns))


def test_a_random_catalogue_is_that_of_its_seed():
    ten = Catalog.random(10)
    assert len(ten) == 10
    assert ((ten.columns["mag"] >= 15) & (ten.columns["mag"] <= 20)).all()
    assert all(name.startswith("J") and name[10] in "+-" for name in ten.columns["name"])
    assert ten.hash == Catalog.random(10).hash != Catalog.random(10, 2).hash


@pytest.mark.parametrize("kind", ["csv", "ecsv", "fits", "xml", "hdf5", "columns"])
def test_all_formats_are_read_alike(table, tmp_path, kind):
    if kind in ("hdf5", "columns"):
        h5py = pytest.importorskip("h5py")
        path = tmp_path / "cat.h5"
        bytes_names = Table(table)
        bytes_names["name"] = np.char.encode(table["name"])
        with h5py.File(path, "w") as file:
            if kind == "hdf5":
                file["catalog"] = bytes_names.as_array()
            else:
                for key in bytes_names.colnames:
                    file[key] = np.asarray(bytes_names[key])
    else:
        path = tmp_path / f"cat.{kind}"
        table.write(path, format={"csv": "ascii.csv", "ecsv": "ascii.ecsv", "xml": "votable"}.get(kind))
    read = load(path)
    assert read.hash == Catalog.random(50, 4).hash
    assert read.row(7) == Catalog.random(50, 4).row(7)


def test_a_million_rows_are_quick(tmp_path):
    rows = 1_000_000
    names = np.arange(rows)
    path = tmp_path / "big.fits"
    Table({"name": names.astype("S7"), "ra": names * 3e-4, "dec": names * 1e-5, "mag": names * 1e-6 + 15}).write(path)
    begin = time.process_time()
    read = load(path)
    assert len(read) == rows
    assert time.process_time() - begin < 3


def test_rows_by_number_and_name():
    ten = Catalog.random(10)
    assert ten.row(-1) == ten.row(9)
    name = str(ten.columns["name"][3])
    assert ten.row(name) == ten.row(3)
    assert ten.row(3).aliases == (name,)
    with pytest.raises(ResourceError, match="did you mean"):
        ten.row(name[:-1] + "x")
    with pytest.raises(ResourceError, match="0 to 9"):
        ten.row(10)


def test_proper_motion_moves_a_source_in_its_epoch(tmp_path):
    path = tmp_path / "cat.csv"  # Barnard's star, Gaia DR3, 2016
    path.write_text("name,ra,dec,pmra,pmdec,parallax,epoch\nBarnard,269.44850,4.73942,-801.55,10362.39,546.98,2016.0\n")
    star = load(path)
    moved = star.row(0, at=2022.0)
    assert (moved.dec - star.row(0).dec) * 3600 == pytest.approx(6 * 10.36239, rel=1e-3)
    assert abs(moved.dec - star.row(0).dec) < 0.1
    from astropy import units as u
    from astropy.coordinates import SkyCoord
    from astropy.time import Time

    place = SkyCoord(
        269.44850 * u.deg,
        4.73942 * u.deg,
        pm_ra_cosdec=-801.55 * u.mas / u.yr,
        pm_dec=10362.39 * u.mas / u.yr,
        distance=1000 / 546.98 * u.pc,
        obstime=Time(2016.0, format="jyear"),
    ).apply_space_motion(Time(2022.0, format="jyear"))
    assert place.separation(SkyCoord(moved.ra * u.deg, moved.dec * u.deg)).arcsec < 1e-3
    assert star.row(0, at=2016.0).ra == pytest.approx(269.44850, abs=1e-9)


def test_the_preferred_band(tmp_path):
    path = tmp_path / "cat.csv"
    path.write_text("name,ra,dec,mag,mag_J\na,1,2,15,13.5\n")
    row = load(path, filter="V").row(0, mag="J")
    assert (row.mag, row.filter) == (13.5, "J")
    assert load(path, filter="V").row(0).mag == 15
    with pytest.raises(ResourceError, match="no magnitude in K"):
        load(path).row(0, mag="K")


def test_the_nearest_source_also_across_0_and_360_degrees():
    ra = np.array([359.9999, 10.0, 120.0])
    few = Catalog({"name": np.array(["a", "b", "c"]), "ra": ra, "dec": np.array([0.0, 5.0, 89.9999])})
    assert few.nearest(0.0001, 0.0) is not None
    assert few.nearest(0.0001, 0.0).name == "A"
    assert few.nearest(300.0, 89.9999, radius=1.0).name == "C"  # near the pole 180 degrees are little
    assert few.nearest(10.0, 5.0 + 1.9 / 3600).name == "B"
    assert few.nearest(10.0, 5.0 + 2.1 / 3600) is None


def test_cuts_by_cone_and_magnitude():
    many = Catalog.random(2000, 1)
    cut = many.cut((10.0, 20.0, 30.0), (16.0, 17.0))
    assert 0 < len(cut) < 200
    assert all(16 <= one.mag <= 17 for one in cut)


def test_what_is_missing_is_named(tmp_path):
    path = tmp_path / "cat.csv"
    path.write_text("name,raj2000,dec\na,1,2\n")
    with pytest.raises(ResourceError, match="no column ra"):
        load(path)
    assert load(path, columns={"ra": "raj2000"}).row(0).ra == 1.0
    with pytest.raises(ResourceError, match="there is no file"):
        load(tmp_path / "none.csv")


def test_sources_within_two_arcsec_are_one():
    a = Source("A", 10.0, 20.0, 17.0, aliases=("a1",), local_names={"X": "1"})
    b = Source("B", 10.0, 20.0 + 1.5 / 3600, 16.0, local_names={"Y": "2"})
    c = Source("C", 10.0, 20.0 + 5.0 / 3600, 15.0)
    one, other = merged([a, b, c])
    assert (one.name, one.aliases, other.name) == ("B", ("A", "a1"), "C")
    assert one.local_names == {"X": "1", "Y": "2"}
    assert merged([a, b, c], radius=0.0) == [a, b, c]
