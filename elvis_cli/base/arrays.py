"""Array types, by name."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Image = NDArray[np.float32]
"""Rows, columns."""

PIECE = 1 << 18
"""Rows of a long column that are worked out at a time."""


def pieces(count: int) -> list[slice]:
    """Return slices of ``count`` rows, one at least: work on one at a time takes little memory."""
    return [slice(begin, begin + PIECE) for begin in range(0, max(count, 1), PIECE)]
