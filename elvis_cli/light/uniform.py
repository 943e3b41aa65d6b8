"""What fills the field of a spectrograph: the sky, warm optics, a lamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.light import cells
from elvis_cli.light.budget import PhotonBudget
from elvis_cli.sky.resolved import ResolvedSky


@dataclass(frozen=True, slots=True, eq=False)
class UniformSource:
    """A source that fills the field."""

    part: str
    """Part of the light: background or thermal."""
    density: Callable[[Floats], Floats]
    """Electrons/s/um/arcsec2 averaged between edges (n + 1,), um, without the orders' own efficiency: (n,)."""
    feed: str = "sky"
    """What must feed a fibre for it to see this (`Aperture.feed`)."""


def background(light: PhotonBudget) -> tuple[UniformSource, UniformSource]:
    """Return the sky, with its lines where the budget has them, and the warm optics, linear between its wavelengths.

    A cell absorbs its lines from the sky only.
    """
    warm = sum((light.density[name] for name in light.density if name != "sky"), np.zeros_like(light.wave))
    sky = partial(_between, light.wave, light.density["sky"])
    if light.resolved is not None:
        sky = partial(_sky, light, light.resolved)
    if light.cell:
        sky = partial(_absorbed, light.cell, sky)
    return UniformSource("background", sky), UniformSource("thermal", partial(_between, light.wave, warm))


def _between(wave: Floats, values: Floats, edges: Floats) -> Floats:
    return np.interp((edges[1:] + edges[:-1]) / 2, wave, values, left=0.0, right=0.0)


def _absorbed(cell: str, density: Callable[[Floats], Floats], edges: Floats) -> Floats:
    return density(edges) * cells.transmission(cell, edges)


def _sky(light: PhotonBudget, resolved: ResolvedSky, edges: Floats) -> Floats:
    return _between(light.wave, light.passed * light.area, edges) * resolved.emitted(edges)
