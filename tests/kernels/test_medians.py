"""Medians of groups and rows are those of a sort."""

import numpy as np
import pytest

from elvis_cli.kernels import medians


def upper_middle(values):
    return np.sort(values)[values.size // 2] if values.size else 0.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_medians_are_those_of_a_sort(dtype):
    rng = np.random.default_rng(1)
    values = np.round(rng.normal(0.0, 3.0, (200, 37)), 1).astype(dtype)  # with ties
    use = rng.random(values.shape) < 0.7
    use[:3] = False
    expected = [upper_middle(row[own]) for row, own in zip(values, use, strict=True)]
    np.testing.assert_array_equal(medians.of_rows(values, use), expected)
    group = np.broadcast_to(np.arange(200)[:, None], values.shape).ravel().copy()
    shuffle = rng.permutation(group.size)
    args = values.ravel()[shuffle], group[shuffle], use.ravel()[shuffle], 201
    np.testing.assert_array_equal(medians.of_groups(*args), [*expected, 0.0])


def test_values_that_are_no_numbers_end():
    values = np.array([[3.0, np.nan, 1.0, 2.0, np.nan], [np.nan] * 5])
    assert medians.of_rows(values, np.ones(values.shape, bool)).shape == (2,)
