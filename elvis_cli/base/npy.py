"""Arrays in files of numpy's formats, which any number of threads may read.

Numpy reads a file's header by Python's ``ast``, which counts its depth for all threads together: of two that read at
once one may fail with a SystemError (seen once with CPython 3.11; https://github.com/pytest-dev/pytest/issues/10763).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE_READER = threading.Lock()


def load(file: Path | BinaryIO, *, mapped: bool = False) -> NDArray[Any]:
    """Return the array of an NPY file, ``mapped`` into memory if that is asked for.

    Raises
    ------
    OSError, ValueError
        The file cannot be read, or is none of numpy's.
    """
    import numpy as np

    with _ONE_READER:
        array: NDArray[Any] = np.load(file, mmap_mode="r" if mapped else None, allow_pickle=False)
    return array


def load_all(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an NPZ file by name; raises as `load` does."""
    import numpy as np

    with _ONE_READER, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
