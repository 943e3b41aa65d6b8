"""The velocity of exposures about the Solar System's barycentre."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from elvis_cli.base.constants import LIGHT
from elvis_cli.reduction import layout
from elvis_cli.reduction.raw import RawFile
from elvis_cli.sky.pointing import barycentric_correction


def velocity_of(science: Sequence[RawFile]) -> float:
    """Return the velocity, km/s, in the middle of exposures: what is added to a measured one."""
    first, last = science[0], science[-1]
    middle = (first.mjd + last.mjd + last.dit * last.ndit / 86400.0) / 2
    site = layout.configure(first).atmosphere.site
    time = datetime(1858, 11, 17) + timedelta(days=middle)
    return barycentric_correction(float(first.get("RA", 0.0)), float(first.get("DEC", 0.0)), time, site)


def factor(velocity: float | None) -> float:
    """Return the ratio of a wavelength at rest with the barycentre to the observed one: 1 + v/c of km/s; 1 of None."""
    return 1.0 + (velocity or 0.0) * 1e3 / LIGHT
