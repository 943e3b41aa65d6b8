"""Values of an image between its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

REACH = 3


@njit(nogil=True, cache=True)
def lanczos(
    image: NDArray[np.float32], good: NDArray[np.bool_], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return rows (n, 2) for places (x, y), pixel centres at whole numbers: value, and how much of the kernel is good.

    The value is the sum over 6 x 6 pixels with the weights sinc(d) sinc(d / 3) (Lanczos, a = 3), normalised over the
    good ones. Pixels that are not good, or outside, count 0.
    """
    ny, nx = image.shape
    out = np.zeros((x.size, 2))
    u, v = np.empty(2 * REACH), np.empty(2 * REACH)
    for k in range(x.size):
        i0, j0 = int(np.floor(x[k])), int(np.floor(y[k]))
        for a in range(2 * REACH):
            u[a] = _weight(x[k] - (i0 - REACH + 1 + a))
            v[a] = _weight(y[k] - (j0 - REACH + 1 + a))
        total, used = 0.0, 0.0
        for b in range(2 * REACH):
            j = j0 - REACH + 1 + b
            if j < 0 or j >= ny:
                continue
            for a in range(2 * REACH):
                i = i0 - REACH + 1 + a
                if i < 0 or i >= nx or not good[j, i]:
                    continue
                w = u[a] * v[b]
                total += w * image[j, i]
                used += w
        if used > 0.1:
            out[k, 0] = total / used
        out[k, 1] = used
    return out


@njit(nogil=True, cache=True)
def _weight(distance: float) -> float:
    """Return the Lanczos kernel, a = 3."""
    if abs(distance) < 1e-9:
        return 1.0
    if abs(distance) >= REACH:
        return 0.0
    t = np.pi * distance
    return float(REACH * np.sin(t) * np.sin(t / REACH) / (t * t))
