import numpy as np
import pytest

from elvis_cli.kernels.deviates import poisson
from tests.each import each

N = 400_000


def drawn(mean, count=1, shape=(400, N // 400)):
    image = np.full(shape, mean, np.float32)
    poisson(image, count, np.uint64(3), 0, 0)
    return image.astype(float)


@each("mean", [0.02, 3, 29.7, 30.3, 1000, 1e5])
def test_mean_equals_variance(mean):
    image = drawn(mean)
    assert image.mean() == pytest.approx(mean, abs=4.5 * (mean / N) ** 0.5)
    assert image.var() == pytest.approx(mean, rel=4.5 * ((2 + 1 / mean) / N) ** 0.5)
    np.testing.assert_array_equal(image, np.rint(image))


def test_distribution_is_exactly_poisson_below_the_limit():
    image = drawn(2.5)
    term = np.exp(-2.5)
    for k in range(8):
        assert np.mean(image == k) == pytest.approx(term, abs=4.5 * (term / N) ** 0.5)
        term *= 2.5 / (k + 1)


def test_mean_of_many_integrations():
    image = drawn(30, count=100)
    assert image.mean() == pytest.approx(30, abs=0.004)
    assert image.var() == pytest.approx(30 / 100, rel=0.015)
    np.testing.assert_allclose(image * 100, np.rint(image * 100), atol=1e-3)


def test_bright_and_faint_pixels_side_by_side():
    image = np.tile(np.array([0, 5, 4e4], np.float32), (100_000, 1))
    poisson(image, 1, np.uint64(3), 0, 0)
    np.testing.assert_allclose(image.mean(axis=0, dtype=float), [0, 5, 4e4], rtol=5e-3)
    np.testing.assert_allclose(image.var(axis=0, dtype=float), [0, 5, 4e4], rtol=0.03)


def test_negative_expectation_counts_as_zero():
    assert not drawn(-1e-3).any()


def test_left_out_the_mean_passes(expose):
    frame = expose(np.full((4, 4), 3.3), dit=1, dark=0.5, elvis_block={"stages": ("dark",)})
    np.testing.assert_allclose(frame, 3.8, rtol=1e-6)
