"""Cosmic rays of an exposure beside a model of it, the median of the other exposures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Image = NDArray[np.float32]


@njit(nogil=True, cache=True)
def _steepness(model: Image, i: int, j: int) -> np.float32:
    """Return the largest difference of a pixel to its four neighbours; on a peak it is not 0."""
    ny, nx = model.shape
    here, most = model[j, i], np.float32(0.0)
    if i > 0:
        most = max(most, abs(here - model[j, i - 1]))
    if i < nx - 1:
        most = max(most, abs(here - model[j, i + 1]))
    if j > 0:
        most = max(most, abs(here - model[j - 1, i]))
    if j < ny - 1:
        most = max(most, abs(here - model[j + 1, i]))
    return most


@njit(nogil=True, cache=True)
def _row_steepness(model: Image, j: int, out: Image) -> None:
    """Fill ``out`` (nx,) with the steepness of the pixels of a row."""
    ny, nx = model.shape
    here, low, high = model[j], model[max(j - 1, 0)], model[min(j + 1, ny - 1)]
    for i in range(1, nx - 1):
        left, right = abs(here[i] - here[i - 1]), abs(here[i] - here[i + 1])
        below, above = abs(here[i] - low[i]), abs(here[i] - high[i])
        along, across = left if left > right else right, below if below > above else above
        out[i] = along if along > across else across
    out[0], out[nx - 1] = _steepness(model, 0, j), _steepness(model, nx - 1, j)


@njit(nogil=True, cache=True)
def flanks(sci: Image, model: Image, var: Image, good: NDArray[np.bool_], ratio: float) -> Image:
    """Return residual, steepness and noise (3, n) of the good pixels that are steeper than ``ratio`` times the noise.

    The residual is the exposure less its ``model``, the steepness that of the model.
    """
    count, least = 0, np.float32(ratio)
    found, slopes = np.empty((3, 1024), np.float32), np.empty(sci.shape[1], np.float32)
    for j in range(sci.shape[0]):
        _row_steepness(model, j, slopes)
        for i in range(sci.shape[1]):
            steep = slopes[i]
            if not good[j, i] or steep * steep <= least * least * var[j, i]:
                continue
            noise = np.sqrt(var[j, i])
            if count == found.shape[1]:
                longer = np.empty((3, 2 * count), np.float32)
                longer[:, :count] = found
                found = longer
            found[0, count], found[1, count], found[2, count] = sci[j, i] - model[j, i], steep, noise
            count += 1
    return found[:, :count]


@njit(nogil=True, cache=True)
def flag(
    sci: Image,
    model: Image,
    var: Image,
    good: NDArray[np.bool_],
    sigma: float,
    gradient: float,
    neighbour: float,
    dq: NDArray[np.uint32],
    bit: int,
) -> int:
    """Add a ``bit`` to the flags of good pixels above the ``model`` by more than a limit, and return their number.

    The limit is ``sigma`` times the noise plus ``gradient`` times the steepness of the model; of the eight neighbours
    of such a pixel ``neighbour`` times that.
    """
    ny, nx = sci.shape
    times, slope, part = np.float32(sigma), np.float32(gradient), np.float32(neighbour)
    one, count = np.uint32(bit), 0
    for j in range(ny):
        for i in range(nx):
            excess, noise = sci[j, i] - model[j, i], times * np.sqrt(var[j, i])
            if not excess > noise or not good[j, i] or not excess > noise + slope * _steepness(model, i, j):
                continue
            for b in range(max(j - 1, 0), min(j + 2, ny)):
                for a in range(max(i - 1, 0), min(i + 2, nx)):
                    limit = times * np.sqrt(var[b, a]) + slope * _steepness(model, a, b)
                    if good[b, a] and dq[b, a] & one == 0 and sci[b, a] - model[b, a] > part * limit:
                        dq[b, a] |= one
                        count += 1
    return count
