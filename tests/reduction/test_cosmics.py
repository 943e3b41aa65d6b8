"""Cosmic rays by the median of dithers, on images of stars whose pixels are known."""

import numpy as np
import pytest
from scipy.special import erf

from elvis_cli.reduction import combine
from elvis_cli.reduction.frame import Frame
from elvis_cli.reduction.grid import PixelMap

SIZE = 96
STARS = 9


def star(x, y, fwhm, flux):
    """Return a Gaussian star integrated over pixels, (SIZE, SIZE)."""
    edges, width = np.arange(SIZE + 1) - 0.5, fwhm / 2.3548 * 2**0.5
    along, up = (np.diff(erf((edges - at) / width)) / 2 for at in (x, y))
    return flux * np.outer(up, along)


def night(fwhm, number, rays, whole):
    """Return dithers of a field of stars, their maps, and the light of the rays in each."""
    random = np.random.default_rng(3)
    x, y = (each.ravel() + random.uniform(-2, 2, STARS) for each in np.meshgrid(*2 * [np.linspace(20, 76, 3)]))
    frames, maps, light = [], [], []
    nodes = np.linspace(0, SIZE - 1, 3)
    for _ in range(number):
        dx, dy = np.round(random.uniform(-6, 6, 2)) if whole else random.uniform(-6, 6, 2)
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
