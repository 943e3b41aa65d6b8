"""Spectra of fibres side by side in a slit: each has a few strips, each strip a short profile along the slit."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit

Floats = NDArray[np.float64]


@njit(cache=True, nogil=True)
def add(
    out: Image,
    profiles: Image,
    first: NDArray[np.int64],
    spectra: Image,
    which: NDArray[np.int64],
    shift: Floats,
    stretch: Floats,
    at: Floats,
) -> None:
    """Add profiles[r, i] times spectra[which[r]], moved by ``shift[r]`` times ``stretch`` (np,) samples, at ``at`` to
    row first[r] + i of ``out`` (ns, np).

    Linear between the samples of a spectrum, 0 outside. Rows outside of ``out`` are left out.
    """
    count = spectra.shape[1]
    line = np.zeros(at.size, np.float32)
    for r in range(profiles.shape[0]):
        low, high = max(-first[r], 0), min(profiles.shape[1], out.shape[0] - first[r])
        if low >= high:
            continue
        row = spectra[which[r]]
        for j in range(at.size):
            place = at[j] - shift[r] * stretch[j]
            k = math.floor(place)
            line[j] = 0.0
            if 0 <= k < count - 1:
                t = np.float32(place - k)
                line[j] = (np.float32(1.0) - t) * row[k] + t * row[k + 1]
        for i in range(low, high):
            a = profiles[r, i]
            if a != 0.0:
                to = out[first[r] + i]
                for j in range(at.size):
                    to[j] += a * line[j]
