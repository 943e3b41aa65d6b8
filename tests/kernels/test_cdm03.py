"""CDM03 against its own formula for a single packet (Short et al. 2013)."""

import numpy as np
import pytest

from elvis_cli.detector import transfer
from elvis_cli.kernels import cdm03

BETA, WELL, VOLUME, PERIOD, VELOCITY = 0.6, 2e5, 6e-11, 20.48e-3, 1.168e7


def species(density, sigma, tau):
    density, sigma, tau = (np.atleast_1d(np.asarray(v, float)) for v in (density, sigma, tau))
    alpha = PERIOD * sigma * VELOCITY * WELL**BETA / (2 * VOLUME)
    return alpha, 2 * density * VOLUME / WELL**BETA, np.exp(-PERIOD / tau)


def clocked(charge, transfers, traps, kernel=cdm03.parallel):
    charge = np.array(charge, float, order="C", copy=True)
    size = charge.shape[1] if kernel is cdm03.parallel else charge.shape[0]
    kernel(charge, 0, size, np.asarray(transfers, float), *traps, BETA)
    return charge


def test_published_formula_for_one_packet():
    traps = species(1e9, 2e-15, 0.05)
    assert traps[0][0] == pytest.approx(6042.818, abs=1e-3)
    assert traps[1][0] * 1000 == pytest.approx(0.0791705, abs=1e-7)
    column = np.zeros((3000, 1))
    column[1000] = 1e4
    after = clocked(column, np.arange(3000), traps)[:, 0]
    assert after[1000] == pytest.approx(9986.823095, abs=1e-6)
    assert after[1001] == pytest.approx(4.428550, abs=1e-6)
    assert after.sum() == pytest.approx(1e4, abs=1e-9)
    k = np.arange(1, 50)
    caught, left = 19.847254, traps[2][0]
    np.testing.assert_allclose(after[1001:1050], caught * left**k * (1 - left), rtol=1e-6)
    assert np.all(after[:1000] == 0)


def test_direction_is_the_only_difference():
    image = np.random.default_rng(1).gamma(0.3, 3000, (40, 30))
    traps = species([1e9, 3e8], [2e-15, 5e-16], [0.05, 0.4])
    down = clocked(image, np.arange(40), traps)
    along = clocked(image.T, np.arange(40), traps, cdm03.serial)
    np.testing.assert_array_equal(down, along.T)


def test_power_by_series_is_the_power():
    """Against the formula written out with numpy, species by species."""
    image = np.random.default_rng(2).gamma(0.5, 2000, (200, 5))
    traps = species([1e9, 3e8, 2e9], [2e-15, 5e-20, 1e-18], [0.05, 0.4, 2.0])
    expected = image.copy()
    for x in range(5):
        trapped = np.zeros(3)
        for y in range(200):
            n = expected[y, x]
            for k, (alpha, gamma, left) in enumerate(zip(*traps, strict=True)):
                if n >= cdm03.SKIP:
                    g = gamma * y
                    caught = max((g * n**BETA - trapped[k]) / (g * n ** (BETA - 1) + 1), 0)
                    caught *= 1 - np.exp(-alpha * n ** (1 - BETA))
                    trapped[k] += caught
                    n -= caught
                freed = trapped[k] * (1 - left)
                trapped[k] -= freed
                n += freed
            expected[y, x] = n
    np.testing.assert_allclose(clocked(image, np.arange(200), traps), expected, rtol=1e-9)


def test_exponential_and_logarithm():
    x = np.geomspace(cdm03.SKIP, 1e9, 2000)
    np.testing.assert_allclose([cdm03._log(v) for v in x], np.log(x), rtol=2e-15, atol=2e-16)
    y = np.linspace(-cdm03._FULL, cdm03._FULL, 2001)
    np.testing.assert_allclose([cdm03._exp(v) for v in y], np.exp(y), rtol=1e-15)


def test_traps_that_release_at_once_do_nothing():
    """Such as `transfer` leaves out: 40 times as many as of all others, and first to catch."""
    image = np.random.default_rng(3).gamma(0.5, 2000, (200, 5))
    tau = PERIOD / -np.log(transfer.RELEASED)
    fast, slow = species([4e10, 1e9], [2e-13, 2e-15], [tau, 0.05]), species(1e9, 2e-15, 0.05)
    np.testing.assert_allclose(clocked(image, np.arange(200), fast), clocked(image, np.arange(200), slow), rtol=1e-12)


def test_no_traps_no_change():
    image = np.random.default_rng(1).gamma(0.3, 3000, (40, 30))
    np.testing.assert_array_equal(clocked(image, np.arange(40), species(0.0, 1e-15, 0.1)), image)
