"""The pixels of a strip, and medians of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.kernels import medians

Mask = NDArray[np.bool_]

REJECT = 5.0
"""Sigma beyond which a pixel is not of the object, or of the sky."""
LEAST_DARK = 1e-3
"""Of a pixel's variance, that is not its light's."""


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


def without_light(sci: NDArray[Any], var: NDArray[Any], seconds: float) -> NDArray[Any]:
    """Return the variance that pixels ``sci`` (electron/s) would have in the dark, of ``var`` with all their light.

    The noise of a pixel's own value is no guess of its light's: weights that follow it favour the faint. A part stays
    where the response makes the light's noise look larger than it is.
    """
    return np.asarray(np.maximum(var - np.maximum(sci, 0.0) / seconds, LEAST_DARK * var))


def row_medians(values: Floats, use: Mask) -> Floats:
    """Return the median (n,) of the used values of each row (n, m), the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_rows(values, use))


def running_median(values: Floats, width: int) -> Floats:
    """Return the medians (n,) of the ``width`` values about each, an odd number; those at the ends count repeatedly."""
    return np.asarray(medians.running(values, width))


def group_medians(values: Floats, which: NDArray[np.int64], count: int) -> Floats:
    """Return the medians (count,) of the values of each group, the upper of two middle ones; 0 of none."""
    return np.asarray(medians.of_groups(values, which, np.ones(values.size, bool), count))
