"""Numba, set up for the kernels: a quick import, a folder where compiled kernels are kept, and a check of its files."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from elvis_cli.errors import ResourceError

# Numba looks for SciPy and its BLAS to compile np.dot, which no kernel calls, and for YAML to read a file of settings,
# which environment variables also make: not finding them saves 100 and 25 ms of every process.
_UNUSED = [name for name in ("scipy", "scipy.linalg.cython_blas", "yaml") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]
try:
    import numba.np.arraymath
finally:
    for _name in _UNUSED:
        del sys.modules[_name]

import numba  # noqa: E402 - after the above
from numba.core.caching import FunctionCache, IndexDataCacheFile  # noqa: E402
from numba.core.runtime.nrt import rtsys  # noqa: E402

_DIGEST_SIZE = hashlib.sha256().digest_size


class _Cache(FunctionCache):
    """Numba's cache of a kernel, read without getting ready to compile.

    Before it looks at the disk Numba registers every function that it could compile, which takes longer than a small
    frame; compiling does so too (`CompilerBase`). Code that is compiled already needs the runtime alone.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        return None  # the file could not be read


class _CheckedFiles(IndexDataCacheFile):
    """Numba's files of a compiled kernel, each with a checksum at its end.

    Numba believes its files: a cut one ends the program, and a flipped bit is run as code. A file whose checksum is
    wrong, or is of another signature (two processes that compile at once overwrite each other's index), does not exist
    here: the kernel is compiled again and the file overwritten. A file that cannot be written is not an error.
    """

    _key = ""

    def load(self, key: Any) -> Any:
        self._key = repr(key)
        return super().load(key)  # type: ignore[no-untyped-call]

    def save(self, key: Any, data: Any) -> None:
        self._key = repr(key)
        with suppress(OSError):  # a full disk: the kernel is compiled, only not kept
            super().save(key, data)  # type: ignore[no-untyped-call]

    def _load_index(self) -> dict[Any, str]:
        content = _checked(Path(self._index_path), "")
        if content is None:
            return {}
        version, stamp, names = pickle.loads(content)
        return names if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads), "")

    def _load_data(self, name: str) -> Any:
        content = _checked(self._path(name), self._key)
        return None if content is None else pickle.loads(content)

    def _save_data(self, name: str, data: Any) -> None:
        self._write(str(self._path(name)), data, self._key)

    def _path(self, name: str) -> Path:
        return Path(self._data_path(name))  # type: ignore[no-untyped-call]

    def _write(self, path: str, content: Any, key: str) -> None:
        data = self._dump(content)  # type: ignore[no-untyped-call]
        with self._open_for_write(path) as file:
            file.write(data + _digest(data, key))


def _checked(path: Path, key: str) -> bytes | None:
    """Return the content of a file whose checksum is right, None if there is none."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    data, digest = content[:-_DIGEST_SIZE], content[-_DIGEST_SIZE:]
    return data if digest == _digest(data, key) else None


def _digest(data: bytes, key: str) -> bytes:
    return hashlib.sha256(data + key.encode()).digest()


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return the decorator that compiles a function, with the options of `numba.njit`; its cache is checked."""

    def decorate(function: Callable[..., Any]) -> Any:
        kernel = numba.njit(**options)(function)
        if options.get("cache"):
            kernel._cache.__class__ = _Cache
            kernel._cache._cache_file.__class__ = _CheckedFiles
        return kernel

    return decorate


def _probe() -> None:
    """Do nothing, compiled like a kernel of this folder."""


def private_folder(parent: str | None = None) -> str:
    """Return a folder for temporary files that nobody else can write to, the same for every process of this user.

    Files in it are run as code, so a folder that is not this user's own is refused.

    Raises
    ------
    OSError
        There is no place for temporary files, or the folder is somebody else's.
    """
    folder = Path(parent or tempfile.gettempdir()) / f"elvis-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if folder.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is not ours alone")
    return str(folder)


def choose_cache_folder() -> None:
    """Keep compiled kernels in a private temporary folder if neither this folder nor the user's cache is writable.

    Raises
    ------
    ResourceError
        There is no place for temporary files either.
    """
    try:
        numba.njit(cache=True)(_probe)
    except RuntimeError:  # numba found no place
        try:
            os.environ["NUMBA_CACHE_DIR"] = private_folder()
        except OSError as error:
            raise ResourceError(
                f"no folder for compiled kernels can be written to ({error.strerror or error}): set NUMBA_CACHE_DIR"
            ) from error
        numba.config.reload_config()  # type: ignore[no-untyped-call]


choose_cache_folder()
