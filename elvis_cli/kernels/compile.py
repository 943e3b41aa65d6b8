"""Numba, set up for the kernels: a quick import, and a folder where compiled kernels are kept."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from elvis_cli.errors import ResourceError

# Numba looks for SciPy's BLAS to compile np.dot, which no kernel calls: not finding it saves 80 ms of every process.
_BLAS = "scipy.linalg.cython_blas"
if _BLAS not in sys.modules:
    sys.modules[_BLAS] = None  # type: ignore[assignment]
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[_BLAS]

from numba import njit  # noqa: E402 - after the above

__all__ = ["choose_cache_folder", "njit", "private_folder"]


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
    import numba

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
