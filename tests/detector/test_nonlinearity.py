import numpy as np
import pytest

from elvis_cli.detector.nonlinearity import bend


def test_quadratic():
    charge = np.array([0, 1e3, 8e4], np.float32)
    bend(charge, 6e-7)
    np.testing.assert_allclose(charge, [0, 1e3 * (1 - 6e-4), 8e4 * (1 - 0.048)], rtol=1e-6)


def test_never_falls_with_charge():
    charge = np.linspace(0, 5e6, 10_000, dtype=np.float32)
    bend(charge, 6e-7)
    assert np.all(np.diff(charge) >= -0.1)
    assert charge[-1] == pytest.approx(1 / (4 * 6e-7), rel=1e-5)


def test_none_is_the_identity():
    charge = np.array([1.0, 2e5], np.float32)
    bend(charge, 0.0)
    np.testing.assert_array_equal(charge, [1.0, 2e5])
