"""Exposures of one chip against the same arithmetic by whole arrays."""

import numpy as np
import pytest

from elvis_cli.kernels import exposures

SHAPE = (5, 40, 30)


def images(seed=1):
    made = np.random.default_rng(seed).normal(100.0, 3.0, SHAPE).astype(np.float32)
    made[2, 7, 8] += 500.0
    return made


def test_the_mean_leaves_outliers_out():
    data, floor = images(), np.full(SHAPE[0], 4.0)
    data[4, 9, 9] = np.nan
    mean, count = np.empty(SHAPE[1:], np.float32), np.empty(SHAPE[1:], np.uint8)
    exposures.clipped_mean(data, floor, 0.1, 100.0, 2.5, mean, count)
    sigma = np.sqrt(4.0 + 0.1 * np.maximum(data - 100.0, 0.0))
    kept = np.abs(data - np.nanmedian(data, axis=0)) <= 2.5 * sigma
    assert count[7, 8] == 4
    assert np.count_nonzero(count < 5) > 20
    seen = np.isfinite(data).all(axis=0)  # where an image is NaN the median of the others is not defined
    np.testing.assert_array_equal(count[seen], kept.sum(axis=0)[seen])
    np.testing.assert_allclose(mean[seen], (np.where(kept, data, 0).sum(axis=0) / kept.sum(axis=0))[seen], rtol=1e-6)
    assert count[9, 9] < 5
    data = images()
    exposures.clipped_mean(data, floor, 0.0, 0.0, -1.0, mean, count)  # none is near: all are taken
    np.testing.assert_allclose(mean, data.mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize("number", [2, 3])
def test_the_weighted_mean_has_its_variance_and_flags(number):
    sci, var = images()[:number], np.full((number, *SHAPE[1:]), 9.0, np.float32)
    dq = np.zeros(sci.shape, np.uint32)
    dq[0, 1, 1], dq[:, 2, 2], dq[0, 3, 3] = 8, 2, 64
    share = np.arange(1.0, number + 1) / np.arange(1.0, number + 1).sum()
    mean, variance = (np.empty(SHAPE[1:], np.float32) for _ in range(2))
    flags = np.empty(SHAPE[1:], np.uint32)
    exposures.weighted_mean(sci, var, dq, share, 15, 6.0, 0.05, mean, variance, flags)
    used = (dq & 15) == 0
    if number == 3:
        used[2, 7, 8] = False
    weight = used * share[:, None, None]
    total = weight.sum(axis=0)
    lit = total > 0
    np.testing.assert_allclose(mean[lit], ((weight * sci).sum(axis=0)[lit] / total[lit]), rtol=1e-5)
    np.testing.assert_allclose(variance[lit], (weight**2 * var).sum(axis=0)[lit] / total[lit] ** 2, rtol=1e-5)
    assert np.argwhere(flags).tolist() == [[2, 2]]
    assert flags[2, 2] == 2
    assert mean[2, 2] == pytest.approx(sci[:, 2, 2].mean())


def rates(image, dark=None, response=None, known=None, curve=(0.0, 0.0), bias=None, **more):
    """4 integrations of 10 s, 2 electron/ADU, read noise 3 electron."""
    read = {"gain": 2.0, "dark_electrons": 4.0, "read_variance": 9.0, "dark_variance": 0.25, "count": 4, "time": 10.0}
    flags = {"limit": np.float32(1e4), "saturated": 4, "least": np.float32(0.05), "unlit": 16}
    return exposures.rates(image, bias, *map(np.float32, curve), dark, response, known, **(read | flags | more))


def test_rates_have_the_noise_of_their_electrons():
    """20 ADU of 2 electron, a dark of 5 ADU, a response of 0.5: 4 integrations of 10 s."""
    one = np.ones((3, 3), np.float32)
    sci, var, flags = rates(20 * one, 5 * one, np.float32(0.5) * one)
    assert sci == pytest.approx(np.full((3, 3), 15 * 2 / 10 / 0.5))
    adu2 = ((30 + 4 + 9) / 4 + 1 / 12) / 4 + 0.25
    assert var == pytest.approx(np.full((3, 3), adu2 * (2 / 10 / 0.5) ** 2))
    assert not flags.any()
    bare, noise, _ = rates(20 * one, dark_electrons=0.0, dark_variance=0.0, count=1)
    assert bare == pytest.approx(np.full((3, 3), 4.0))
    assert noise == pytest.approx(np.full((3, 3), (49 / 4 + 1 / 12) * 0.04))


def test_rates_are_of_straight_values_and_flagged_by_the_raw_ones():
    image = np.array([[100.0, 120.0, 119.0, 90.0]], np.float32)
    response = np.array([[1.0, 1.0, 0.05, np.nan]], np.float32)
    known = np.array([[2, 0, 1, 0]], np.uint32)
    bias, curve = np.full_like(image, 10.0), (1e-3, 1e-6)
    sci, _, flags = rates(image, None, response, known, curve, bias, limit=np.float32(119.0))
    straight = exposures.straight(image, bias, *map(np.float32, curve))
    np.testing.assert_allclose(sci, straight * 0.2, rtol=1e-6)
    assert flags.tolist() == [[2, 4, 1 | 16, 16]]


def test_straight_takes_bias_and_curve_out():
    x = np.linspace(0, 100, 12, dtype=np.float32).reshape(3, 4)
    a, b = np.float32(1e-3), np.float32(1e-6)
    np.testing.assert_allclose(exposures.straight(x + 7, np.full_like(x, 7), a, b), x + a * x**2 + b * x**3, rtol=1e-4)
    np.testing.assert_allclose(exposures.straight(x, None, a, b), x + a * x**2 + b * x**3, rtol=1e-5)


def test_the_sky_of_an_image_is_the_mean_of_the_others_where_they_are_free():
    rng = np.random.default_rng(3)
    sci, var = rng.normal(10, 1, (4, 20, 30)).astype("f4"), rng.uniform(1, 2, (4, 20, 30)).astype("f4")
    free, second = rng.uniform(size=sci.shape) > 0.6, rng.uniform(size=sci.shape) > 0.5
    left, noise = sci.copy(), var.copy()
    exposures.less_others(left, noise, free, second, np.arange(4.0))
    for n in range(4):
        others = np.arange(4) != n
        use = np.where(free[others].any(axis=0), free[others], second[others])
        count = use.sum(axis=0)
        sky = np.where(use, sci[others], 0).sum(axis=0) / np.maximum(count, 1)
        more = np.where(count > 0, np.where(use, var[others], 0).sum(axis=0) / np.maximum(count, 1) ** 2, n)
        np.testing.assert_allclose(left[n], sci[n] - sky, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(noise[n], var[n] + more, rtol=1e-5)
    assert (~(free | second)).all(axis=0).any()
