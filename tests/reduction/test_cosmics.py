"""Cosmic rays by the median of dithers, on images of stars whose pixels are known."""

import numpy as np
import pytest
from scipy.ndimage import median_filter
from scipy.special import erf

from elvis_cli.reduction import combine, cosmics
from elvis_cli.reduction.frame import COSMIC_RAY, HOT, Frame
from elvis_cli.reduction.grid import PixelMap

SIZE = 96
STARS = 9


def star(x, y, fwhm, flux):
    """Return a Gaussian star integrated over pixels, (SIZE, SIZE)."""
    edges, width = np.arange(SIZE + 1) - 0.5, fwhm / 2.3548 * 2**0.5
    along, up = (np.diff(erf((edges - at) / width)) / 2 for at in (x, y))
    return flux * np.outer(up, along)


def night(fwhm, number, rays, whole, reach=6):
    """Return dithers of a field of stars by up to ``reach`` pixels, their maps, and the light of the rays in each."""
    random = np.random.default_rng(3)
    x, y = (each.ravel() + random.uniform(-2, 2, STARS) for each in np.meshgrid(*2 * [np.linspace(20, 76, 3)]))
    frames, maps, light = [], [], []
    nodes = np.linspace(0, SIZE - 1, 3)
    for _ in range(number):
        dx, dy = np.round(random.uniform(-reach, reach, 2)) if whole else random.uniform(-reach, reach, 2)
        image = sum(star(at - dx, up - dy, fwhm, 5e4) for at, up in zip(x, y, strict=True))
        hit = np.zeros_like(image)
        rows, columns = random.integers(0, SIZE, (2, int(rays * SIZE**2)))
        np.add.at(hit, (rows, columns), random.exponential(1500.0, rows.size))
        var = image + 100.0
        image = image + random.normal(size=image.shape) * np.sqrt(var) + hit
        flags = np.zeros(image.shape, np.uint32)
        frames.append(Frame(image.astype(np.float32), (var + hit).astype(np.float32), flags, None))
        mesh = np.stack(np.meshgrid(nodes + dx, nodes + dy), axis=-1)
        maps.append(PixelMap(nodes, nodes, mesh, np.ones((3, 3, 1)), image.shape))
        light.append(hit)
    return frames, maps, light


@pytest.mark.parametrize("fwhm", [1.7, 2.5, 4.5])
def test_no_pixel_of_a_star_is_taken_for_a_ray(fwhm):
    """Dithers by parts of pixels blur the median, most where pixels are wide: it was below the peaks by many sigma."""
    frames, maps, _ = night(fwhm, 5, 0.0, whole=False)
    assert combine.flag_cosmic_rays(frames, maps) <= 3


@pytest.mark.parametrize("whole", [True, False])
def test_stars_that_one_exposure_alone_sees_are_no_rays(whole):
    """All of a star of HAWK-I on the rim of three dithers was taken for a ray: the median there was 0."""
    frames, maps, _ = night(4.5, 3, 0.0, whole, reach=70)
    assert combine.flag_cosmic_rays(frames, maps) <= 3
    frames, maps, light = night(4.5, 3, 0.002, whole, reach=70)
    combine.flag_cosmic_rays(frames, maps)
    for frame, hit in zip(frames, light, strict=True):
        rays = (hit > 300.0) & (frame.sci - hit < 50.0)
        assert np.mean(~frame.good[rays]) > 0.8


def test_little_light_of_rays_is_left_on_stars():
    """A ray on a star counted as its light up to 1.2 times the gradient, half of the peak of an undersampled star.

    When the noise was taken for an error of the median, 0.15 of the rays' light was left.
    """
    frames, maps, light = night(1.7, 10, 0.02, whole=True)
    combine.flag_cosmic_rays(frames, maps)
    left = [np.where(frame.good, hit, 0.0) for frame, hit in zip(frames, light, strict=True)]
    bright = [frame.sci - hit > 500.0 for frame, hit in zip(frames, light, strict=True)]
    on_stars, fell = (sum(each[mask].sum() for each, mask in zip(kind, bright, strict=True)) for kind in (left, light))
    assert fell > 15000.0
    assert on_stars < 0.06 * fell


def test_sharp_pixels_are_those_above_the_median_around_them():
    """Sky and rays of one pixel and of more; the kernel counts neighbours where a filter of medians sorts them."""
    random = np.random.default_rng(8)
    image = random.normal(3.0, 1.0, (SIZE, SIZE)) + star(40, 40, 1.7, 5e3)
    hit = random.random(image.shape) < 0.05
    image = (image + hit * random.exponential(200.0, image.shape)).astype(np.float32)
    flags = np.where(random.random(image.shape) < 0.01, HOT, 0).astype(np.uint32)
    frame = Frame(image, np.full(image.shape, 1.5, np.float32), flags.copy(), None)
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    around = median_filter(image, footprint=ring, mode="nearest")
    expected = (image - around > 10 * np.sqrt(frame.var)) & (around < 0.1 * image) & (flags == 0)
    assert cosmics.flag_single(frame) == expected.sum() > 100
    np.testing.assert_array_equal(frame.dq, flags | expected * np.uint32(COSMIC_RAY))
