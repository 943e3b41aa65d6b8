"""Pupils, PSFs of crowds and transmissions of masks on disk: the same in every request of a mode and a filter.

The key of an array holds all that it depends on: the caller's part (as `make_psf.digest`), the source of the code that
makes it, the versions of the libraries, and the kinds of instructions of the processor, which may round differently.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli import __version__
from elvis_cli.base.disk_store import DiskStore

MAX_BYTES = 256 << 20
"""Of all arrays: those of some dozens of modes and filters."""
PACKAGES = ("base", "kernels", "model", "optics", "sky")
"""Whose source decides what an array is."""

STORE = DiskStore("psf", MAX_BYTES)


def find(key: bytes) -> NDArray[Any] | None:
    """Return the array of a key, not to be changed; None if it is not on disk."""
    return STORE.find(_program() + key)


def add(arrays: dict[bytes, NDArray[Any]]) -> None:
    """Keep arrays by key."""
    STORE.add({_program() + key: array for key, array in arrays.items()})


@cache
def _program() -> bytes:
    """Return a hash of the program and of the machine's arithmetic."""
    import numba
    import scipy

    instructions = np.show_config(mode="dicts")["SIMD Extensions"]
    root, sha = Path(__file__).parents[1], hashlib.sha256()
    sha.update(repr((__version__, np.__version__, scipy.__version__, numba.__version__, instructions)).encode())
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            sha.update(path.read_bytes())
    return sha.digest()
