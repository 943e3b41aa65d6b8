"""The scenes that a request can ask for, by name, and what each is made of.

``elvis.catalogue``, ``elvis.scene`` and ``elvis.image`` take the place of the ETC's single target; several together are
added. All but the catalogue stand at ``elvis.offset``, and so do its x and y (not its ra and dec).
"""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.request import Request
from elvis_cli.scene.component import Component, Points, Profile
from elvis_cli.scene.morphology import Sersic


def components(request: Request) -> tuple[Component, ...]:
    """Return what shines in the field of a request, () if its target is infinite.

    Raises
    ------
    RequestError
        Parts of the request contradict each other, or a scene's parameters do.
    """
    shape, extras = request.target.morphology, request.extras
    if extras.catalogue is None:
        return () if shape.kind == "infinite" else (target(request),)
    if shape.kind != "point":
        raise RequestError("/elvis/catalogue", "a catalogue holds stars: the target's morphology must be point")
    if request.target.brightness.kind != "mag":
        raise RequestError("/elvis/catalogue", "its magnitudes need target.brightness.brightnesstype mag")
    x = np.asarray(extras.catalogue.x) + extras.offset[0]
    y = np.asarray(extras.catalogue.y) + extras.offset[1]
    stars = Points(x, y, np.asarray(extras.catalogue.mag), np.zeros(x.size, np.int64))
    return (Component(stars, (request.target.sed,), request.target.brightness, name="star"),)


def target(request: Request) -> Component:
    """Return the ETC's own target, a point or a Sersic profile.

    A point whose brightness is the flux of a line has magnitude 0: relative to that flux.
    """
    shape, brightness = request.target.morphology, request.target.brightness
    x, y = request.extras.offset
    made: Points | Profile
    if shape.kind == "point":
        mag = brightness.mag if brightness.kind == "mag" else 0.0
        made = Points(np.array([x]), np.array([y]), np.array([mag]), np.zeros(1, np.int64))
    else:
        made = Profile(Sersic(shape.index, shape.radius, shape.ellipticity, axis(request, shape.angle)), x, y)
    return Component(made, (request.target.sed,), brightness, name="target")


def axis(request: Request, position_angle: float) -> float:
    """Return the angle (rad) from the field's +x towards +y of a position angle (deg, North through East)."""
    turned = request.extras.pointing.position_angle if request.extras.pointing else 0.0
    return math.radians(90.0 + position_angle - turned)  # +x is West: North through East is counter-clockwise
