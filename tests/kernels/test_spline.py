"""Banded equations, monotone cubics and running medians are those of SciPy, which a spectrum does not wait for."""

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator
from scipy.linalg import solveh_banded
from scipy.ndimage import median_filter

from elvis_cli.kernels import medians, spline


@pytest.mark.parametrize("count", [4, 5, 300])
def test_the_solution_of_banded_equations(count):
    rng = np.random.default_rng(1)
    x = rng.uniform(0.0, count - 3, 50 * count)
    band, right = spline.normal_equations(x, np.sin(x), rng.uniform(0.5, 2.0, x.size), np.ones(x.size, bool), count)
    band[3] += 1e-6
    np.testing.assert_allclose(spline.solve(band, right), solveh_banded(band, right), rtol=1e-8)


def test_equations_of_no_points_have_no_solution():
    with pytest.raises(ValueError, match="positive definite"):
        spline.solve(np.zeros((4, 6)), np.ones(6))


@pytest.mark.parametrize("count", [2, 3, 40])
def test_a_monotone_cubic(count):
    rng = np.random.default_rng(2)
    x, y = np.cumsum(rng.uniform(0.5, 1.5, count)), np.round(rng.normal(0.0, 2.0, count))  # with level parts
    at = rng.uniform(x[0] - 1.0, x[-1] + 1.0, (30, 20))
    at[0, :2] = x[0], x[-1]
    expected = PchipInterpolator(x, y)(np.clip(at, x[0], x[-1]))
    np.testing.assert_allclose(spline.monotone(x, y, at), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 4, 200])
def test_running_medians(size):
    values = np.round(np.random.default_rng(3).normal(0.0, 2.0, size), 1)
    np.testing.assert_array_equal(medians.running(values, 15), median_filter(values, 15, mode="nearest"))
