"""Cores of crowds are those of stars drawn one by one."""

import numpy as np
import pytest

from elvis_cli.kernels import stamp


@pytest.mark.parametrize(("oversample", "samples"), [(2, 60), (3, 90), (2, 30)])
def test_cores_are_the_star_at_each_fraction_of_a_pixel(oversample: int, samples: int) -> None:
    fine = np.random.default_rng(1).random((samples, samples), dtype=np.float32)
    cores, none = np.zeros((5, 5, 21, 21), np.float32), np.zeros((2, 2), np.float32)
    stamp.fill_cores(cores, fine, oversample)
    for j in range(5):
        for i in range(5):
            alone = np.zeros((21, 21), np.float32)
            stamp.add_star(alone, 0, 10 + i / 4, 10 + j / 4, 1.0, fine, oversample, none, 1.0, 100.0)
            np.testing.assert_array_equal(cores[j, i], alone)


def test_a_star_of_a_crowd_is_the_mean_of_the_cores_about_it() -> None:
    bank = np.random.default_rng(2).random((2, 5, 5, 7, 7), dtype=np.float32)
    image = np.zeros((40, 50), np.float32)
    place = np.array([20.0 + 0.25 * 1.5]), np.array([10.0 + 0.25 * 2.25])
    stamp.add_cores(image[:8], 0, *place, np.array([3.0]), np.array([1]), bank)
    stamp.add_cores(image[8:], 8, *place, np.array([3.0]), np.array([1]), bank)
    low, high = (0.5 * (bank[1, j, 1] + bank[1, j, 2]) for j in (2, 3))
    np.testing.assert_allclose(image[7:14, 17:24], 3.0 * (0.75 * low + 0.25 * high), rtol=1e-6)
    image[7:14, 17:24] = 0.0
    assert not image.any()
