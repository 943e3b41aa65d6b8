"""A globular cluster: King's profile, Kroupa's stars after 12 Gyr, heavier ones nearer to the centre."""

from __future__ import annotations

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.model.request import SceneRequest
from elvis_cli.scene import frame, isochrone, starlight
from elvis_cli.scene.component import Component, Points

POINTS = 4096
"""Of the tabulated profile."""
STEP = 0.02
"""Step of ln(core radius) in which masses are told apart."""


def components(
    request: SceneRequest, *, stars: int, core_radius: float, tidal_radius: float, segregation: float, dispersion: float
) -> tuple[Component, ...]:
    """Return the stars; ``target.brightness`` is the sum of their light, whatever their number.

    The core radius of stars of mass m is ``core_radius`` (m / mean mass)^(-segregation / 2): with segregation 1, that
    of equipartition of energy in an isothermal core (King 1966, AJ 71, 64; Gunn & Griffin 1979, AJ 84, 752). The tidal
    radius is everyone's. Radii are in arcsec, the dispersion of radial velocities in km/s.

    Raises
    ------
    RequestError
        The core is not smaller than the cluster.
    """
    if not core_radius < tidal_radius:
        raise RequestError(
            "/elvis/scene/tidal_radius", "must be above core_radius", found=tidal_radius, allowed=f"above {core_radius}"
        )
    brightness = frame.magnitude(request, "/elvis/scene")
    rng = frame.rng(request, "globular-cluster")
    mass = isochrone.masses(rng.random(stars))
    core = core_radius * (mass / mass.mean()) ** (-segregation / 2.0)
    radius = radii(core, tidal_radius, rng.random(stars))
    angle = 2.0 * np.pi * rng.random(stars)
    mag, temperature, gravity = isochrone.present_properties(mass)
    seds, which = starlight.seds(request.target.sed, temperature, gravity)
    mag += starlight.colours(seds, brightness)[which]
    mag += brightness.mag + 2.5 * np.log10(np.sum(10.0 ** (-0.4 * mag)))
    velocity = dispersion * rng.standard_normal(stars)
    points = Points(*frame.place(request, radius * np.sin(angle), radius * np.cos(angle)), mag, which, velocity)
    return (Component(points, seds, brightness, name="star"),)


def inside(radius: Floats, core: float, tidal: float) -> Floats:
    """Return the fraction of the stars within ``radius`` in projection (King 1962, AJ 67, 471, eq. 18)."""
    x, end = (radius / core) ** 2, (tidal / core) ** 2

    def number(v: Floats | float) -> Floats:
        return np.asarray(np.log1p(v) - 4.0 * (np.sqrt(1.0 + v) - 1.0) / np.sqrt(1.0 + end) + v / (1.0 + end))

    return number(x) / number(end)


def radii(core: Floats, tidal: float, uniform: Floats) -> Floats:
    """Return projected radii for numbers between 0 and 1, each with its own core radius."""
    step = np.rint(np.log(core) / STEP).astype(np.int64)
    result = np.empty_like(core)
    for value in np.unique(step):
        one = float(np.exp(value * STEP))
        grid = one * np.expm1(np.linspace(0.0, np.log1p(tidal / one), POINTS))  # fine in the core, coarse outside
        here = step == value
        result[here] = np.interp(uniform[here], inside(grid, one, tidal), grid)
    return result
