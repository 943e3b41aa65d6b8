"""The amplitude of cold stops and ring apodisers on the raster of the pupil."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.model.coronagraph import ColdStop


def stop_amplitude(stop: ColdStop, across: int, step: float, angle: float = 0.0) -> Floats:
    """Return the transmission (across, across) of a stop, averaged over each sample of ``step`` m.

    The hexagon has flat sides at 0, 60, 120 deg from +x, the dodecagon every 30 deg; ``angle`` (deg) turns all of it.
    """
    x, y = _axes(across, step, angle)
    r = np.hypot(x, y)
    outside = r if stop.round_edge else _across(x, y, 6)
    within = r if stop.round_hole else _across(x, y, 3)
    shape = np.clip((stop.outer / 2 - outside) / step + 0.5, 0.0, 1.0)
    shape *= np.clip((within - stop.inner / 2) / step + 0.5, 0.0, 1.0)
    for position_angle, width in stop.arms:
        sin, cos = math.sin(math.radians(position_angle)), math.cos(math.radians(position_angle))
        along, beside = y * cos - x * sin, np.abs(x * cos + y * sin)
        arm = np.clip((width / 2 - beside) / step + 0.5, 0.0, min(1.0, width / step))
        shape *= 1.0 - np.where(along > 0, arm, 0.0)
    return np.asarray(shape)


def ring_amplitude(ring: tuple[float, float] | None, across: int, step: float) -> Floats:
    """Return the amplitude (across, across) of a ring apodiser, 1 all over without one."""
    if ring is None:
        return np.ones((across, across))
    x, y = _axes(across, step, 0.0)
    radius, amplitude = ring
    inside = np.clip((radius - np.hypot(x, y)) / step + 0.5, 0.0, 1.0)
    return np.asarray(amplitude + (1.0 - amplitude) * inside)


def pixel_amplitude(pixels: tuple[tuple[float, ...], ...], pitch: float, across: int, step: float) -> Floats:
    """Return the amplitude (across, across) of a shaped pupil, which is symmetric about both axes, 0 beyond its pixels.

    ``pixels`` [j][i] is the amplitude of the square at (i, j) ``pitch`` (m) from the axis.
    """
    at = (np.abs(np.arange(across) - (across - 1) / 2) * step / pitch).astype(int)
    n = len(pixels)
    inside = at < n
    at = np.minimum(at, n - 1)
    return np.asarray(np.array(pixels)[np.ix_(at, at)] * np.outer(inside, inside))


def _axes(across: int, step: float, angle: float) -> tuple[Floats, Floats]:
    """Return the coordinates (across, across) of the samples in a pupil that is turned by ``angle`` deg, m."""
    x = (np.arange(across) - (across - 1) / 2) * step
    sin, cos = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    return cos * x + sin * x[:, None], cos * x[:, None] - sin * x


def _across(x: Floats, y: Floats, pairs: int) -> Floats:
    """Return the distance from the axis in units of the apothem of a regular polygon with ``pairs`` of sides."""
    normals = np.arange(pairs) * math.pi / pairs
    return np.asarray(np.max([np.abs(x * math.cos(a) + y * math.sin(a)) for a in normals], axis=0))
