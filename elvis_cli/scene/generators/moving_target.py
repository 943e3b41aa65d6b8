"""The target moves, as an asteroid or a comet does; the stars behind it stand still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from elvis_cli.model.request import SceneRequest
from elvis_cli.scene import frame, library
from elvis_cli.scene.component import Component, Points

GROWTH = 0.3
"""Counts of field stars grow tenfold in 1 / GROWTH magnitudes (Bahcall & Soneira 1980, ApJS 44, 73, about B = 20)."""


def components(
    request: SceneRequest, *, rate: float, angle: float, stars: int, field: float, contrast: Sequence[float]
) -> tuple[Component, ...]:
    """Return the target, which moves at ``rate`` (arcsec/h) to position angle ``angle`` (deg), and ``stars``.

    They lie within a square of ``field`` arcsec around where it is at the start, and are fainter than the target by
    ``contrast``, from and to (mag); their spectrum is its own.
    """
    target = library.target(request)
    moving = replace(target, motion=frame.displacement(request, rate / 3600.0, angle))
    if not stars:
        return (moving,)
    brightness = frame.magnitude(request, "/elvis/scene")
    rng = frame.rng(request, "moving-target")
    x, y = frame.place(request, *(field * (rng.random((2, stars)) - 0.5)))
    low, high = (10.0 ** (GROWTH * m) for m in contrast)
    mag = brightness.mag + np.log10(low + (high - low) * rng.random(stars)) / GROWTH
    points = Points(x, y, mag, np.zeros(stars, np.int64))
    return moving, Component(points, target.seds, brightness, name="star")
