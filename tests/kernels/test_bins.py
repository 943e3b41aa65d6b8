"""Means in bins are those of whole-array arithmetic, edges and outliers included."""

import itertools

import numpy as np
import pytest

from elvis_cli.kernels import bins


def expected(x, values, use, edges, clip, passes):
    """One bin after the other."""
    means = []
    for low, high in itertools.pairwise(edges):
        own = values[use & (x >= low) & (x < high)].astype(float)
        kept = own
        for _ in range(passes - 1):
            kept = own[np.abs(own - kept.mean()) <= clip * kept.std()] if kept.size else kept
        means.append(kept.mean() if kept.size else np.nan)
    return means


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_means_leave_out_what_is_far_off_and_what_is_not_used(dtype):
    rng = np.random.default_rng(1)
    edges = np.arange(-1.7, 2.0, 0.1)
    x = rng.uniform(-2.0, 2.2, (300, 40))
    x[0], x[1, : edges.size] = np.nan, edges  # values at an edge are those of the bin above
    values = rng.normal(5.0, 1.0, x.shape).astype(dtype)
    values[rng.random(x.shape) < 0.01] = 1e4
    use = (rng.random(x.shape) < 0.8) & ~((x > 0.3) & (x < 0.52)) & np.isfinite(x)
    made = bins.clipped_means(x, values, use, edges, 4.0, 3)
    np.testing.assert_allclose(made, expected(x, values, use, edges, 4.0, 3), rtol=1e-6)
    assert np.isnan(made).sum() == 2
