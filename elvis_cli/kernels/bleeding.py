"""Charge above the full well, along the columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def bleed(image: NDArray[np.float32], first: int, last: int, full_well: float) -> None:
    """Spread the charge above ``full_well`` of columns ``first``..``last`` of ``image`` (y, x) in place.

    Half of a pixel's excess goes up the column and half goes down, each as far as it takes for pixels to hold it.
    The sum of a column stays, but for what runs over its ends; no pixel holds more than the full well.
    """
    ny = image.shape[0]
    for x in range(first, last):
        total = 0.0
        for y in range(ny):
            total = max(total, image[y, x])
        if total <= full_well:
            continue
        half = np.zeros(ny)
        column = np.zeros(ny)
        for y in range(ny):
            column[y] = min(float(image[y, x]), full_well)
            half[y] = (image[y, x] - column[y]) / 2.0
        for direction in (1, -1):
            carried = 0.0
            for n in range(ny):
                y = n if direction == 1 else ny - 1 - n
                carried += half[y]
                taken = min(carried, full_well - column[y])
                column[y] += taken
                carried -= taken
        for y in range(ny):
            image[y, x] = column[y]
