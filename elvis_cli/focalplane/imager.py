"""Imaging: the scene through the point-psf function onto the pixels of each chip."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.focalplane import convolution, many_galaxies, many_stars
from elvis_cli.focalplane.convolution import add_star
from elvis_cli.focalplane.geometry import field_to_pixel, rotation
from elvis_cli.focalplane.renderer import PARTS
from elvis_cli.light.compose import Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene.component import Picture, Profile
from elvis_cli.scene.image_template import on_pixels
from elvis_cli.scene.sersic import Sersic

Image = NDArray[np.float32]
FAR = 1024
"""Pixels from the centre of an extended profile beyond which it is smooth, compared with the core of a PSF."""
FEW = 8
"""Up to this many stars, each is drawn with its own PSF over the whole frame."""
MANY = 50_000
"""Up to so many stars with the same PSF are drawn one by one."""


@dataclass(frozen=True, slots=True, eq=False)
class Imager:
    """One observation's sources, background and PSFs, ready to be drawn on any chip."""

    scene: Scene
    light: Illumination
    psf: Psf
    """At the target, or at each of a few stars."""
    zones: many_stars.Zones | many_stars.Cores | None
    """PSFs over the field, or one of them for all, for many stars."""
    notes: tuple[str, ...] = ()

    @property
    def setup(self) -> Setup:
        """The Setup as the light meets it."""
        return self.light.setup

    def wavelengths(self, chip: Chip, window: Window) -> None:
        """An image has no wavelengths."""

    def illuminate(self, chip: Chip, window: Window, parts: frozenset[str] = PARTS) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark.

        ``parts`` of the light are drawn; an infinite target counts as a galaxy, warm optics are thermal.
        """
        setup, scene = self.setup, self.scene
        image = np.full((window.ny, window.nx), self._level(parts), np.float32)
        x, y = field_to_pixel(setup, chip, scene.x, scene.y)
        x, y = x - window.x0, y - window.y0
        if "stars" not in parts:
            pass
        elif self.zones is not None:
            self.zones.draw(image, chip, x, y, scene)
        else:
            for n, rate in enumerate(scene.rate):
                add_star(image, float(x[n]), float(y[n]), float(rate), self.psf, chip, n)
        for source in scene.extended if "galaxies" in parts else ():
            sx, sy = field_to_pixel(setup, chip, source.shape.x, source.shape.y)
            add_extended(image, sx - window.x0, sy - window.y0, source.rate, source.shape, setup, self.psf, chip)
        for shapes, rates in scene.galaxies if "galaxies" in parts else ():
            many_galaxies.draw(image, many_galaxies.on_chip(shapes, rates, setup, chip, window), self.psf, chip)
        return image

    def _level(self, parts: frozenset[str]) -> float:
        """Return the electrons/s of a pixel that are the same everywhere."""
        light, surface = self.light.budget, self.scene.surface * self.setup.optics.pixel_scale**2
        if parts == PARTS:
            return light.background_rate + surface
        sky = light.background["sky"]
        level = surface if "galaxies" in parts else 0.0
        level += sky if "background" in parts else 0.0
        return level + (light.background_rate - sky if "thermal" in parts else 0.0)

    def concentration(self, diameter: int) -> float:
        """Return the fraction of the target's rate in an aperture (diameter, pixels) around it.

        For an infinite target the rate is per arcsec2 and the fraction is the aperture's area, arcsec2.
        """
        if self.scene.surface:
            return round(math.pi * diameter**2 / 4) * self.setup.optics.pixel_scale**2
        if len(self.scene.extended) != 1 or self.scene.rate.size:
            return self.psf.encircled(diameter)
        half = max(16, diameter)
        return aperture_sum(self._target(half), half, half, diameter / 2)

    def brightest(self) -> float:
        """Return the electrons/s of the brightest source in its best pixel: off centre behind a phase plate."""
        peak = float(self.psf.fine[0].max())
        stars = float(self.scene.rate.max(initial=0.0)) * peak
        if len(self.scene.extended) == 1:
            stars = max(stars, self.scene.extended[0].rate * float(self._target(16).max()))
        return max(stars, self.scene.surface * self.setup.optics.pixel_scale**2)

    def _target(self, half: int) -> Image:
        """Return the only extended source, share of its light per pixel, about its centre."""
        image = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        chip = replace(self.setup.detector.chips[0], rotation=0.0)
        add_extended(image, half, half, 1.0, self.scene.extended[0].shape, self.setup, self.psf, chip)
        return image


def prepare(light: Illumination, scene: Scene, samples: tuple[Floats, Floats] | None = None) -> Imager:
    """Return the Imager of an observation.

    ``samples`` are wavelengths (um) and weights to take for the passband of the PSF; more than a few stars then have
    the target's PSF.
    """
    setup = light.setup
    wave, weight = light.psf_samples() if samples is None else samples
    few = 0 < scene.x.size <= FEW
    at = np.stack([scene.x, scene.y], axis=1) if few else np.array([scene.centre])
    psf = many_stars.psf_at(setup, wave, weight, at)
    zones: many_stars.Zones | many_stars.Cores | None = None
    if scene.x.size > FEW and samples is None:
        zones = many_stars.build(setup, wave, weight, scene, psf)
    elif scene.x.size > FEW:
        zones = many_stars.cores(psf) if scene.x.size < MANY else many_stars.everywhere(psf)
    return Imager(scene, light, psf, zones)


def add_extended(
    image: Image,
    x: float,
    y: float,
    rate: float,
    shape: Profile | Picture,
    setup: Setup,
    psf: Psf,
    chip: Chip,
) -> None:
    """Add an extended source of ``rate`` electrons/s, convolved with the PSF, at pixel (x, y) of ``image``."""
    if isinstance(shape, Profile):
        add_profile(image, x, y, rate, in_pixels(shape.sersic, setup, chip), psf, chip)
        return
    cos, sin = rotation(chip)
    angle = math.radians(shape.angle) - math.atan2(sin, cos)
    scale = shape.scale / setup.optics.pixel_scale
    extent = math.hypot(*shape.image.shape) * scale / 2
    box, near, _ = _blur(
        image, x, y, rate, extent + 2.0 * psf.fine_radius, psf, chip,
        lambda size, px, py, step: [(on_pixels(shape.image, scale / step, px, py, angle, size), 2)],
    )  # fmt: skip
    image[box] += near


def add_profile(image: Image, x: float, y: float, rate: float, profile: Sersic, psf: Psf, chip: Chip) -> None:
    """Add a Sersic profile (radius in pixels, chip axes), convolved with the PSF, at pixel (x, y) of ``image``.

    Far from its centre the profile is so smooth that the core of the PSF leaves it unchanged.
    """

    def draw(size: tuple[int, int], px: float, py: float, step: int) -> list[tuple[Image, int]]:
        scaled = replace(profile, radius=profile.radius / step)
        return [(scaled.core(size, px, py), 2), (scaled.rest(size, px, py), 1)]

    reach = min(FAR, 4.0 * psf.fine_radius)
    box, near, share = _blur(image, x, y, rate, reach, psf, chip, draw)
    ny, nx = image.shape
    across, along = abs(np.arange(nx) - x), abs(np.arange(ny) - y)
    if max(across.max(), along.max()) <= reach / 2:
        image[box] += near
        return
    far = profile.rest(image.shape, x, y)
    far *= np.float32(rate * share)
    # from one to the other between half of reach and all of it
    part = np.clip(2.0 * np.maximum(across, along[:, None]) / reach - 1.0, 0.0, 1.0).astype(np.float32)
    far *= part
    near *= 1 - part[box]
    image += far
    image[box] += near


def in_pixels(profile: Sersic, setup: Setup, chip: Chip) -> Sersic:
    """Return a profile given in arcsec and field orientation in the pixels and axes of a chip."""
    cos, sin = rotation(chip)
    return replace(
        profile, radius=profile.radius / setup.optics.pixel_scale, angle=profile.angle - math.atan2(sin, cos)
    )


def _blur(
    image: Image,
    x: float,
    y: float,
    rate: float,
    reach: float,
    psf: Psf,
    chip: Chip,
    draw: Callable[[tuple[int, int], float, float, int], list[tuple[Image, int]]],
) -> tuple[tuple[slice, slice], Image, float]:
    """Add a source centred at (x, y), convolved with the PSF's halo, to ``image``; its convolution with the core is
    returned: as far as ``reach`` pixels, the part of ``image`` where that is, and the core's share of the light.

    ``draw`` returns the source on pixels ``step`` times as wide, in an array of a shape, centred at a pixel, in parts
    with the power of the pixel's sinc that each carries.
    """
    ny, nx = image.shape
    core, halo = _core_and_halo(psf, chip)
    margin = core.shape[0] // 2
    left, right = (min(max(round(x + side * reach), 0), nx) for side in (-1, 1))
    low, high = (min(max(round(y + side * reach), 0), ny) for side in (-1, 1))
    box = slice(low, high), slice(left, right)
    near = np.zeros_like(image[box])
    if near.size:
        size = convolution.padded(near.shape, margin)
        parts = draw(size, x - left + margin, y - low + margin, 1)
        near += np.float32(rate) * convolution.convolve(parts, core)[: high - low, : right - left]

    def coarse(size: tuple[int, int], px: float, py: float) -> list[Image]:
        return [np.float32(rate) * part for part, _ in draw(size, px, py, psf.step)]

    convolution.add_halo(image, x, y, halo, psf.step, coarse)
    return box, near, float(core.sum(dtype=np.float64))


@lru_cache(maxsize=8)
def _core_and_halo(psf: Psf, chip: Chip) -> tuple[Image, Image]:
    """Return `convolution.core_and_halo`, once for the many channels of a cube; not to be changed."""
    return convolution.core_and_halo(psf, chip, 0)


def aperture_sum(image: Floats | Image, x: float, y: float, radius: float, parts: int = 10) -> float:
    """Return the sum of ``image`` inside a circle (pixels), border pixels shared by area (``parts``^2 samples)."""
    ny, nx = image.shape
    left, low = max(math.floor(x - radius), 0), max(math.floor(y - radius), 0)
    part = image[low : min(math.ceil(y + radius), ny - 1) + 1, left : min(math.ceil(x + radius), nx - 1) + 1]
    fine = (np.arange(parts) + 0.5) / parts - 0.5
    dx = (np.arange(part.shape[1])[:, None] + fine + left - x).ravel()
    dy = (np.arange(part.shape[0])[:, None] + fine + low - y).ravel()
    inside = dx**2 <= radius**2 - dy[:, None] ** 2
    return float(np.sum(part * inside.reshape(part.shape[0], parts, part.shape[1], parts).mean(axis=(1, 3))))
