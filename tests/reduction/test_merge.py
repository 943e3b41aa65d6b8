"""Orders joined: no steps, errors that add, ends without light left out."""

from itertools import pairwise

import numpy as np
import pytest

from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.merge import blaze_factors, merge


def order(number, low, high, density=100.0, noise=1.0, seed=None):
    """An order behind a blaze, of a source whose density is the same everywhere."""
    wave = np.linspace(low, high, 400)
    width = np.full(400, wave[1] - wave[0])
    blaze = 0.02 + np.sin(np.linspace(0.05, np.pi - 0.05, 400))
    flux = density * blaze * width
    err = noise * np.sqrt(blaze) * width
    if seed is not None:
        flux = flux + np.random.default_rng(seed).normal(0, err)
    zero = np.zeros(400)
    return Spectrum(number, 1, wave, width, flux, err, flux, err, zero, zero > 0, 0, blaze * width)


def test_orders_join_without_steps():
    orders = [order(3, 1.0, 1.2), order(2, 1.18, 1.4), order(1, 1.39, 1.6)]
    merged = merge(orders, blaze_factors(orders))
    good = merged.quality == 0
    assert good.mean() > 0.95
    inside = merged.flux[good]
    assert inside == pytest.approx(np.full(inside.size, inside.mean()), rel=0.01)
    assert (np.diff(merged.wave) > 0).all()


def test_orders_join_behind_a_lamp_of_another_colour():
    """The star is as bright in all orders, the lamp ten times as bright in the red."""
    orders = [order(3, 1.0, 1.2), order(2, 1.17, 1.4), order(1, 1.37, 1.6)]
    for one in orders:
        one.blaze = one.blaze * (one.wave / 1.6) ** 5
    factors = blaze_factors(orders)
    for blue, red in pairwise(range(3)):
        overlap = orders[blue].wave[orders[blue].wave > orders[red].wave[0] + 0.005]
        levels = [
            np.interp(overlap, orders[n].wave, orders[n].flux / orders[n].width * factors[n]) for n in (blue, red)
        ]
        inside = overlap < orders[blue].wave[-1] - 0.005
        assert levels[0][inside] == pytest.approx(levels[1][inside], rel=0.01)


def test_errors_are_those_of_the_weighted_mean():
    """Where two orders overlap the error is the smaller, and sums of ten pixels scatter by it."""
    pulls = []
    for seed in range(20):
        orders = [order(2, 1.0, 1.2, seed=2 * seed), order(1, 1.0, 1.2, seed=2 * seed + 1)]
        merged = merge(orders, blaze_factors(orders))
        alone = merge(orders[:1], blaze_factors(orders)[:1])
        middle = slice(150, 250)
        assert (merged.err[middle] < 0.75 * np.interp(merged.wave, alone.wave, alone.err)[middle]).all()
        truth = float(np.mean(merge([order(2, 1.0, 1.2)], blaze_factors(orders)[:1]).flux[middle]))
        away = (merged.flux - truth)[middle].reshape(10, 10).sum(axis=1)
        pulls.append(away / np.sqrt(np.square(merged.err[middle]).reshape(10, 10).sum(axis=1)))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


def test_what_the_standard_does_not_tell_is_left_out():
    one = order(1, 1.0, 1.2)
    response = np.where(one.wave < 1.05, np.nan, 2.0)
    merged = merge([one], [response])
    assert merged.wave[0] >= 1.05
    assert np.isfinite(merged.flux).all()
    assert merged.flux[100] == pytest.approx(2.0 * np.interp(merged.wave[100], one.wave, one.flux / one.width))


def test_the_sky_is_straight_where_no_pixel_is_good():
    """A cosmic ray on all sky pixels of some knots: the spline goes on from its neighbours, it does not run away."""
    from elvis_cli.reduction.slit_sky import spline

    at = np.repeat(np.arange(100.0), 20) + np.tile(np.linspace(0.0, 0.95, 20), 100)
    good = (at < 40) | (at > 44)
    curve, _ = spline(at, 5.0 + 0.1 * at, np.ones(at.size), good)
    place = np.arange(2.0, 98.0, 0.5)
    assert curve(place) == pytest.approx(5.0 + 0.1 * place, abs=0.05)
