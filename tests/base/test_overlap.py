"""The area that a circle and pixels share."""

import math

import numpy as np
import pytest

from elvis_cli.base.overlap import aperture_sum, circle_below, circle_on_pixels
from tests.each import each


@each("radius", [0.2, 0.5, 3.0, 8.37])
@each("place", [(10.0, 10.0), (9.5, 10.5), (10.123, 9.871)])
def test_the_shares_are_the_area_of_the_circle(radius: float, place: tuple[float, float]) -> None:
    shares = circle_on_pixels((21, 21), *place, radius)
    assert shares.sum() == pytest.approx(math.pi * radius**2, rel=1e-12)
    assert shares.min() > -1e-13 * radius**2
    assert shares.max() < 1.0 + 1e-13 * radius**2


@each("radius", [0.4, 2.6, 4.0])
def test_each_share_is_that_of_fine_samples(radius: float) -> None:
    parts, x, y = 500, 4.3, 5.1
    fine = (np.arange(10 * parts) + 0.5) / parts - 0.5
    inside = np.hypot(fine - x, fine[:, None] - y) < radius
    expected = inside.reshape(10, parts, 10, parts).mean(axis=(1, 3))
    np.testing.assert_allclose(circle_on_pixels((10, 10), x, y, radius), expected, atol=2e-4)


def test_quadrants_have_a_quarter_of_the_circle() -> None:
    area = circle_below(np.array([-9.0, 0.0, 9.0]), np.array([0.0, 9.0]), 3.0)
    np.testing.assert_allclose(area, 9 * math.pi * np.array([[0, 0.25, 0.5], [0, 0.5, 1.0]]), atol=1e-14)


def test_an_aperture_over_the_edge_has_what_is_on_the_image() -> None:
    assert aperture_sum(np.ones((41, 41)), 20.2, 19.7, 8.0) == pytest.approx(math.pi * 64, rel=1e-12)
    assert aperture_sum(np.ones((20, 20)), -0.5, 9.5, 4.0) == pytest.approx(math.pi * 8, rel=1e-12)
