"""Charge along straight tracks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def deposit(
    image: NDArray[np.float32], tracks: NDArray[np.float64], shown: NDArray[np.float64], full_well: float, count: int
) -> None:
    """Add the charge of ``tracks`` to ``image`` (y, x) in place.

    A row of ``tracks`` is x, y of the start, direction x, y (unit vector), length (pixel) and charge (electrons);
    pixel (0, 0) covers 0 <= x, y < 1. Every pixel gets charge * (path inside it) / length, exact but for rounding; what
    lies outside the image is lost. ``shown`` (n,) is the part of each track's charge that the image shows; of one that
    is not all or nothing a pixel takes no more than what ``full_well`` leaves. With ``count`` > 1 the image is
    the mean of ``count`` integrations, of which the track hits one: a pixel takes no more than that over ``count``.
    """
    ny, nx = image.shape
    for k in range(tracks.shape[0]):
        x, y, ux, uy, length, charge = tracks[k]
        i, j = int(np.floor(x)), int(np.floor(y))
        step_x, step_y = (1 if ux > 0 else -1), (1 if uy > 0 else -1)
        # path from the start to the next pixel border in x and y, and from border to border
        to_x = ((i + (step_x > 0)) - x) / ux if ux != 0 else np.inf
        to_y = ((j + (step_y > 0)) - y) / uy if uy != 0 else np.inf
        pitch_x = abs(1 / ux) if ux != 0 else np.inf
        pitch_y = abs(1 / uy) if uy != 0 else np.inf
        done = 0.0
        while True:
            end = min(to_x, to_y, length)
            if 0 <= i < nx and 0 <= j < ny:
                share = charge * (end - done) / length if length > 0 else charge
                if count > 1 or 0 < shown[k] != 1:
                    share = min(share, max(full_well - image[j, i], 0.0)) / count
                image[j, i] += np.float32(share * shown[k])
            if end >= length:
                break
            done = end
            if to_x < to_y:
                i += step_x
                to_x += pitch_x
            else:
                j += step_y
                to_y += pitch_y
