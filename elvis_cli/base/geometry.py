"""Angles and projections: field of view <-> sky.

Field coordinates are arcsec from the field centre, +x West and +y North at position angle 0.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC

Coordinate = TypeVar("Coordinate", float, Floats)


def field_to_sky(fx: Coordinate, fy: Coordinate, position_angle: float) -> tuple[Coordinate, Coordinate]:
    """Return tangent-plane offsets (East, North), arcsec, of field coordinates; ``position_angle`` in deg."""
    cos, sin = math.cos(math.radians(position_angle)), math.sin(math.radians(position_angle))
    return -fx * cos + fy * sin, fx * sin + fy * cos


def sky_to_field(east: Coordinate, north: Coordinate, position_angle: float) -> tuple[Coordinate, Coordinate]:
    """Return field coordinates of tangent-plane offsets (East, North), arcsec."""
    cos, sin = math.cos(math.radians(position_angle)), math.sin(math.radians(position_angle))
    return -east * cos + north * sin, east * sin + north * cos


def rotate(x: Coordinate, y: Coordinate, angle: float) -> tuple[Coordinate, Coordinate]:
    """Return x, y on axes of which the second stands ``angle`` (deg) from +y towards +x."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return x * cos - y * sin, x * sin + y * cos


def project(ra: Floats, dec: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Return tangent-plane offsets (East, North), arcsec, about (ra0, dec0); all in deg; NaN for what is behind.

    The gnomonic projection of FITS, TAN (Calabretta & Greisen 2002, A&A 395, 1077, section 5.1.3).
    """
    a, d, d0 = np.radians(np.subtract(ra, ra0)), np.radians(dec), math.radians(dec0)
    depth = np.sin(d) * math.sin(d0) + np.cos(d) * math.cos(d0) * np.cos(a)
    depth = np.where(depth > 1e-9, depth, np.nan) * ARCSEC
    east = np.cos(d) * np.sin(a)
    north = np.sin(d) * math.cos(d0) - np.cos(d) * math.sin(d0) * np.cos(a)
    return east / depth, north / depth


def deproject(east: Floats, north: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Return ra (0..360), dec (deg) of tangent-plane offsets (arcsec) about (ra0, dec0): the inverse of `project`."""
    e, n, d0 = np.radians(np.divide(east, 3600)), np.radians(np.divide(north, 3600)), math.radians(dec0)
    depth = math.cos(d0) - n * math.sin(d0)
    dec = np.arctan2(math.sin(d0) + n * math.cos(d0), np.hypot(e, depth))
    return (ra0 + np.degrees(np.arctan2(e, depth))) % 360.0, np.degrees(dec)
