"""Exposures of one chip: raw values to electron/s, and their means without outliers, each pixel in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit

Image = NDArray[np.float32]
Flags = NDArray[np.uint32]


@njit(nogil=True, cache=True)
def _median(values: Image) -> Any:
    """Return the median of a few values, which are sorted in place."""
    for i in range(1, values.size):
        value, j = values[i], i - 1
        while j >= 0 and values[j] > value:
            values[j + 1] = values[j]
            j -= 1
        values[j + 1] = value
    half = values.size // 2
    if values.size % 2:
        return values[half]
    return (values[half - 1] + values[half]) / np.float32(2.0)


@njit(nogil=True, cache=True)
def clipped_mean(
    data: Image,
    floor: NDArray[np.float64],
    slope: float,
    level: float,
    clip: float,
    mean: Image,
    count: NDArray[np.uint8],
) -> None:
    """Fill the mean (ny, nx) of images (k, ny, nx) within ``clip`` sigma of their median, and their number.

    The variance of a value is the image's ``floor`` (k,) and ``slope`` for each unit above ``level``. Where no image is
    near the median, all are taken.
    """
    k, ny, nx = data.shape
    part = np.empty(k, np.float32)
    near = clip * np.sqrt(floor.min())
    for y in range(ny):
        for x in range(nx):
            low = high = data[0, y, x]
            total = np.float32(0.0)
            for n in range(k):
                value = data[n, y, x]
                low, high = min(low, value), max(high, value)
                total += value
            mean[y, x], count[y, x] = total / np.float32(k), k
            # all near each other are near their median
            if high - low <= near and np.isfinite(total):
                continue
            part[:] = data[:, y, x]
            middle = _median(part)
            total, kept = np.float32(0.0), 0
            for n in range(k):
                value = data[n, y, x]
                if abs(value - middle) <= clip * np.sqrt(floor[n] + slope * max(value - level, 0.0)):
                    total += value
                    kept += 1
            if kept > 0:
                mean[y, x], count[y, x] = total / np.float32(kept), kept


@njit(nogil=True, cache=True)
def finite_median(images: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Fill ``out`` (ny, nx) with the median of the finite values of ``images`` (n, ny, nx).

    Of two it is the lower; 0 where there are fewer.
    """
    n, ny, nx = images.shape
    values = np.empty(n, np.float32)
    for j in range(ny):
        for i in range(nx):
            count = 0
            for k in range(n):
                if np.isfinite(images[k, j, i]):
                    values[count] = images[k, j, i]
                    count += 1
            middle = _median(values[:count]) if count else np.float32(0.0)
            if count < 2:
                out[j, i] = 0.0
            else:
                out[j, i] = values[0] if count == 2 else middle


@njit(nogil=True, cache=True)
def weighted_mean(
    sci: Image,
    var: Image,
    dq: Flags,
    share: NDArray[np.float64],
    bad: int,
    clip: float,
    tolerance: float,
    mean: Image,
    variance: Image,
    flags: Flags,
) -> None:
    """Fill the mean (ny, nx) of images (k, ny, nx) by their ``share``, its variance and its flags.

    Pixels with a flag of ``bad`` count nothing; of three images or more neither do values off the median of all by
    more than ``clip`` times their noise and ``tolerance`` times the median. Flags are those of pixels of which nothing
    is left: these have the mean of all.
    """
    k, ny, nx = sci.shape
    part = np.empty(k, np.float32)
    for y in range(ny):
        for x in range(nx):
            total, weight, square = 0.0, 0.0, 0.0
            low = high = sci[0, y, x]
            least, flagged = var[0, y, x], np.uint32(0)
            for n in range(k):
                low, high = min(low, sci[n, y, x]), max(high, sci[n, y, x])
                least, flagged = min(least, var[n, y, x]), flagged | dq[n, y, x]
                total += share[n] * sci[n, y, x]
                square += share[n] ** 2 * var[n, y, x]
                weight += share[n]
            # all near each other are near their median
            if flagged & bad != 0 or (k >= 3 and not high - low <= clip * np.sqrt(least)) or not np.isfinite(total):
                part[:] = sci[:, y, x]
                middle = _median(part)
                near = tolerance * abs(middle)
                total, weight, square = 0.0, 0.0, 0.0
                for n in range(k):
                    if dq[n, y, x] & bad != 0:
                        continue
                    if k >= 3 and abs(sci[n, y, x] - middle) > clip * np.sqrt(var[n, y, x]) + near:
                        continue
                    total += share[n] * sci[n, y, x]
                    square += share[n] ** 2 * var[n, y, x]
                    weight += share[n]
            if weight > 0:
                mean[y, x], variance[y, x], flags[y, x] = total / weight, square / weight**2, 0
                continue
            mean[y, x], variance[y, x], flags[y, x] = 0.0, 0.0, 0
            for n in range(k):
                mean[y, x] += sci[n, y, x] / k
                variance[y, x] += var[n, y, x] / k
                flags[y, x] |= dq[n, y, x]


@njit(nogil=True, cache=True)
def straight(image: Image, bias: Image | None, a: np.float32, b: np.float32) -> Image:
    """Return x + a x2 + b x3 (ny, nx), x being an ``image`` less its ``bias``."""
    out = np.empty_like(image)
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            value = image[y, x]
            if bias is not None:
                value -= bias[y, x]
            out[y, x] = value * (np.float32(1.0) + value * (a + b * value))
    return out


@njit(nogil=True, cache=True)
def rates(
    image: Image,
    bias: Image | None,
    a: np.float32,
    b: np.float32,
    dark: Image | None,
    response: Image | None,
    known: Flags | None,
    gain: float,
    dark_electrons: float,
    read_variance: float,
    dark_variance: float,
    count: int,
    time: float,
    limit: np.float32,
    saturated: int,
    least: np.float32,
    unlit: int,
) -> tuple[Image, Image, Flags]:
    """Return electron/s (ny, nx) of an ``image`` (ADU), their variance and their flags.

    Values are made `straight`. The variance is that of the mean of ``count`` integrations of ``time`` s: light,
    ``dark_electrons`` and ``read_variance`` (electron2) of each, the rounding to whole ADU, and ``dark_variance``
    (ADU2) of the dark taken away. Both are divided by the ``response`` where it is above ``least``. Flags are those
    that are ``known``, ``saturated`` above ``limit`` and ``unlit`` where the response is less.
    """
    sci, var, flags = np.empty_like(image), np.empty_like(image), np.empty(image.shape, np.uint32)
    scale = gain / time
    per_adu = 1.0 / (gain * count)
    floor = ((dark_electrons + read_variance) / gain**2 + 1.0 / 12.0) / count + dark_variance
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            level, flag = image[y, x], np.uint32(0)
            if known is not None:
                flag = known[y, x]
            if level > limit:
                flag |= np.uint32(saturated)
            if bias is not None:
                level -= bias[y, x]
            level *= np.float32(1.0) + level * (a + b * level)
            if dark is not None:
                level -= dark[y, x]
            factor = scale
            if response is not None:
                if response[y, x] > least:
                    factor /= response[y, x]
                else:
                    flag |= np.uint32(unlit)
            noise = max(level, np.float32(0.0)) * per_adu + floor
            sci[y, x], var[y, x], flags[y, x] = level * factor, noise * factor**2, flag
    return sci, var, flags


@njit(nogil=True, cache=True)
def sharp_pixels(
    sci: Image, var: Image, dq: Flags, bad: int, sigma: np.float32, sharpness: np.float32, flag: int
) -> int:
    """Add ``flag`` to pixels (ny, nx) that are sharper than a star, in place, and return their number.

    The median of the eight pixels around them, the upper of two middle ones, is ``sigma`` times the noise below them
    and less than ``sharpness`` of them. Such a median is below a value where five of the eight are. At a border
    neighbours count twice.
    """
    ny, nx = sci.shape
    found = 0
    for y in range(ny):
        for x in range(nx):
            value = sci[y, x]
            if value <= np.float32(0.0) or dq[y, x] & bad != 0:
                continue
            noise, limit = sigma * np.sqrt(var[y, x]), sharpness * value
            below = 0
            for j in range(y - 1, y + 2):
                row = min(max(j, 0), ny - 1)
                for i in range(x - 1, x + 2):
                    if j == y and i == x:
                        continue
                    around = sci[row, min(max(i, 0), nx - 1)]
                    if around < limit and value - around > noise:
                        below += 1
            if below >= 5:
                dq[y, x] |= flag
                found += 1
    return found


@njit(nogil=True, cache=True)
def less_others(
    sci: Image,
    var: Image,
    free: NDArray[np.bool_],
    second: NDArray[np.bool_],
    patterns: NDArray[np.float64],
) -> None:
    """Subtract from each of the images ``sci`` (k, ny, nx) the mean of the others, in place, and add its variance.

    The others are those with ``free`` pixels, where there are none those with pixels free at ``second`` sight; where
    there are none either, the variance grows by the image's ``patterns`` (k,).
    """
    k, ny, nx = sci.shape
    own, noise = np.empty(k, np.float32), np.empty(k, np.float32)
    for y in range(ny):
        for x in range(nx):
            own[:], noise[:] = sci[:, y, x], var[:, y, x]
            for n in range(k):
                count, light, variance = 0, 0.0, 0.0
                for m in range(k):
                    if m != n and free[m, y, x]:
                        count, light, variance = count + 1, light + own[m], variance + noise[m]
                if count == 0:
                    for m in range(k):
                        if m != n and second[m, y, x]:
                            count, light, variance = count + 1, light + own[m], variance + noise[m]
                if count == 0:
                    var[n, y, x] = noise[n] + patterns[n]
                    continue
                sci[n, y, x] = own[n] - light / count
                var[n, y, x] = noise[n] + variance / count**2
