"""Groups of one spectrum: they hold the light that images hold, at the velocity that it has."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.instrument import registry
from elvis_cli.light import groups as spectral
from elvis_cli.light import illumination
from elvis_cli.light.compose import Scene, compose
from elvis_cli.model.request import Brightness, Sed, Target
from elvis_cli.model.spectrograph import Aperture, Spectrograph
from elvis_cli.scene import library, spectrum
from elvis_cli.scene.component import Component, Points

SCENES = list(library.scenes())
C = 299792.458


@pytest.fixture(scope="module")
def seen(request_with):
    """Return a function that gives a request with a scene in it, its setup and its light."""
    plugin = registry.load("micado")

    def make(**more):
        request = request_with(**more)
        request = replace(
            request, keys=plugin.example()["instrument"], timing=replace(request.timing, dit=10.0, count=1)
        )
        setup = plugin.configure(request)
        return request, setup, illumination.of_target(request, setup)

    return make


def rates(scene: Scene) -> float:
    """Return all that a scene holds, electrons/s."""
    parts = [*scene.rate, *(e.rate for e in scene.extended), *(r for _, rate in scene.galaxies for r in rate)]
    return math.fsum(parts) + scene.surface


def electrons(groups, light) -> float:
    light = light.budget
    edges = bin_edges(light.wave)
    weight = light.total * light.width * light.area
    return math.fsum(rates(g.scene) * float(np.sum(spectral.density(g, edges) * weight)) for g in groups)


AT_REST = {"globular-cluster": {"dispersion": 0.0}}
"""An image leaves the velocities of single sources out."""
CASES = [
    {},
    {"target": {"morphology": {"morphologytype": "extended", "extendedtype": "infinite"}}},
    {"target": {"morphology": {"morphologytype": "extended", "extendedtype": "sersic"}}},
    {"target": {"sed": {"sedtype": "emissionline", "emissionline": {"params": {"lambda": 2160, "fwhm": 2}}}}},
    {"motion": {"rate": 10.0, "angle": 30.0}},
    {"catalogue": {"x": [0, 1, 2], "y": [0, 0, 1], "mag": [14, 15, 16], "radius": [0, 0.2, 0]}},
    *({"scene": {"name": name, **AT_REST.get(name, {})}} for name in SCENES),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case)[:60])
def test_groups_hold_the_light_of_the_image(seen, case):
    request, setup, light = seen(**case)
    whole = compose(request, light)
    groups = spectral.groups(request, setup, 1.0)
    assert electrons(groups, light) == pytest.approx(rates(whole), rel=1e-6)
    assert sum(g.scene.rate.size for g in groups) == whole.rate.size
    assert sum(len(g.scene.extended) for g in groups) >= len(whole.extended)


def test_one_spectrum_is_one_group(seen):
    request, setup, _ = seen(
        scene={"name": "companions", "companions": [{"separation": 1, "position_angle": 0, "contrast": 5}]}
    )
    (group,) = spectral.groups(request, setup, 1.0)
    assert group.scene.rate == pytest.approx([1.0, 0.01])
    assert group.target == Target(sed=request.target.sed, brightness=request.target.brightness)


class TestVelocity:
    def stars(self, monkeypatch, each, x=None, mag=None, **more):
        n = len(each)
        x = np.zeros(n) if x is None else x
        shape = Points(x, np.zeros(n), np.zeros(n) if mag is None else mag, np.zeros(n, np.int64), np.asarray(each))
        component = Component(shape, (self.LINE,), Brightness("flux", flux=1e-18), **more)
        monkeypatch.setattr(library, "components", lambda _: (component,))

    LINE = Sed("emissionline", line_wavelength=2166.0, line_fwhm=0.05)

    @pytest.mark.parametrize("velocity", [-3000.0, 0.0, 12.5, 250.0])
    def test_lines_are_where_relativity_puts_them(self, seen, monkeypatch, velocity):
        request, setup, _ = seen()
        self.stars(monkeypatch, [velocity], velocity=100.0)
        (group,) = spectral.groups(request, setup, 1.0)
        edges = np.linspace(2.12, 2.20, 80001)
        photons = spectral.density(group, edges) * np.diff(edges)
        centre = np.sum(photons * (edges[1:] + edges[:-1]) / 2) / photons.sum()
        beta = np.array([velocity, 100.0]) / C
        assert centre == pytest.approx(2.166 * math.sqrt(np.prod((1 + beta) / (1 - beta))), rel=1e-8)
        assert group.band[0] < centre < group.band[1]

    def test_few_stars_keep_their_own(self, seen, monkeypatch):
        request, setup, _ = seen()
        self.stars(monkeypatch, [0.123, 4.56, 4.56, -70.0])
        groups = spectral.groups(request, setup, 1.0)
        assert [g.scene.rate.size for g in groups] == [1, 1, 2]

    def test_many_are_binned_but_for_those_that_matter(self, seen, monkeypatch):
        request, setup, _ = seen()
        aperture = Aperture(0.0, 0.0, 2.0, 0.1)
        setup = replace(setup, spectrograph=Spectrograph((aperture,), (), 0.01))
        rng = np.random.default_rng(1)
        velocity, x = rng.normal(0.0, 20.0, 3000), rng.uniform(-20.0, 20.0, 3000)
        self.stars(monkeypatch, velocity, x)
        groups = spectral.groups(request, setup, 0.5)
        assert len(groups) <= spectral.SINGLE + spectral.MOST + 1
        at = np.concatenate([g.scene.x for g in groups])
        light = np.concatenate([g.scene.rate for g in groups]) / 10**8.0  # a magnitude of 0, the component's is 20
        shift = np.concatenate([np.full(g.scene.x.size, g.target.sed.redshift * C) for g in groups])
        order = np.argsort(x)
        x, velocity, row = x[order], velocity[order], np.searchsorted(x[order], at)
        assert np.bincount(row, light) == pytest.approx(np.ones(3000))
        mean = np.bincount(row, light * shift)
        variance = np.bincount(row, light * (shift - mean[row]) ** 2)
        distance = np.maximum(np.abs(x) - 0.05, 0.0)
        near = np.argsort(distance, kind="stable")[: spectral.SINGLE]
        assert np.abs(mean - velocity)[near].max() < 0.02  # v/c squared
        assert variance[near].max() < 1e-6
        beside = distance < spectral.FAR
        assert np.abs(mean - velocity)[beside].max() < 0.02
        assert math.sqrt(variance[beside].max()) <= 0.5 * 4 * spectral.NODE_STEPS * 0.5
        assert mean[~beside] == pytest.approx(velocity[~beside].mean(), abs=0.02)

    def test_many_spectra_at_many_velocities_end_up_somewhere(self, seen, monkeypatch):
        request, setup, _ = seen()
        rng = np.random.default_rng(1)
        seds = tuple(replace(self.LINE, line_wavelength=2160.0 + 0.1 * n) for n in range(100))
        shape = Points(*np.zeros((3, 4000)), np.arange(4000) % 100, rng.normal(0.0, 100.0, 4000))
        component = Component(shape, seds, Brightness("flux", flux=1e-18))
        monkeypatch.setattr(library, "components", lambda _: (component,))
        groups = spectral.groups(request, setup, 0.5)
        assert sum(g.scene.rate.sum() for g in groups) == pytest.approx(4000e8)
        assert 100 < len(groups) <= spectral.SINGLE + spectral.LEAST * 100

    def test_there_are_never_too_many_groups(self, seen, monkeypatch):
        request, setup, _ = seen()
        self.stars(monkeypatch, np.random.default_rng(1).normal(0.0, 200.0, 5000))
        groups = spectral.groups(request, setup, 0.01)
        assert 0.4 * spectral.MOST < len(groups) <= spectral.SINGLE + spectral.MOST


def test_a_spectrum_averaged_is_the_flux(seen):
    request, _, light = seen()
    assert spectrum.between(request.target, bin_edges(light.budget.wave)) == pytest.approx(light.target.flux, rel=1e-12)
    assert not spectrum.between(replace(request.target, sed=TestVelocity.LINE), np.array([1.0, 1.1])).any()


def test_companions_and_catalogues_move(seen):
    companion = {"separation": 1, "position_angle": 0, "contrast": 0, "velocity": 50.0}
    request, setup, _ = seen(scene={"name": "companions", "companions": [companion]})
    assert [g.target.sed.redshift * C for g in spectral.groups(request, setup, 1.0)] == pytest.approx(
        [0, 50.0], rel=1e-3
    )
    columns = {
        "x": [0, 0, 1],
        "y": [0, 0, 0],
        "mag": [15, 15, 15],
        "velocity": [-20.0, 30.0, 30.0],
        "radius": [0, 0, 0.5],
    }
    request, setup, light = seen(catalogue=columns)
    groups = spectral.groups(request, setup, 1.0)
    assert [g.target.sed.redshift * C for g in groups] == pytest.approx([-20.0, 30.0], rel=1e-3)
    assert [(g.scene.rate.size, len(g.scene.galaxies)) for g in groups] == [(1, 0), (1, 1)]
    assert electrons(groups, light) == pytest.approx(rates(compose(request, light)), rel=1e-3)
