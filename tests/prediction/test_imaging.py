"""The ETC's formula."""

import math
from types import SimpleNamespace

import pytest

from elvis_cli.model.setup import Goal
from elvis_cli.prediction import imaging, noise


def setup(aperture_pix: int, inside: bool = False) -> SimpleNamespace:
    """Return what an aperture needs of a Setup."""
    return SimpleNamespace(
        goal=Goal(aperture_pix=aperture_pix, aperture_inside=inside), optics=SimpleNamespace(pixel_scale=0.125)
    )


def test_ratio_reproduces_an_etc_answer() -> None:
    """FORS2, v_HIGH, 100 s, V = 20: ESO ETC v118 (target 152440.4 e, sky 286.45 e/pix, 95 pixels)."""
    assert noise.ratio(152440.4, 95 * (286.45 + 0.0583), 95 * 3.15**2) == pytest.approx(358.7, rel=1e-3)


def test_no_target_no_signal() -> None:
    assert noise.ratio(0.0, 95 * 286.45, 95 * 3.0**2) == 0.0


@pytest.mark.parametrize("single", [0.7, 3.0, 33.3333, 100.0])
@pytest.mark.parametrize("goal", [1.0, 10.0, 100.0, 321.0])
def test_the_least_count_that_reaches_the_goal(single: float, goal: float) -> None:
    count = noise.solve_count(single, goal)
    assert single * math.sqrt(count) >= goal
    assert count == 1 or single * math.sqrt(count - 1) < goal


@pytest.mark.parametrize(("single", "goal"), [(0.0, 10.0), (1.0, 1000.1), (1e-250, 100.0)])
def test_a_goal_that_nothing_reaches(single: float, goal: float) -> None:
    assert noise.solve_count(single, goal) == 0


def test_the_last_goal_that_is_reached() -> None:
    assert noise.solve_count(1.0, 1000.0) == noise.MAX_COUNT


@pytest.mark.parametrize(("fwhm", "pixels", "npix"), [(0.6790, 11, 95), (0.7780, 13, 133)])
def test_automatic_aperture_is_odd_and_twice_the_image(fwhm: float, pixels: int, npix: int) -> None:
    aperture = imaging.Aperture.around(fwhm, setup(0))
    assert (aperture.diameter, aperture.pixels) == (pixels, npix)


@pytest.mark.parametrize(("pixels", "diameter"), [(9.8, 9), (10.2, 9), (11.0, 11), (11.9, 11), (0.7, 1)])
def test_an_automatic_aperture_may_be_within_twice_the_image(pixels: float, diameter: int) -> None:
    assert imaging.Aperture.around(pixels * 0.125 / 2, setup(0, inside=True)).diameter == diameter


def test_requested_aperture_wins() -> None:
    assert imaging.Aperture.around(0.7, setup(21)).diameter == 21


@pytest.mark.parametrize("count", [1, 7, 300])
def test_the_limit_is_where_the_ratio_is_five(count: int) -> None:
    background, ron2 = 95 * (286.0 + 0.06), 95 * 3.15**2
    least = noise.limiting_flux(background, ron2, count)
    assert noise.ratio(least, background, ron2) * math.sqrt(count) == pytest.approx(noise.DETECTION_SNR)
