"""Directions on the sky in the field, and parts of a brightness: what all generators need."""

from __future__ import annotations

import math
from dataclasses import replace

from numpy.random import Generator

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import sky_to_field
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness, SceneRequest


def turned(request: SceneRequest) -> float:
    """Return the position angle of the field's +y, deg."""
    return request.elvis.pointing.position_angle if request.elvis.pointing else 0.0


def axis(request: SceneRequest, position_angle: float) -> float:
    """Return the angle (rad) from the field's +x towards +y of a position angle (deg, North through East)."""
    return math.radians(90.0 + position_angle - turned(request))  # +x is West: North through East is counter-clockwise


def towards(request: SceneRequest, distance: float, position_angle: float) -> tuple[float, float]:
    """Return the field offset (arcsec) of a step of ``distance`` to a position angle (deg, North through East)."""
    angle = axis(request, position_angle)
    return distance * math.cos(angle), distance * math.sin(angle)


def place(request: SceneRequest, east: Floats, north: Floats) -> tuple[Floats, Floats]:
    """Return the field coordinates (arcsec) of sky offsets (arcsec) from the target's place."""
    x, y = sky_to_field(east, north, turned(request))
    return request.elvis.offset[0] + x, request.elvis.offset[1] + y


def part(brightness: Brightness, fraction: float) -> Brightness:
    """Return the brightness of a fraction (above 0) of the light."""
    return replace(brightness, mag=brightness.mag - 2.5 * math.log10(fraction), flux=brightness.flux * fraction)


def magnitude(request: SceneRequest, pointer: str) -> Brightness:
    """Return the target's brightness, which must be a magnitude because what is at ``pointer`` counts in them."""
    if request.target.brightness.kind != "mag":
        raise RequestError(pointer, "its magnitudes need target.brightness.brightnesstype mag")
    return request.target.brightness


def rng(request: SceneRequest, name: str) -> Generator:
    """Return the random stream of a scene: the same in every exposure."""
    return random_streams.generator(request.elvis.seed, 0, 0, f"scene {name}", 0)
