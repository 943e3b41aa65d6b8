"""A disc galaxy that rotates: stars, and gas whose emission lines follow the velocity field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.model.request import SceneRequest
from elvis_cli.model.spectrograph import SIGMA
from elvis_cli.scene import cosmology, frame, rotation
from elvis_cli.scene.component import Component, Picture, Profile
from elvis_cli.scene.sersic import Sersic

THICKNESS = 0.2
"""Axis ratio of the disc seen edge-on, as that of the scene clumpy-galaxy."""
SCALE_LENGTHS = 1.678
"""Half-light radius of an exponential disc over its scale length."""
REACH = 4.0
"""Half-light radii to which the gas is drawn: 0.9909 of an exponential disc's light."""
ELEMENTS = 256
"""Across the picture of the gas: 0.03 half-light radii each."""
TEMPLATE = "Sb_A_0"
"""Template of a spiral galaxy (Polletta et al. 2007, ApJ 663, 81, in COSMOS's library)."""


def components(
    request: SceneRequest,
    *,
    redshift: float,
    radius: float,
    inclination: float,
    position_angle: float,
    rotation_velocity: float,
    turnover: float,
    dispersion: float,
    lines: Sequence[Mapping[str, float]],
    sed: str,
) -> tuple[Component, ...]:
    """Return the stars' exponential disc, as bright as ``target.brightness``, and its gas, which adds ``lines``.

    ``radius`` (half-light) and ``turnover`` are in kpc, velocities in km/s, angles in deg. The gas shines like the
    stars and turns as `velocity_field` says; the side at ``position_angle`` moves away. Each line is a Gaussian of
    ``dispersion`` (1 sigma) at each place; its ``wavelength`` (nm) is at rest, its ``flux`` (W/m2) that of the galaxy.
    """
    kpc = cosmology.kpc_per_arcsec(redshift)
    ratio = math.hypot(math.cos(math.radians(inclination)), THICKNESS * math.sin(math.radians(inclination)))
    base = replace(request.target.sed, redshift=redshift)
    light = base if sed == "target" else replace(base, kind="template", catalog="SWIRE", id=TEMPLATE, uploaded=None)
    x, y = request.elvis.offset
    disc = Sersic(1.0, radius / kpc, 1.0 - ratio, frame.axis(request, position_angle))
    stars = Component(Profile(disc, x, y), (light,), request.target.brightness, name="disc")
    scale = 2.0 * REACH / ELEMENTS
    along, across = np.meshgrid(*2 * [(np.arange(ELEMENTS) - (ELEMENTS - 1) / 2.0) * scale], indexing="ij")
    glow = np.exp(-SCALE_LENGTHS * np.hypot(along, across / ratio)).astype(np.float32)
    gas = Picture(glow, scale * radius / kpc, x, y, position_angle - frame.position_angle(request))
    velocity = velocity_field(along * radius, across * radius / ratio, rotation_velocity, turnover, inclination)
    width = max(dispersion * SIGMA, 1e-3)
    emission = [{**line, "width": width} for line in lines]
    return (stars, *rotation.lines(gas, velocity, base, emission))


def velocity_field(along: Floats, across: Floats, asymptote: float, turnover: float, inclination: float) -> Floats:
    """Return the velocity away from us (km/s) at places of the disc's own plane (kpc), ``along`` its major axis.

    The rotation curve is 2/pi ``asymptote`` arctan(r / ``turnover``) (Courteau 1997, AJ 114, 2402, eq. 1), seen at
    ``inclination`` (deg): times sin i cos theta, theta from the receding side of the major axis.
    """
    distance: NDArray[np.float64] = np.maximum(np.hypot(along, across), 1e-9)
    speed = 2.0 / math.pi * asymptote * np.arctan2(distance, turnover)
    return np.asarray(speed * math.sin(math.radians(inclination)) * along / distance)
