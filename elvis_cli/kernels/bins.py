"""Means of many values in few bins of a coordinate, without what is far off."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]
Values = NDArray[Any]
"""Of 32 or 64 bits."""


@njit(nogil=True, cache=True)
def clipped_means(x: Floats, values: Values, use: NDArray[np.bool_], edges: Floats, clip: float, passes: int) -> Floats:
    """Return the means (k - 1,) of the used ``values`` (n, m) in bins of ``x`` (n, m); NaN where there is none.

    ``edges`` (k,) rise in even steps; a bin has its lower edge. In each of the ``passes`` after the first, values
    further than ``clip`` standard deviations from the mean of their bin, by the pass before, are left out.
    """
    n, m = values.shape
    count = edges.size - 1
    per = count / (edges[count] - edges[0])
    which = np.full((n, m), -1, np.int32)
    for row in range(n):
        for k in range(m):
            if not use[row, k]:
                continue
            bin_ = min(max(int((x[row, k] - edges[0]) * per), 0), count - 1)
            # a division is not exact at an edge
            while bin_ >= 0 and x[row, k] < edges[bin_]:
                bin_ -= 1
            while bin_ < count and x[row, k] >= edges[bin_ + 1]:
                bin_ += 1
            which[row, k] = bin_ if bin_ < count else -1
    mean, near = np.full(count, np.nan), np.full(count, np.inf)
    for number in range(passes):
        total, square, size = np.zeros(count), np.zeros(count), np.zeros(count)
        for row in range(n):
            for k in range(m):
                bin_ = which[row, k]
                if bin_ < 0 or (number > 0 and abs(values[row, k] - mean[bin_]) > near[bin_]):
                    continue
                value = float(values[row, k])
                total[bin_] += value
                square[bin_] += value**2
                size[bin_] += 1.0
        for b in range(count):
            mean[b] = total[b] / size[b] if size[b] > 0 else np.nan
            spread = np.sqrt(max(square[b] / size[b] - mean[b] ** 2, 0.0)) if size[b] > 0 else 0.0
            near[b] = clip * spread + 1e-30
    return mean
