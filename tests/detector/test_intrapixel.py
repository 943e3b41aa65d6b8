import numpy as np
import pytest

SIGMA = 0.75


def star(x, y, size=24):
    n = np.arange(size)
    fine = (np.arange(9) + 0.5) / 9 - 0.5

    def profile(at):
        return np.exp(-((n[:, None] + fine - at) ** 2) / 2 / SIGMA**2).mean(axis=1)

    return 1e4 * profile(y)[:, None] * profile(x)


def detected(expose, rate, table, **changes):
    change = {"dit": 1, "stages": {"intrapixel": table}, "elvis_block": {"stages": ("intrapixel",)}} | changes
    return expose(rate, **change).astype(float)


def test_even_light_and_the_mean_are_kept(expose):
    np.testing.assert_array_equal(detected(expose, np.full((70, 50), 30.0), {"rms": 0.02, "centre": 0.1}), 30)
    rate = np.random.default_rng(1).uniform(50, 100, (400, 300))
    assert detected(expose, rate, {"rms": 0.02, "centre": 0.1}).mean() == pytest.approx(rate.mean(), rel=2e-4)


def test_fluxes_of_dithered_stars_scatter_as_the_slopes_do(expose):
    """var(flux) = rms^2 / 24 * sum of the squared slopes, over 600 places of one star on the chip."""
    rms, light = 0.05, star(11.3, 12.1)
    fluxes = []
    for k in range(600):
        fluxes.append(detected(expose, light, {"rms": rms}, x0=24 * (k % 30), y0=24 * (k // 30)).sum())
    dx = np.zeros_like(light)
    dy = np.zeros_like(light)
    dx[:, 1:-1], dy[1:-1] = (light[:, 2:] - light[:, :-2]) / 2, (light[2:] - light[:-2]) / 2
    expected = rms / 24**0.5 * np.hypot(dx, dy).ravel() @ np.hypot(dx, dy).ravel() / np.linalg.norm(np.hypot(dx, dy))
    assert np.std(fluxes) == pytest.approx(expected, rel=4.5 / (2 * 600) ** 0.5)
    assert np.mean(fluxes) == pytest.approx(light.sum(), abs=4.5 * expected / 600**0.5)


def test_a_star_in_the_middle_of_a_pixel_gains(expose):
    flat = {"rms": 0.0, "centre": 0.1}
    centre = detected(expose, star(12.0, 12.0), flat)[12, 12] / star(12.0, 12.0)[12, 12]
    side = detected(expose, star(11.5, 12.0), flat)[12, 12] / star(11.5, 12.0)[12, 12]
    assert centre > side > 1


def test_nothing_without_variation(expose):
    rate = np.random.default_rng(1).uniform(0, 9, (70, 50)).astype(np.float32)
    np.testing.assert_array_equal(detected(expose, rate, {"rms": 0.0}), rate)
