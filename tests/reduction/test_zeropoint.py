"""The zero point of a star whose light is known."""

import numpy as np
import pytest

from elvis_cli.detection import apertures
from elvis_cli.reduction import zeropoint
from elvis_cli.reduction.combine import Stack
from elvis_cli.scene.standards import StandardStar

SIZE = 481
STAR = StandardStar("S", None, None, "K", 18.0, "vega", 0.01, "", "this test")
NOISE = 3.0


def image_of(light, halo, width):
    """Return a star of FWHM 3 pixels with a part of its light in a halo of sigma ``width``, and noise."""
    y, x = np.indices((SIZE, SIZE)) - SIZE // 2
    parts = [(1.0 - halo, 3.0 / 2.3548), (halo, width)]
    star = sum(part * np.exp(-(x**2 + y**2) / (2 * s**2)) / (2 * np.pi * s**2) for part, s in parts)
    sci = light * star + np.random.default_rng(4).normal(size=star.shape) * NOISE
    dq = np.zeros(sci.shape, np.uint32)
    return Stack(sci.astype(np.float32), np.full(sci.shape, NOISE, np.float32), dq, np.ones(sci.shape, np.float32))


def test_the_light_of_a_halo_belongs_to_the_zero_point():
    """The circle ended where its error was 0.3 %: a third of the light of a star behind adaptive optics was outside."""
    stack = image_of(4e4, 0.4, 35.0)
    zero = zeropoint.measure(stack, (SIZE // 2, SIZE // 2), STAR, "Ks", 3.0)
    assert zero.vega == pytest.approx(18.0 + 2.5 * np.log10(4e4), abs=0.08)
    assert 0.01 < zero.error < 0.04
    # magnitudes in a small circle do not depend on it: the star has its own
    from elvis_cli.detection import apertures

    at = np.array([SIZE / 2 - 0.5])
    flux = apertures.measure(stack.sci, stack.err, stack.dq == 0, at, at, 4.5, (18.0, 27.0)).flux[0]
    assert zero.vega - 2.5 * np.log10(flux) + zero.correction(4.5, zero.fwhm, (18.0, 27.0)) == pytest.approx(
        18.0, abs=0.01
    )


def test_without_a_halo_the_circle_stays_small():
    zero = zeropoint.measure(image_of(4e4, 0.0, 1.0), (SIZE // 2, SIZE // 2), STAR, "Ks", 3.0)
    assert zero.vega == pytest.approx(18.0 + 2.5 * np.log10(4e4), abs=0.01)
    assert zero.growth.radii[-1] < 40.0


def test_the_sky_is_that_of_each_circle():
    image = np.random.default_rng(3).normal(5.0, 1.0, (64, 64)).astype(np.float32)
    good, place, ring, radii = image > 3.0, (np.array([30.2]), np.array([33.1])), (15.0, 22.0), [1.0, 4.0, 9.5]
    every = apertures.measure_all(image, np.ones_like(image), good, *place, radii, ring)
    for radius, fluxes in zip(radii, every, strict=True):
        alone = apertures.measure(image, np.ones_like(image), good, *place, radius, ring)
        assert (fluxes.flux, fluxes.error, fluxes.fraction) == (alone.flux, alone.error, alone.fraction)
        assert abs(fluxes.flux[0]) < 5.0 * fluxes.error[0]
