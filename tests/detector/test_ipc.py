import numpy as np
import pytest

from elvis_cli.detector.ipc import couple
from tests.each import each

EDGE, CORNER = 0.02, 0.002


def test_one_pixel_gives_the_kernel():
    image = np.zeros((5, 5), np.float32)
    image[2, 2] = 1000
    kernel = [[2, 20, 2], [20, 912, 20], [2, 20, 2]]
    np.testing.assert_allclose(couple(image, EDGE, CORNER)[1:4, 1:4], kernel, rtol=1e-5)


@each("place", [(0, 0), (0, 7), (63, 5), (64, 99), (129, 99)])
def test_charge_is_conserved_up_to_the_corners(place):
    image = np.zeros((130, 100), np.float32)
    image[place] = 1000
    assert couple(image, EDGE, CORNER).sum(dtype=float) == pytest.approx(1000, rel=1e-6)


def test_same_as_the_dense_convolution():
    image = np.random.default_rng(1).normal(1e3, 50, (150, 90)).astype(np.float32)
    padded, dense = np.pad(image.astype(float), 1, mode="symmetric"), np.zeros(image.shape)
    for dy in (0, 1, 2):
        for dx in (0, 1, 2):
            distance = abs(dy - 1) + abs(dx - 1)
            share = (1 - 4 * (EDGE + CORNER), EDGE, CORNER)[distance]
            dense += share * padded[dy : dy + 150, dx : dx + 90]
    np.testing.assert_allclose(couple(image, EDGE, CORNER), dense, rtol=1e-5)


def test_nothing_and_uniform_light_stay():
    image = np.random.default_rng(1).uniform(0, 9, (70, 30)).astype(np.float32)
    np.testing.assert_array_equal(couple(image, 0, 0), image)
    np.testing.assert_allclose(couple(np.full((70, 30), 5, np.float32), EDGE, CORNER), 5, rtol=1e-6)


def test_shot_noise_correlates_as_the_kernel_does_and_read_noise_does_not(expose):
    """Autocorrelation of white noise through a kernel: the kernel's own (Moore et al. 2004: 2 edge at distance 1)."""
    stages = {"ipc": {"edge": EDGE, "corner": CORNER}}
    kernel = np.array([[CORNER, EDGE, CORNER], [EDGE, 1 - 4 * (EDGE + CORNER), EDGE], [CORNER, EDGE, CORNER]])
    flat = expose(np.full((1000, 1000), 100.0), stages=stages, elvis_block={"stages": ("shot_noise", "ipc")}).astype(
        float
    )
    flat -= flat.mean()
    assert flat.var() / 1000 == pytest.approx((kernel**2).sum(), rel=0.01)
    for a, b, shifted in ((flat[:, 1:], flat[:, :-1], kernel[:, 1:] * kernel[:, :-1]),
                          (flat[1:, 1:], flat[:-1, :-1], kernel[1:, 1:] * kernel[:-1, :-1])):  # fmt: skip
        assert (a * b).mean() / 1000 == pytest.approx(shifted.sum(), abs=0.004)
    names = ("ipc", "read_noise")
    dark = expose(np.zeros((500, 500)), dark=0, stages=stages, elvis_block={"stages": names}).astype(float)
    assert abs((dark[:, 1:] * dark[:, :-1]).mean()) / dark.var() < 0.01
