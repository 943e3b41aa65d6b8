import numpy as np
import pytest

from elvis_cli.detector.trap_pumping import Parameters, intensity

TABLE = {"density": 0.002, "low": 1e-3, "high": 1e-1, "cycles": 4000, "phase": 0.01}


def pumped(expose, rate, table=TABLE, **changes):
    change = {"dit": 1, "stages": {"trap_pumping": table}, "elvis_block": {"stages": ("trap_pumping",)}} | changes
    return expose(rate, **change).astype(float)


def test_dipoles_sum_to_zero_along_columns(expose):
    change = pumped(expose, np.full((400, 300), 5000.0), nx=300, ny=400) - 5000
    np.testing.assert_allclose(change.sum(axis=0), 0, atol=1e-2)
    assert change.min() >= -1001
    assert change.max() <= 2001
    assert np.count_nonzero(change < 0) == pytest.approx(0.002 * 400 * 300, rel=0.3)
    for y, x in np.argwhere(change < -50):
        assert max(change[y - 1, x], change[y + 1, x]) > 0


def test_intensity_is_that_of_hall(expose):
    parameters = Parameters(**TABLE)
    best = 0.01 / np.log(2)
    assert intensity(np.array([best]), parameters)[0] == pytest.approx(4000 / 4)
    tau = np.geomspace(1e-3, 1, 50)
    np.testing.assert_allclose(intensity(tau, parameters), 4000 * (np.exp(-0.01 / tau) - np.exp(-0.02 / tau)))
    assert abs(np.log(tau[intensity(tau, parameters).argmax()] / best)) < 0.15


def test_traps_belong_to_the_chip(expose):
    flat = np.full((400, 300), 5000.0)
    one = pumped(expose, flat, nx=300, ny=400)
    other_seed = {"stages": ("trap_pumping",), "seed": 9}
    np.testing.assert_array_equal(one, pumped(expose, flat, nx=300, ny=400, elvis_block=other_seed))
    assert np.any(one != pumped(expose, flat, nx=300, ny=400, chip=2))
    cut = pumped(expose, flat[:200, :100], nx=300, ny=400, x0=20, y0=100)
    np.testing.assert_array_equal(cut[2:-2], one[102:298, 20:120])


def test_no_more_charge_moves_than_there_is(expose):
    assert pumped(expose, np.full((400, 300), 10.0), nx=300, ny=400).min() >= 0
