import numpy as np
import pytest

from elvis_cli.kernels.tracks import deposit
from tests.each import each


def tracks(*rows):
    """Rows of x, y, angle (deg), length, charge."""
    x, y, angle, length, charge = np.array(rows, float).T
    return np.stack([x, y, np.cos(np.radians(angle)), np.sin(np.radians(angle)), length, charge], axis=1)


def image_of(*rows, shape=(64, 64), start=0.0, full_well=np.inf, count=1):
    image = np.full(shape, start, np.float32)
    deposit(image, tracks(*rows), np.ones(len(rows)), full_well, count)
    return image


def test_charge_is_conserved():
    random = np.random.default_rng(1)
    rows = random.uniform([20, 20, 0, 0, 100], [44, 44, 360, 18, 1e4], (2000, 5))
    assert image_of(*rows).sum(dtype=float) == pytest.approx(rows[:, 4].sum(), rel=1e-5)


@each("angle", [0, 37, 45, 90, 135, 180, 211, 270, 300])
def test_charge_follows_the_path(angle):
    x, y, length, n = 30.3, 31.6, 17.0, 200_000
    image = image_of((x, y, angle, length, 1000.0))
    t = (np.arange(n) + 0.5) / n * length
    px, py = x + t * np.cos(np.radians(angle)), y + t * np.sin(np.radians(angle))
    dense, _, _ = np.histogram2d(py, px, bins=(np.arange(65), np.arange(65)))
    np.testing.assert_allclose(image, dense * 1000 / n, atol=0.02)


def test_no_length_means_one_pixel():
    image = image_of((3.5, 7.9, 10, 0.0, 55.0))
    assert image[7, 3] == image.sum() == 55


def test_what_leaves_the_image_is_lost_and_what_enters_is_kept():
    leaves = image_of((2.0, 30.5, 180, 8.0, 800.0))
    assert leaves.sum() == pytest.approx(200)
    enters = image_of((-6.0, 30.5, 0, 8.0, 800.0))
    np.testing.assert_allclose(enters, leaves, atol=1e-3)
    assert image_of((-50.0, -70.0, 45, 8.0, 800.0), (900.0, 3.0, 0, 8.0, 800.0)).sum() == 0


def test_mean_of_integrations_holds_one_capped_hit():
    image = image_of((3.5, 7.5, 0, 0.0, 5e5), (9.5, 9.5, 0, 0.0, 300.0), start=2e4, full_well=1e5, count=10)
    assert image[7, 3] == pytest.approx(2e4 + 8e4 / 10)
    assert image[9, 9] == pytest.approx(2e4 + 300 / 10)
    assert np.count_nonzero(image != 2e4) == 2
