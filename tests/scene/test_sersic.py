"""The Sersic profile."""

import math

import numpy as np
import pytest

from elvis_cli.scene.sersic import Sersic
from tests.each import each


def image(profile: Sersic, size: int = 401, x: float = 200.3, y: float = 199.8) -> np.ndarray:
    return profile.core((size, size), x, y).astype(float) + profile.rest((size, size), x, y)


def test_half_light_constant() -> None:
    """Ciotti & Bertin 1999, table: b(1) = 1.678, b(4) = 7.669."""
    assert Sersic(1.0, 1.0).b == pytest.approx(1.6783, abs=1e-4)
    assert Sersic(4.0, 1.0).b == pytest.approx(7.6692, abs=1e-4)


def test_half_of_the_light_is_inside_the_radius() -> None:
    assert Sersic(4.0, 12.0).enclosed(np.array([12.0]))[0] == pytest.approx(0.5)


@each("index", [0.5, 1.0, 4.0, 8.0])
@each("radius", [0.1, 1.0, 20.0])
@each("ellipticity", [0.0, 0.7])
def test_no_light_is_lost(index: float, radius: float, ellipticity: float) -> None:
    """What is missing is what lies outside the frame: between the circles inside and around it."""
    profile = Sersic(index, radius, ellipticity, 0.4)
    inner, outer = profile.enclosed(np.array([200.0, 200.0 * math.sqrt(2) / (1 - ellipticity)]))
    assert inner - 2e-3 < image(profile).sum() < outer + 2e-3


def test_half_light_radius_on_pixels() -> None:
    profile = image(Sersic(1.0, 20.0))
    y, x = np.indices(profile.shape)
    inside = profile[np.hypot(x - 200.3, y - 199.8) < 20.0].sum()
    assert inside == pytest.approx(0.5, abs=0.01)


def test_ellipse_points_along_its_angle() -> None:
    profile = image(Sersic(1.0, 15.0, 0.6, math.radians(30.0)))
    y, x = np.indices(profile.shape)
    dx, dy = x - 200.3, y - 199.8
    xx, yy, xy = ((profile * m).sum() for m in (dx * dx, dy * dy, dx * dy))
    assert 0.5 * math.degrees(math.atan2(2 * xy, xx - yy)) == pytest.approx(30.0, abs=0.5)
    spread = math.hypot(xx - yy, 2 * xy)
    assert math.sqrt((xx + yy - spread) / (xx + yy + spread)) == pytest.approx(0.4, abs=0.01)
