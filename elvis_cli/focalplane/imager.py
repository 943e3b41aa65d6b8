"""Imaging: the scene through the point-psf function onto the pixels of each chip."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from elvis_cli.base.arrays import Floats, Image, pieces
from elvis_cli.base.overlap import aperture_sum
from elvis_cli.focalplane import behind_mask, convolution, many_galaxies, many_stars
from elvis_cli.focalplane.behind_mask import BehindMask, ExposureState
from elvis_cli.focalplane.convolution import add_star
from elvis_cli.focalplane.geometry import field_to_pixel, rotation
from elvis_cli.focalplane.renderer import PARTS
from elvis_cli.light.compose import Extended, Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.limits import Cost
from elvis_cli.model.psf_model import AoPsf, CubePsf
from elvis_cli.model.setup import Frame, Setup
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene.component import Picture, Profile
from elvis_cli.scene.image_template import on_pixels

MAX_STARS_DRAWN_SINGLY = 8
"""Up to this many stars, each is drawn with its own PSF over the whole frame."""
MAX_STARS_BEHIND_MASK = 64
"""Up to so many points off the axis of a coronagraph are drawn singly: a few companions along their arcs."""
MAX_STARS_WITH_SPLIT_PSF = 50_000
"""Up to so many stars with the same PSF are drawn one by one."""

STAR_SECONDS, GALAXY_SECONDS = 3e-6, 5e-5
"""Processor seconds that a star and a galaxy take on a chip, as measured."""

_POINT = np.ones((1, 1, 1), np.float32)
NO_PSF = Psf(_POINT, _POINT, oversample=1, step=1, fine_radius=0.0, pixel_scale=1.0, strehl=1.0, fwhm=0.0)
"""Of a frame that has light without shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Imager:
    """One observation's sources, background and PSFs, ready to be drawn on any chip."""

    scene: Scene
    light: Illumination
    psf: Psf
    """At the target, or at each of a few stars."""
    zones: many_stars.PsfGrid | many_stars.SplitPsf | None
    """PSFs over the field, or one of them for all, for many stars."""
    mask: BehindMask | None = None
    """What images the scene behind a coronagraph."""
    notes: tuple[str, ...] = ()

    @property
    def setup(self) -> Setup:
        """The Setup as the light meets it."""
        return self.light.setup

    @property
    def _drawn(self) -> Psf:
        """Return the PSF of what is drawn singly."""
        return self.psf if self.mask is None else self.mask.field

    def wavelengths(self, chip: Chip, window: Window) -> None:
        """An image has no wavelengths."""

    def illuminate(self, chip: Chip, window: Window, parts: frozenset[str] = PARTS) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark.

        ``parts`` of the light are drawn; an infinite target counts as a galaxy, warm optics are thermal.
        """
        setup, scene, psf, zones = self.setup, self.scene, self._drawn, self.zones
        if self.mask is not None:
            scene = self.mask.off_axis(scene)
            zones = many_stars.cores(psf) if scene.x.size > MAX_STARS_BEHIND_MASK else None
        level = self._level(parts)
        if self.mask is not None and level:
            image = self.mask.even(level, self._level(parts - {"galaxies"}), chip, window)
        else:
            image = np.full((window.ny, window.nx), level, np.float32)
        x, y = np.empty(scene.x.size), np.empty(scene.x.size)
        for part in pieces(scene.x.size):
            px, py = field_to_pixel(setup, chip, scene.x[part], scene.y[part])
            x[part], y[part] = px - window.x0, py - window.y0
        if "stars" not in parts:
            pass
        elif zones is not None:
            zones.draw(image, chip, x, y, scene)
        else:
            for n, rate in enumerate(scene.rate):
                add_star(image, float(x[n]), float(y[n]), float(rate), psf, chip, n if self.mask is None else 0)
        if "stars" in parts and self.mask is not None:
            self.mask.draw(image, self.scene, chip, window)
        for source in scene.extended if "galaxies" in parts else ():
            sx, sy = field_to_pixel(setup, chip, source.shape.x, source.shape.y)
            add_extended(image, sx - window.x0, sy - window.y0, source, setup, psf, chip)
        for shapes, rates in scene.galaxies if "galaxies" in parts else ():
            many_galaxies.draw(image, many_galaxies.on_chip(shapes, rates, setup, chip, window), psf, chip)
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

    def cost(self, frame: Frame) -> Cost:
        """Return what drawing a frame takes beyond the request's arrays and the program."""
        galaxies = sum(rates.size for _, rates in self.scene.galaxies)
        return Cost(0.0, len(frame.chips) * (STAR_SECONDS * self.scene.x.size + GALAXY_SECONDS * galaxies))

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
        if self.mask is not None:
            stars = self.mask.brightest(self.scene)
        else:
            stars = float(self.scene.rate.max(initial=0.0)) * float(self.psf.fine[0].max())
        if len(self.scene.extended) == 1:
            stars = max(stars, self.scene.extended[0].rate * float(self._target(16).max()))
        return max(stars, self.scene.surface * self.setup.optics.pixel_scale**2)

    def _target(self, half: int) -> Image:
        """Return the only extended source, share of its light per pixel, about its centre."""
        image = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        chip = replace(self.setup.detector.chips[0], rotation=0.0)
        source = replace(self.scene.extended[0], rate=1.0)
        add_extended(image, half, half, source, self.setup, self._drawn, chip)
        return image


def prepare_behind_mask(
    light: Illumination, scene: Scene, state: ExposureState, samples: tuple[Floats, Floats] | None = None
) -> Imager:
    """Return the Imager of an observation with a coronagraph; ``samples`` are as in `prepare`.

    Raises
    ------
    RequestError
        The user gives a point-spread function.
    """
    mask = behind_mask.prepare(light, scene, state, samples)
    return Imager(scene, light, mask.target, None, mask=mask)


def prepare(
    light: Illumination, scene: Scene, samples: tuple[Floats, Floats] | None = None, *, over_field: bool = False
) -> Imager:
    """Return the Imager of an observation.

    ``samples`` are wavelengths (um) and weights to take for the passband of the PSF. More than a few stars then have
    the target's PSF, unless the PSF is to change ``over_field``: the chips of the Setup hold all of the field.
    """
    setup = light.setup
    if samples is None and setup.spectrograph is None and _is_even(setup, scene):
        return Imager(scene, light, NO_PSF, None)
    wave, weight = light.psf_samples() if samples is None else samples
    few = 0 < scene.x.size <= MAX_STARS_DRAWN_SINGLY
    at = np.stack([scene.x, scene.y], axis=1) if few else np.array([scene.centre])
    psf = many_stars.psf_at(setup, wave, weight, at)
    zones: many_stars.PsfGrid | many_stars.SplitPsf | None = None
    varies = over_field and (isinstance(setup.psf, AoPsf) or (isinstance(setup.psf, CubePsf) and setup.psf.cube.places))
    if scene.x.size > MAX_STARS_DRAWN_SINGLY and (samples is None or varies):
        zones = many_stars.build(setup, wave, weight, scene, psf)
    elif scene.x.size > MAX_STARS_DRAWN_SINGLY:
        zones = many_stars.cores(psf) if scene.x.size < MAX_STARS_WITH_SPLIT_PSF else many_stars.everywhere(psf)
    return Imager(scene, light, psf, zones)


def _is_even(setup: Setup, scene: Scene) -> bool:
    """Return whether a frame is a calibration without a point or a shape, so that no PSF is needed."""
    lit = setup.calibration is not None and setup.calibration.standard is None
    return lit and not (scene.x.size or scene.extended or scene.galaxies)


def add_extended(image: Image, x: float, y: float, source: Extended, setup: Setup, psf: Psf, chip: Chip) -> None:
    """Add an extended source, convolved with the PSF, at pixel (x, y) of ``image``."""
    if isinstance(source.shape, Profile):
        many_galaxies.draw(image, many_galaxies.alone(x, y, source.rate, source.shape, setup, chip), psf, chip)
    else:
        add_picture(image, x, y, source.rate, source.shape, setup.optics.pixel_scale, psf, chip)


def add_picture(
    image: Image, x: float, y: float, rate: float, picture: Picture, pixel_scale: float, psf: Psf, chip: Chip
) -> None:  # fmt: skip
    """Add a picture of ``rate`` electrons/s, convolved with the PSF, with its middle at pixel (x, y) of ``image``."""
    cos, sin = rotation(chip)
    angle = math.radians(picture.angle) - math.atan2(sin, cos)
    scale = picture.scale / pixel_scale
    reach = math.hypot(*picture.image.shape) * scale / 2 + 2.0 * psf.fine_radius
    ny, nx = image.shape
    core, halo = convolution.core_and_halo(psf, chip, 0)
    margin = core.shape[0] // 2
    signed = bool(picture.image.min() < 0)  # noise about zero

    def draw(size: tuple[int, int], px: float, py: float, step: int) -> Image:
        """Return the picture on pixels ``step`` times as wide, (ny, nx) ``size``, with its middle at a pixel."""
        return on_pixels(picture.image, scale / step, px, py, angle, size)

    left, right = (min(max(round(x + side * reach), 0), nx) for side in (-1, 1))
    low, high = (min(max(round(y + side * reach), 0), ny) for side in (-1, 1))
    near = np.zeros((high - low, right - left), np.float32)
    if near.size:
        size = convolution.padded(near.shape, margin)
        drawn = draw(size, x - left + margin, y - low + margin, 1)
        near += np.float32(rate) * convolution.convolve([(drawn, 2, core)], signed)[: high - low, : right - left]

    def coarse(size: tuple[int, int], px: float, py: float) -> list[Image]:
        return [np.float32(rate) * draw(size, px, py, psf.step)]

    convolution.add_halo(image, x, y, halo, psf.step, coarse, signed)
    image[low:high, left:right] += near
