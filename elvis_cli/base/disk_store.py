"""Arrays that take long to compute, kept on disk between processes: bounded, checked, shared safely."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import npy

FOLDER = "ELVIS_CACHE"
"""Environment variable: the folder of all stores; empty = none are kept."""
LEAST_PART = 0.75
"""Part of the bytes that is left when the oldest files are deleted."""
_DIGEST_SIZE = hashlib.sha256().digest_size


class DiskStore:
    """Arrays by key in files of one folder, which is this user's alone.

    A file is written whole or not at all, and has a checksum: one that is cut or damaged does not exist here. What
    cannot be written or read is computed again: a full disk is no error. Beyond ``most`` bytes the files that were not
    used for the longest time are deleted.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most

    def find(self, key: bytes) -> NDArray[Any] | None:
        """Return the array of a key, not to be changed; None if there is none."""
        folder = _folder(self._name, os.environ.get(FOLDER))
        if folder is None:
            return None
        path = folder / _file_name(key)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        if content[-_DIGEST_SIZE:] != _digest(memoryview(content)[:-_DIGEST_SIZE], key):
            return None
        array = npy.load(io.BytesIO(content))  # reads no further than the array
        array.flags.writeable = False
        return array

    def add(self, arrays: dict[bytes, NDArray[Any]]) -> None:
        """Keep arrays by key, and delete the oldest files beyond the bound."""
        folder = _folder(self._name, os.environ.get(FOLDER))
        if folder is None or not arrays:
            return
        with suppress(OSError):
            for key, array in arrays.items():
                out = io.BytesIO()
                np.save(out, array, allow_pickle=False)
                out.write(_digest(out.getbuffer(), key))
                _write(folder / _file_name(key), out.getvalue())
        self._sweep(folder)

    def _sweep(self, folder: Path) -> None:
        """Delete the files that were not used for the longest time, if all are too large."""
        files = []
        with suppress(OSError):
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):  # another process has deleted it
                    status = entry.stat()
                    files.append((status.st_mtime, status.st_size, entry.path))
        total = sum(size for _, size, _ in files)
        if total <= self._most:
            return
        for _, size, path in sorted(files):
            if total <= LEAST_PART * self._most:
                break
            total -= size
            with suppress(OSError):
                os.unlink(path)


def _file_name(key: bytes) -> str:
    return f"{hashlib.sha256(key).hexdigest()[:40]}.npy"


def _digest(data: memoryview, key: bytes) -> bytes:
    digest = hashlib.sha256(data)
    digest.update(key)
    return digest.digest()


def _write(path: Path, content: bytes) -> None:
    """Write a file of another name and give it its own, so that nobody sees a part of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@cache
def _folder(name: str, chosen: str | None) -> Path | None:
    """Return the folder of a store, None where there may be none or it is not this user's alone."""
    if chosen == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(chosen or os.path.join(home, "elvis")) / name
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    own = status.st_uid == os.getuid() and not status.st_mode & 0o022 and not folder.is_symlink()
    return folder if own and os.access(folder, os.W_OK) else None
