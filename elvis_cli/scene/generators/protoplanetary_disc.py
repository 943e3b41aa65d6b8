"""A flat disc with rings and gaps around a young star."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import RequestError
from elvis_cli.request import Request
from elvis_cli.scene import frame
from elvis_cli.scene.component import Component, Picture, Points

FINEST, COARSEST = 2048, 256
"""Elements across the picture."""


def components(
    request: Request,
    *,
    contrast: float,
    inner_radius: float,
    outer_radius: float,
    slope: float,
    rings: Sequence[Mapping[str, float]],
    inclination: float,
    position_angle: float,
    asymmetry: float,
    dust_temperature: float | None = None,
) -> tuple[Component, ...]:
    """Return star and disc, together as bright as ``target.brightness``; lengths are in arcsec, angles in deg.

    In its own plane the disc's surface brightness goes as r^-slope between the inner and the outer radius, times
    1 - depth exp(-4 ln 2 ((r - radius) / width)^2) for each ring, times the phase function of Henyey & Greenstein
    (1941, ApJ 93, 70) for light of the star that is scattered once. The near side is at ``position_angle`` + 90.

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
    scale = size / count
    image = surface(count, scale, inner_radius, outer_radius, slope, rings, inclination, asymmetry)
    if not image.any():
        raise RequestError("/elvis/scene/rings", "leave no light in the disc")

    target, (x, y) = request.target, request.extras.offset
    ratio = 10.0 ** (-0.4 * contrast)
    star = frame.part(target.brightness, 1.0 / (1.0 + ratio))
    dust = target.sed
    if dust_temperature is not None:
        dust = replace(dust, kind="blackbody", temperature=float(dust_temperature), uploaded=None)
    point = Points(np.array([x]), np.array([y]), np.array([star.mag]), np.zeros(1, np.int64))
    angle = position_angle - frame.turned(request)
    return (
        Component(point, (target.sed,), star, name="star"),
        Component(
            Picture(image, scale, x, y, angle),
            (dust,),
            frame.part(target.brightness, ratio / (1.0 + ratio)),
            name="disc",
        ),
    )


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
    place = (np.arange(count) - (count - 1) / 2.0) * scale
    near = -place / math.cos(tilt)
    radius = np.hypot(place[:, None], near)
    radius = np.maximum(radius, 1e-6 * scale)
    light = np.where((radius >= inner) & (radius <= outer), (radius / outer) ** -slope, 0.0)
    for ring in rings:
        light *= 1.0 - ring["depth"] * np.exp2(-4.0 * ((radius - ring["radius"]) / ring["width"]) ** 2)
    cosine = math.sin(tilt) * near / radius  # of the angle by which the light is turned towards us
    light *= (1.0 + asymmetry**2 - 2.0 * asymmetry * cosine) ** -1.5
    return np.maximum(light, 0.0).astype(np.float32)
