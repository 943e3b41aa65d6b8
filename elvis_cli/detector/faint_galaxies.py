"""Galaxies below the limit of the catalogues, from their number counts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers rise as 10^(slope m) between two magnitudes; all have the same size, a Gaussian with the PSF in it."""

    bright: float = number("mag", 0.0, 40.0, "magnitude from which on they are drawn")
    faint: float = number("mag", 0.0, 40.0, "magnitude up to which they are drawn")
    slope: float = number("1/mag", 0.0, 0.6, "rise of the logarithm of their number")
    density: float = number("1/(arcmin2 mag)", 0.0, 1e5, "galaxies at the bright end")
    zero_point: float = number("mag", 0.0, 60.0, "magnitude that gives 1 electron/s")
    fwhm: float = number("pixel", 0.5, 50.0, "of a galaxy's image")
    pixel: float = number("arcsec", 1e-4, 10.0, "of a pixel")

    def __post_init__(self) -> None:
        if self.bright >= self.faint:
            raise ValueError(f"bright = {self.bright:g} is not below faint = {self.faint:g}")

    def number(self, pixels: float) -> float:
        """Return the expected number on an area."""
        span, k = self.faint - self.bright, self.slope * math.log(10)
        integral = span if k == 0 else math.expm1(k * span) / k
        return self.density * integral * pixels * (self.pixel / 60.0) ** 2

    def surface(self) -> float:
        """Return their mean surface brightness, electrons/s per pixel."""
        span, k = self.faint - self.bright, (self.slope - 0.4) * math.log(10)
        integral = span if k == 0 else math.expm1(k * span) / k
        brightest = 10 ** (-0.4 * (self.bright - self.zero_point))
        return self.density * brightest * integral * (self.pixel / 60.0) ** 2


def draw(shape: tuple[int, int], parameters: Parameters, random: Generator) -> NDArray[np.float64]:
    """Return x, y (pixels) and magnitude of each galaxy (3, n) on an array of ``shape`` (y, x)."""
    count = random.poisson(parameters.number(shape[0] * shape[1]))
    x, y, part = random.random((3, count))
    span, k = parameters.faint - parameters.bright, parameters.slope * math.log(10)
    mag = parameters.bright + (part * span if k == 0 else np.log1p(part * math.expm1(k * span)) / k)
    return np.stack([x * shape[1] - 0.5, y * shape[0] - 0.5, mag])


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the galaxies; they are the same in every exposure of a seed."""
    from scipy.ndimage import gaussian_filter

    random = random_streams.generator(context.seed, 0, context.chip.id, STAGE.name, 0)
    x, y, mag = draw((context.detector.ny, context.detector.nx), parameters, random)
    x, y = x - context.window.x0, y - context.window.y0
    light = 10 ** (-0.4 * (mag - parameters.zero_point)) * context.dit
    points = np.zeros(image.shape)
    i, j = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):  # shared by the four nearest pixels
        share = light * np.abs(1 - a - (x - i)) * np.abs(1 - b - (y - j))
        inside = (i + a >= 0) & (i + a < image.shape[1]) & (j + b >= 0) & (j + b < image.shape[0])
        np.add.at(points, (j[inside] + b, i[inside] + a), share[inside])
    image += gaussian_filter(points, parameters.fwhm / 2.3548, mode="constant").astype(np.float32)
    return image


STAGE = Stage("faint_galaxies", "galaxies below the catalogues' limit, from their counts", Parameters, image=apply)
