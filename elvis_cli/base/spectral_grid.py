"""The wavelengths on which spectra are sampled: bins of constant resolution, R = 6000, and their edges."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError

FIRST = 0.3
"""Centre of the first bin, um."""
RATIO = 12001 / 11999
"""Of neighbouring centres."""
COUNT = 23473
"""Bins."""


def table_wave(start: int, stop: int) -> Floats:
    """Return the centres (um) of the table's samples ``start``..``stop``-1: bins of constant resolution, R = 6000."""
    return np.asarray(FIRST * RATIO ** np.arange(start, stop), dtype=np.float64)


def grid(lo: float, hi: float) -> Floats:
    """Return the wavelengths (um) of the table within [lo, hi], and one more at each side.

    Raises
    ------
    ResourceError
        The table does not reach that far.
    """
    last = table_wave(COUNT - 1, COUNT)[0]
    if not FIRST <= lo <= hi <= last:
        raise ResourceError(
            f"the sky is known from {FIRST:g} to {last:.4g} um; {lo:g} to {hi:g} um is asked for",
            allowed=[FIRST, float(last)],
        )
    start = math.ceil(index(lo) - 1e-6) - 1
    stop = math.floor(index(hi) + 1e-6) + 2
    return table_wave(max(start, 0), min(stop, COUNT))


def bin_edges(wave: Floats) -> Floats:
    """Return the n + 1 edges of n >= 2 samples: mid-points, and as far out again at both ends.

    An integral over the samples is ``sum(f * diff(edges))``.
    """
    middle = (wave[1:] + wave[:-1]) / 2
    return np.concatenate([[2 * wave[0] - middle[0]], middle, [2 * wave[-1] - middle[-1]]])


def index(wave: float) -> float:
    """Return the number of the bin, counted from 0, that ``wave`` (um) is the centre of; not rounded."""
    return math.log(wave / FIRST) / math.log(RATIO)
