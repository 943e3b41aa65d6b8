"""Kernels of spectra on pixels give what numpy does, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from elvis_cli.kernels import dispersion

RNG = np.random.default_rng(2)


def test_spectra_are_read_between_samples():
    spectra = RNG.random((5, 40)).astype(np.float32)
    below = RNG.integers(0, 39, 70)
    low, high = RNG.random((2, 70)).astype(np.float32)
    out = np.empty((5, 70), np.float32)
    dispersion.between(out, spectra, below, low, high)
    assert np.array_equal(out, spectra[:, below] * low + spectra[:, below + 1] * high)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sums_up_to_fractional_places_are_linear_between_whole_ones(kind):
    values = RNG.random((3, 4, 20)).astype(kind)
    low, part = np.array([0, 3, 19, 19]), np.array([0.0, 0.25, 0.5, 1.0])
    sums = np.concatenate([np.zeros((3, 4, 1)), np.cumsum(values, axis=-1, dtype=float)], axis=-1)
    expected = sums[..., low] * (1.0 - part) + sums[..., low + 1] * part
    assert np.array_equal(dispersion.sums_up_to(values, low, part), expected)
