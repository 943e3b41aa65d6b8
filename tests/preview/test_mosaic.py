"""Pixels come to their place, and their mean is kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.preview.mosaic import Plane, compose

UPRIGHT = np.array([[-1.0, 0.0], [0.0, 1.0]])


def plane(data, matrix=UPRIGHT, origin=(0.0, 0.0), offset=(0.0, 0.0)):
    data = np.asarray(data, dtype=np.float32)
    return Plane(data.shape, lambda first, last: data[first:last], np.asarray(matrix, dtype=float), origin, offset)


def noise(ny, nx, seed=0):
    return np.random.default_rng(seed).uniform(1.0, 2.0, (ny, nx)).astype(np.float32)


def test_same_size_is_the_same_image():
    data = noise(90, 130)
    made = compose([plane(data)], 130, 130, 50)
    assert made.enlarged == 1
    assert made.scale == 1.0
    assert made.canvas == pytest.approx(data[::-1], rel=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_whole_factors_are_plain_means(factor):
    data = noise(84, 126)
    made = compose([plane(data)], 126 // factor, 126 // factor, 16)
    means = data.reshape(84 // factor, factor, 126 // factor, factor).mean(axis=(1, 3))
    assert made.canvas == pytest.approx(means[::-1], rel=1e-5)


@pytest.mark.parametrize("size", [37, 64, 100, 119])
def test_any_factor_keeps_the_mean_and_never_loses_a_pixel(size):
    data = np.zeros((120, 120), dtype=np.float32)
    y, x = np.random.default_rng(size).integers(3, 117, (2, 40))
    for at in zip(y, x, strict=True):
        one = data.copy()
        one[at] = 1.0
        canvas = compose([plane(one)], size, size, 16).canvas
        assert canvas.sum() == pytest.approx((size / 120) ** 2, rel=0.02)  # light is kept: a mean over less pixels
        rows, columns = np.indices(canvas.shape)
        centre = [float((axis * canvas).sum() / canvas.sum()) for axis in (rows, columns)]
        scale = size / 120
        assert centre[1] == pytest.approx((at[1] + 0.5) * scale - 0.5, abs=0.51)
        assert centre[0] == pytest.approx((119.5 - at[0]) * scale - 0.5, abs=0.51)


@pytest.mark.parametrize("quarter", range(4))
@pytest.mark.parametrize("mirror", [1, -1])
def test_every_orientation_is_turned_upright(quarter, mirror):
    data = noise(30, 40)
    angle = quarter * math.pi / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = turn @ np.diag([-1.0 * mirror, 1.0])
    canvas = compose([plane(data, matrix)], 100, 100, 16).canvas
    # the brightest pixel of a corner, followed by hand
    for y, x in ((0, 0), (0, 39), (29, 0), (29, 39)):
        east, north = matrix @ np.array([x - 19.5, y - 14.5])
        ny, nx = canvas.shape
        seen = canvas[round((ny - 1) / 2 - north), round((nx - 1) / 2 - east)]
        assert seen == pytest.approx(data[y, x], rel=1e-6)


@pytest.mark.parametrize("degrees", [-44, -10, 0, 30, 44])
def test_tilt_is_that_of_north(degrees):
    angle = math.radians(degrees)  # of +y, North through East
    matrix = [[-math.cos(angle), math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    assert math.degrees(compose([plane(noise(20, 20), matrix)], 64, 64, 16).tilt) == pytest.approx(degrees)


def test_blank_pixels_are_left_out_of_the_mean():
    data = np.full((40, 40), 5.0, dtype=np.float32)
    data[::2, ::2] = np.nan
    data[1, 1] = np.inf
    data[20:, 20:] = np.nan
    for size in (10, 15, 40):
        canvas = compose([plane(data)], size, size, 16).canvas
        assert canvas[np.isfinite(canvas)] == pytest.approx(5.0, rel=1e-6)
        assert np.isnan(canvas).mean() == pytest.approx(0.25 if size < 40 else 0.25 + 0.75 / 4 + 1 / 1600, abs=0.09)


def test_two_images_stand_where_their_offsets_say():
    left, right = plane(np.full((10, 10), 1.0)), plane(np.full((10, 10), 2.0), offset=(-15.0, 3.0))
    canvas = compose([left, right], 100, 100, 16).canvas
    assert canvas.shape == (13, 25)
    assert (canvas[3:, :10] == 1.0).all()
    assert (canvas[:10, 15:] == 2.0).all()
    assert np.isnan(canvas[:, 10:15]).all()


def test_a_chip_that_is_a_little_turned_is_right_at_both_ends():
    angle = math.radians(0.5)
    matrix = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) @ UPRIGHT
    data = np.zeros((400, 1000), dtype=np.float32)
    data[200, 20] = data[200, 980] = 1.0
    turned = plane(data, matrix, origin=(499.5, 199.5))
    canvas = compose([plane(np.zeros((10, 10)), offset=(0.0, -300.0)), turned], 2000, 2000, 16).canvas
    columns = np.argwhere(canvas > 0.2)[:, 1]
    rows = np.argwhere(canvas > 0.2)[:, 0]
    east = 479.5 * math.sin(angle) * 2
    assert abs(rows[columns < 500].mean() - rows[columns > 500].mean()) == pytest.approx(960 / 959 * east, abs=1.0)


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.full((2, 2), np.nan), [[1.0, 1.0], [1.0, 1.0]]])
def test_pixels_without_size_are_refused(matrix):
    with pytest.raises(ValueError, match="no size"):
        compose([plane(noise(9, 9), matrix)], 64, 64, 16)


def test_single_bright_pixels_of_spectra_are_left_out_where_pixels_are_averaged():
    data = np.full((120, 120), 5.0, dtype=np.float32)
    data[40:42] = 50.0  # a spectral line
    line = compose([replace(plane(data), speckled=True)], 30, 30, 16).canvas
    assert line == pytest.approx(compose([plane(data)], 30, 30, 16).canvas)
    rng = np.random.default_rng(0)
    hot = data.copy()
    y, x = 3 * rng.integers(1, 39, (2, 60))
    y[(y > 38) & (y < 44)] = 6
    hot[y, x] = 1e5
    hot[2, 2] = np.nan
    assert compose([replace(plane(hot), speckled=True)], 30, 30, 16).canvas == pytest.approx(line)
    assert (
        compose([replace(plane(hot), speckled=True)], 120, 120, 16).canvas[-1 - y[0], x[0]] == 1e5
    )  # each pixel is seen
