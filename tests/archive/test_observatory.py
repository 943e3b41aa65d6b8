"""Epochs of an observatory in our own archive, which gives the same light curve by its protocols as the files do."""

import signal

import numpy as np
import pytest

pytest.importorskip("pyvo", reason="needs the extra vo")
pytest.importorskip("photutils", reason="needs the extra reduce")
pytest.importorskip("python_multipart", reason="needs the extra archive")
pytest.importorskip("mocpy", reason="needs the extra archive")

from elvis_cli.observatory import base
from elvis_cli.observatory.calibration import Calibration
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.measure import measure, table_of
from elvis_cli.observatory.parameters import CalibrationParameters
from elvis_cli.observatory.source import Source
from tests.archive.conftest import Night
from tests.conftest import closure_only

STAR = Source("S1", 150.0, -25.0, 17.0, 0.01, "K")
EPOCHS = 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Return an archive that serves the products of epochs, and their contents."""
    night = Night(tmp_path_factory.mktemp("observatory"))
    elvis = base.make("elvis", {"instrument": "hawki", "cadence": {"n": EPOCHS, "span": 3.0}, "keep": "product"})
    contents = [frame.data for frame in elvis.fetch(STAR).frames]
    names = [f"{n}.fits" for n in range(EPOCHS)]
    for name, content in zip(names, contents, strict=True):
        (night.folder / name).write_bytes(content)
    night.archive("add", *(str(night.folder / name) for name in names))
    night.serve()
    yield night.url, contents
    night.process.send_signal(signal.SIGTERM)
    assert night.process.wait(30) == 0


def light_curve(observatory, raw):
    (reduced,) = observatory.reduce(raw, STAR)
    return Calibration(CalibrationParameters(zero_points={"Ks": 0.1})).apply(reduced)


@closure_only
def test_images_give_the_light_curve_of_the_files(archive, monkeypatch):
    def unreachable(*_, **__):
        raise AssertionError("asks ivoa.net for a vocabulary")

    monkeypatch.setattr("pyvo.utils.vocabularies.get_vocabulary", unreachable)
    url, contents = archive
    sia = base.make("sia2", {"url": f"{url}/sia2/query", "collection": "HAWKI", "retries": 0})
    seen = light_curve(sia, sia.fetch(STAR))
    there = light_curve(sia, sia.raw(STAR, table_of([measure(each, STAR) for each in contents])))
    assert len(seen) == EPOCHS
    for key in ("mjd", "flux", "fluxerr", "mag", "magerr"):
        assert np.array_equal(getattr(seen, key), getattr(there, key)), key
    assert np.abs(seen.mag - 17.0 - 0.1).max() < 0.1
    elsewhere = Source("S2", 150.1, -25.0, 17.0, 0.01, "K")
    assert sia.fetch(elsewhere).number == 0


def test_rows_of_the_table_are_those_of_the_files(archive):
    url, contents = archive
    columns = {"ra": "s_ra", "dec": "s_dec", "mjd": "t_min", "exptime": "t_exptime", "mag": "abmaglim"}
    about = {"url": f"{url}/tap", "table": "ivoa.obscore", "columns": columns, "search_radius": 10.0, "retries": 0}
    raw = base.make("tap", about).fetch(STAR)
    assert isinstance(raw, PhotometricDataset)
    rows = table_of([measure(each, STAR) for each in contents])
    assert sorted(raw.data["mjd"]) == pytest.approx(rows["mjd"] - rows["exptime"] / 2 / 86400.0, abs=1e-6)
    assert (raw.data["exptime"] == rows["exptime"]).all()
    assert set(raw.data["filter"]) == set(rows["filter"]) == {"Ks"}
