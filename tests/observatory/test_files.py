"""Photometry in files."""

import numpy as np
import pytest
from astropy.table import Table

from elvis_cli.errors import ResourceError
from elvis_cli.observatory import base
from elvis_cli.observatory.source import Source

STAR = Source("ST_1", 10.0, 20.0, 18.0, 0.1, "R", aliases=("St 1",))


def table(**more):
    mjd = 57000.0 + np.arange(30.0)
    return Table({"HJD": mjd + 2400000.5, "Mag": np.full(30, 18.0), "e_mag": np.full(30, 0.1), **more})


def files(folder, **parameters):
    return base.make("files", parameters, folder)


@pytest.mark.parametrize("kind", ["csv", "fits", "ecsv"])
def test_a_file_by_any_of_its_names(tmp_path, kind):
    table().write(tmp_path / f"St 1.{kind}", format={"csv": "ascii.csv", "ecsv": "ascii.ecsv"}.get(kind))
    one = files(tmp_path, path=f"{{name}}.{kind}", columns={"magerr": "e_mag"}, exptime=30.0, filter="V")
    raw = one.fetch(STAR)
    assert raw.data["mjd"][0] == pytest.approx(57000.0)
    assert set(raw.data) == {"mjd", "mag", "magerr", "exptime", "filter"}
    assert raw.meta["local_name"] == "St 1"
    assert [each.filter for each in one.reduce(raw, STAR)] == ["V"]
    assert one.fetch(Source("NOBODY", 0.0, 0.0)).is_empty


def test_a_file_by_its_place(tmp_path):
    (tmp_path / "lc").mkdir()
    table().write(tmp_path / "lc" / "a.csv", format="ascii.csv")
    (tmp_path / "lc" / "index.csv").write_text("file,name,ra,dec\na.csv,OGLE-7,10.0003,20.0\n")
    parameters = {"index": "lc/index.csv", "columns": {"magerr": "e_mag"}, "exptime": 30.0}
    assert files(tmp_path, **parameters).fetch(STAR).meta["local_name"] == "OGLE-7"
    assert files(tmp_path, **parameters, match_radius=0.5).fetch(STAR).is_empty


def test_two_observatories_of_one_star_are_one_source(run):
    patch = {"observatories": {"demo": {}, "other": {"class": "files", "index": "index.csv", "exptime": 30.0}}}
    one = run(patch={**patch, "catalog": {"rows": 1}})
    star = one.project.sources()[0]
    folder = one.project.config_folder
    table(magerr=np.full(30, 0.1)).write(folder / "a.csv", format="ascii.csv")
    (folder / "index.csv").write_text(f"file,name,ra,dec\na.csv,OTHER-1,{star.ra},{star.dec + 1.5 / 3600}\n")
    (done,) = one.go()
    assert done.failure is None
    assert sorted(each.observatory for each in done.datasets if each.level == "raw") == ["DEMO", "OTHER"]
    assert one.count("source") == 1
    from elvis_cli.observatory.curves import of_source

    assert {each.observatory for each in of_source(one.project, one.store, "OTHER-1")} == {"DEMO", "OTHER"}


def test_columns_that_are_not_there_are_named(tmp_path):
    table().write(tmp_path / "ST_1.csv", format="ascii.csv")
    with pytest.raises(ResourceError, match="no column tmag for mag"):
        files(tmp_path, columns={"mag": "tmag"}).fetch(STAR)
