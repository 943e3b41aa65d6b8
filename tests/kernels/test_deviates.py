"""Deviates of pixels: their distributions, and that each depends on its place alone.

`make deviates` (ELVIS_DEVIATES=1) has 1e9 normal deviates in place of 4e6, and ten times the means of Poisson deviates.
"""

import os

import numpy as np
import pytest
from scipy.special import log_ndtr, ndtri
from scipy.stats import norm, poisson

from elvis_cli.kernels import deviates
from elvis_cli.kernels.deviates import EXACT, SEARCHED, exact_poisson, fill_normal, philox
from tests.each import each

KEY = np.uint64(0xFEDCBA9876543210)
MANY = bool(os.environ.get("ELVIS_DEVIATES"))
ROWS, COLUMNS = 256, 4096
FRAMES = 954 if MANY else 4
SORTED = 96 if MANY else 4
"""Frames for the Anderson-Darling test: 1e8 deviates, or 4e6."""
WORDS = (np.arange(2**20, dtype=np.uint32) << np.uint32(12)) + np.uint32(2048)
"""Evenly spaced, so that counts of deviates are their probabilities."""
LAGS = [(0, 1), (0, 2), (0, 3), (0, 8), (0, 64), (0, 1024), (1, 0), (2, 0), (1, 1), (3, 1), (64, 0)]


def normal(shape, y=0, x=0, key=KEY):
    image = np.empty(shape, np.float32)
    fill_normal(image, key, y, x)
    return image


def of_words(mean, words):
    """Return the Poisson deviates of words, for a mean or one a word."""
    means = np.full(words.shape, mean, np.float32)
    deviates._draw(means, np.float32(1), words, np.empty((4, words.size), np.float32))
    return means.astype(float)


def quantiles(words):
    """Return the normal quantile of a word's 32 bits: a sign, and the probability of the tail."""
    tail = ((words & np.uint32(0x7FFFFFFF)).astype(float) + 0.5) * 2.0**-32
    return np.where(words >> np.uint32(31), 1, -1) * ndtri(tail)


@pytest.fixture(scope="module")
def sample():
    """Return counts beyond 3 to 6 sigma, moments and correlations of all frames."""
    beyond, moments, products, total = np.zeros(4), np.zeros(4), np.zeros(len(LAGS)), 0
    for frame in range(FRAMES):
        z = normal((ROWS, COLUMNS), y=frame * ROWS)
        size = np.abs(z)
        beyond += [np.count_nonzero(size > sigma) for sigma in (3, 4, 5, 6)]
        square = z * z
        moments += [part.sum(dtype=float) for part in (z, square, z * square, square * square)]
        for n, (dy, dx) in enumerate(LAGS):
            a, b = z[dy:, dx:], z[: ROWS - dy, : COLUMNS - dx]
            products[n] += np.einsum("ij,ij->", a, b, dtype=np.float64, casting="same_kind") / a.size
        total += z.size
    return beyond, moments / total, products / FRAMES, total


def test_philox_gives_the_published_words():
    """Known answers of Random123 (kat_vectors)."""
    ones, pi = np.uint32(0xFFFFFFFF), [np.uint32(word) for word in (0x243F6A88, 0x85A308D3, 0x13198A2E)]
    assert philox(np.uint32(0), np.uint32(0), np.uint32(0), 10) == (0xFF1DAE59, 0x6CD10DF2)
    assert philox(ones, ones, ones, 10) == (0x2C3F628B, 0xAB4FD7AD)
    assert philox(np.uint32(0), np.uint32(0), np.uint32(0), 7) == (0x257A3673, 0xCD26BE2A)
    assert philox(*pi, 7) == (0xBEDBBE6B, 0xE4C770B3)


def test_tails_have_as_many_as_a_normal_distribution(sample):
    beyond, _, _, total = sample
    for sigma, count in zip((3, 4, 5, 6), beyond, strict=True):
        expected = 2 * norm.sf(sigma) * total
        print(f"|z| > {sigma}: {count:.0f}, expected {expected:.1f}")
        assert abs(count - expected) < 3 * expected**0.5 + 1


def test_moments(sample):
    _, moments, _, total = sample
    print("moments", moments)
    for power, (value, expected, variance) in enumerate(zip(moments, (0, 1, 0, 3), (1, 2, 15, 96), strict=True), 1):
        assert abs(value - expected) < 4 * (variance / total) ** 0.5, power


def test_neighbours_are_uncorrelated(sample):
    _, _, products, total = sample
    print("correlations", dict(zip(LAGS, products, strict=True)))
    assert np.abs(products).max() < (1e-4 if MANY else 4 / total**0.5)


def test_keys_are_uncorrelated():
    a, b = normal((64, 4096)), normal((64, 4096), key=KEY + np.uint64(1))
    assert abs(np.mean(a * b)) < 4 / a.size**0.5


def test_anderson_and_darling_do_not_reject_the_normal_distribution():
    z = np.sort(np.concatenate([normal((ROWS, COLUMNS), y=frame * ROWS).ravel() for frame in range(SORTED)]))
    n, total = z.size, 0.0
    for first in range(0, n, 2**22):
        i = np.arange(first, min(first + 2**22, n))
        total += np.sum((2 * i + 1) * (log_ndtr(z[i].astype(float)) + log_ndtr(-z[n - 1 - i].astype(float))) / n)
    statistic = -n - total
    print(f"A^2 = {statistic:.3f} of {n}")
    assert statistic < 2.492  # rejected at 5 % beyond: Stephens 1974, JASA 69, 730, table 1, case 0


def test_quantile_is_right_to_its_ends():
    words = np.concatenate([WORDS, np.arange(100), 2**31 - 1 - np.arange(100), 2**32 - 1 - np.arange(100)])
    words = words.astype(np.uint32)
    z = np.array([deviates._quantile(word) for word in words[:: 1 if MANY else 97]], float)
    reference = quantiles(words[:: 1 if MANY else 97])
    np.testing.assert_allclose(z, reference, atol=6e-6)
    assert np.abs(normal((1, 1))).max() < 6.4


@each("mean", [0.0, 1e-3, 0.3, 1.7, 3.99, 4.0, 5.1, 7.6, 12.3, 18.0, 29.9])
def test_poisson_is_exact_below_thirty(mean):
    ends = np.arange(50, dtype=np.uint32)
    words = np.concatenate(
        [WORDS[8 :: 1 if MANY else 16], ends, ~ends, ends + np.uint32(2**31), ~ends - np.uint32(2**31)]
    )
    found = of_words(mean, words)
    np.testing.assert_array_equal(found, [exact_poisson(np.float32(mean), word) for word in words])
    number, middle = np.arange(80), np.sort(found[:-200])
    cumulative = np.searchsorted(middle, number, side="right") / middle.size
    np.testing.assert_allclose(cumulative, poisson.cdf(number, np.float32(mean)), atol=2e-5)


@each("mean", [30.0, 33.3, 60.5, 100.0, 999.5, 1e4, 1e6, 1e7 + 1])
def test_distribution_function_is_right_from_thirty(mean):
    found = np.sort(of_words(mean, WORDS))
    number = np.unique(np.rint(np.linspace(mean - 6 * mean**0.5, mean + 6 * mean**0.5, 2001)))
    cumulative = np.searchsorted(found, number, side="right") / found.size
    np.testing.assert_allclose(cumulative, poisson.cdf(number, mean), atol=1e-5 if mean < 1e6 else 1e-4)
    np.testing.assert_array_equal(found, np.rint(found))


def test_means_of_all_sizes_side_by_side():
    random = np.random.default_rng(3)
    mean = random.choice([0, 0.01, 0.4, 2, float(SEARCHED), 9, 25, float(EXACT), 400, 1e5], 20_000).astype(np.float32)
    words = random.integers(0, 2**32, mean.size, dtype=np.uint32)
    together = of_words(mean, words)
    for value in np.unique(mean):
        np.testing.assert_array_equal(together[mean == value], of_words(value, words[mean == value]))


def test_a_pixel_depends_on_its_place_alone():
    whole, part = normal((70, 3000)), normal((33, 1500), y=7, x=1100)
    np.testing.assert_array_equal(part, whole[7:40, 1100:2600])
    mean = np.random.default_rng(1).uniform(-1, 60, (70, 3000)).astype(np.float32)
    drawn, cut = mean.copy(), mean[7:40, 1100:2600].copy()
    deviates.poisson(drawn, 2, KEY, 0, 0)
    deviates.poisson(cut, 2, KEY, 7, 1100)
    np.testing.assert_array_equal(cut, drawn[7:40, 1100:2600])
