"""Normal and Poisson deviates of pixels, each a function of a key and of the pixel's place alone.

The 64 random bits of a pixel pair (column x, rows 2r and 2r + 1) are Philox2x32 with 7 rounds (Salmon et al. 2011,
SC11, 16, which passes BigCrush), of the counter x and of a key that is a hash of the stream's key and r. So a frame can
be drawn in any order, in any blocks, by any number of threads. Both kinds of deviates are quantiles: monotonic in the
32 bits of the pixel. Their arithmetic has additions, multiplications, divisions and square roots only, in single
precision without contraction, so that the bits do not depend on the processor.
"""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.kernels.compile import njit

_COLUMNS = 1024
"""Columns drawn at a time: their words stay in the processor's first cache."""
_1, _2 = np.float32(1), np.float32(2)
_HALF, _WORD = np.uint32(0x7FFFFFFF), np.uint32(0x80000000)
_ROUNDS = 7
_STEPS = 4

SEARCHED = np.float32(4.0)
"""Mean below which Poisson deviates are found by adding up probabilities."""
EXACT = np.float32(30.0)
"""Mean from which the expansion of the quantile is taken as it is: its distribution function is right within 5e-6."""
_CENTRE = np.float32(0.9999)
_DOUBT = np.float32(2e-5)

# Logarithm of a number from 1 to 2: minimax polynomial, 1.3e-6.
_L0, _L1, _L2, _L3 = np.float32(-2.1071458), np.float32(4.2369905), np.float32(-3.7024775), np.float32(2.277792)
_L4, _L5, _L6 = np.float32(-0.8780433), np.float32(0.19069049), np.float32(-0.017804975)
_LN2 = np.float32(0.6931472)
# Normal quantile of the tail probability exp(-t^2), 1.2e-10 to 0.5: minimax rational function, 3.5e-8.
_N0, _N1, _N2 = np.float32(-3.20144689), np.float32(-10.95952572), np.float32(6.71291863)
_N3, _N4 = np.float32(11.64387301), np.float32(1.98423283)
_D1, _D2, _D3 = np.float32(7.63327393), np.float32(8.27713045), np.float32(1.40221758)

# Coefficients of the Poisson quantile (`_expand`) and of the exponential's series.
_F0, _F2, _S1, _S3 = np.float32(1 / 3), np.float32(1 / 6), np.float32(-1 / 36), np.float32(-1 / 72)
_T0, _T2, _T4 = np.float32(-8 / 405), np.float32(7 / 810), np.float32(1 / 270)
_E2, _E3, _E4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
_E5, _E6 = np.float32(1 / 120), np.float32(1 / 720)


@njit(cache=True, nogil=True)
def _mix(z):  # type: ignore[no-untyped-def]
    """Return the hash of 64 bits: the finaliser of SplitMix64 (Steele, Lea & Flood 2014, OOPSLA 49(10), 453)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def philox(low, high, key, rounds):  # type: ignore[no-untyped-def]
    """Return both 32-bit words of Philox2x32 for a counter (low, high) and a key of 32 bits."""
    for _ in range(rounds):
        product = np.uint64(low) * np.uint64(0xD256D193)
        low = np.uint32(np.uint32(product >> np.uint64(32)) ^ key ^ high)
        high = np.uint32(product)
        key = np.uint32(key + np.uint32(0x9E3779B9))
    return low, high


@njit(cache=True, nogil=True)
def _words(even, odd, key, pair, first):  # type: ignore[no-untyped-def]
    """Fill two arrays with the bits of the pixels of an even row and the next, from the column ``first``."""
    row_key = _mix(key + np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15))
    low_key, high = np.uint32(row_key), np.uint32(row_key >> np.uint64(32))
    for i in range(even.size):
        even[i], odd[i] = philox(np.uint32(first + i), high, low_key, _ROUNDS)


@njit(cache=True, nogil=True)
def _tail(word):  # type: ignore[no-untyped-def]
    """Return the tail's probability times 2^32, 0.5 to 2^31, of which the word's first bit says the side."""
    return np.float32(np.int32(word & _HALF)) + np.float32(0.5)


@njit(cache=True, nogil=True)
def _quantile(word):  # type: ignore[no-untyped-def]
    """Return the normal deviate of a word, up to 6.3 standard deviations, within 4e-6."""
    tail = np.float32(_tail(word))
    bits = np.int32(tail.view(np.int32))
    exponent = np.float32(np.int32((bits >> np.int32(23)) - np.int32(127 + 32)))
    a = np.int32((bits & np.int32(0x7FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    log = exponent * _LN2 + (_L0 + a * (_L1 + a * (_L2 + a * (_L3 + a * (_L4 + a * (_L5 + a * _L6))))))
    t = np.sqrt(-log)
    above = _N0 + t * (_N1 + t * (_N2 + t * (_N3 + t * _N4)))
    z = np.float32(above / (_1 + t * (_D1 + t * (_D2 + t * _D3))))
    return np.uint32(z.view(np.uint32) ^ (word & _WORD)).view(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_normal(image: Image, key: np.uint64, y0: int, x0: int) -> None:
    """Fill ``image`` (ny, nx) with the normal deviates of the pixels whose first is (``x0``, ``y0``)."""
    ny, nx = image.shape
    words = np.empty((2, _COLUMNS), np.uint32)
    for pair in range(y0 >> 1, ((y0 + ny - 1) >> 1) + 1):
        for first in range(0, nx, _COLUMNS):
            n = min(_COLUMNS, nx - first)
            _words(words[0, :n], words[1, :n], key, pair, x0 + first)
            for j in range(max(2 * pair, y0), min(2 * pair + 2, y0 + ny)):
                out, bits = image[j - y0, first : first + n], words[j & 1, :n]
                for i in range(n):
                    out[i] = _quantile(bits[i])


@njit(cache=True, nogil=True, error_model="numpy")
def poisson(image: Image, count: int, key: np.uint64, y0: int, x0: int) -> None:
    """Replace each mean of ``image`` (ny, nx) by the mean of ``count`` Poisson deviates; negative means count as 0.

    The sum of ``count`` deviates is one Poisson deviate of ``count`` times the mean, so it is drawn once. (``x0``,
    ``y0``) is the place of the first pixel.
    """
    ny, nx = image.shape
    words, space = np.empty((2, _COLUMNS), np.uint32), np.empty((4, _COLUMNS), np.float32)
    number = np.float32(count)
    for pair in range(y0 >> 1, ((y0 + ny - 1) >> 1) + 1):
        for first in range(0, nx, _COLUMNS):
            n = min(_COLUMNS, nx - first)
            _words(words[0, :n], words[1, :n], key, pair, x0 + first)
            for j in range(max(2 * pair, y0), min(2 * pair + 2, y0 + ny)):
                mean = image[j - y0, first : first + n]
                _draw(mean, number, words[j & 1, :n], space)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(mean, number, words, space):  # type: ignore[no-untyped-def]
    """Replace the means of some pixels by the means of ``number`` deviates; ``space`` (4, n) is overwritten."""
    n = mean.size
    twice = space[0, :n]
    small = below = 0
    for i in range(n):
        mean[i] = max(mean[i], np.float32(0)) * number
        small += mean[i] < SEARCHED
        below += mean[i] < EXACT
    if small < n:
        _expand(mean, words, twice)
    if small:
        _search(mean, words, twice, space[1, :n], space[2, :n], space[3, :n])
    if below:
        for i in range(n):
            if twice[i] != _2 * np.floor(twice[i] / _2):
                twice[i] = _2 * exact_poisson(mean[i], words[i])
    for i in range(n):
        mean[i] = twice[i] / _2 / number


@njit(cache=True, nogil=True, error_model="numpy")
def _expand(mean, words, twice):  # type: ignore[no-untyped-def]
    """Fill ``twice`` with twice the deviates, by the expansion of the quantile for large means, to 1/mean.

    1 is added where the terms left out may change a deviate of a mean below 30: they are less than
    (0.08 + 0.006 z^5) / mean^1.5 if z < 4. Source: Giles 2016, ACM TOMS 42(1), 7 (Q_N3).
    """
    for i in range(mean.size):
        m, z = max(mean[i], SEARCHED), _quantile(words[i])
        root, whole, square = np.sqrt(m), np.floor(m), z * z
        inverse = _1 / root
        second = z * (_S1 + square * _S3)
        third = _T0 + square * (_T2 + square * _T4)
        place = (m - whole) + (z * root + (_F0 + square * _F2) + inverse * (second + inverse * third))
        error = (np.float32(0.08) + np.float32(0.006) * square * square * abs(z)) * inverse * inverse * inverse
        near = (abs(place - np.rint(place)) < error) | (square > np.float32(16))
        twice[i] = _2 * max(whole + np.floor(place), np.float32(0)) + np.float32(near & (m < EXACT))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(mean, words, twice, uniform, term, total):  # type: ignore[no-untyped-def]
    """Fill ``twice`` with twice the deviates of means below SEARCHED, plus 1 where single precision leaves doubt.

    The probabilities of 0, 1, 2 ... are added up for all pixels at once. The last three arrays are overwritten.
    """
    for i in range(mean.size):
        searched, tail = mean[i] < SEARCHED, _tail(words[i]) * np.float32(2.0**-32)
        u = tail if words[i] & _WORD else _1 - tail
        rare = u > _CENTRE
        uniform[i] = u if searched & (not rare) else np.float32(-1)
        twice[i] = np.float32(rare) if searched else twice[i]
        y = mean[i] * np.float32(-1 / 32)  # exp(-m) = exp(-m/32)^32; its series is right within 1e-7
        e = _1 + y * (_1 + y * (_E2 + y * (_E3 + y * (_E4 + y * (_E5 + y * _E6)))))
        e = e * e
        e = e * e
        e = e * e
        e = e * e
        e = e * e
        term[i] = total[i] = e
    k, left = 1, 1
    while left:
        left = 0
        for i in range(mean.size):
            upper, lower = uniform[i] + _DOUBT, uniform[i] - _DOUBT
            p, sum_, number = term[i], total[i], twice[i]
            for step in range(_STEPS):
                number += np.float32(upper > sum_) + np.float32(lower > sum_)
                p *= mean[i] * (_1 / np.float32(k + step))
                sum_ += p
            term[i], total[i], twice[i] = p, sum_, number
            left += upper > sum_
        k += _STEPS


@njit(cache=True, nogil=True, error_model="numpy")
def exact_poisson(mean, word):  # type: ignore[no-untyped-def]
    """Return the Poisson deviate of a word, for a mean below EXACT, by adding up probabilities in double precision."""
    tail = (np.float64(word & _HALF) + 0.5) * 2.0**-32
    uniform = 1 - tail if word < _WORD else tail
    term = math.exp(-np.float64(mean))
    total, k = term, 0
    while uniform > total and term > 0:
        k += 1
        term *= np.float64(mean) / k
        total += term
    return np.float32(k)
