"""The spectrum that is extracted of what falls on the pixels: apertures, the ETC's noise, Horne's weights, sums."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from elvis_cli.base.curve import Curve
from elvis_cli.model.detector import Chip, Detector
from elvis_cli.model.sampling import Sampling
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.prediction import extraction, noise

PIXEL = 0.1
DIT = 30.0


def detector(ron=5.0, dark=0.02, reads=2):
    chips = tuple(Chip(n, f"CHIP{n}", 0.0, 0.0, 0.0, 2.0, ron * n, dark * n) for n in (1, 2))
    qe = Curve(np.array([0.0, 9.0]), np.ones(2))
    return Detector("A", "ir", 99, 99, 0.018, 1, 1e5, 0.0, 65535.0, qe, chips, {}, sampling=Sampling(reads))


def samples(n=40, m=21, rate=2.0, sky=0.3, width=0.15, begin=2.0, step=1e-3, chip=1, at=0.0):
    """Return a Gaussian profile of ``width`` (sigma, arcsec) along n pixels; descending in wavelength if step < 0."""
    s = (np.arange(m) - (m - 1) / 2) * PIXEL
    edges = np.append(s - PIXEL / 2, s[-1] + PIXEL / 2) - at
    share = np.diff([0.5 * math.erf(edge / width / math.sqrt(2)) for edge in edges])
    return SimpleNamespace(
        wave=begin + step * np.arange(n),
        dispersion=np.full(n, abs(step)),
        chip=np.full(n, chip),
        s=s,
        centre=0.0,
        target=(rate * np.linspace(1.0, 2.0, n)[:, None] * share).astype(np.float32),
        background=np.full((n, m), sky, np.float32),
        enslitted=np.full(n, 0.8),
        total=np.full(n, 0.2),
    )


def extract(given, radius=0.25, made=None, order=1):
    weight = extraction.rows(given.s, PIXEL, radius)
    everything = given.target.sum(axis=1) / 0.8  # the rows have all that the aperture lets through
    return extraction.extract(order, given, weight, np.ones(given.wave.size), everything, made or detector(), DIT)


@pytest.mark.parametrize(("half", "total"), [(0.05, 1.0), (0.25, 5.0), (0.3, 6.0), (9.0, 21.0)])
def test_rows_count_the_pixels_of_a_length(half, total):
    given = extraction.rows(samples().s, PIXEL, half)
    assert given.sum() == pytest.approx(total)
    np.testing.assert_allclose(given, given[::-1], atol=1e-12)


@pytest.mark.parametrize("radius", [0.3, 0.7, 0.9])
@pytest.mark.parametrize("width", [0.05, 0.1, 0.3])
def test_slices_of_a_circle_have_its_area(radius, width):
    s = samples().s + 0.03
    centres = (np.arange(61) - 30) * width + 0.2 * width
    area = sum(extraction.disc(s, PIXEL, x, width, radius).sum() for x in centres) * PIXEL * width
    assert area == pytest.approx(math.pi * radius**2, rel=0.01)


def test_a_fibre_gives_all_or_nothing():
    s = samples().s
    fibre = Aperture(0.0, 0.0, 1.0, 1.0, fibre=True)
    for place, inside in (((0.3, 0.3), 1.0), ((0.5, 0.5), 0.0)):  # of a fibre with a radius of 0.5
        assert set(extraction.weights(fibre, s, place, PIXEL, 0.05, ifu=False)) == {inside}
    assert set(extraction.weights(fibre, s, (0.5, 0.5), PIXEL, 0.8, ifu=False)) == {1.0}


@pytest.mark.parametrize("reads", [2, 16])
def test_the_ratio_is_the_etc_s(reads):
    made = detector(reads=reads)
    found = extract(samples(), made=made)
    for n in (0, 20, 39):
        expected = noise.ratio(found.target[n], 5 * (0.3 + 0.02) * DIT, 5 * 5.0**2, made.sampling.shot)
        assert found.single[n] == pytest.approx(expected, rel=1e-6)
        rms = found.noise()["total"][n]
        assert found.target[n] / rms == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(found.npix, 5.0)
    np.testing.assert_allclose(found.encircled, 0.8 * math.erf(2.5 * PIXEL / 0.15 / math.sqrt(2)), rtol=1e-5)


def test_optimal_extraction_measures_what_is_predicted():
    """Of noisy spectra with known profile and variance, Horne's estimate scatters as predicted."""
    given, made = samples(n=200, rate=4.0), detector()
    found = extract(given, made=made)
    random = np.random.Generator(np.random.PCG64(1))
    target, level = given.target * DIT, (given.target + given.background + 0.02) * DIT
    variance = level + 25.0
    ratios = []
    for _ in range(300):
        data = random.poisson(level) + random.normal(0.0, 5.0, level.shape) - (level - target)
        ratios.append((target * data / variance).sum(axis=1) / (target**2 / variance).sum(axis=1))
    measured = np.mean(ratios, axis=0) / np.std(ratios, axis=0)
    assert np.median(measured / np.sqrt(found.ideal)) == pytest.approx(1.0, abs=0.02)
    assert np.all(np.sqrt(found.ideal) > found.single)  # no aperture does better


def test_without_background_and_read_noise_all_pixels_count():
    found = extract(samples(sky=0.0), radius=9.0, made=detector(ron=0.0, dark=0.0))
    np.testing.assert_allclose(np.sqrt(found.ideal), np.sqrt(found.target), rtol=1e-5)
    np.testing.assert_allclose(found.single, np.sqrt(found.target), rtol=1e-5)


def test_pixels_have_the_noise_of_their_chip_and_none_off_it():
    given = samples()
    given.chip = np.repeat([1, 0, 2], [15, 10, 15])
    found = extract(given)
    ron = found.noise()["ron"]
    np.testing.assert_allclose(ron, np.sqrt(5.0) * np.repeat([5.0, 0.0, 10.0], [15, 10, 15]))
    np.testing.assert_allclose(found.dark, 5 * DIT * np.repeat([0.02, 0.0, 0.04], [15, 10, 15]))
    off = found.chip == 0
    assert off.sum() == 10
    for values in (found.target, found.single, found.ideal, found.peak):
        assert not values[off].any()
        assert values[~off].all()


def test_wavelengths_ascend_whichever_way_the_chip_looks():
    up, down = extract(samples(rate=1.0)), extract(samples(rate=1.0, begin=2.039, step=-1e-3))
    np.testing.assert_allclose(up.wave, down.wave)
    np.testing.assert_allclose(up.target, down.target[::-1], rtol=1e-6)
    np.testing.assert_allclose(down.dispersion, 1e-3)


def test_the_aperture_is_about_the_target():
    here, there = samples(), samples()
    there.s, there.centre = there.s + 1.7, 1.7
    (profile,) = extract(there).profiles
    np.testing.assert_allclose(profile.s, here.s, atol=1e-12)
    assert profile.share.sum() == pytest.approx(1.0)
    assert profile.share.argmax() == 10


def test_two_equal_slices_are_one_with_twice_the_light():
    one = extract(samples(sky=0.2, rate=3.0))
    both = extraction.add([one, extract(samples(sky=0.2, rate=3.0))])
    for name in ("target", "sky", "dark", "ron2", "npix", "ideal", "encircled", "enslitted"):
        np.testing.assert_allclose(getattr(both, name), 2 * getattr(one, name), rtol=1e-6)
    np.testing.assert_allclose(both.single, math.sqrt(2) * one.single, rtol=1e-6)


def test_a_sum_does_not_depend_on_the_pixels_of_the_other_slice():
    """A slice with pixels half as wide, from elsewhere, has half the light in each: the sum has it all."""
    main = extract(samples(n=100, rate=3.0, begin=2.0, step=1e-3))
    fine = samples(n=400, rate=1.0, begin=1.9503, step=5e-4)
    fine.target[:] = fine.target[0] / 2
    both = extraction.add([extract(fine), main])
    per_pixel = 2 * extract(fine).target[0]
    np.testing.assert_allclose((both.target - main.target)[5:-5], per_pixel, rtol=1e-4)
    np.testing.assert_allclose(both.npix[5:-5], 5 + 10)


def test_where_the_other_slice_is_not_it_adds_nothing():
    main, other = extract(samples(n=100, rate=3.0)), extract(samples(n=30, begin=2.02))
    both = extraction.add([main, other])
    np.testing.assert_array_equal(both.target[:19], main.target[:19])
    np.testing.assert_array_equal(both.npix[51:], 5.0)
    np.testing.assert_allclose(both.npix[21:49], 10.0)


def test_in_the_gap_of_the_other_slice_it_adds_nothing():
    main = extract(samples(n=100, rate=3.0))
    left, right = extract(samples(n=30)), extract(samples(n=30, begin=2.06, chip=2))
    both = extraction.add([main, extraction.join([right, left])])
    np.testing.assert_allclose(both.npix[1:29], 10.0)
    np.testing.assert_allclose(both.npix[31:59], 5.0)
    np.testing.assert_allclose(both.npix[61:89], 10.0)


def test_joined_orders_keep_every_pixel():
    a, b = extract(samples(n=10)), extract(samples(n=20, begin=3.0), order=2)
    both = extraction.join([a, b])
    np.testing.assert_array_equal(both.single, np.concatenate([a.single, b.single]))
    assert both.where(both.wave > 2.5).wave.size == 20
