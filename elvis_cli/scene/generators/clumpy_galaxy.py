"""A star-forming galaxy of the young universe: a disc and giant clumps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.model.request import SceneRequest
from elvis_cli.scene import cosmology, frame
from elvis_cli.scene.component import Component, Galaxies, Profile
from elvis_cli.scene.sersic import Sersic

THICKNESS = 0.2
"""Axis ratio of the disc seen edge-on: young discs are thick (Elmegreen & Elmegreen 2006, ApJ 650, 644)."""
RANGE = 10.0
"""How much brighter the brightest strewn clump may be than the faintest."""
DISC, CLUMP = "SB2_A_0", "SB9_A_0"
"""Starburst templates (COSMOS; Ilbert et al. 2009, ApJ 690, 1236), an older and a younger one."""


def components(
    request: SceneRequest,
    *,
    redshift: float,
    radius: float,
    index: float,
    inclination: float,
    position_angle: float,
    clumps: int,
    clump_size: Sequence[float],
    clump_fraction: float,
    placed: Sequence[Mapping[str, float]],
    sed: str,
) -> tuple[Component, ...]:
    """Return the disc (half-light ``radius`` in kpc) and its clumps, round and Gaussian (half-light radius in pc).

    Strewn clumps follow an exponential disc as wide as this one; their luminosities L are drawn from dN/dL ~ L^-2
    over a factor `RANGE` (Dessauges-Zavadsky & Adamo 2018, MNRAS 479, L118), their sizes evenly in the logarithm. What
    clumps do not hold is the disc's.

    Raises
    ------
    RequestError
        The clumps hold more than all the light, or the smallest is larger than the largest.
    """
    strewn = clump_fraction if clumps else 0.0
    rest = 1.0 - strewn - sum(clump["fraction"] for clump in placed)
    if rest < -1e-9:
        raise RequestError(
            "/elvis/scene/clump_fraction", "the clumps hold more than all of the light", found=1.0 - rest
        )
    if clump_size[0] > clump_size[1]:
        raise RequestError("/elvis/scene/clump_size", "the smallest comes first", found=list(clump_size))
    kpc = cosmology.kpc_per_arcsec(redshift)
    rng = frame.rng(request, "clumpy-galaxy")
    ratio = math.hypot(math.cos(math.radians(inclination)), THICKNESS * math.sin(math.radians(inclination)))
    along = frame.axis(request, position_angle)
    old, young = (
        replace(request.target.sed, kind="template", catalog="SWIRE", id=name, redshift=redshift, uploaded=None)
        if sed == "star-forming"
        else request.target.sed
        for name in (DISC, CLUMP)
    )
    x0, y0 = request.elvis.offset

    major = rng.gamma(2.0, radius / kpc / 1.678, clumps)
    angle = 2.0 * np.pi * rng.random(clumps)
    major, minor = major * np.cos(angle), major * np.sin(angle) * ratio
    xs = x0 + major * math.cos(along) - minor * math.sin(along)
    ys = y0 + major * math.sin(along) + minor * math.cos(along)
    sizes = clump_size[0] * (clump_size[1] / clump_size[0]) ** rng.random(clumps)
    light = 1.0 / (1.0 - (1.0 - 1.0 / RANGE) * rng.random(clumps))
    shares = strewn * light / light.sum() if clumps else light
    every = list(zip(xs.tolist(), ys.tolist(), sizes.tolist(), shares.tolist(), strict=True))
    for clump in placed:
        x, y = frame.place(request, np.array(clump["east"]), np.array(clump["north"]))
        every.append((float(x), float(y), clump["size"], clump["fraction"]))

    made = []
    if rest > 1e-9:
        disc = Sersic(index, radius / kpc, 1.0 - ratio, along)
        made.append(Component(Profile(disc, x0, y0), (old,), frame.part(request.target.brightness, rest), name="disc"))
    if any(share > 0 for *_, share in every):
        x, y, size, share = np.array([clump for clump in every if clump[3] > 0]).T
        mag = np.array([frame.part(request.target.brightness, part).mag for part in share])
        same = np.ones(x.size)
        shapes = Galaxies(x, y, mag, np.zeros(x.size, np.int64), size / 1000.0 / kpc, 0.5 * same, same, 0.0 * same)
        made.append(Component(shapes, (young,), request.target.brightness, name="clump"))
    return tuple(made)
