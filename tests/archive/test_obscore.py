"""ObsCore rows of frames: place, time, wavelength and names are those of the headers and of the instrument."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import sqlite3

import pytest
from astropy.io import fits
from astropy.wcs import WCS

from elvis_cli.archive import footprint, obscore, regions
from elvis_cli.archive.columns import OBSCORE
from elvis_cli.errors import RequestError
from elvis_cli.instrument import registry


def frame(render, name, mode=None, block=None):
    document = registry.load(name).example(mode)
    document["elvis"] = {"window": {"x0": 0, "y0": 0, "nx": 32, "ny": 32}, **(block or {})}
    return render(document)


def row(data):
    return obscore.product(io.BytesIO(data), "frame")


def test_thirty_columns_are_mandatory():
    assert len(OBSCORE) == 30


def test_an_image_covers_all_its_chips(render):
    data = frame(render, "hawki", block={"pointing": {"ra": 359.99, "dec": 20.0, "position_angle": 30.0}})
    found = row(data)
    values = found.values
    assert (values["dataproduct_type"], values["calib_level"], values["filter"]) == ("image", 1, "Ks")
    assert len(found.polygons) == 4
    hull = regions.parse(values["s_region"])
    with fits.open(io.BytesIO(data)) as hdus:
        for name in ("CHIP1.INT1", "CHIP2.INT1", "CHIP3.INT1", "CHIP4.INT1"):
            place = WCS(hdus[name].header).all_pix2world(15.5, 15.5, 0)
            assert regions.contains(hull, regions.vector(*map(float, place)))
    assert regions.distance(values["s_ra"], values["s_dec"], 359.99, 20.0) < 0.04  # a corner of each chip is rendered
    assert 1.9e-6 < values["em_min"] < 2.05e-6 < 2.3e-6 < values["em_max"] < 2.4e-6  # HAWK-I's Ks
    assert values["t_max"] - values["t_min"] == pytest.approx(60.0 / 86400.0)
    with fits.open(io.BytesIO(data)) as hdus:
        assert values["dp_id"] == f"HAWKI.{hdus[0].header['DATE-OBS']}"


def test_a_slit_is_on_the_sky_where_it_is_turned_to(render):
    found = row(frame(render, "fors", "lss", {"pointing": {"ra": 10.0, "dec": -60.0, "position_angle": 90.0}}))
    outline = regions.parse(found.values["s_region"])
    assert found.values["s_fov"] == pytest.approx(408.0 / 3600, rel=1e-3)  # the long slit: 6.8 arcmin
    assert regions.area(outline) == pytest.approx(408.0 / 3600**2, rel=1e-3)  # 1 arcsec wide
    east = 200.0 / 3600 / math.cos(math.radians(60.0))
    assert regions.contains(outline, regions.vector(10.0 + east, -60.0))
    assert not regions.contains(outline, regions.vector(10.0, -60.0 + 200.0 / 3600))
    assert (found.values["em_min"], found.values["dataproduct_type"]) == (pytest.approx(4.2e-7), "spectrum")


def test_a_dark_is_nowhere(render):
    values = row(frame(render, "micado", block={"calibration": "dark", "chips": [5]})).values
    assert values["s_region"] is None
    assert values["s_ra"] is None
    assert values["dp_type"].startswith("DARK")


def test_what_is_no_frame_is_refused():
    out = io.BytesIO()
    fits.PrimaryHDU().writeto(out)
    with pytest.raises(RequestError, match="INSTRUME"):
        row(out.getvalue())


def test_hulls_hold_their_places_at_the_pole():
    places = [(0.0, 89.9), (90.0, 89.9), (180.0, 89.9), (270.0, 89.9), (45.0, 89.99)]
    outline = footprint.hull(places)
    assert len(outline) == 4
    assert regions.contains(regions.polygon(tuple(v for p in outline for v in p)), (0.0, 0.0, 1.0))
    assert footprint.centre(outline)[1] == pytest.approx(90.0, abs=1e-6)


def test_the_command_prints_the_row(elvis, render, tmp_path):
    path = tmp_path / "frame.fits"
    path.write_bytes(frame(render, "micado", block={"chips": [5]}))
    printed = elvis("obscore", str(path))
    assert printed.code == 0
    lines = dict(line.split("\t")[:2] for line in printed.out.decode().splitlines())
    assert lines["instrument_name"] == "MICADO"
    assert json.loads(elvis("obscore", "--json", stdin=path.read_bytes()).out)["s_ra"] == pytest.approx(
        float(lines["s_ra"]), rel=1e-5
    )


def test_a_product_of_a_slit_is_where_its_slit_is(render):
    raw = frame(render, "fors", "lss")
    head = fits.getheader(io.BytesIO(raw))
    for key in ("ESO SIM INSTR", "ESO SIM MODE"):
        del head[key]
    head["PRODCATG"], head["ESO INS MODE"], head["PROV1"] = "SCIENCE.SPECTRUM", "LSS", head["ARCFILE"]
    out = io.BytesIO()
    fits.PrimaryHDU(None, head).writeto(out)
    product = row(out.getvalue())
    assert product.values["s_region"] == row(raw).values["s_region"]
    assert (product.values["calib_level"], product.raw_names) == (2, (head["ARCFILE"],))


def test_a_store_of_another_program_is_refused(elvis, tmp_path):
    place = tmp_path / "other.sqlite"
    with contextlib.closing(sqlite3.connect(place)) as other:
        other.executescript("CREATE TABLE alembic_version(version_num); INSERT INTO alembic_version VALUES ('zzz');")
    result = elvis("archive", "query", "SELECT * FROM ivoa.obscore", "--store", str(place))
    assert (result.code, result.out, len(result.lines)) == (69, b"", 1)
    assert "other.sqlite is of another version" in result.err


def test_pipes_and_devices_are_no_files_of_an_archive(elvis, tmp_path):
    """A pipe that nobody writes into was waited for without end."""
    os.mkfifo(tmp_path / "pipe")
    result = elvis("archive", "add", str(tmp_path / "pipe"), "/dev/null", "--store", str(tmp_path / "a.sqlite"))
    assert result.code == 1
    assert [json.loads(line)["status"] for line in result.out.splitlines()] == ["failed", "failed"]
    assert result.err.count("is not a regular file") == 2
