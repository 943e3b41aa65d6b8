"""Sums over circular apertures, sky in annuli and centroids at many places."""

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
    out = np.empty((x.size, 2))
    for k in range(x.size):
        out[k, 0], out[k, 1] = _centroid(image, x[k], y[k], sigma, steps)
    return out


@njit(nogil=True, cache=True)
def _centroid(image: NDArray[np.float32], x: float, y: float, sigma: float, steps: int) -> tuple[float, float]:
    """Return one of `centroids`."""
    ny, nx = image.shape
    reach = int(np.ceil(4 * sigma))
    cx, cy = x, y
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
    if abs(cx - x) > reach or abs(cy - y) > reach:
        cx, cy = x, y
    return cx, cy


@njit(nogil=True, cache=True)
def centroids_apart(
    image: NDArray[np.float32],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    pairs: NDArray[np.int64],
    reach: int,
    sigma: float,
    steps: int,
) -> NDArray[np.float64]:
    """Return `centroids` of the sources among (x, y) that have neighbours, each without its neighbours' light.

    Rows (m, 2) are of the sources that ``pairs`` (2, n) has, rising, with their neighbours. A neighbour's light within
    ``reach`` pixels is the image reflected in it, linear between pixels.
    """
    ny, nx = image.shape
    out, row, at = np.empty((x.size, 2)), 0, 0
    while at < pairs.shape[1]:
        k, first = pairs[0, at], at
        i, j = int(np.rint(x[k])), int(np.rint(y[k]))
        i0, j0 = max(i - reach, 0), max(j - reach, 0)
        stamp = image[j0 : j + reach + 1, i0 : i + reach + 1].copy()
        at = first
        while at < pairs.shape[1] and pairs[0, at] == k:
            other = pairs[1, at]
            for b in range(stamp.shape[0]):
                v = 2 * y[other] - (b + j0)
                n = min(max(int(np.floor(v)), 0), ny - 2)
                for a in range(stamp.shape[1]):
                    u = 2 * x[other] - (a + i0)
                    if u < 0.0 or v < 0.0 or u > nx - 1 or v > ny - 1:
                        continue
                    m = min(int(u), nx - 2)
                    s, t = u - m, v - n
                    low = image[n, m] * (1.0 - s) + image[n, m + 1] * s
                    high = image[n + 1, m] * (1.0 - s) + image[n + 1, m + 1] * s
                    stamp[b, a] -= np.float32(low * (1.0 - t) + high * t)
            at += 1
        cx, cy = _centroid(stamp, x[k] - i0, y[k] - j0, sigma, steps)
        out[row, 0], out[row, 1] = cx + i0, cy + j0
        row += 1
    return out[:row]


@njit(nogil=True, cache=True)
def annulus_means(
    image: NDArray[np.float32],
    good: NDArray[np.bool_],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    inner: float,
    outer: float,
    clip: float,
    steps: int,
) -> NDArray[np.float64]:
    """Return rows (n, 2), clipped mean of annuli about (x, y) and the variance of that mean; 0 of fewer than 8 pixels.

    Values ``clip`` times 1.4826 MAD from the median or more are left out, in ``steps`` rounds.
    """
    ny, nx = image.shape
    out = np.zeros((x.size, 2))
    side = 2 * int(np.ceil(outer)) + 3
    values = np.empty(side * side)
    for k in range(x.size):
        count = 0
        for j in range(max(int(np.ceil(y[k] - outer)), 0), min(int(y[k] + outer), ny - 1) + 1):
            for i in range(max(int(np.ceil(x[k] - outer)), 0), min(int(x[k] + outer), nx - 1) + 1):
                distance = np.hypot(i - x[k], j - y[k])
                if inner <= distance < outer and good[j, i]:
                    values[count] = image[j, i]
                    count += 1
        kept = np.sort(values[:count])
        for _ in range(steps):
            if kept.size < 8:
                break
            middle = _middle(kept)
            limit = clip * 1.4826 * _middle_distance(kept, middle)
            low, high = 0, kept.size
            while low < high and middle - kept[low] >= limit:
                low += 1
            while high > low and kept[high - 1] - middle >= limit:
                high -= 1
            if limit == 0.0 or high - low == kept.size:
                break
            kept = kept[low:high]
        if kept.size >= 8:
            out[k, 0], out[k, 1] = kept.mean(), kept.var() / kept.size
    return out


@njit(nogil=True, cache=True)
def _middle(values: NDArray[np.float64]) -> float:
    """Return the median of values that rise."""
    return float((values[(values.size - 1) // 2] + values[values.size // 2]) / 2.0)


@njit(nogil=True, cache=True)
def _middle_distance(values: NDArray[np.float64], middle: float) -> float:
    """Return the median of the distances of values that rise from their median ``middle``."""
    right = (values.size + 1) // 2
    left = right - 1
    before, last = 0.0, 0.0
    for _ in range(values.size // 2 + 1):  # from the middle outwards
        below = middle - values[left] if left >= 0 else np.inf
        above = values[right] - middle if right < values.size else np.inf
        before = last
        if below <= above:
            last = below
            left -= 1
        else:
            last = above
            right += 1
    return float(last if values.size % 2 else (before + last) / 2.0)
