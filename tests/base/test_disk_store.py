"""A store on disk gives back what was put in, or nothing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from elvis_cli.base.disk_store import FOLDER, DiskStore

ARRAY = np.random.default_rng(1).random((20, 30)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DiskStore:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return DiskStore("things", 10_000)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "things").iterdir())


def test_an_array_comes_back_by_its_key_alone(store: DiskStore) -> None:
    store.add({b"key": ARRAY})
    found = store.find(b"key")
    assert found is not None
    assert found.dtype == ARRAY.dtype
    np.testing.assert_array_equal(found, ARRAY)
    assert not found.flags.writeable
    assert store.find(b"other") is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "another's"])
def test_a_damaged_file_does_not_exist(store: DiskStore, tmp_path: Path, damage: str) -> None:
    store.add({b"key": ARRAY})
    (path,) = files(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "flipped":
        content[200] ^= 1
    else:
        store.add({b"second": ARRAY})
        content = bytearray(next(one for one in files(tmp_path) if one != path).read_bytes())
    path.write_bytes(content)
    assert store.find(b"key") is None


def test_the_files_that_were_not_used_are_deleted_first(store: DiskStore, tmp_path: Path) -> None:
    for n in range(3):
        store.add({bytes([n]): ARRAY})  # 2.5 kB each
        os.utime(max(files(tmp_path), key=lambda path: path.stat().st_mtime_ns), (n, n))
    assert store.find(bytes([0])) is not None  # used again
    store.add({bytes([3]): ARRAY})
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 10_000
    store.add({bytes([4]): ARRAY})
    assert store.find(bytes([0])) is not None
    assert store.find(bytes([1])) is None
    assert not [path for path in files(tmp_path) if path.suffix == ".part"]


def test_an_empty_name_or_a_folder_of_others_is_no_store(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER, "")
    store.add({b"key": ARRAY})
    assert store.find(b"key") is None
    open_to_all = tmp_path / "open"
    (open_to_all / "things").mkdir(parents=True)
    (open_to_all / "things").chmod(0o777)
    monkeypatch.setenv(FOLDER, str(open_to_all))
    store.add({b"key": ARRAY})
    assert store.find(b"key") is None
    assert not list((open_to_all / "things").iterdir())


def test_many_may_share_it(store: DiskStore) -> None:
    wrong: list[object] = []

    def work(seed: int) -> None:
        for n in range(20):
            key = bytes([(seed + n) % 3])
            store.add({key: np.full(50, key[0], np.float32)})
            found = store.find(key)
            if found is not None and not (found == key[0]).all():
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
