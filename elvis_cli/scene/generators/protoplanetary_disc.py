"""A flat disc with rings and gaps around a young star."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.model.request import SceneRequest
from elvis_cli.scene import frame, rotation
from elvis_cli.scene.component import Component, Picture, Points

FINEST, COARSEST = 2048, 256
"""Elements across the picture."""


def components(
    request: SceneRequest,
    *,
    contrast: float,
    inner_radius: float,
    outer_radius: float,
    slope: float,
    rings: Sequence[Mapping[str, float]],
    inclination: float,
    position_angle: float,
    asymmetry: float,
    lines: Sequence[Mapping[str, float]],
    mass: float,
    distance: float,
    dust_temperature: float | None = None,
) -> tuple[Component, ...]:
    """Return star and disc, together as bright as ``target.brightness``; lengths are in arcsec, angles in deg.

    In its own plane the disc's surface brightness goes as r^-slope between the inner and the outer radius, times
    1 - depth exp(-4 ln 2 ((r - radius) / width)^2) for each ring, times the phase function of Henyey & Greenstein
    (1941, ApJ 93, 70) for light of the star that is scattered once. The near side is at ``position_angle`` + 90.

    Its ``lines`` (`rotation.lines`), not scattered and besides that brightness, follow Kepler's law around ``mass`` (of
    the Sun) at ``distance`` (pc); the side at ``position_angle`` moves away.

    Raises
    ------
    RequestError
        The disc ends before it begins.
    """
    if not inner_radius < outer_radius:
        raise RequestError(
            "/elvis/scene/outer_radius",
            "must be above inner_radius",
            found=outer_radius,
            allowed=f"above {inner_radius}",
        )
    finest = min([inner_radius, *(ring["width"] for ring in rings)]) / 6.0
    size = 2.0 * outer_radius
    count = int(np.clip(math.ceil(size / finest), COARSEST, FINEST))
    disc = partial(surface, inner=inner_radius, outer=outer_radius, slope=slope, rings=rings, inclination=inclination)
    image = disc(count, size / count, asymmetry=asymmetry)
    if not image.any():
        raise RequestError("/elvis/scene/rings", "leave no light in the disc")

    target, (x, y) = request.target, request.elvis.offset
    ratio = 10.0 ** (-0.4 * contrast)
    star = frame.part(target.brightness, 1.0 / (1.0 + ratio))
    dust = target.sed
    if dust_temperature is not None:
        dust = replace(dust, kind="blackbody", temperature=float(dust_temperature), uploaded=None)
    point = Points(np.array([x]), np.array([y]), np.array([star.mag]), np.zeros(1, np.int64))
    angle = position_angle - frame.position_angle(request)
    emission: tuple[Component, ...] = ()
    if lines:
        few = min(count, rotation.MAX_ELEMENTS_ACROSS)
        glow = Picture(disc(few, size / few, asymmetry=0.0), size / few, x, y, angle)
        emission = rotation.lines(glow, receding(few, size / few * distance, inclination, mass), target.sed, lines)
    return (
        Component(point, (target.sed,), star, name="star"),
        Component(
            Picture(image, size / count, x, y, angle),
            (dust,),
            frame.part(target.brightness, ratio / (1.0 + ratio)),
            name="disc",
        ),
        *emission,
    )


def receding(count: int, scale: float, inclination: float, mass: float) -> Floats:
    """Return how fast each of (count, count) elements of ``scale`` au moves away, km/s: those towards +y."""
    radius, place = _radius(count, scale, inclination)
    return rotation.kepler(radius, mass) * math.sin(math.radians(inclination)) * place[:, None] / radius


def _radius(count: int, scale: float, inclination: float) -> tuple[Floats, Floats]:
    """Return the radius in the disc's plane of each element, and the elements' places along either axis."""
    place: Floats = np.asarray((np.arange(count) - (count - 1) / 2.0) * scale)
    radius: Floats = np.asarray(np.hypot(place[:, None], place / math.cos(math.radians(inclination))), np.float64)
    return np.maximum(radius, 1e-6 * scale), place


def surface(
    count: int,
    scale: float,
    inner: float,
    outer: float,
    slope: float,
    rings: Sequence[Mapping[str, float]],
    inclination: float,
    asymmetry: float,
) -> NDArray[np.float32]:
    """Return the disc on (count, count) elements of ``scale`` arcsec, major axis along y, near side towards -x."""
    tilt = math.radians(inclination)
    radius, place = _radius(count, scale, inclination)
    light = np.where((radius >= inner) & (radius <= outer), (radius / outer) ** -slope, 0.0)
    for ring in rings:
        light *= 1.0 - ring["depth"] * np.exp2(-4.0 * ((radius - ring["radius"]) / ring["width"]) ** 2)
    cosine = -math.tan(tilt) * place / radius  # of the angle by which the light is turned towards us
    light *= (1.0 + asymmetry**2 - 2.0 * asymmetry * cosine) ** -1.5
    return np.maximum(light, 0.0).astype(np.float32)
