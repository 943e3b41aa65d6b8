"""Pixel boundaries that move with the charge around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def currents(
    charge: NDArray[np.float32],
    first: int,
    last: int,
    right: NDArray[np.float32],
    up: NDArray[np.float32],
    to_right: NDArray[np.float32],
    to_up: NDArray[np.float32],
) -> None:
    """Write the charge that pixels in rows ``first``..``last`` gain through two of their sides.

    ``right``, ``up`` (2 r + 1, 2 r + 1): displacement (pixels, outward) of the right and the upper side of the pixel
    in the middle per electron in each pixel. ``charge`` (y, x) has a margin of r pixels on all sides, which is not
    written. A side between the charges Q and Q' that moves by d gains d (Q + Q') / 4: half the mean charge, since
    charge and displacement grow together.
    """
    reach = right.shape[0] // 2
    width = charge.shape[1] - 2 * reach
    total_right, total_up = np.empty(width, np.float32), np.empty(width, np.float32)
    for j in range(first, last):
        total_right[:] = 0.0
        total_up[:] = 0.0
        for b in range(2 * reach + 1):
            for a in range(2 * reach + 1):
                r, u = right[b, a], up[b, a]
                for i in range(width):
                    total_right[i] += r * charge[j + b, i + a]
                    total_up[i] += u * charge[j + b, i + a]
        for i in range(width):
            own = charge[j + reach, i + reach]
            to_right[j, i] = total_right[i] * (own + charge[j + reach, i + reach + 1]) * np.float32(0.25)
            to_up[j, i] = total_up[i] * (own + charge[j + reach + 1, i + reach]) * np.float32(0.25)
