"""The scene: where the sources are in the field and how many electrons per second each gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.instrument import Floats
from elvis_cli.request import Request
from elvis_cli.scene.morphology import Sersic


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Sources in field coordinates (arcsec, +x West, +y North at position angle 0)."""

    x: Floats
    y: Floats
    """Point sources (n,)."""
    rate: Floats
    """Electrons/s of each."""
    profile: Sersic | None
    """Extended source at ``centre`` with radius in arcsec and angle in the field, or None."""
    profile_rate: float
    """Electrons/s, integrated to infinity."""
    surface: float
    """Uniform source, electrons/s/arcsec2."""
    centre: tuple[float, float]
    """Target's place, arcsec."""


def compose(request: Request, rate: float) -> Scene:
    """Return the scene of a request whose target gives ``rate`` electrons/s (per arcsec2 when infinite).

    A catalogue takes the target's place; its stars have the target's spectrum, band and magnitude system.

    Raises
    ------
    RequestError
        A catalogue comes with an extended target, or with a brightness that is no magnitude.
    """
    shape, extras = request.target.morphology, request.extras
    nothing = np.zeros(0)
    x, y, star_rate = nothing, nothing, nothing
    profile, profile_rate, surface = None, 0.0, 0.0
    if extras.catalogue is not None:
        if shape.kind != "point":
            raise RequestError("/elvis/catalogue", "a catalogue holds stars: the target's morphology must be point")
        if request.target.brightness.kind != "mag":
            raise RequestError("/elvis/catalogue", "its magnitudes need target.brightness.brightnesstype mag")
        x = np.asarray(extras.catalogue.x) + extras.offset[0]
        y = np.asarray(extras.catalogue.y) + extras.offset[1]
        star_rate = rate * 10.0 ** (-0.4 * (np.asarray(extras.catalogue.mag) - request.target.brightness.mag))
    elif shape.kind == "point":
        x, y, star_rate = np.array([extras.offset[0]]), np.array([extras.offset[1]]), np.array([rate])
    elif shape.kind == "sersic":
        pointing = extras.pointing.position_angle if extras.pointing else 0.0
        # North through East is counter-clockwise from +y in the field: +x is West
        angle = math.radians(90.0 + shape.angle - pointing)
        profile, profile_rate = Sersic(shape.index, shape.radius, shape.ellipticity, angle), rate
    else:
        surface = rate
    return Scene(x, y, star_rate, profile, profile_rate, surface, extras.offset)
