"""Sums over circular apertures at many places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def aperture_sums(
    image: NDArray[np.float32],
    var: NDArray[np.float32],
    good: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    radius: float,
    samples: int,
) -> NDArray[np.float64]:
    """Return rows (n, 4) for circles of ``radius`` pixels about (x, y), pixel centres at whole numbers.

    Columns: sum of image, its variance, area of good pixels, area of all pixels in the image. A pixel on the circle
    counts by the fraction of ``samples`` x ``samples`` points in it that are inside. Pixels that are not good count 0.
    """
    ny, nx = image.shape
    out = np.zeros((x.size, 4))
    for k in range(x.size):
        x0, x1 = int(np.floor(x[k] - radius)), int(np.ceil(x[k] + radius))
        y0, y1 = int(np.floor(y[k] - radius)), int(np.ceil(y[k] + radius))
        for j in range(max(y0, 0), min(y1, ny - 1) + 1):
            for i in range(max(x0, 0), min(x1, nx - 1) + 1):
                distance = np.sqrt((i - x[k]) ** 2 + (j - y[k]) ** 2)
                if distance > radius + 0.75:
                    continue
                part = 1.0
                if distance > radius - 0.75:
                    inside = 0
                    for b in range(samples):
                        v = j - y[k] + (b + 0.5) / samples - 0.5
                        for a in range(samples):
                            u = i - x[k] + (a + 0.5) / samples - 0.5
                            if u * u + v * v <= radius * radius:
                                inside += 1
                    part = inside / (samples * samples)
                out[k, 3] += part
                if good[j, i]:
                    out[k, 0] += part * image[j, i]
                    out[k, 1] += part * part * var[j, i]
                    out[k, 2] += part
    return out


@njit(nogil=True, cache=True)
def centroids(
    image: NDArray[np.float32], x: NDArray[np.float64], y: NDArray[np.float64], sigma: float, steps: int
) -> NDArray[np.float64]:
    """Return rows (n, 2) of windowed centroids about (x, y): Gaussian weight of ``sigma`` pixels, ``steps`` iterations.

    The iteration is that of SExtractor's XWIN_IMAGE: x <- x + 2 sum w I (x_i - x) / sum w I.
    """
    ny, nx = image.shape
    reach = int(np.ceil(4 * sigma))
    out = np.empty((x.size, 2))
    for k in range(x.size):
        cx, cy = x[k], y[k]
        for _ in range(steps):
            total, mx, my = 0.0, 0.0, 0.0
            i0, j0 = int(np.rint(cx)), int(np.rint(cy))
            for j in range(max(j0 - reach, 0), min(j0 + reach, ny - 1) + 1):
                for i in range(max(i0 - reach, 0), min(i0 + reach, nx - 1) + 1):
                    w = np.exp(-((i - cx) ** 2 + (j - cy) ** 2) / (2 * sigma * sigma)) * image[j, i]
                    total += w
                    mx += w * (i - cx)
                    my += w * (j - cy)
            if total <= 0.0:
                break
            dx, dy = 2 * mx / total, 2 * my / total
            if abs(dx) > reach or abs(dy) > reach:
                break
            cx += dx
            cy += dy
            if abs(dx) + abs(dy) < 1e-5:
                break
        if abs(cx - x[k]) > reach or abs(cy - y[k]) > reach:
            cx, cy = x[k], y[k]
        out[k, 0], out[k, 1] = cx, cy
    return out
