"""A combined chip with its image quality, its noise and its sources."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from elvis_cli.detection import apertures, sources
from elvis_cli.reduction import combine, grid, sky
from elvis_cli.reduction.combine import Stack
from elvis_cli.reduction.frame import BAD, Frame
from elvis_cli.reduction.stored_stack import AnyStack

GUESS_FWHM = 3.0
SAME_FWHM = 0.05
"""Relative change of the FWHM below which the sources are not looked for again."""
EMPTY_RADIUS = 1.0
"""FWHM: radius of the apertures in which limits and noise are measured."""
LIMIT_SIGMA = 5.0


@dataclass(slots=True, eq=False)
class Treatment:
    """What was done to the exposures of a chip before their combination."""

    sky_way: str
    cosmic_rays: int
    """Their pixels in all exposures."""
    linearised: bool
    """Corrected for the detector's linearity."""
    saturation: float
    """Rate above the sky at which a pixel of the exposures saturates, electron/s."""


@dataclass(slots=True, eq=False)
class ChipImage:
    """A combined chip and what was measured on it."""

    name: str
    stack: AnyStack
    grid: grid.Grid
    header: Any
    """That of the chip in the first raw file."""
    fwhm: float
    """Pixels."""
    ellipticity: float
    found: sources.Sources
    correlation: apertures.Correlation
    """Noise of apertures over that of independent pixels, by the resampling."""
    empty: float
    """Scatter of empty apertures of 1 FWHM over their error; above 1 where faint sources and haloes add to it."""
    pixel_noise: float
    """Noise of a pixel of sky that errors of apertures follow from, electron/s."""
    limit_noise: float
    """Error of a pixel that `detect` compares filtered peaks with, correlation included, electron/s."""
    treatment: Treatment


def shape(sci: Any, err: Any, good: Any) -> sources.Shape:
    """Return the shape of the stars of an image without sky.

    From a small width in two steps: from their own on, two stars that touch would become one that is wide.
    """
    guess = GUESS_FWHM
    for _ in range(2):
        found = sources.find(sci, err, good, guess, LIMIT_SIGMA)
        bright = found.significance > 4 * LIMIT_SIGMA
        stars = sources.shape(sci, good, found.x[bright], found.y[bright], guess)
        before, guess = guess, min(max(stars.fwhm, 1.2), 50.0)
        if abs(guess / before - 1.0) < SAME_FWHM:
            break
    return stars


def measure(
    chip: str,
    stack: Stack,
    out: grid.Grid,
    header: Any,
    correlated: apertures.Correlation,
    treatment: Treatment,
) -> ChipImage:
    """Return a combined chip with its image quality and noise."""
    good = (stack.dq & combine.UNSEEN) == 0
    stars = shape(stack.sci, stack.err, good)
    frame = Frame(stack.sci, np.square(stack.err), np.where(good, 0, BAD).astype(np.uint32), header)
    mask = sky.objects(frame)
    if treatment.sky_way == "pairs":  # partners leave negative images
        mask |= sky.objects(replace(frame, sci=-frame.sci))
    radius = max(EMPTY_RADIUS * stars.fwhm, 1.0)
    factor = correlated.at(radius)
    free = stack.err[good & ~mask if (good & ~mask).any() else good]
    plain = (float(np.median(free)) if free.size else 0.0) * factor
    independent = apertures.independent_noise(radius)
    noise = apertures.empty_noise(stack.sci, good, mask, radius)
    empty = apertures.correlation_factor(stack.sci, stack.err, good, mask, radius) / factor
    if not np.isfinite(noise):
        noise, empty = plain * independent, 1.0
    found = sources.find(stack.sci, stack.err, good, stars.fwhm, LIMIT_SIGMA, correlated)
    limit = (float(np.median(stack.err[good])) if good.any() else 0.0) * correlated.at(
        2.0 * sources.filter_sigma(stars.fwhm)
    )
    return ChipImage(
        chip, stack, out, header, stars.fwhm, stars.ellipticity, found, correlated, empty, noise / independent,
        limit, treatment,
    )  # fmt: skip
