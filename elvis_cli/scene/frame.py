"""Angles and positions on the sky in the field's coordinates, fractions of a brightness, random streams of scenes."""

from __future__ import annotations

import math
from dataclasses import replace

from numpy.random import Generator

from elvis_cli.base import random_streams
from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import sky_to_field
from elvis_cli.errors import RequestError
from elvis_cli.model.request import Brightness, SceneRequest


def position_angle(request: SceneRequest) -> float:
    """Return the position angle of the field's +y, deg."""
    return request.elvis.pointing.position_angle if request.elvis.pointing else 0.0


def axis(request: SceneRequest, angle: float) -> float:
    """Return the angle (rad) from the field's +x towards +y of a position ``angle`` (deg, North through East)."""
    # +x is West: North through East is counter-clockwise.
    return math.radians(90.0 + angle - position_angle(request))


def displacement(request: SceneRequest, distance: float, angle: float) -> tuple[float, float]:
    """Return the displacement (x, y) in the field by ``distance`` at a position ``angle`` (deg, North through East)."""
    direction = axis(request, angle)
    return distance * math.cos(direction), distance * math.sin(direction)


def place(request: SceneRequest, east: Floats, north: Floats) -> tuple[Floats, Floats]:
    """Return the field coordinates x, y (arcsec, (n,)) of offsets East and North (arcsec, (n,)) from the target."""
    x, y = sky_to_field(east, north, position_angle(request))
    return request.elvis.offset[0] + x, request.elvis.offset[1] + y


def part(brightness: Brightness, fraction: float) -> Brightness:
    """Return the brightness of a fraction (above 0) of a source's light."""
    return replace(brightness, mag=brightness.mag - 2.5 * math.log10(fraction), flux=brightness.flux * fraction)


def magnitude(request: SceneRequest, pointer: str) -> Brightness:
    """Return the target's brightness; raise RequestError at ``pointer`` unless it is a magnitude."""
    if request.target.brightness.kind != "mag":
        raise RequestError(pointer, "its magnitudes need target.brightness.brightnesstype mag")
    return request.target.brightness


def catalogue_magnitude(request: SceneRequest) -> Brightness:
    """Return the brightness whose band and system the magnitudes of the catalogue have: its own, or the target's.

    Raises
    ------
    RequestError
        The catalogue has no band of its own, and the target's brightness is no magnitude.
    """
    stars = request.elvis.catalogue
    if stars is None or stars.band is None:
        brightness = magnitude(request, "/elvis/catalogue")
    else:
        brightness = replace(request.target.brightness, kind="mag", band=stars.band, flux=0.0)
    return brightness if stars is None or stars.system is None else replace(brightness, system=stars.system)


def rng(request: SceneRequest, name: str) -> Generator:
    """Return the random stream of a scene: the same in every exposure."""
    return random_streams.generator(request.elvis.seed, 0, 0, f"scene {name}", 0)
