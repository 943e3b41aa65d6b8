"""Emission lines of rotating sources: one image for each step of velocity, with the line at that velocity."""

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

EARTH_ORBITAL_VELOCITY = 29.78469
"""km/s: a circular orbit of 1 au around the Sun, sqrt(G M / au) (IAU 2015 resolution B3, 2012 resolution B2)."""
MAX_VELOCITY_STEPS = 64
"""Most steps of velocity; a line narrower than STEPS_PER_FWHM of them is drawn that wide."""
STEPS_PER_FWHM = 1.5
"""Steps in the FWHM of a line: their sum then has no ripples (0.1 %)."""
MAX_ELEMENTS_ACROSS = 512
"""Most elements across each of the images of a line."""


def kepler(radius: Floats, mass: float) -> Floats:
    """Return the velocity (km/s) of a circular orbit of ``radius`` (au) around ``mass`` (of the Sun)."""
    return np.asarray(EARTH_ORBITAL_VELOCITY * np.sqrt(mass / radius))


def lines(
    light: Picture, velocity: Floats, base: Sed, emission: Sequence[Mapping[str, float]]
) -> tuple[Component, ...]:
    """Return emission lines with the image ``light``, whose elements recede at ``velocity`` (km/s, (ny, nx)).

    Each line has ``wavelength`` (nm), ``flux`` (W/m2, observed, of the whole line) and ``width`` (FWHM of one element,
    km/s).
    Redshift and barycentric velocity are those of ``base``.
    """
    components = []
    fractions = (light.image / light.image.sum(dtype=np.float64)).astype(np.float32)
    for line in emission:
        steps, images = planes(fractions, velocity, line["width"])
        step = float(steps[1] - steps[0]) if steps.size > 1 else 0.0
        width = line["wavelength"] * max(line["width"], STEPS_PER_FWHM * step) * 1e3 / LIGHT
        sed = Sed(
            "emissionline",
            line_wavelength=line["wavelength"],
            line_fwhm=width,
            redshift=base.redshift,
            velocity=base.velocity,
        )
        cube = Cube(images, light.scale, light.x, light.y, light.angle)
        seds = tuple(spectrum.moving(sed, v) for v in steps.tolist())
        components.append(Component(cube, seds, Brightness("flux", flux=line["flux"]), name="line"))
    return tuple(components)


def planes(fractions: NDArray[np.float32], velocity: Floats, width: float) -> tuple[Floats, NDArray[np.float32]]:
    """Return velocities (km/s, (n,)) in even steps, and the part of ``fractions`` (ny, nx) at each, (n, ny, nx).

    An element's light is divided between the two nearest steps such that its mean velocity is conserved.
    """
    bright = fractions > 0
    low, high = float(velocity[bright].min()), float(velocity[bright].max())
    count = min(MAX_VELOCITY_STEPS, math.ceil((high - low) * STEPS_PER_FWHM / width) + 1)
    images = np.zeros((count, *fractions.shape), np.float32)
    steps = np.linspace(low, high, count)
    if count == 1:
        images[0] = fractions
        return steps, images
    y, x = np.nonzero(bright)
    place = (velocity[y, x] - low) / (steps[1] - steps[0])
    below = np.clip(place.astype(np.int64), 0, count - 2)
    images[below, y, x] = fractions[y, x] * (below + 1 - place)
    images[below + 1, y, x] = fractions[y, x] * (place - below)
    return steps, images
