"""The pixels of a strip, and medians of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import medians

Mask = NDArray[np.bool_]

REJECT = 5.0
"""Sigma beyond which a pixel is not of the object, or of the sky."""


@dataclass(slots=True, eq=False)
class Pixels:
    """A strip's pixels: electron/s, their variance without the light in ``sci``, and which are good, each (n, m)."""

    sci: Floats
    var: Floats
    good: Mask
    seconds: float
    """All integrations: a rate f has the variance f / seconds."""

    def part(self, columns: slice) -> Pixels:
        """Return some of the pixels across."""
        return Pixels(self.sci[:, columns], self.var[:, columns], self.good[:, columns], self.seconds)


def row_medians(values: Floats, use: Mask) -> Floats:
    """Return the median (n,) of the used values of each row (n, m), the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_rows(values, use))


def running_median(values: Floats, width: int) -> Floats:
    """Return the medians (n,) of the ``width`` values about each, an odd number; those at the ends count repeatedly."""
    return np.asarray(medians.running(values, width))


def group_medians(values: Floats, which: NDArray[np.int64], count: int) -> Floats:
    """Return the medians (count,) of the values of each group, the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_groups(values, which, np.ones(values.size, bool), count))
