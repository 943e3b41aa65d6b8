"""Cosmic rays and radioactivity: straight tracks of charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number, numbers
from elvis_cli.detector.stage import Stage, StageContext


@dataclass(frozen=True, slots=True)
class Parameters:
    """Distribution of the tracks; length and energy are quantiles at the same ``probability``."""

    rate: float = number("1/(cm2 s)", 0.0, 1e5, "tracks per area and time")
    probability: tuple[float, ...] = numbers("", 0.0, 1.0, "where the quantiles are given, ascending from 0 to 1")
    length: tuple[float, ...] = numbers("um", 1e-3, 1e6, "quantiles of the length projected on the chip")
    energy: tuple[float, ...] = numbers("electron", 1e-3, 1e9, "quantiles of the charge")

    def __post_init__(self) -> None:
        if not len(self.probability) == len(self.length) == len(self.energy) >= 2:
            raise ValueError("probability, length and energy must be equally long, 2 or more")
        if self.probability[0] != 0 or self.probability[-1] != 1 or np.any(np.diff(self.probability) <= 0):
            raise ValueError("probability must ascend from 0 to 1")
        for name in ("length", "energy"):
            if np.any(np.diff(getattr(self, name)) < 0):
                raise ValueError(f"{name} must not descend")


def draw(
    shape: tuple[int, int], pixel: float, time: float, parameters: Parameters, random: Generator
) -> NDArray[np.float64]:
    """Return tracks as `kernels.tracks.deposit` wants them, for an array of ``shape`` (y, x).

    ``pixel`` is the pitch in um, ``time`` in s. The number is Poisson(rate * area * time); directions and middles are
    uniform, the latter over an area larger by half the longest track on each side, so that tracks come in over the
    border as often as they leave. One uniform deviate gives both length and energy (linear in their logarithms between
    the quantiles): the long path is the one with the large charge, as in the simulators VIS-PP and ELViS.
    """
    margin = parameters.length[-1] / pixel / 2
    height, width = (side + 2 * margin for side in shape)
    number = random.poisson(parameters.rate * width * height * (pixel * 1e-4) ** 2 * time)
    x, y, angle, deviate = random.random((4, number))
    length = np.exp(np.interp(deviate, parameters.probability, np.log(parameters.length))) / pixel
    charge = np.exp(np.interp(deviate, parameters.probability, np.log(parameters.energy)))
    ux, uy = np.cos(2 * np.pi * angle), np.sin(2 * np.pi * angle)
    x0, y0 = x * width - margin - ux * length / 2, y * height - margin - uy * length / 2
    return np.stack([x0, y0, ux, uy, length, charge], axis=1)


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the tracks of all integrations; each hits one of them, within that one's full well.

    Only the reads after the hit see it.
    """
    from elvis_cli.kernels.tracks import deposit

    detector = context.detector
    shape, time = (context.window.ny, context.window.nx), context.dit * context.count
    random = context.generator(STAGE.name)
    tracks = draw(shape, detector.pixel_mm * 1e3, time, parameters, random)
    shown = context.sampling.share(random.random(len(tracks)), context.read)
    deposit(image, tracks, shown, float(detector.full_well), context.count)
    return image


STAGE = Stage("cosmic_rays", "tracks of cosmic rays and radioactivity", Parameters, image=apply)
