"""The pupil and its autocorrelation against geometry."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli import pupil


def test_segments_have_the_elts_number_and_area(make) -> None:
    telescope = replace(make().telescope, spider_angles=())
    mask, step = pupil.raster(telescope)
    pitch = telescope.segments[0]
    assert mask.sum() * step**2 / (pitch**2 * np.sqrt(3) / 2) == pytest.approx(798, rel=1e-3)


def test_clear_area_of_the_elt_agrees_with_the_published_pupil(make) -> None:
    mask, step = pupil.raster(make().telescope)
    assert mask.sum() * step**2 == pytest.approx(1002.0, rel=0.01)


def test_area_of_an_annulus_with_arms(make) -> None:
    telescope = make("seeing", "VLT").telescope
    mask, step = pupil.raster(telescope)
    arms = 4 * 0.04 * (8.0 - 1.116) / 2
    assert mask.sum() * step**2 == pytest.approx(np.pi / 4 * (8.0**2 - 1.116**2) - arms, rel=1e-3)


def test_an_arm_points_to_its_position_angle(make) -> None:
    telescope = replace(make("seeing", "VLT").telescope, spider_angles=(60.0,), spider_width=0.3)
    bare = replace(telescope, spider_angles=())
    lost = pupil.raster(bare)[0] - pupil.raster(telescope)[0]
    y, x = np.indices(lost.shape) - (lost.shape[0] - 1) / 2
    assert np.degrees(np.arctan2(-(lost * x).sum(), (lost * y).sum())) == pytest.approx(60.0, abs=0.5)


def test_transfer_function_of_a_disc_is_the_known_one(make) -> None:
    disc = replace(make("seeing", "VLT").telescope, inner=0.0, spider_angles=())
    found = pupil.transfer(disc)
    shift = np.linspace(0.0, 8.0, 40)
    u = shift / 8.0
    expected = 2 / np.pi * (np.arccos(u) - u * np.sqrt(1 - u * u))
    plus, minus = found.sample(shift)
    np.testing.assert_allclose(plus[0], expected, atol=1e-3)
    np.testing.assert_allclose(minus[:, 0], expected, atol=1e-3)
    np.testing.assert_allclose(found.radial(shift), expected, atol=1e-3)
    assert found.slope == pytest.approx(4 / (np.pi * 8.0), rel=0.01)


def test_transfer_function_of_six_arms_has_their_symmetry(make) -> None:
    plus, minus = pupil.transfer(make().telescope).sample(np.linspace(0.0, 39.0, 80))
    np.testing.assert_allclose(plus, minus, atol=2e-3)
    assert plus.max() == pytest.approx(1.0)
    assert plus.min() > -1e-3
    assert abs(plus[-1, -1]) < 1e-4  # beyond the pupil's diameter


def test_cubic_interpolation_reproduces_a_parabola() -> None:
    at = np.linspace(1.0, 7.9, 50)
    first, weights = pupil.cubic(at)
    values = np.arange(12.0) ** 2
    found = sum(weights[k] * values[first + k - 1] for k in range(4))
    np.testing.assert_allclose(found, at**2, rtol=1e-5)
