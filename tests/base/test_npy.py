"""Files of numpy's formats: their arrays, and that threads read one after the other."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from elvis_cli.base import npy


@pytest.fixture
def file(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    return tmp_path / "a.npy"


def test_arrays_come_back(file, tmp_path):
    np.testing.assert_array_equal(npy.load(file), np.arange(6.0).reshape(2, 3))
    assert isinstance(npy.load(file, mapped=True), np.memmap)
    np.savez(tmp_path / "b.npz", one=np.ones(2), two=np.zeros(3, int))
    found = npy.load_all(tmp_path / "b.npz")
    assert {name: array.tolist() for name, array in found.items()} == {"one": [1, 1], "two": [0, 0, 0]}


def test_threads_read_one_after_the_other(file, tmp_path, monkeypatch):
    """Two that read a header at once make Python's ast fail, now and then."""
    np.savez(tmp_path / "b.npz", one=np.ones(2))
    reading, most, read = [], [], np.lib.format.read_array

    def slow(*args, **kwargs):
        reading.append(1)
        most.append(len(reading))
        time.sleep(0.01)
        reading.pop()
        return read(*args, **kwargs)

    monkeypatch.setattr(np.lib.format, "read_array", slow)
    jobs = [(npy.load, file), (npy.load_all, tmp_path / "b.npz")] * 4
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda job: job[0](job[1]), jobs))
    assert len(most) == 8
    assert max(most) == 1


def test_a_pickle_is_refused(tmp_path):
    np.save(tmp_path / "c.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="pickle"):
        npy.load(tmp_path / "c.npy")
