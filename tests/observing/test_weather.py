"""The drift of seeing, water and airglow: a function of seed and time, with the moments that it says."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from elvis_cli.observing import weather

START = datetime(2026, 1, 1)


def series(drift, seed, hours):
    return np.log([drift.factor(seed, START + timedelta(hours=float(h))) for h in hours])


def test_it_is_a_function_of_seed_and_time():
    time = datetime(2030, 5, 5, 5)
    assert weather.SEEING.factor(1, time) == weather.SEEING.factor(1, time)
    assert weather.SEEING.factor(1, time) != weather.SEEING.factor(2, time)
    assert weather.SEEING.factor(1, time) != weather.AIRGLOW.factor(1, time)


@pytest.mark.parametrize("drift", [weather.SEEING, weather.WATER, weather.AIRGLOW], ids=lambda d: d.name)
def test_its_moments_and_its_correlation(drift):
    lag = drift.hours
    pairs = np.array([series(drift, seed, (0.0, lag)) for seed in range(1500)])
    assert pairs[:, 0].mean() == pytest.approx(0.0, abs=4 * drift.rms / 1500**0.5)
    assert pairs[:, 0].std() == pytest.approx(drift.rms, rel=0.08)
    assert np.corrcoef(pairs.T)[0, 1] == pytest.approx(np.exp(-1.0), abs=0.08)


def test_it_is_slow():
    steps = np.diff(series(weather.SEEING, 3, np.arange(0, 8, 1 / 60)))
    assert np.abs(steps).max() < weather.SEEING.rms
