"""Imaging: the scene through the point-spread function onto the pixels of each chip."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli import parallel, psf
from elvis_cli.focalplane import crowd
from elvis_cli.focalplane.geometry import field_to_pixel, rotate_stamp, rotation
from elvis_cli.instrument import Chip, Floats, Setup
from elvis_cli.optics import Light
from elvis_cli.request import Request, Window
from elvis_cli.scene.compose import Scene
from elvis_cli.scene.morphology import Sersic

Image = NDArray[np.float32]
FEW = 8
"""Up to this many stars, each is drawn with its own PSF over the whole frame."""
REACH = 1024
"""Pixels from an extended source's centre beyond which the PSF never matters to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Imager:
    """One observation's sources, background and PSFs, ready to be drawn on any chip."""

    setup: Setup
    scene: Scene
    light: Light
    psf: psf.Psf
    """At the target, or at each of a few stars."""
    zones: crowd.Zones | None
    """PSFs over the field, for many stars."""

    def illuminate(self, chip: Chip, window: Window) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark."""
        setup, scene = self.setup, self.scene
        level = self.light.background_rate + scene.surface * setup.pixel_scale**2
        image = np.full((window.ny, window.nx), level, np.float32)
        x, y = field_to_pixel(setup, chip, scene.x, scene.y)
        x, y = x - window.x0, y - window.y0
        if self.zones is not None:
            self.zones.draw(image, chip, x, y, scene)
        else:
            for n, rate in enumerate(scene.rate):
                add_star(image, float(x[n]), float(y[n]), float(rate), self.psf, chip, n)
        if scene.profile is not None:
            cx, cy = field_to_pixel(setup, chip, *scene.centre)
            add_profile(
                image, cx - window.x0, cy - window.y0, scene.profile_rate,
                in_pixels(scene.profile, setup, chip), self.psf, chip,
            )  # fmt: skip
        return image

    def concentration(self, diameter: int) -> tuple[float, float]:
        """Return the fractions of the target's rate in an aperture (diameter, pixels) around it and in its best pixel.

        For an infinite target the rate is per arcsec2 and the fractions are areas, arcsec2.
        """
        pixel = self.setup.pixel_scale**2
        if self.scene.surface:
            return round(math.pi * diameter**2 / 4) * pixel, pixel
        if self.scene.profile is None:
            fine = self.psf.fine[0]
            return self.psf.encircled(diameter), float(fine[fine.shape[0] // 2, fine.shape[1] // 2])
        half = max(16, diameter)
        image = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
        chip = replace(self.setup.detector.chips[0], rotation=0.0)
        add_profile(image, half, half, 1.0, in_pixels(self.scene.profile, self.setup, chip), self.psf, chip)
        return aperture_sum(image, half, half, diameter / 2), float(image.max())


def prepare(request: Request, setup: Setup, scene: Scene, light: Light) -> Imager:
    """Return the Imager of an observation.

    The guide star stands ``separation`` arcsec West (+x) of the target, wherever that is in the field; an asterism
    (MCAO, GLAO) stands as far West of the field's centre.
    """
    wave, weight = light.psf_samples()
    asterism = setup.ao is not None and setup.ao.kind in ("mcao", "glao")
    x, y = (0.0, 0.0) if asterism else scene.centre
    guide = np.array([x + request.seeing.separation, y])
    at = np.stack([scene.x, scene.y], axis=1) if scene.x.size and scene.x.size <= FEW else np.array([scene.centre])
    spread = psf.build(setup, request.sky.airmass, wave, weight, at - guide)
    zones = None
    if scene.x.size > FEW:
        zones = crowd.build(setup, request.sky.airmass, wave, weight, scene, guide, spread)
    return Imager(setup, scene, light, spread, zones)


def add_star(image: Image, x: float, y: float, rate: float, spread: psf.Psf, chip: Chip, index: int) -> None:
    """Add a star of ``rate`` electrons/s at pixel (x, y) of ``image`` to all of it, with PSF number ``index``."""
    from elvis_cli.kernels import stamp

    fine, coarse = rotate_stamp(spread.fine[index], chip), rotate_stamp(spread.coarse[index], chip)

    def work(_: int, rows: slice) -> None:
        stamp.add_star(
            image[rows], rows.start, x, y, rate, fine, spread.oversample, coarse,
            float(spread.step), float(spread.fine_radius),
        )  # fmt: skip

    parallel.for_rows(image.shape[0], work)


def in_pixels(profile: Sersic, setup: Setup, chip: Chip) -> Sersic:
    """Return a profile given in arcsec and field orientation in the pixels and axes of a chip."""
    cos, sin = rotation(chip)
    return replace(profile, radius=profile.radius / setup.pixel_scale, angle=profile.angle - math.atan2(sin, cos))


def add_profile(image: Image, x: float, y: float, rate: float, profile: Sersic, spread: psf.Psf, chip: Chip) -> None:
    """Add an extended source (radius in pixels, chip axes), convolved with the PSF, at pixel (x, y) of ``image``.

    The convolution is done by FFT about the centre, as far as the PSF and REACH go; further out the profile is so
    smooth that the PSF leaves it unchanged.
    """
    ny, nx = image.shape
    farthest = max(abs(x), abs(y), abs(nx - x), abs(ny - y))
    reach = 64 * math.ceil(min(REACH, 4 * spread.fine_radius, farthest + 1) / 64)
    size = 4 * reach
    left, low = math.floor(x) - reach, math.floor(y) - reach  # the box in which the convolution holds
    box = slice(max(low, 0), max(low + 2 * reach, 0)), slice(max(left, 0), max(left + 2 * reach, 0))
    if image[box].size:
        blurred = _convolve(profile, spread, chip, size, x - left + reach, y - low + reach)
        j, i = box[0].start - low + reach, box[1].start - left + reach
        part = image[box]
        part += np.float32(rate) * blurred[j : j + part.shape[0], i : i + part.shape[1]]
    if image[box].size < image.size:
        far = profile.rest((ny, nx), x, y)
        far[box] = 0.0
        image += np.float32(rate) * far


def _convolve(profile: Sersic, spread: psf.Psf, chip: Chip, size: int, x: float, y: float) -> Image:
    """Return a profile at (x, y) of a square grid, convolved with the PSF; the inner half is free of wrapping."""
    kernel = np.zeros((size, size), np.float32)
    add_star(kernel, size // 2, size // 2, 1.0, spread, chip, 0)
    pixel = np.sinc(np.fft.fftfreq(size))[:, None] * np.sinc(np.fft.rfftfreq(size))
    pixel = pixel.astype(np.float32)
    # the core on pixels carries sinc^2, the rest and the kernel sinc each; the result is to carry it once
    spectrum = np.fft.rfft2(profile.core((size, size), x, y)) / pixel
    spectrum += np.fft.rfft2(profile.rest((size, size), x, y))
    spectrum *= np.fft.rfft2(np.fft.ifftshift(kernel)) / pixel
    blurred = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return np.maximum(blurred, 0.0)  # rounding of the transform far out


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
