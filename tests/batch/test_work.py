"""One request into its file."""

import hashlib
import os

import pytest

from elvis_cli.batch.work import Job, Settings, make, shared
from elvis_cli.instrument.request_options import RequestOptions
from elvis_cli.product.integrity import examine


@pytest.fixture
def one(night, tmp_path):
    """Make a request's file."""

    def make_one(text=None, name="a.fits", **settings):
        return make(Settings(str(tmp_path), **settings), Job(3, text or night(1)[0], "id", name))

    return make_one


def test_a_file_is_what_elvis_writes(one, night, elvis, tmp_path):
    made = one()
    data = (tmp_path / "a.fits").read_bytes()
    assert data == elvis(stdin=night(1)[0]).out
    assert (made.line, made.id, made.status, made.exit_code) == (3, "id", "made", 0)
    assert (made.size, made.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert made.file == str(tmp_path / "a.fits")
    assert made.notes
    assert os.listdir(tmp_path) == ["a.fits"]


def test_options_hold_for_all(one, night, elvis, tmp_path):
    one(options=RequestOptions({"seed": 9, "product": "expected"}))
    assert (tmp_path / "a.fits").read_bytes() == elvis("--seed", "9", "--product", "expected", stdin=night(1)[0]).out


def test_what_is_there_is_left_alone(one, tmp_path):
    made = one()
    before = (tmp_path / "a.fits").stat()
    again = one()
    after = (tmp_path / "a.fits").stat()
    assert again.status == "skipped"
    assert (again.sha256, again.size) == (made.sha256, made.size)
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_is_damaged_is_made_again(one, tmp_path):
    made, path = one(), tmp_path / "a.fits"
    path.write_bytes(path.read_bytes()[:-2880])
    again = one()
    assert (again.status, again.sha256) == ("made", made.sha256)
    assert examine(path).sha256 == made.sha256


def test_the_file_of_another_request_is_kept_unless_told_otherwise(one, night, tmp_path):
    made, other = one(), night(2)[1]
    refused = one(other)
    assert (refused.status, refused.exit_code) == ("failed", 74)
    assert "--overwrite" in refused.message
    assert examine(tmp_path / "a.fits").sha256 == made.sha256
    assert one(other, overwrite=True).status == "made"
    assert examine(tmp_path / "a.fits").sha256 != made.sha256


def test_what_elvis_did_not_make_is_kept(one, tmp_path):
    (tmp_path / "a.fits").mkdir()
    assert one().exit_code == 74


def test_a_fault_is_an_outcome_and_leaves_nothing(one, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("elvis_cli.pipeline.render_prepared", fail)
    made = one()
    assert (made.status, made.exit_code) == ("failed", 70)
    assert "ZeroDivisionError" in made.message
    assert os.listdir(tmp_path) == []


def test_a_worker_of_another_version_or_without_the_folder_refuses(one, night):
    assert one(version="0.0").exit_code == 69
    lost = make(Settings("/nowhere/raw"), Job(1, night(1)[0], "id", "a.fits"))
    assert lost.exit_code == 74
    assert "shared" in lost.message


def test_a_file_that_a_cluster_made_must_be_here(one, tmp_path):
    made = one()
    assert shared(made) == made
    (tmp_path / "a.fits").unlink()
    lost = shared(made)
    assert (lost.line, lost.status, lost.sha256, lost.exit_code) == (3, "failed", None, 74)
    assert "shared" in lost.message
    assert shared(lost) == lost
