"""SciPy's Fourier transforms, without what their import brings along.

They import all of `scipy.special` for `fht`, which nothing here calls (and which does not work then), and all that
numpy has names for, among it a translator of Fortran. Without these the import takes 0.04 s in place of 0.13.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np

_UNUSED = tuple(name for name in ("core", "ctypeslib", "f2py", "rec", "testing") if name not in vars(np))
"""Modules of numpy that it imports when they are asked for."""


@contextmanager
def _nothing_else() -> Iterator[None]:
    """Have names in place of what is not used, until the transforms are there."""
    special = ModuleType("scipy.special")
    special.__dict__["__getattr__"] = lambda _: None
    vars(np).update(dict.fromkeys(_UNUSED))
    sys.modules["scipy.special"] = special
    try:
        yield
    finally:
        del sys.modules["scipy.special"]
        for name in _UNUSED:
            del vars(np)[name]


if "scipy.fft" not in sys.modules and "scipy.special" not in sys.modules:
    with _nothing_else():
        import scipy.fft  # noqa: F401

from scipy import fft  # noqa: E402 - after the above

__all__ = ["fft"]
