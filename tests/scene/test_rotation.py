"""Rotation: Kepler's law element by element, the line's flux, its mean velocity, its width, its turn on the sky."""

import math

import numpy as np
import pytest

from elvis_cli.model.request import Sed
from elvis_cli.scene import library, rotation, spectrum
from elvis_cli.scene.component import Cube, Picture
from elvis_cli.scene.generators.protoplanetary_disc import receding

C = 299792.458
LINE = {"wavelength": 2166.12, "flux": 1e-17, "width": 3.0}


def moments(cube: Cube, seds: tuple[Sed, ...], rest: float = LINE["wavelength"]) -> tuple[np.ndarray, np.ndarray]:
    """Return light and mean velocity (km/s) of every element."""
    ratio = np.array([sed.line_wavelength * (1 + sed.redshift) for sed in seds]) / rest
    velocity = C * (ratio**2 - 1) / (ratio**2 + 1)
    light = cube.images.sum(axis=0, dtype=float)
    return light, np.tensordot(velocity, cube.images, 1) / np.where(light > 0, light, 1)


def disc(request_with, position_angle=0.0, **parameters):
    scene = {"name": "protoplanetary-disc", "lines": [LINE], "position_angle": position_angle, **parameters}
    return library.components(request_with(scene=scene))


def test_earth():
    assert rotation.kepler(np.array([1.0, 30.07]), 1.0) == pytest.approx([29.785, 5.43], abs=0.005)
    gravity, au = 1.32712440018e20, 1.495978707e11
    assert pytest.approx(math.sqrt(gravity / au) / 1e3, rel=1e-6) == rotation.EARTH_ORBITAL_VELOCITY


class TestDisc:
    @pytest.mark.parametrize("inclination", [20.0, 60.0])
    def test_keplers_law(self, request_with, inclination):
        mass, distance = 1.7, 120.0
        *_, line = disc(request_with, inclination=inclination, mass=mass, distance=distance, inner_radius=0.1, rings=[])
        light, velocity = moments(line.shape, line.seds)
        count, scale = light.shape[0], line.shape.scale
        y, x = (np.indices(light.shape) - (count - 1) / 2) * scale
        radius = np.hypot(y, x / math.cos(math.radians(inclination)))
        along = (abs(x) < scale) & (light > 0)  # the major axis
        orbit = np.sqrt(1.32712440018e20 * mass / (radius[along] * distance * 1.495978707e11)) / 1e3
        wanted = np.sign(y[along]) * orbit * math.sin(math.radians(inclination))
        assert velocity[along] == pytest.approx(wanted, rel=0.01, abs=0.02)
        minor = (abs(y) < scale) & (light > 0)
        assert np.abs(velocity[minor]).max() < 0.1 * orbit.max()

    def test_a_position_angle_is_that_of_the_receding_side(self, request_with):
        *_, line = disc(request_with, position_angle=30.0)
        assert line.shape.angle == 30.0  # of the picture's +y, where the light recedes
        light, velocity = moments(line.shape, line.seds)
        assert velocity[light.shape[0] * 3 // 4, light.shape[0] // 2] > 1.0

    def test_rings_are_in_the_line_as_in_the_dust(self, request_with):
        rings = [{"radius": 0.5, "width": 0.1, "depth": 1.0}]
        _, dust, line = disc(request_with, rings=rings, asymmetry=0.0, inclination=0.0)
        light, _ = moments(line.shape, line.seds)
        image = dust.shape.image
        middle = image.shape[0] // 2, light.shape[0] // 2
        for radius, gap in ((0.5, True), (0.3, False), (0.7, False)):
            share = [im[m, m + round(radius / s)] / im.max() for im, m, s in
                     ((image, middle[0], dust.shape.scale), (light, middle[1], line.shape.scale))]  # fmt: skip
            assert share[0] == pytest.approx(share[1], rel=0.1, abs=1e-4)
            assert (share[0] < 1e-4) == gap

    def test_flux_and_centroid_of_the_whole(self, request_with):
        *_, line = disc(request_with, mass=3.0)
        edges = np.linspace(2.160, 2.172, 24001)
        total = sum(
            share * spectrum.between(spectrum.Target(sed=sed, brightness=line.brightness), edges) * np.diff(edges)
            for sed, share in zip(line.seds, line.shape.images.sum(axis=(1, 2), dtype=float), strict=True)
        )
        photon = 6.62607015e-34 * 299792458 / 2.16612e-6
        assert total.sum() * photon == pytest.approx(1e-17, rel=1e-4)
        centroid = np.sum(total * (edges[1:] + edges[:-1]) / 2) / total.sum()
        assert abs(centroid / 2.16612 - 1) * C < 0.02

    def test_redshift_moves_the_line(self, request_with):
        target = {"sed": {"redshift": {"redshift": 0.01}}}
        scene = {"name": "protoplanetary-disc", "lines": [LINE], "inclination": 0.0}
        *_, line = library.components(request_with(scene=scene, target=target))
        assert len(line.seds) == 1
        assert line.seds[0].redshift == pytest.approx(0.01)

    def test_no_line_is_no_component(self, request_with):
        assert len(library.components(request_with(scene={"name": "protoplanetary-disc"}))) == 2


class TestPlanes:
    def test_light_and_mean_velocity_stay(self):
        rng = np.random.default_rng(3)
        shares, velocity = rng.random((30, 40)).astype(np.float32), rng.normal(0.0, 50.0, (30, 40))
        steps, images = rotation.planes(shares, velocity, 10.0)
        assert len(steps) <= rotation.MAX_VELOCITY_STEPS
        assert images.sum(axis=0) == pytest.approx(shares, rel=1e-5)
        assert np.tensordot(steps, images, 1) / shares == pytest.approx(velocity, abs=2e-4)
        assert (images >= 0).all()

    @pytest.mark.parametrize("width", [0.01, 5.0])
    def test_lines_are_smooth_and_as_wide_as_they_can_be(self, width):
        """A ring: light from -v to v without ripples, even where its steps are wider than the line."""
        velocity = np.linspace(-100.0, 100.0, 4001)[None]
        picture = Picture(np.ones((1, 4001), np.float32), 0.01, 0.0, 0.0)
        (line,) = rotation.lines(picture, velocity, Sed(), [{**LINE, "width": width}])
        assert len(line.seds) <= rotation.MAX_VELOCITY_STEPS
        v = np.linspace(-80.0, 80.0, 3201)
        edges = 2.16612 * (1 + v / C)
        total = sum(
            share * spectrum.between(spectrum.Target(sed=sed, brightness=line.brightness), edges)
            for sed, share in zip(line.seds, line.shape.images.sum(axis=(1, 2), dtype=float), strict=True)
        )
        assert total == pytest.approx(total.mean(), rel=0.003)


def test_receding_is_kepler_times_sine():
    field = receding(101, 2.0, 90.0 - 1e-9, 1.0)
    assert field[100, 50] == pytest.approx(29.785 / 10.0, rel=1e-3)
    assert field[0, 50] == pytest.approx(-29.785 / 10.0, rel=1e-3)
