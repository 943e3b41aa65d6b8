"""PSFs of crowds on disk: those of a telescope's zones are the same in every request of a mode and a filter.

The key of a PSF holds all that it depends on: the request's part (`make_psf.digest`), the source of the code that makes
it, the versions of the libraries, and the kinds of instructions of the processor, which may round differently.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from elvis_cli import __version__
from elvis_cli.base.arrays import Image
from elvis_cli.base.disk_store import DiskStore

MAX_BYTES = 256 << 20
"""Of all PSFs: those of some dozens of modes and filters."""
PACKAGES = ("base", "kernels", "model", "optics", "sky")
"""Whose source decides what a PSF is."""

STORE = DiskStore("psf", MAX_BYTES)


def find(key: bytes) -> Image | None:
    """Return the PSF of a key, not to be changed; None if it is not on disk."""
    return STORE.find(_program() + key)


def add(psfs: dict[bytes, Image]) -> None:
    """Keep PSFs by key."""
    STORE.add({_program() + key: psf for key, psf in psfs.items()})


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
