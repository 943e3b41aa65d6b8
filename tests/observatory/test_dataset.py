"""Datasets on disk, and reduction to light curves (scenarios 9, 11)."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.errors import OutputError, ResourceError
from elvis_cli.observatory import base
from elvis_cli.observatory.dataset import RAW, REDUCED, ImageDataset, PhotometricDataset, SpectralDataset, file_name
from elvis_cli.observatory.source import Source

STAR = Source("X", 150.25, 2.0, 18.0, 0.1, "R")


def dataset(**about):
    random = np.random.default_rng(1)
    columns = {
        "mjd": np.sort(random.uniform(57000, 58000, 20)),
        "exptime": np.full(20, 30.0),
        "mag": random.normal(18, 0.1, 20),
        "magerr": np.full(20, 0.1),
        "filter": np.array(["R", "V"] * 10),
        "flag": np.zeros(20, np.int32),
    }
    return PhotometricDataset.of(columns, source_name="X", observatory="DEMO", path="a/x.fits", **about)


def test_what_is_loaded_is_what_was_saved(tmp_path):
    saved = dataset(folder=str(tmp_path), meta={"note": "n" * 10_000, "list": [1, 2.5, None]})
    saved.save()
    again = PhotometricDataset(source_name="X", observatory="DEMO", path="a/x.fits", folder=str(tmp_path))
    assert again.data.keys() == saved.data.keys()
    for key, values in saved.data.items():
        assert (again.data[key] == values).all(), key
        assert again.data[key].dtype.kind == values.dtype.kind
    assert again.meta == saved.meta
    assert (again.t_start, again.number) == (saved.t_start, 20)
    assert again.checksum() == saved.sha256


def test_an_existing_file_is_not_replaced(tmp_path):
    one = dataset(folder=str(tmp_path))
    one.save()
    with pytest.raises(OutputError, match="overwrite"):
        one.save()
    one.save(overwrite=True)


def test_missing_and_damaged_files(tmp_path):
    one = dataset(folder=str(tmp_path))
    with pytest.raises(ResourceError, match="cannot read"):
        one.load()
    assert one.load(missing="skip") is None
    one.save()
    content = bytearray(one.file.read_bytes())
    content[-3000] ^= 1
    one.file.write_bytes(content)
    with pytest.raises(ResourceError, match="checksum"):
        one.load()
    one.file.write_bytes(b"nonsense")
    with pytest.raises(ResourceError, match="not a dataset"):
        replace(one, sha256="", _data=None).load()
    one.delete()
    assert not one.file.exists()


def test_absolute_and_relative_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = dataset(folder="data")
    one.save()
    assert (tmp_path / "data/a/x.fits").is_file()
    assert PhotometricDataset(source_name="X", observatory="DEMO", path=str(tmp_path / "data/a/x.fits")).data


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError):
        PhotometricDataset(source_name="X", observatory="DEMO", colour="red")


def test_names_of_files():
    assert file_name("photometry", "DEMO", STAR, RAW) == "DEMO/RA150/DEMO_photometry_X.fits"
    assert file_name("photometry", "DEMO", STAR, REDUCED, 2, 3) == "DEMO/RA150/DEMO_photometry_X_reduced_02_of_03.fits"


def test_empty_data_and_other_kinds(tmp_path):
    empty = PhotometricDataset.of({}, source_name="X", observatory="DEMO", path="e.fits", folder=str(tmp_path))
    empty.save()
    assert empty.load().is_empty
    spectrum = SpectralDataset.of(
        {"wave": np.linspace(1, 2, 9), "flux": np.ones(9)},
        source_name="X",
        observatory="D",
        path="s.fits",
        folder=str(tmp_path),
    )
    spectrum.save()
    assert replace(spectrum, _data=None).data["wave"].tolist() == np.linspace(1, 2, 9).tolist()
    image = ImageDataset(source_name="X", observatory="D", path="i.fits", folder=str(tmp_path), _data=b"frame")
    image.save()
    assert replace(image, _data=None).data == b"frame"


def survey(**parameters):
    return base.make("survey", {"class": "demo", "gap": 40, "radius": 3.0, "max_dmag": 0.75, **parameters})


def seasons(**changes):
    """Return raw photometry of four seasons 100 d apart in g and r."""
    mjd = np.concatenate([58000.0 + 130.0 * season + np.arange(30.0) for season in range(4)])
    columns = {
        "mjd": np.tile(mjd, 2),
        "exptime": np.full(240, 30.0),
        "mag": np.full(240, 18.1),
        "magerr": np.full(240, 0.1),
        "filter": np.repeat(["g", "r"], 120),
        "flag": (np.arange(240) % 10 == 0).astype(np.int32),
        "ra": np.full(240, STAR.ra),
        "dec": np.full(240, STAR.dec),
        "oid": np.repeat([1.0, 2.0], 120),
    }
    for key, (part, value) in changes.items():
        columns[key][part] += value
    order = np.argsort(columns["mjd"], kind="stable")
    return PhotometricDataset.of({k: v[order] for k, v in columns.items()}, source_name="X", observatory="SURVEY")


def test_gaps_split_into_seasons_and_filters():
    assert len(survey().reduce(seasons(), STAR)) == 8
    two = survey(gap=300).reduce(seasons(), STAR)
    assert [(each.filter, each.number) for each in two] == [("g", 120), ("r", 120)]
    clean = survey(gap=300, drop_flagged=True).reduce(seasons(), STAR)
    assert [each.number for each in clean] == [108, 108]
    assert [each.path[-14:] for each in two] == ["01_of_02.fits".rjust(14, "_"), "02_of_02.fits".rjust(14, "_")]


def test_light_curves_of_other_objects_are_dropped():
    red = slice(120, 240)
    assert {each.filter for each in survey().reduce(seasons(mag=(red, 0.8)), STAR)} == {"g"}
    off = seasons(dec=(red, 3.5 / 3600))
    assert {each.filter for each in survey().reduce(off, STAR)} == {"g"}
    assert {each.filter for each in survey(radius=500).reduce(off, STAR)} == {"g", "r"}
    assert survey().reduce(PhotometricDataset.of({}, source_name="X", observatory="S"), STAR) == []


def test_sectors_are_light_curves_of_their_own():
    raw = seasons()
    raw.data["filter"][:] = "T"
    parts = survey(gap=1000, group="oid").reduce(raw, STAR)
    assert [each.series for each in parts] == ["1.0-0", "2.0-0"]
