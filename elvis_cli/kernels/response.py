"""The fixed pixel-to-pixel response of a chip, from a hash of every pixel's place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels.compile import njit


@njit(nogil=True, cache=True)
def multiply_response(image: NDArray[np.float32], key: np.uint64, rms: float, x0: int, y0: int, binning: int) -> None:
    """Multiply ``image`` (y, x) in place by the response 1 + rms * normal of its pixels.

    ``x0``, ``y0`` is the first pixel's place on the chip. A pixel of binning b is the mean of b x b physical
    pixels. The deviate of the physical pixel (X, Y) is the sum of the four 16-bit words of
    splitmix64(key + (Y << 32 | X)) less its mean, over its standard deviation (Irwin-Hall with n = 4: normal to
    3 % in the fourth moment's 3 -> 2.7, never beyond 3.5 sigma), so it depends on nothing but the key and the place.

    Source of the hash: Steele, Lea & Flood 2014, OOPSLA 49(10), 453 (finaliser "Mix13" as in Java's SplittableRandom).
    """
    mean = np.int64(2 * 65535)
    scale = rms / np.sqrt((65536.0**2 - 1) / 3.0) / (binning * binning)
    for j in range(image.shape[0]):
        if binning == 1:  # a loop of its own, which the compiler makes vectors of
            first = np.uint64(y0 + j) << np.uint64(32)
            for i in range(image.shape[1]):
                word_sum = np.int32(_words(key, first | np.uint64(x0 + i)) - mean)  # as a double by one instruction
                image[j, i] *= np.float32(1.0 + scale * word_sum)
            continue
        for i in range(image.shape[1]):
            total = np.int64(0)
            for row in range((y0 + j) * binning, (y0 + j + 1) * binning):
                for column in range((x0 + i) * binning, (x0 + i + 1) * binning):
                    total += _words(key, (np.uint64(row) << np.uint64(32)) | np.uint64(column)) - mean
            image[j, i] *= np.float32(1.0 + scale * total)


@njit(nogil=True, cache=True)
def _words(key, place):  # type: ignore[no-untyped-def]
    """Return the sum of the four 16-bit words of a pixel's hash."""
    z = key + place * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    word = np.uint64(0xFFFF)
    return np.int64((z & word) + ((z >> np.uint64(16)) & word) + ((z >> np.uint64(32)) & word) + (z >> np.uint64(48)))
