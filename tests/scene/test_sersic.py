"""The Sersic profile."""

import numpy as np
import pytest

from elvis_cli.scene import sersic
from tests.each import each

INDEX = np.array([0.5, 1.0, 2.5, 4.0, 8.0])


def test_half_light_constant() -> None:
    """Ciotti & Bertin 1999, table: b(1) = 1.678, b(4) = 7.669."""
    assert sersic.half_light_constant(np.array([1.0, 4.0])) == pytest.approx([1.6783, 7.6692], abs=1e-4)


def test_half_of_the_light_is_inside_the_radius() -> None:
    np.testing.assert_allclose(sersic.enclosed(INDEX, np.ones(5)), 0.5)


@each("fraction", [1e-6, 0.1, 0.5, 0.9998])
def test_the_radius_of_a_fraction_encloses_it(fraction: float) -> None:
    np.testing.assert_allclose(sersic.enclosed(INDEX, sersic.radius_of(INDEX, fraction)), fraction)


@each("radius", [0.1, 20.0])
@each("ratio", [0.3, 1.0])
def test_the_intensity_integrates_to_the_light_enclosed(radius: float, ratio: float) -> None:
    """Over elliptical rings, from 1e-8 R_e to 10 R_e in even steps of ln r."""
    r = np.geomspace(1e-8, 10.0, 40_001)
    for n in INDEX:
        b = sersic.half_light_constant(np.array([n]))
        profile = sersic.intensity(np.array([n]), np.array([radius]), np.array([ratio])) * np.exp(
            -b * (r ** (1 / n) - 1)
        )
        light = np.trapezoid(profile * 2 * np.pi * ratio * (radius * r) ** 2, np.log(r))
        assert light == pytest.approx(sersic.enclosed(n, np.array([10.0]))[0], rel=1e-6)
