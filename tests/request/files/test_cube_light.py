"""The light of a cube: conserved, and as bright as the request says, in any of its channels."""

import math

import numpy as np
import pytest

from elvis_cli.base.constants import LIGHT, PLANCK
from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.light import groups, illumination
from elvis_cli.light.compose import compose
from elvis_cli.scene import bands, library
from elvis_cli.scene.component import Cube
from tests.request.files.test_cube import block, galaxy, request, seen


class TestLight:
    @pytest.mark.parametrize("target", [{}, {"sed": {"extinctionav": 5.0, "redshift": {"redshift": 0.01}}}])
    def test_a_cube_is_as_bright_as_the_target(self, target):
        wave, cube = galaxy()
        made, _, _ = seen(mag=15.0, elvis={"cube": block(wave, cube)}, **target)
        (component,) = library.components(made)
        band = bands.load("K")
        near = np.linspace(1.9, 2.5, 6001)
        flux = sum(np.interp(near, *np.array(sed.uploaded), left=0, right=0) for sed in component.seds)
        assert -2.5 * math.log10(band.integral(near, flux) / band.zero_point("vega")) == pytest.approx(15.0, abs=0.002)

    def test_images_and_spectra_hold_the_same(self):
        wave, cube = galaxy()
        made, setup, light = seen(elvis={"cube": block(wave, cube)})
        (whole,) = compose(made, light).extended
        assert whole.rate == pytest.approx(light.target.rate, rel=1e-4)
        budget = light.budget
        edges, weight = bin_edges(budget.wave), budget.total * budget.width * budget.area
        total = np.zeros((24, 30))
        for group in groups.groups(made, setup, 1.0):
            (part,) = group.scene.extended
            rate = part.rate * float(np.sum(groups.density(group, edges) * weight))
            total += rate * part.shape.image / part.shape.image.sum()
            assert group.band[0] >= 1.9
            assert group.band[1] - group.band[0] <= 0.0041
        assert total.sum() == pytest.approx(whole.rate, rel=1e-6)
        assert total == pytest.approx(whole.shape.image, rel=1e-4)

    def test_every_place_has_its_own_spectrum(self):
        wave, cube = galaxy()
        made, setup, _ = seen(elvis={"cube": block(wave, cube)})
        edges = np.linspace(1.9, 2.5, 1201)
        spectrum = np.zeros((1200, 24, 30))
        for group in groups.groups(made, setup, 1.0):
            image = group.scene.extended[0].shape.image
            rate = group.scene.extended[0].rate / image.sum(dtype=float)
            spectrum += groups.density(group, edges)[:, None, None] * (rate * image)
        middle = (edges[1:] + edges[:-1]) / 2
        wanted = np.apply_along_axis(lambda f: np.interp(middle, wave, f * wave), 0, cube)
        low, high = setup.optics.band
        seen_here = ((middle > low + 0.004) & (middle < high - 0.004))[:, None, None]
        inside = seen_here & (wanted > 0.01 * wanted.max())
        ratio = spectrum[inside] / wanted[inside]
        assert ratio == pytest.approx(ratio.mean(), rel=0.01)

    def test_a_flux_is_that_of_all_of_it(self):
        wave, cube = galaxy()
        document = {"brightness": {"brightnesstype": "flux", "flux": 1e-15}}
        _, _, light = seen(elvis={"cube": block(wave, cube)}, **document)
        at, width = light.budget.wave, light.budget.width
        energy = np.sum(light.target.flux * width * PLANCK * LIGHT / (at * 1e-6))
        part = np.trapezoid(cube.sum(axis=(1, 2))[(wave > at[0]) & (wave < at[-1])])
        assert energy == pytest.approx(1e-15 * part / np.trapezoid(cube.sum(axis=(1, 2))), rel=0.01)

    def test_an_absolute_cube_may_be_scaled(self):
        wave, cube = galaxy()
        kept, scaled = (request(elvis={"cube": block(wave, 1e-17 * cube, absolute=a)}) for a in (True, False))
        assert kept.target.brightness.flux == pytest.approx(1e-17 * np.trapezoid(cube.sum(axis=(1, 2)), wave), rel=1e-6)
        assert scaled.target.brightness == request().target.brightness

    def test_noise_about_zero_adds_no_light(self):
        """In spectra and images, with channels whose elements cancel exactly."""
        wave, clean = galaxy()
        noise = np.random.default_rng(2).normal(0.0, 0.3 * clean.mean(), clean.shape)
        noisy = clean + noise - noise.mean(axis=(1, 2), keepdims=True)
        noisy[10] = np.where(np.indices((24, 30)).sum(axis=0) % 2, 1.0, -1.0)
        clean[10] = 0.0
        rates = []
        for cube in (clean, noisy):
            made, setup, light = seen(elvis={"cube": block(wave, cube)})
            whole = compose(made, light).extended[0]
            assert whole.rate == pytest.approx(float(whole.shape.image.sum(dtype=float)), rel=1e-5)
            rates.append(whole.rate)
            budget = light.budget
            edges, weight = bin_edges(budget.wave), budget.total * budget.width * budget.area
            spectral = sum(
                group.scene.extended[0].rate * float(np.sum(groups.density(group, edges) * weight))
                for group in groups.groups(made, setup, 1.0)
            )
            assert spectral == pytest.approx(whole.rate, rel=1e-4)
        assert rates[1] == pytest.approx(rates[0], rel=1e-3)

    def test_channels_that_are_not_seen_are_left_out(self):
        wave, cube = galaxy()
        made, setup, _ = seen(elvis={"cube": block(wave, cube)})
        low, high = setup.optics.band
        for group in groups.groups(made, setup, 1.0):
            assert group.band[1] > low
            assert group.band[0] < high

    def test_dark_channels_are_no_groups(self):
        wave, cube = galaxy()
        cube[100:200] = 0
        made, setup, light = seen(elvis={"cube": block(wave, cube)})
        assert isinstance(library.components(made)[0].shape, Cube)
        assert all(np.isfinite(group.scene.extended[0].rate) for group in groups.groups(made, setup, 1.0))
        assert compose(made, light).extended[0].rate == pytest.approx(light.target.rate, rel=1e-4)


def test_the_outer_halves_of_few_channels_are_as_bright_as_the_inner():
    """Three channels of 0.1 um are light from 2.05 to 2.35 um: of W/m2/um, not of photons."""
    wave = np.array([2.1, 2.2, 2.3])
    made, setup, _ = seen(elvis={"cube": block(wave, np.full((3, 4, 4), 1e-17), absolute=True)})
    assert made.target.brightness.flux == pytest.approx(16e-17 * 0.3, rel=1e-6)
    edges = np.linspace(2.06, 2.34, 57)
    middle = (edges[1:] + edges[:-1]) / 2
    light = sum(
        group.scene.extended[0].rate * groups.density(group, edges) for group in groups.groups(made, setup, 1.0)
    )
    whole = compose(made, illumination.of_target(made, setup)).extended[0].rate
    ratio = light / (middle * (1e-6 / (PLANCK * LIGHT)) * 16e-17)
    assert ratio == pytest.approx(np.full(middle.size, ratio[28]), rel=0.01)
    assert whole > 0
