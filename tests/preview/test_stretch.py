"""Limits and curves."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from elvis_cli.preview import stretch
from elvis_cli.preview.stretch_kind import StretchKind


@pytest.fixture
def frame():
    """Sky with noise, two stars, hot and dead pixels."""
    rng = np.random.default_rng(3)
    image = rng.normal(1000.0, 10.0, (300, 400))
    y, x = np.mgrid[:300, :400]
    for flux, at in ((5e4, (100, 200)), (2e3, (250, 30))):
        image += flux * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / 8.0)
    image[rng.integers(0, 300, 50), rng.integers(0, 400, 50)] = 1e7
    image[rng.integers(0, 300, 50), rng.integers(0, 400, 50)] = 0.0
    return image.astype(np.float32)


@pytest.mark.parametrize("kind", StretchKind)
def test_level_and_value_are_inverse_and_monotonic(kind):
    curve = stretch.Stretch(kind, 3.0, 5000.0, 20.0)
    values = np.linspace(3.0, 5000.0, 1001)
    level = curve.level(values.astype(np.float32))
    assert (np.diff(level) > 0).all()
    assert level[0] == pytest.approx(0.0, abs=1e-6)
    assert level[-1] == pytest.approx(1.0, abs=1e-6)
    assert [curve.value(float(each)) for each in level] == pytest.approx(values, rel=2e-4, abs=0.01)
    beyond = curve.level(np.array([-1e9, 1e9, np.nan], dtype=np.float32))
    assert beyond[0] == 0.0
    assert beyond[1] == 1.0
    assert np.isnan(beyond[2])


def test_robust_limits_do_not_see_hot_and_dead_pixels(frame):
    shown = stretch.fit(frame, StretchKind.ASINH)
    assert 970.0 < shown.low < 985.0  # two sigma below the sky
    assert 1.8e4 < shown.high < 3.2e4  # most of the brightest star
    assert 3e4 < stretch.fit(frame, StretchKind.LOG).high < 5.2e4
    sky = shown.level(np.array([1000.0], dtype=np.float32))[0]
    assert 0.03 < sky < 0.2
    linear = stretch.fit(frame, StretchKind.LINEAR)
    assert 1050.0 <= linear.high < 2000.0


def test_limits_of_a_huge_background():
    rng = np.random.default_rng(0)
    frame = rng.normal(4e6, 2e3, (200, 200)).astype(np.float32)
    frame[90:96, 90:96] += 1e5
    shown = stretch.fit(frame, StretchKind.ASINH)
    levels = shown.level(frame)
    assert 0.05 < np.median(levels) < 0.35
    assert levels[92, 92] > 0.9


def test_enlarged_hot_pixels_do_not_count_either(frame):
    big = np.repeat(np.repeat(frame, 3, axis=0), 3, axis=1)
    assert stretch.fit(big, StretchKind.ASINH, pixel=3).high == pytest.approx(
        stretch.fit(frame, StretchKind.ASINH).high, rel=1e-6
    )


def test_logarithm_of_what_has_no_sky():
    y, x = np.mgrid[-100:100, -100:100]
    wings = (1.0 / (1.0 + x**2 + y**2) ** 2).astype(np.float32)
    shown = stretch.fit(wings, StretchKind.LOG)
    assert 0.0 < shown.low <= np.quantile(wings, 0.05)
    assert shown.high == pytest.approx(1 / 9)  # what two by two pixels reach
    noise = np.random.default_rng(0).normal(0.0, 5.0, (100, 100)).astype(np.float32)
    assert 1.0 < stretch.fit(noise, StretchKind.LOG).low < 5.0


@pytest.mark.parametrize("kind", StretchKind)
@pytest.mark.parametrize("value", [0.0, -7.0, 65535.0, 1e37, -3e38, 1e-40, np.nan, np.inf])
def test_flat_images(kind, value):
    for limits in (None, "zscale"):
        shown = stretch.fit(np.full((9, 9), value, dtype=np.float32), kind, limits)
        assert shown.low < shown.high
        assert shown.soft > 0.0
        if kind is StretchKind.LOG:
            assert shown.low > 0.0


def test_zscale_is_that_of_iraf(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from astropy.visualization import ZScaleInterval
    for image in (frame, np.arange(5000.0), np.random.default_rng(1).gamma(0.3, 100.0, (90, 90))):
        expected = ZScaleInterval().get_limits(image)
        assert stretch.zscale(np.asarray(image, dtype=float).ravel()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_spectra_show_dark_sky_lines_and_star(share):
    """Sky, ten times its noise, on a small or a large part; a star that is bright or faint."""
    rng = np.random.default_rng(2)
    image = rng.normal(0.0, 3.0, (300, 400)).astype(np.float32)
    lit = slice(0, round(300 * share))
    image[lit] += 300.0
    image[lit, 50::40] += 100.0  # sky lines
    image[5] += 3000.0
    shown = stretch.fit(image, StretchKind.ASINH, spectra=True)
    level = shown.level(np.array([0.0, 300.0, 330.0, 400.0, 3000.0], dtype=np.float32))
    assert level[0] < 0.12
    assert np.diff(level).min() > 0.01
    assert level[3] - level[1] > 0.04
    assert level[4] > 0.9
    assert -20.0 < shown.low < 0.0


@pytest.mark.parametrize("kind", StretchKind)
def test_limits_lie_within_the_data(kind):
    """Charge is injected into most rows: their level is the commonest, the bias that of the others."""
    image = np.random.default_rng(4).normal(2000.0, 3.0, (200, 100)).astype(np.float32)
    image[:150] += 8800.0
    shown = stretch.fit(image, kind)
    assert image.min() <= shown.low < 2010.0
    assert 10800.0 < shown.high <= image.max()


def test_limits_of_negative_values_with_one_above_zero():
    image = np.random.default_rng(5).normal(-1000.0, 300.0, (50, 50)).astype(np.float32)
    image[3, 3] = 1.0
    shown = stretch.fit(image, StretchKind.LOG)
    assert 0.0 < shown.low < shown.high
