import numpy as np


def test_charge_stops_at_the_full_well(expose):
    rate = np.array([[0, 10, 119.9, 120, 1e6]])
    frame = expose(rate, dit=1000, elvis_block={"stages": ("full_well",)})
    np.testing.assert_allclose(frame, [[0, 1e4, 1.199e5, 1.2e5, 1.2e5]])


def test_limit_is_per_integration(expose):
    frame = expose([[1e5, 2e5]], dit=1, count=100, elvis_block={"stages": ("full_well",)})
    np.testing.assert_array_equal(frame, [[1e5, 1.2e5]])


def test_saturated_ccd_reads_the_full_well(expose):
    frame = expose(np.full((64, 64), 1e7), kind="ccd", dit=1, ron=5, gain=2, stages={"nonlinearity": {"beta": 6e-7}})
    np.testing.assert_allclose(frame.mean(), 120000 * (1 - 6e-7 * 120000) / 2 + 1000, rtol=1e-5)
    assert frame.std() < 3  # the shot noise is gone
