import numpy as np
import pytest

from elvis_cli.detector.nonlinearity import bend
from elvis_cli.errors import ResourceError
from tests.each import each


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


def test_curve_of_deviations_is_what_is_measured(expose):
    """The curve of the VIS simulator VIS-PP: 2e-8 (N - FWC / 2.15)^2 - 100 electrons, a twentieth below 22.4 ke."""

    def excess(n):
        return (2e-8 * (n - 2e5 / 2.15) ** 2 - 100) * np.where(n < 22400, 0.05, 1)

    knots = np.linspace(0, 2e5, 101)
    table = {"nonlinearity": {"electrons": list(knots), "deviation": list(excess(knots))}}
    level = np.linspace(30000, 190000, 500)[None]
    frame = expose(level, dit=1, stages=table, elvis_block={"stages": ("nonlinearity",)}).astype(float)
    np.testing.assert_allclose(frame - level, excess(level), atol=0.05)
    assert np.all(np.diff(frame[0]) > 0)
    assert np.abs((frame - level) / 2e5).max() < 5e-4 * 2


@each(
    ("table", "words"),
    [
        ({"electrons": [0, 1], "deviation": [0]}, "equally long"),
        ({"electrons": [0, 1, 1], "deviation": [0, 0, 0]}, "ascend"),
        ({"electrons": [0, 10, 20], "deviation": [0, 0, -15]}, "ascend"),
    ],
)
def test_curve_must_ascend(expose, table, words):
    with pytest.raises(ResourceError, match=words):
        expose(np.zeros((4, 4)), stages={"nonlinearity": table})
