"""The pupil and its autocorrelation against geometry."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base.disk_store import FOLDER
from elvis_cli.model.telescope import PupilMask
from elvis_cli.optics import pupil


def test_segments_have_the_elts_number_and_area(make) -> None:
    telescope = replace(make().optics.telescope, spider_angles=())
    mask, step = pupil.raster(telescope)
    pitch = telescope.segments[0]
    assert mask.sum() * step**2 / (pitch**2 * np.sqrt(3) / 2) == pytest.approx(798, rel=1e-3)


def test_clear_area_of_the_elt_agrees_with_the_published_pupil(make) -> None:
    mask, step = pupil.raster(make().optics.telescope)
    assert mask.sum() * step**2 == pytest.approx(1002.0, rel=0.01)


def test_area_of_an_annulus_with_arms(make) -> None:
    telescope = make("seeing", "VLT").optics.telescope
    mask, step = pupil.raster(telescope)
    arms = 4 * 0.04 * (8.0 - 1.116) / 2
    assert mask.sum() * step**2 == pytest.approx(np.pi / 4 * (8.0**2 - 1.116**2) - arms, rel=1e-3)


def test_an_arm_points_to_its_position_angle(make) -> None:
    telescope = replace(make("seeing", "VLT").optics.telescope, spider_angles=(60.0,), spider_width=0.3)
    bare = replace(telescope, spider_angles=())
    lost = pupil.raster(bare)[0] - pupil.raster(telescope)[0]
    y, x = np.indices(lost.shape) - (lost.shape[0] - 1) / 2
    assert np.degrees(np.arctan2(-(lost * x).sum(), (lost * y).sum())) == pytest.approx(60.0, abs=0.5)


def test_a_transfer_function_is_computed_once_for_all_processes(make, tmp_path, monkeypatch) -> None:
    telescope = make("seeing", "VLT").optics.telescope
    masks = None, PupilMask("sam", 20.0, holes=((1.0, 2.0, 0.5),)), PupilMask("app", sines=((0.1, 0.2),), leak=0.1)
    computed = [pupil.transfer.__wrapped__(telescope, mask) for mask in masks]
    monkeypatch.setenv(FOLDER, str(tmp_path))
    for mask in masks:
        pupil.transfer.__wrapped__(telescope, mask)
    monkeypatch.setattr(pupil, "raster", None)
    for mask, one in zip(masks, computed, strict=True):
        again = pupil.transfer.__wrapped__(telescope, mask)
        np.testing.assert_array_equal(again.otf, one.otf)
        assert (again.diameter, again.step, again.slope) == (one.diameter, one.step, one.slope)


def test_transfer_function_of_a_disc_is_the_known_one(make) -> None:
    disc = replace(make("seeing", "VLT").optics.telescope, inner=0.0, spider_angles=())
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
    plus, minus = pupil.transfer(make().optics.telescope).sample(np.linspace(0.0, 39.0, 80))
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


def test_a_mask_turns_arms_and_holes_alike(make) -> None:
    telescope = replace(make("seeing", "VLT").optics.telescope, spider_angles=(30.0,), spider_width=0.3)
    bare = replace(telescope, spider_angles=())
    still, turned = PupilMask("two", 0.0, ((1.0, 2.5, 0.5),)), PupilMask("two", 50.0, ((1.0, 2.5, 0.5),))
    arms = [
        pupil.raster(bare, PupilMask("none", a))[0] - pupil.raster(telescope, PupilMask("none", a))[0] for a in (0, 50)
    ]
    for one, two in ((pupil.raster(bare, still)[0], pupil.raster(bare, turned)[0]), arms):
        y, x = np.indices(one.shape) - (one.shape[0] - 1) / 2
        first, second = (complex((part * x).sum(), (part * y).sum()) for part in (one, two))
        assert np.degrees(np.angle(second / first)) == pytest.approx(50.0, abs=0.5)
        assert abs(second) == pytest.approx(abs(first), rel=0.02)


def test_holes_keep_their_area_and_have_one_peak_a_baseline(make) -> None:
    telescope = replace(make("seeing", "VLT").optics.telescope, inner=0.0, spider_angles=())
    mask = PupilMask("two", 0.0, ((-1.5, 0.5, 0.4), (1.0, -1.0, 0.4)))
    shape, step = pupil.raster(telescope, mask)
    assert shape.sum() * step**2 == pytest.approx(2 * np.pi * 0.4**2, rel=2e-3)
    made = pupil.transfer(telescope, mask)
    plus, minus = made.sample(np.array([0.0, 2.5, 1.5]))
    assert plus[0, 0] == pytest.approx(1.0, abs=1e-3)
    assert minus[2, 1] == pytest.approx(0.5, abs=5e-3)  # (2.5, -1.5) m
    assert plus[2, 1] == pytest.approx(0.0, abs=1e-3)


def test_a_grating_alone_makes_two_whole_images(make) -> None:
    """cos(2 pi g y / D) is two points; the leak stays where it is."""
    telescope = make("seeing", "VLT").optics.telescope
    shift = np.linspace(0.0, 7.0, 60)
    plain = pupil.transfer(telescope).sample(shift)[0]
    split = pupil.transfer(telescope, PupilMask("g", 0.0, (), ((0.0,),), 6.0, 0.1)).sample(shift)[0]
    wave = 0.1 + 0.9 * np.cos(2 * np.pi * 6.0 * shift / telescope.diameter)
    np.testing.assert_allclose(split, plain * wave[:, None], atol=2e-3)


def test_a_phase_plate_bends_but_loses_no_light(make) -> None:
    telescope = make("seeing", "VLT").optics.telescope
    sines = ((0.0, 0.0), (0.3, 0.0), (0.0, -0.5))
    mask = PupilMask("plate", 20.0, (), sines, 0.0, 0.0)
    shape, step = pupil.raster(telescope, mask)
    phase = pupil.phase(mask, telescope.diameter, step)
    np.testing.assert_allclose(phase, -phase[::-1, ::-1], atol=1e-5)  # odd about the axis
    x = (np.arange(pupil.ACROSS) - (pupil.ACROSS - 1) / 2) * step
    cos, sin = np.cos(np.radians(20.0)), np.sin(np.radians(20.0))
    u, v = cos * x + sin * x[:, None], cos * x[:, None] - sin * x
    cycle = 2 * np.pi / telescope.diameter
    np.testing.assert_allclose(phase, 0.3 * np.sin(cycle * u) - 0.5 * np.sin(cycle * (2 * u + v)), atol=1e-4)
    made = pupil.transfer(telescope, mask)
    assert made.otf.max() == pytest.approx(1.0)
    strehl = abs(np.sum(shape * np.exp(1j * phase))) ** 2 / shape.sum() ** 2
    assert made.otf.sum() / pupil.transfer(telescope).otf.sum() == pytest.approx(strehl, rel=5e-3)
