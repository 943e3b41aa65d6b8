"""Sources on pixels: conservation, moments, and the crowd against star by star."""

import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.base.black_body import photon_radiance
from elvis_cli.focalplane import imager, many_galaxies, many_stars
from elvis_cli.focalplane.many_galaxies import Profiles
from elvis_cli.instrument import registry
from elvis_cli.model.elvis_block import Window
from elvis_cli.request import parse
from elvis_cli.scene.component import Picture

OVERSAMPLE, STEP = 4, 8


def gaussian(size: int, step: float, sigma: float) -> np.ndarray:
    """A pixel-wide Gaussian every ``step`` pixels, the star at [size // 2, size // 2]."""
    offset = (np.arange(size) - size // 2) * step
    line = np.exp(-0.5 * (offset / sigma) ** 2)
    return (np.outer(line, line) / (2 * np.pi * sigma**2)).astype(np.float32)


class Part(SimpleNamespace):
    """Told apart by what it is, as those are whose place it takes."""

    __hash__ = object.__hash__


def spread(*sigmas: float) -> Part:
    return Part(
        fine=np.stack([gaussian(321, 1 / OVERSAMPLE, s) for s in sigmas]),
        coarse=np.stack([gaussian(129, STEP, s) for s in sigmas]),
        oversample=OVERSAMPLE,
        step=STEP,
        fine_radius=38.0,
    )


CHIP = Part(rotation=0.0)


def add_profile(image: Any, x: float, y: float, index: float, radius: float, psf: Part, ratio: float = 1.0) -> None:
    """Add a Sersic profile of 1000 electrons/s, radius in pixels."""
    values = x, y, 1000.0, radius, index, ratio, 0.4
    many_galaxies.draw(image, Profiles(*(np.array([value]) for value in values)), psf, CHIP)


def zones(pitch: float, *sigmas: float) -> many_stars.PsfGrid:
    return many_stars.PsfGrid(spread(sigmas[0]), spread(*sigmas).fine.__getitem__, pitch, PLACES)


def star(x: float, y: float, sigma: float = 2.5, size: int = 128) -> np.ndarray:
    image = np.zeros((size, size), np.float32)
    imager.add_star(image, x, y, 1000.0, spread(sigma), CHIP, 0)
    return image


@pytest.mark.parametrize("place", [(64.0, 64.0), (63.27, 65.61), (64.5, 63.5)])
def test_a_star_keeps_its_light_and_its_place(place: tuple[float, float]) -> None:
    image = star(*place).astype(float)
    y, x = np.indices(image.shape)
    assert image.sum() == pytest.approx(1000.0, rel=1e-3)
    assert (image * x).sum() / image.sum() == pytest.approx(place[0], abs=2e-3)
    assert (image * y).sum() / image.sum() == pytest.approx(place[1], abs=2e-3)


def test_a_star_on_two_frames_is_cut_not_changed() -> None:
    whole = star(60.3, 64.2)
    part = np.zeros((128, 60), np.float32)
    imager.add_star(part, 60.3 - 30, 64.2, 1000.0, spread(2.5), CHIP, 0)
    np.testing.assert_allclose(part, whole[:, 30:90], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("radius", [0.01, 3.0, 15.0])
def test_a_convolved_profile_keeps_its_light_and_its_width(radius: float) -> None:
    """Variances add: a Sersic of index 0.5 is a Gaussian with R_e = 1.1774 sigma."""
    image = np.zeros((256, 256), np.float32)
    add_profile(image, 127.7, 128.4, 0.5, radius, spread(2.5))
    _y, x = np.indices(image.shape)
    wide = image.astype(float)
    assert wide.sum() == pytest.approx(1000.0, rel=2e-3)
    mean = (wide * x).sum() / wide.sum()
    assert mean == pytest.approx(127.7, abs=0.01)
    variance = (wide * (x - mean) ** 2).sum() / wide.sum()
    assert variance == pytest.approx(2.5**2 + (radius / 1.17741) ** 2, rel=0.02)


def test_an_unresolved_profile_is_a_star() -> None:
    image = np.zeros((128, 128), np.float32)
    add_profile(image, 63.27, 65.61, 1.0, 0.001, spread(2.5))
    alone = star(63.27, 65.61)
    np.testing.assert_allclose(image, alone, atol=0.01 * alone.max())


def test_a_profile_far_outside_the_frame_only_sends_its_wings() -> None:
    image = np.zeros((64, 64), np.float32)
    add_profile(image, 2000.0, 30.0, 1.0, 400.0, spread(2.5))
    assert image.min() > 0
    assert np.diff(image.mean(axis=0)).min() > 0  # brighter towards the source


def with_halo() -> Part:
    """A PSF that has 30 % of its light far outside the fine grid."""
    near, far = spread(2.5), spread(80.0)
    coarse = 0.3 * gaussian(256, 4, 80.0)[None]
    return Part(**{**vars(near), "fine": 0.7 * near.fine + 0.3 * far.fine, "coarse": coarse, "step": 4})


@pytest.mark.parametrize("kind", ["profile", "picture"])
def test_the_halo_of_a_small_source_is_that_of_a_star_all_over_the_frame(kind: str) -> None:
    wide, alone = np.zeros((2, 480, 480), np.float32)
    if kind == "profile":
        add_profile(wide, 120.3, 130.6, 1.0, 0.01, with_halo())
    else:
        point = Picture(np.ones((1, 1), np.float32), 0.0001, 0.0, 0.0)
        imager.add_picture(wide, 120.3, 130.6, 1000.0, point, 0.01, with_halo(), CHIP)
    imager.add_star(alone, 120.3, 130.6, 1000.0, with_halo(), CHIP, 0)
    y, x = np.indices(wide.shape)
    out = np.hypot(x - 120.3, y - 130.6) > 20
    np.testing.assert_allclose(wide[out], alone[out], rtol=0.02, atol=1e-5 * alone[out].max())
    assert wide.sum(dtype=float) == pytest.approx(alone.sum(dtype=float), rel=1e-3)


@pytest.mark.parametrize("index", [1.0, 4.0])
def test_no_border_shows_where_a_profile_is_no_longer_convolved(index: float) -> None:
    image = np.zeros((480, 480), np.float32)
    add_profile(image, 240.0, 240.0, index, 20.0, with_halo(), ratio=0.5)
    for line in (image[240], image[:, 240], image[200]):
        steps = np.diff(np.log(line[20:220]))
        assert np.abs(np.diff(steps)).max() < 0.01


def test_a_window_of_a_profile_is_cut_not_changed() -> None:
    whole, part = np.zeros((480, 480), np.float32), np.zeros((64, 100), np.float32)
    for image, x, y in ((whole, 240.3, 239.2), (part, 240.3 - 150, 239.2 - 270)):
        add_profile(image, x, y, 2.0, 30.0, with_halo())
    np.testing.assert_allclose(part, whole[270:334, 150:250], rtol=1e-3)


PLACES = np.array([0, 1, 2**32, 2**32 + 1])
"""The corners (0, 0), (0, 1), (1, 0), (1, 1) of one cell of the grid of zones."""


def test_a_crowd_is_the_sum_of_its_stars() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-20, 148, (2, 60))
    rate = 10 ** rng.uniform(1, 4, 60)
    one_by_one = np.zeros((128, 128), np.float32)
    for n in range(60):
        imager.add_star(one_by_one, x[n], y[n], rate[n], spread(3.0), CHIP, 0)
    together = np.zeros_like(one_by_one)
    scene = SimpleNamespace(x=x, y=y, rate=rate)
    zones(0.0, 3.0).draw(together, CHIP, x, y, scene)
    assert together.sum() == pytest.approx(one_by_one.sum(), rel=1e-4)
    np.testing.assert_allclose(together, one_by_one, rtol=5e-3, atol=0.3)


def test_cores_and_haloes_are_the_stars() -> None:
    """Within 2e-3 of the brightest star's peak, and all of the light: the halo is given on wide elements."""
    rng = np.random.default_rng(7)
    x, y, rate = rng.uniform(-20, 116, 60), rng.uniform(-20, 84, 60), rng.uniform(0, 5, 60)
    one, together = np.zeros((64, 96), np.float32), np.zeros((64, 96), np.float32)
    whole = spread(2.5)
    for place in zip(x, y, rate, strict=True):
        imager.add_star(one, *place, whole, CHIP, 0)
    many_stars.cores(whole).draw(together, CHIP, x, y, SimpleNamespace(rate=rate))
    assert np.max(np.abs(together - one)) < 2e-3 * one.max()
    assert together.sum() == pytest.approx(one.sum(), rel=1e-3)


def test_zones_share_a_star_by_distance() -> None:
    grid = zones(2.0, 1.0, 2.0, 3.0, 4.0)
    weights = np.zeros((2, 4))
    for zone, weight in grid.weights(np.array([0.5, 2.0 - 1e-9]), np.array([0.0, 1.0])):
        weights[np.arange(2), zone] += weight
    np.testing.assert_allclose(weights, [[0.75, 0, 0.25, 0], [0, 0, 0.5, 0.5]], atol=1e-6)


def test_zones_conserve_light() -> None:
    grid = zones(2.0, 10.0, 4.0, 1.0, 4.0)
    image = np.zeros((256, 256), np.float32)
    x, y = np.array([128.3] * 9), np.array([127.9] * 9)
    scene = SimpleNamespace(x=np.linspace(0.0, 1.9, 9), y=np.linspace(1.9, 0.0, 9), rate=np.full(9, 100.0))
    grid.draw(image, CHIP, x, y, scene)
    assert image.sum(dtype=float) == pytest.approx(900.0, rel=2e-3)


def prepared(document: dict[str, Any]) -> imager.Imager:
    return pipeline.prepare(parse.read(json.dumps(document))).renderer


def crowded(micado, window: dict[str, int], x: np.ndarray, y: np.ndarray) -> imager.Imager:
    stars = {"x": x.tolist(), "y": y.tolist(), "mag": [18.0] * x.size}
    return prepared(micado({"elvis": {"window": window, "catalogue": stars}}))


def test_a_window_of_a_crowd_is_cut_not_changed(micado) -> None:
    """Stars outside a small window shine into it as they do within the whole."""
    x, y = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 12))
    frames = []
    for corner, size in ((1792, 512), (2016, 64)):
        window = {"x0": corner, "y0": corner, "nx": size, "ny": size}
        camera = crowded(micado, window, x, y)
        frames.append(camera.illuminate(camera.setup.detector.chip(5), camera.setup.frame.window))
    np.testing.assert_allclose(frames[1], frames[0][224:288, 224:288], rtol=1e-5)


def test_a_bright_star_of_a_crowd_has_the_halo_of_a_star_alone(micado) -> None:
    """Without a border, and whatever the PSF of the others is."""
    x, y = np.linspace(3.0, 5.0, 12), np.linspace(-5.0, -3.0, 12)
    window = {"x0": 2000, "y0": 900, "nx": 64, "ny": 256}
    frames = []
    for others in (0, 12):
        stars = {"x": [0.0, *x[:others]], "y": [0.0, *y[:others]], "mag": [8.0] + [30.0] * others}
        camera = prepared(micado({"elvis": {"window": window, "catalogue": stars}}))
        frames.append(camera.illuminate(camera.setup.detector.chip(5), camera.setup.frame.window))
    alone, crowd_ = (frame - camera.light.budget.background_rate for frame in frames)
    assert alone.min() > 0.4
    np.testing.assert_allclose(crowd_, alone, rtol=0.03)


def test_stars_far_outside_the_field_need_no_psf(micado) -> None:
    x, y = np.random.default_rng(1).uniform(-1000.0, 1000.0, (2, 40))
    x[0] = y[0] = 0.0
    camera = crowded(micado, {"x0": 0, "y0": 0, "nx": 64, "ny": 64}, x, y)
    assert camera.zones is not None
    assert len(camera.zones.places) <= 8  # of the 160 around these stars


def test_a_window_makes_the_psfs_of_its_own_zones_only(micado) -> None:
    x, y = np.random.default_rng(1).uniform(-25.0, 25.0, (2, 200))
    camera = crowded(micado, {"x0": 0, "y0": 0, "nx": 64, "ny": 64}, x, y)
    camera.illuminate(camera.setup.detector.chip(5), camera.setup.frame.window)
    assert len(camera.zones.places) > 100
    assert 0 < len(camera.zones.cores.known) < 20


@pytest.mark.parametrize(("mode", "least", "most"), [("scao", 0.999, 1.001), ("mcao", 0.3, 0.7)])
def test_a_guide_star_goes_with_the_target_and_an_asterism_with_the_field(micado, mode, least, most) -> None:
    mode = {"instrument/ins_configuration": f"img_4mas_{mode}"}
    centred, off = (prepared(micado({**mode, "elvis": {"offset": [x, 0.0]}})).psf.strehl for x in (0.0, 40.0))
    assert least < off / centred < most


class TestPictures:
    """Surface-brightness templates through the PSF."""

    def draw(self, picture, x=63.3, y=65.2, rotation=0.0):
        image = np.zeros((128, 128), np.float32)
        chip = Part(rotation=rotation)
        imager.add_picture(image, x, y, 1000.0, picture, 0.01, spread(2.5), chip)
        return image

    @pytest.mark.parametrize("scale", [0.0005, 0.004, 0.01])
    def test_a_picture_of_one_element_is_a_star(self, scale):
        image = self.draw(Picture(np.ones((1, 1), np.float32), scale, 0.0, 0.0))
        alone = star(63.3, 65.2)
        np.testing.assert_allclose(image, alone, atol=0.04 * alone.max())
        assert image.sum(dtype=float) == pytest.approx(alone.sum(dtype=float), rel=1e-3)

    def test_a_uniform_picture_comes_through_unchanged(self):
        """Far from its edges: the middle of a picture wider than the frame and the PSF together."""
        image = self.draw(Picture(np.ones((90, 90), np.float32), 0.1, 0.0, 0.0, angle=20.0))
        middle = image[32:96, 32:96].astype(float)
        np.testing.assert_allclose(middle, 1000.0 / (90 * 0.1 / 0.01) ** 2, rtol=1e-5)
        assert middle.std() / middle.mean() < 1e-6

    def test_a_picture_turns_with_the_chip(self):
        """A chip turned by 90 deg has its +x axis along the field's +y."""
        pair = np.zeros((41, 41), np.float32)
        pair[40, 20] = 1.0  # above the middle
        for rotation, place in ((0.0, (63.3, 85.2)), (90.0, (83.3, 65.2)), (180.0, (63.3, 45.2))):
            image = self.draw(Picture(pair, 0.01, 0.0, 0.0), rotation=rotation).astype(float)
            y, x = np.indices(image.shape)
            assert (image * x).sum() / image.sum() == pytest.approx(place[0], abs=0.02)
            assert (image * y).sum() / image.sum() == pytest.approx(place[1], abs=0.02)


def test_parts_of_the_light_add_up() -> None:
    """Thermal is all that is not the sky's, from METIS's warm telescope a black body through what follows it."""
    document = registry.load("metis").example("img_n_scao")
    ready = prepared(document)
    chip = ready.setup.detector.chip(ready.setup.frame.chips[0])
    window = Window(1000, 1000, 60, 50)
    parts = {name: ready.illuminate(chip, window, frozenset((name,))).astype(float) for name in imager.PARTS}
    np.testing.assert_allclose(sum(parts.values()), ready.illuminate(chip, window), rtol=1e-5)
    assert parts["thermal"].std() == parts["background"].std() == 0
    assert not parts["galaxies"].any()
    light, optics = ready.light.budget, ready.setup.optics
    behind, expected = ready.setup.detector.qe.at(light.wave), 0.0
    for surface in reversed(optics.surfaces):
        radiance = photon_radiance(light.wave, surface.temperature) * (math.pi / 648000) ** 2 * optics.pixel_scale**2
        expected += np.trapezoid(radiance * surface.emissivity.at(light.wave) * behind, light.wave) * light.area
        behind = behind * surface.throughput.at(light.wave)
    assert parts["thermal"].mean() == pytest.approx(expected, rel=0.01)
