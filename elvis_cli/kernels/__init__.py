"""Numba kernels: arrays in, arrays out."""

import sys

# Numba looks for SciPy's BLAS to compile np.dot, which no kernel calls: not finding it saves 80 ms of every process.
_BLAS = "scipy.linalg.cython_blas"
if _BLAS not in sys.modules:
    sys.modules[_BLAS] = None  # type: ignore[assignment]
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules[_BLAS]
