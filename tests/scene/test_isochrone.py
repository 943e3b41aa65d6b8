"""An old population: Kroupa's masses, a luminosity function that rises, giants where giants are."""

import numpy as np
import pytest

from elvis_cli.scene import isochrone

MASS = isochrone.masses(np.random.default_rng(5).random(1_000_000))


def slope(low, high):
    """Return the logarithmic slope of the numbers per unit mass between two masses."""
    middle = (low + high) / 2
    below = np.sum((low < MASS) & (middle > MASS)) / (middle - low)
    above = np.sum((middle < MASS) & (high > MASS)) / (high - middle)
    return np.log(above / below)


@pytest.mark.parametrize(("low", "high", "power"), [(0.15, 0.45, -1.3), (0.52, 0.78, -2.3)])
def test_masses_follow_kroupa(low, high, power):
    middle = (low + high) / 2

    def number(a, b):
        return (b ** (power + 1) - a ** (power + 1)) / (b - a)

    assert slope(low, high) == pytest.approx(np.log(number(middle, high) / number(low, middle)), abs=0.02)


def test_masses_are_those_of_the_isochrone():
    ends = isochrone.masses(np.array([0.0, 1.0]))
    assert ends == pytest.approx([0.10584, 0.81373], abs=1e-6)


def test_counts_rise_with_magnitude():
    visual, _, _ = isochrone.present_properties(MASS)
    bright = np.histogram(visual, np.arange(1.0, 8.0))[0]  # below the horizontal branch
    assert np.all(np.diff(bright) > 0)
    faint = np.histogram(visual, np.arange(4.0, 12.0, 2.0))[0]
    assert np.all(np.diff(faint) > 0)


def test_the_turn_off_is_that_of_twelve_billion_years():
    visual, temperature, gravity = isochrone.present_properties(np.linspace(0.6, 0.7995, 2000))
    hottest = np.argmax(temperature)
    assert visual[hottest] == pytest.approx(4.0, abs=0.3)
    assert temperature[hottest] == pytest.approx(6500, abs=150)
    assert gravity[hottest] == pytest.approx(4.2, abs=0.1)


def test_helium_burns_at_its_magnitude():
    """M_V of the horizontal branch at [Fe/H] = -1.35: 0.23 [Fe/H] + 0.93 = 0.62 (Cacciari & Clementini 2003)."""
    visual, _, _ = isochrone.present_properties(np.linspace(0.811966, 0.8135, 100))
    assert np.median(visual) == pytest.approx(0.62, abs=0.15)


def test_giants_are_few_and_give_most_of_the_light():
    visual, _, gravity = isochrone.present_properties(MASS)
    giants = gravity < 3.8
    assert 0.002 < giants.mean() < 0.01
    light = 10.0 ** (-0.4 * visual)
    assert 0.5 < light[giants].sum() / light.sum() < 0.9
