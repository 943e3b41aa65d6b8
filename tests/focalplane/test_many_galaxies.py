"""Many galaxies at once: light, place, shape, and agreement with points of light drawn one by one."""

import json
import math

import numpy as np
import pytest
from scipy.special import gammaincinv

from elvis_cli import pipeline
from elvis_cli.base import parallel
from elvis_cli.focalplane import convolution, imager, many_galaxies
from elvis_cli.focalplane.many_galaxies import Profiles
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.scene.sersic import Sersic


@pytest.fixture(scope="module")
def ready():
    return pipeline.prepare(parse.read(json.dumps(registry.load("euclid-vis").example())))


def profiles(*rows):
    """Profiles of rows (x, y, rate, radius, index, ratio, angle)."""
    return Profiles(*np.array(rows, float).T)


def drawn(ready, made, shape=(256, 256)):
    image = np.zeros(shape, np.float32)
    many_galaxies.draw(image, made, ready.renderer.psf, ready.setup.detector.chips[0])
    return image


@pytest.mark.parametrize(
    ("radius", "index", "ratio"), [(0.3, 1.0, 0.8), (1.0, 0.5, 0.6), (3.0, 1.0, 1.0), (3.0, 4.0, 0.7), (4.0, 1.0, 0.2)]
)
def test_it_is_what_many_points_of_light_give(ready, radius, index, ratio):
    """The sum of 10 000 stars that share the light as the profile does."""
    x, y, angle, count = 24.3, 23.8, 0.6, 10_000
    image = drawn(ready, profiles((x, y, 1.0, radius, index, ratio, angle)), (48, 48))
    n = np.arange(count)
    turn = n * math.pi * (3 - math.sqrt(5))
    share = (n + 0.5) / count * many_galaxies.LIGHT
    r = radius * (gammaincinv(2 * index, share) / gammaincinv(2 * index, 0.5)) ** index
    major, minor = r * np.cos(turn), r * np.sin(turn) * ratio
    cos, sin = math.cos(angle), math.sin(angle)
    expected, one = np.zeros((48, 48)), np.zeros((48, 48), np.float32)
    for dx, dy in zip(major * cos - minor * sin, major * sin + minor * cos, strict=True):
        one[:] = 0
        convolution.add_star(one, x + dx, y + dy, 1 / count, ready.renderer.psf, ready.setup.detector.chips[0], 0)
        expected += one
    assert np.abs(image - expected).sum() < 0.021
    assert image.max() == pytest.approx(expected.max(), rel=0.007)


@pytest.mark.parametrize("index", [0.5, 1.0, 2.0, 4.0])
def test_flux_is_kept(ready, index):
    """All light is in a wide frame, but what the PSF and the profile have farther out."""
    image = drawn(ready, profiles((1024.2, 1023.9, 1e4, 3.0, index, 0.6, 1.0)), (2048, 2048))
    star = np.zeros((2048, 2048), np.float32)
    convolution.add_star(star, 1024.2, 1023.9, 1e4, ready.renderer.psf, ready.setup.detector.chips[0], 0)
    assert image.sum(dtype=float) == pytest.approx(star.sum(dtype=float), rel=1e-3)


def test_half_of_the_light_is_within_the_half_light_radius(ready):
    """So large that the PSF matters little."""
    x = y = 1024.0
    image = drawn(ready, profiles((x, y, 1.0, 150.0, 1.0, 0.5, 0.0)), (2048, 2048)).astype(float)
    columns, rows = np.meshgrid(np.arange(2048) - x, np.arange(2048) - y)
    inside = columns**2 + (rows / 0.5) ** 2 <= 150.0**2
    assert image[inside].sum() == pytest.approx(0.5, abs=0.01)


def test_place_and_angle(ready):
    angle = math.radians(30)
    image = drawn(ready, profiles((120.4, 130.7, 1.0, 6.0, 1.0, 0.4, angle))).astype(float)
    rows, columns = np.mgrid[:256, :256]
    near = np.hypot(rows - 130.7, columns - 120.4) < 40
    weight = image * near / (image * near).sum()
    x, y = (weight * columns).sum(), (weight * rows).sum()
    assert (x, y) == (pytest.approx(120.4, abs=0.02), pytest.approx(130.7, abs=0.02))
    xx, yy = (weight * (columns - x) ** 2).sum(), (weight * (rows - y) ** 2).sum()
    xy = (weight * (columns - x) * (rows - y)).sum()
    assert 0.5 * math.atan2(2 * xy, xx - yy) == pytest.approx(angle, abs=0.01)


def test_together_they_are_the_sum(ready):
    rows = [
        (100.0, 90.0, 3.0, 2.0, 1.0, 0.5, 0.3),
        (250.0, 60.0, 5.0, 5.0, 4.0, 0.8, 2.0),
        (-20.0, 255.0, 9.0, 30.0, 2.0, 0.7, 1.0),
    ]
    parts = sum(drawn(ready, profiles(row)).astype(float) for row in rows)
    assert np.abs(drawn(ready, profiles(*rows)) - parts).max() < 1e-4 * parts.max()


def test_strips_and_threads_leave_no_seam(ready, monkeypatch):
    rng = np.random.default_rng(2)
    n = 60
    made = Profiles(
        rng.uniform(-20, 276, n), rng.uniform(-20, 276, n), rng.uniform(1, 9, n), rng.uniform(0.5, 9, n),
        rng.uniform(0.6, 4, n), rng.uniform(0.3, 1, n), rng.uniform(0, 3, n),
    )  # fmt: skip
    usual = drawn(ready, made)
    parallel.set_threads(1)
    try:
        assert np.array_equal(drawn(ready, made), usual)
    finally:
        parallel.set_threads(0)
    monkeypatch.setattr(many_galaxies, "STRIP", 64)
    assert np.allclose(drawn(ready, made), usual, atol=1e-5 * usual.max())


class TestCatalogue:
    def request(self, **columns):
        document = registry.load("euclid-vis").example()
        window = {"x0": 1948, "y0": 1966, "nx": 200, "ny": 200}
        document = {
            **document,
            "elvis": {"offset": [211, 239], "window": window, "product": "expected", "catalogue": columns},
        }
        return document

    def rate(self, document):
        ready = pipeline.prepare(parse.read(json.dumps(document)))
        return ready.renderer.illuminate(ready.setup.detector.chip(34), ready.setup.frame.window).astype(float), ready

    def test_a_galaxy_has_the_light_of_a_star(self):
        star, _ = self.rate(self.request(x=[0], y=[0], mag=[18]))
        galaxy, ready = self.rate(self.request(x=[0], y=[0], mag=[18], radius=[0.3]))
        level = ready.renderer.light.budget.background_rate
        assert (galaxy - level).sum() == pytest.approx((star - level).sum(), rel=0.01)
        assert galaxy.max() < 0.5 * star.max()

    def test_mixed(self):
        made, ready = self.rate(
            self.request(
                x=[-5, 5], y=[0, 0], mag=[18, 18], radius=[0, 0.4], ellipticity=[0, 0.5], angle=[0, 20], id=[7, 9]
            )
        )
        sources = ready.renderer.scene.sources
        assert sources.name.tolist() == ["star", "galaxy"]
        assert sources.id.tolist() == [7, 9]
        assert ready.renderer.scene.x.size == 1
        level = ready.renderer.light.budget.background_rate
        west, east = (made[:, 100:] - level).sum(), (made[:, :100] - level).sum()
        assert west == pytest.approx(east, rel=0.02)

    def test_the_angle_is_that_on_the_sky(self):
        """North through East: at position angle 0 East is to the left, so it turns counter-clockwise from +y."""
        made, ready = self.rate(self.request(x=[0], y=[0], mag=[18], radius=[1.0], ellipticity=[0.6], angle=[30]))
        made -= ready.renderer.light.budget.background_rate
        made = made[::-1, ::-1]  # CCD 3-4 is turned by 180 deg, which leaves an angle as it is
        rows, columns = np.mgrid[:200, :200] - 99.5
        near = np.hypot(rows, columns) < 60
        xx, yy, xy = (float((made * near * a).sum()) for a in (columns**2, rows**2, rows * columns))
        assert math.degrees(0.5 * math.atan2(2 * xy, xx - yy)) % 180 == pytest.approx(120, abs=1)


@pytest.mark.parametrize("name", ["fors", "hawki", "micado"])
def test_it_is_the_same_for_every_kind_of_psf(name):
    """Well sampled, a galaxy among many is the one that is drawn alone."""
    document = registry.load(name).example()
    ready = pipeline.prepare(parse.read(json.dumps({**document, "elvis": {}})))
    spread, chip = ready.renderer.psf, ready.setup.detector.chips[0]
    many, alone = np.zeros((2, 200, 200), np.float32)
    many_galaxies.draw(many, profiles((99.3, 102.1, 1.0, 8.0, 1.0, 0.7, 0.5)), spread, chip)
    imager.add_profile(alone, 99.3, 102.1, 1.0, Sersic(1.0, 8.0, 0.3, 0.5), spread, chip)
    assert np.abs(many - alone).sum() < 0.012
    assert many.sum() == pytest.approx(alone.sum(), rel=2e-3)
