"""Many galaxies at once: light, place, shape, and agreement with points of light drawn one by one."""

import json
import math

import numpy as np
import pytest
from scipy import fft, signal

from elvis_cli import pipeline
from elvis_cli.base import parallel
from elvis_cli.base.overlap import aperture_sum
from elvis_cli.focalplane import convolution, many_galaxies
from elvis_cli.focalplane.geometry import rotate_stamp
from elvis_cli.focalplane.many_galaxies import Profiles
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from elvis_cli.scene import sersic


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


FINER = 6
"""Elements of the reference per sample of the PSF's fine grid."""
SIZE, AROUND = 24, 12
"""Pixels of the reference, and those around it whose light it has."""


@pytest.fixture(scope="module")
def fine_psf(ready):
    """The PSF of pixel-wide light on a fine grid, band-limited between its samples; the star is at its middle."""
    psf = ready.renderer.psf
    fine = rotate_stamp(psf.fine[0], ready.setup.detector.chips[0]).astype(float)
    half, middle = (SIZE + AROUND) * psf.oversample, len(fine) // 2
    spectrum = fft.fftshift(fft.fft2(fine[middle - half : middle + half, middle - half : middle + half]))
    return fft.ifft2(fft.ifftshift(np.pad(spectrum, half * (FINER - 1)))).real * FINER**2


def reference(psf, pitch, x, y, radius, index, ratio, angle):
    """Return (SIZE, SIZE) pixels of a profile of 300 000 points of light on the fine grid, ``pitch`` to a pixel."""
    n = np.arange(300_000)
    turn = n * math.pi * (3 - math.sqrt(5))
    r = radius * sersic.radius_of(np.array(index), (n + 0.5) / n.size)
    major, minor = r * np.cos(turn), r * np.sin(turn) * ratio
    cos, sin = math.cos(angle), math.sin(angle)
    places = (y + major * sin + minor * cos) * pitch, (x + major * cos - minor * sin) * pitch
    edges = np.arange(-AROUND * pitch, (SIZE + AROUND) * pitch + 1) - 0.5
    light = np.histogram2d(*places, bins=(edges, edges))[0] / n.size
    first = AROUND * pitch + len(psf) // 2
    pixels = slice(first, first + SIZE * pitch, pitch)
    return signal.fftconvolve(light, psf)[pixels, pixels]


@pytest.mark.parametrize(
    ("radius", "index", "ratio", "angle", "place"),
    [
        (0.3, 0.5, 0.6, 0.6, (12.0, 12.0)),
        (0.3, 4.0, 0.6, 0.6, (12.0, 12.0)),
        (0.3, 1.0, 0.25, 1.9, (11.8, 12.3)),
        (0.5, 2.5, 1.0, 0.0, (11.5, 11.5)),
        (1.0, 1.0, 0.25, 1.1, (12.1, 11.8)),
        (3.0, 4.0, 0.7, 2.5, (12.3, 11.8)),
        (8.0, 0.5, 0.4, 0.3, (11.7, 12.4)),
    ],
)
def test_it_is_the_profile_on_a_fine_grid(ready, fine_psf, radius, index, ratio, angle, place):
    """Total, brightest pixel and apertures, however small the galaxy."""
    shape = radius, index, ratio, angle
    image = drawn(ready, profiles((*place, 1.0, *shape)), (SIZE, SIZE)).astype(float)
    expected = reference(fine_psf, FINER * ready.renderer.psf.oversample, *place, *shape)
    assert image.sum() == pytest.approx(expected.sum(), rel=2e-3)
    assert image.max() == pytest.approx(expected.max(), rel=2e-3)
    for aperture in (1.5, 3.0, 8.0, 20.0):
        assert aperture_sum(image, *place, aperture) == pytest.approx(
            aperture_sum(expected, *place, aperture), rel=2e-3
        )


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


def test_tiles_and_threads_leave_no_seam(ready, monkeypatch):
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
    monkeypatch.setattr(many_galaxies, "TILE", 64)
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
def test_no_light_is_lost_under_any_kind_of_psf(name):
    """A galaxy of any size has the light of a star in a frame that is wide for it; the profile ends at LIGHT."""
    made = pipeline.prepare(parse.read(json.dumps({**registry.load(name).example(), "elvis": {}})))
    psf, chip = made.renderer.psf, made.setup.detector.chips[0]
    star = np.zeros((1024, 1024), np.float32)
    convolution.add_star(star, 511.3, 512.1, 1.0, psf, chip, 0)
    for radius in (0.3, 8.0, 60.0):
        image = np.zeros((1024, 1024), np.float32)
        many_galaxies.draw(image, profiles((511.3, 512.1, 1.0, radius, 1.0, 0.7, 0.5)), psf, chip)
        assert image.sum(dtype=float) == pytest.approx(star.sum(dtype=float), rel=2e-3)


def test_a_profile_far_larger_than_the_frame_has_its_intensity():
    """Where it is smooth the PSF leaves it as it is, but for what the PSF sends outside the frame."""
    made = pipeline.prepare(parse.read(json.dumps({**registry.load("fors").example(), "elvis": {}})))
    image = np.zeros((300, 500), np.float32)
    shape = (-900.0, 150.0, 1.0, 2000.0, 4.0, 0.6, 0.2)
    many_galaxies.draw(image, profiles(shape), made.renderer.psf, made.setup.detector.chips[0])
    columns, rows = np.meshgrid(np.arange(500) + 900.0, np.arange(300) - 150.0)
    cos, sin = math.cos(0.2), math.sin(0.2)
    r = np.hypot(columns * cos + rows * sin, (rows * cos - columns * sin) / 0.6) / 2000.0
    one = np.ones(1)
    intensity = sersic.intensity(4 * one, 2000 * one, 0.6 * one)
    expected = intensity * np.exp(-sersic.half_light_constant(4 * one) * (r**0.25 - 1.0))
    np.testing.assert_allclose(image, expected, rtol=2e-3)


def test_a_target_and_a_galaxy_of_a_catalogue_are_the_same():
    document = registry.load("euclid-vis").example()
    window = {"x0": 1948, "y0": 1966, "nx": 100, "ny": 100}
    block = {"offset": [211, 239], "window": window, "product": "expected"}
    shape = {"morphologytype": "extended", "extendedtype": "sersic", "index": 2.0, "radius": 0.2}
    mag = document["target"]["brightness"]["mag"]
    catalogue = {"x": [0], "y": [0], "mag": [mag], "radius": [0.2], "index": [2.0]}
    frames = []
    for morphology, own in ((shape, {}), (document["target"]["morphology"], {"catalogue": catalogue})):
        target = {**document["target"], "morphology": morphology}
        made = pipeline.prepare(parse.read(json.dumps({**document, "target": target, "elvis": {**block, **own}})))
        frames.append(made.renderer.illuminate(made.setup.detector.chip(34), made.setup.frame.window))
    np.testing.assert_allclose(frames[0], frames[1], rtol=1e-5)
