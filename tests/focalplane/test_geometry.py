"""Pixels, field and sky."""

from types import SimpleNamespace

import numpy as np
import pytest

from elvis_cli.base import geometry
from elvis_cli.focalplane.geometry import field_to_pixel, nearest_chip, pixel_to_field, rotate_stamp, rotation

DETECTOR = SimpleNamespace(nx=100, ny=80, pixel_mm=0.015)


def setup(
    detector: SimpleNamespace, distortion: float = 0.0, axis: tuple[float, float] = (0.0, 0.0)
) -> SimpleNamespace:
    """Return what the geometry needs of a Setup."""
    return SimpleNamespace(
        detector=detector, optics=SimpleNamespace(plate_scale=0.25, distortion=distortion, axis=axis)
    )


SETUP = setup(DETECTOR)


def chip(rotation: float, x: float = 3.0, y: float = -2.0) -> SimpleNamespace:
    return SimpleNamespace(rotation=rotation, x_mm=x, y_mm=y, scale=1.0)


@pytest.mark.parametrize("rotation", [0.0, 90.0, 180.0, 270.0, 0.08, -33.0])
def test_round_trip(rotation: float) -> None:
    x, y = np.array([0.0, 12.3, 99.0]), np.array([79.0, 3.25, 0.0])
    field = pixel_to_field(SETUP, chip(rotation), x, y)
    np.testing.assert_allclose(field_to_pixel(SETUP, chip(rotation), *field), (x, y), atol=1e-9)


def test_middle_of_the_chip_is_its_centre() -> None:
    field = pixel_to_field(SETUP, chip(90.0), 49.5, 39.5)
    assert field == pytest.approx((0.75, -0.5))


def test_a_quarter_turn_carries_x_onto_y() -> None:
    here = pixel_to_field(SETUP, chip(90.0), 49.5, 39.5)
    there = pixel_to_field(SETUP, chip(90.0), 50.5, 39.5)
    assert np.subtract(there, here) == pytest.approx((0.0, 0.015 * 0.25))


def test_north_up_east_left() -> None:
    assert geometry.field_to_sky(1.0, 0.0, 0.0) == pytest.approx((-1.0, 0.0))  # +x is West
    assert geometry.field_to_sky(0.0, 1.0, 0.0) == pytest.approx((0.0, 1.0))
    assert geometry.field_to_sky(0.0, 1.0, 90.0) == pytest.approx((1.0, 0.0))  # +y points East


def test_sky_and_field_are_inverse() -> None:
    assert geometry.sky_to_field(*geometry.field_to_sky(1.5, -0.7, 33.0), 33.0) == pytest.approx((1.5, -0.7))


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_stamp_turns_with_its_chip(size: int, turns: int) -> None:
    stamp = np.random.default_rng(1).random((size, size))
    turned = rotate_stamp(stamp, chip(90.0 * turns))
    cos, sin = rotation(chip(90.0 * turns))
    middle = size // 2
    for dy in range(1 - middle, middle):
        for dx in range(1 - middle, middle):
            fx, fy = int(cos * dx - sin * dy), int(sin * dx + cos * dy)
            assert turned[middle + dy, middle + dx] == stamp[middle + fy, middle + fx]


def test_the_nearest_chip_holds_the_place_or_is_next_to_it() -> None:
    chips = (chip(0.0, -1.0, 0.0), chip(180.0, 1.0, 0.0))
    both = setup(SimpleNamespace(nx=100, ny=80, pixel_mm=0.015, chips=chips))
    assert nearest_chip(both, -0.1, 0.0) is chips[0]
    assert nearest_chip(both, 0.3, 0.1) is chips[1]
    assert nearest_chip(both, 0.01, 5.0) is chips[1]


@pytest.mark.parametrize("cubic", [2e-3, -2e-3])
def test_distortion_is_cubic_and_can_be_undone(cubic: float) -> None:
    bent = setup(DETECTOR, cubic)
    x, y = field_to_pixel(bent, chip(0.0, 0.0, 0.0), 3.0, 4.0)
    straight = field_to_pixel(SETUP, chip(0.0, 0.0, 0.0), 3.0, 4.0)
    for bent_place, place, middle in zip((x, y), straight, (49.5, 39.5), strict=True):
        assert bent_place - middle == pytest.approx((place - middle) * (1 + 25 * cubic))
    assert pixel_to_field(bent, chip(0.0, 0.0, 0.0), x, y) == pytest.approx((3.0, 4.0), abs=1e-9)


def test_distortion_is_about_the_axis() -> None:
    bent, here = setup(DETECTOR, 2e-3, axis=(3.0, 4.0)), chip(0.0, 0.0, 0.0)
    assert field_to_pixel(bent, here, 3.0, 4.0) == pytest.approx(field_to_pixel(SETUP, here, 3.0, 4.0))
    place = field_to_pixel(bent, here, 0.0, 0.0)
    straight = field_to_pixel(SETUP, here, -3.0 * 25 * 2e-3, -4.0 * 25 * 2e-3)
    assert place == pytest.approx(straight)
    assert pixel_to_field(bent, here, *place) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_a_chip_of_larger_pixels_reaches_further_about_its_centre() -> None:
    small, large = chip(33.0), chip(33.0)
    large.scale = 1.01
    at = pixel_to_field(setup(DETECTOR), large, 90.0, 60.0)
    centre = pixel_to_field(setup(DETECTOR), small, 49.5, 39.5)
    there = pixel_to_field(setup(DETECTOR), small, 90.0, 60.0)
    assert np.subtract(at, centre) == pytest.approx(1.01 * np.subtract(there, centre))
    assert field_to_pixel(setup(DETECTOR), large, *at) == pytest.approx((90.0, 60.0))
