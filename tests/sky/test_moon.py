"""Moonlight against the published formulae and numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elvis_cli.sky import moon
from tests.each import each

LN = 0.4 * math.log(10)  # optical depth per magnitude


def illuminance(alpha):
    """Krisciunas & Schaefer 1991, eq. 20."""
    return 10 ** (-0.4 * (3.84 + 0.026 * alpha + 4e-9 * alpha**4))


@each(
    ("alpha", "rho", "z", "z_moon", "nanolambert", "visual"),
    [
        (0, 60, 30, 45, 1338.63, 18.445),
        (90, 60, 30, 45, 121.81, 20.524),
        (0, 20, 30, 45, 3462.55, 17.455),
        (30, 90, 0, 60, 385.33, 19.664),
        (60, 120, 0, 60, 215.98, 20.157),
    ],
)
def test_published_brightness(alpha, rho, z, z_moon, nanolambert, visual):
    """Mauna Kea, k = 0.172 mag/airmass, dark sky of 79 nL at zenith (KS eqs. 2, 15, 27)."""
    k, x = 0.172, moon.optical_path(z)
    scattered = illuminance(alpha) * moon.scattered(rho, x, moon.optical_path(z_moon), k * LN)
    assert scattered == pytest.approx(nanolambert, rel=1e-4)
    total = scattered + 79.0 * math.exp(-k * LN * (x - 1)) * x
    assert (20.7233 - math.log(total / 34.08)) / 0.92104 == pytest.approx(visual, abs=0.002)


def test_phase_law_agrees_with_the_visual_one():
    """Two independent fits, in V; KS leave the surge within 7 deg of full, up to 35 %, out of eq. 20."""
    visual = np.array([0.55])
    for alpha in (10, 30, 60, 90, 120, 150):
        fli = (1 + math.cos(math.radians(alpha))) / 2
        expected = illuminance(alpha) / illuminance(90)
        assert moon.brightness(fli, visual)[0] == pytest.approx(expected, rel=0.12)
    surge = moon.brightness(1.0, visual)[0] * illuminance(90) / illuminance(0)
    assert 1.25 < surge < 1.45


def test_phase():
    assert moon.phase_angle(1.0) == 0
    assert moon.phase_angle(0.5) == pytest.approx(90)
    assert moon.phase_angle(0.0) == pytest.approx(180)
    wave = np.linspace(0.32, 2.4, 50)
    assert np.allclose(moon.brightness(0.5, wave), 1.0)
    light = np.array([moon.brightness(fli, wave) for fli in np.linspace(0, 1, 41)])
    assert np.all(light[0] == 0)
    assert np.all(np.diff(light, axis=0) > 0)


def test_scattering_is_continuous_and_strongest_near_the_moon():
    rho = np.linspace(0, 60, 2401)
    light = np.array([moon.scattered(r, 1.2, 1.4, 0.1) for r in rho])
    assert np.all(np.isfinite(light))
    assert np.all(np.diff(light) <= 0)
    beyond = rho[1:] > 2
    assert np.all(light[1:][beyond] > 0.96 * light[:-1][beyond])


def test_optical_path():
    assert moon.optical_path(0) == 1
    assert moon.optical_path(60) == pytest.approx(1.890, abs=0.001)
    assert moon.optical_path(90) == pytest.approx(5)
