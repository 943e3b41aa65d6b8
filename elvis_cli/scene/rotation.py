"""Emission lines of what rotates: pictures in steps of velocity, each with its own line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT
from elvis_cli.model.request import Brightness, Sed
from elvis_cli.scene import spectrum
from elvis_cli.scene.component import Component, Cube, Picture

EARTH = 29.78469
"""km/s: a circular orbit of 1 au around the Sun, sqrt(G M / au) (IAU 2015 resolution B3, 2012 resolution B2)."""
MOST = 64
"""Steps of velocity; a line narrower than PER_WIDTH of them is drawn that wide."""
PER_WIDTH = 1.5
"""Steps in the FWHM of a line: their sum then has no ripples (0.1 %)."""
FINEST = 512
"""Elements across a picture of which there are many."""


def kepler(radius: Floats, mass: float) -> Floats:
    """Return the velocity (km/s) of a circular orbit of ``radius`` (au) around ``mass`` (of the Sun)."""
    return np.asarray(EARTH * np.sqrt(mass / radius))


def lines(light: Picture, velocity: Floats, base: Sed, wanted: Sequence[Mapping[str, float]]) -> tuple[Component, ...]:
    """Return emission lines of what shines like ``light`` and moves away at ``velocity`` (km/s, of each element).

    Of each line: ``wavelength`` (nm), ``flux`` (W/m2, all of it, as observed) and ``width`` (FWHM at one place, km/s).
    Redshift and barycentric velocity are those of ``base``.
    """
    made = []
    shares = (light.image / light.image.sum(dtype=np.float64)).astype(np.float32)
    for line in wanted:
        steps, images = planes(shares, velocity, line["width"])
        step = float(steps[1] - steps[0]) if steps.size > 1 else 0.0
        width = line["wavelength"] * max(line["width"], PER_WIDTH * step) * 1e3 / LIGHT
        sed = Sed(
            "emissionline",
            line_wavelength=line["wavelength"],
            line_fwhm=width,
            redshift=base.redshift,
            velocity=base.velocity,
        )
        cube = Cube(images, light.scale, light.x, light.y, light.angle)
        seds = tuple(spectrum.moving(sed, v) for v in steps.tolist())
        made.append(Component(cube, seds, Brightness("flux", flux=line["flux"]), name="line"))
    return tuple(made)


def planes(shares: NDArray[np.float32], velocity: Floats, width: float) -> tuple[Floats, NDArray[np.float32]]:
    """Return velocities (n,) in even steps, and what of ``shares`` (ny, nx) has each of them, (n, ny, nx).

    An element's light is shared between the two nearest steps so that its mean velocity stays what it is.
    """
    bright = shares > 0
    low, high = float(velocity[bright].min()), float(velocity[bright].max())
    count = min(MOST, math.ceil((high - low) * PER_WIDTH / width) + 1)
    images = np.zeros((count, *shares.shape), np.float32)
    steps = np.linspace(low, high, count)
    if count == 1:
        images[0] = shares
        return steps, images
    y, x = np.nonzero(bright)
    place = (velocity[y, x] - low) / (steps[1] - steps[0])
    below = np.clip(place.astype(np.int64), 0, count - 2)
    images[below, y, x] = shares[y, x] * (below + 1 - place)
    images[below + 1, y, x] = shares[y, x] * (place - below)
    return steps, images
