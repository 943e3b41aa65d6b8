"""A coronagraph: apodiser, focal-plane mask and cold stop, and the slow aberrations before them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ColdStop:
    """A stop in a pupil image, in m on the primary mirror."""

    outer: float
    """Across flats of the regular dodecagon, or diameter of the circle (``round_edge``), m."""
    inner: float
    """Across flats of the regular hexagon, or diameter of the circle (``round_hole``), m."""
    arms: tuple[tuple[float, float], ...] = ()
    """Position angle (deg, as the telescope's) and width (m) of each arm."""
    round_edge: bool = False
    round_hole: bool = False


@dataclass(frozen=True, slots=True)
class Coronagraph:
    """What stands in the beam of a star, and what is slow in its wavefront."""

    name: str
    mask: str
    """vortex (of charge 2), disc (before the stop), spot (a dimming disc in the last focus), or none."""
    stop: ColdStop
    ring: tuple[float, float] | None = None
    """Apodiser: radius (m) within which the amplitude is 1, and the amplitude outside; None = none."""
    pixels: tuple[tuple[float, ...], ...] = ()
    """Shaped pupil: amplitudes [j][i] of the squares of a quarter, from the axis on; () = none."""
    pitch: float = 0.0
    """Side of its squares, m."""
    radius: float = 0.0
    """Of the disc or spot, arcsec."""
    depth: float = 0.0
    """Fraction of the light that a spot lets through."""
    leak: float = 0.0
    """Fraction of the light that the mask leaves alone, as its phase is not right at all wavelengths."""
    glow: tuple[tuple[float, float], ...] = ()
    """Light of what is warm around the pupil, which a vortex sends to its centre: distances (lambda / D) and what is
    there over the background, falling as 1 / r beyond the last; () = none."""
    jitter: float = 0.0
    """Of the star on the mask, mas rms per axis."""
    static: float = 0.0
    """Wavefront error that stays, nm rms: a part of what the adaptive optics leave."""
    drift: float = 0.0
    """Wavefront error that grows evenly within ``drift_time``, nm rms: a part of it, too."""
    drift_time: float = 3600.0
    """s."""
    speckle_time: float = 0.3
    """After which the speckles of the atmosphere are others, s."""
    angle: float = 0.0
    """Of the telescope's pupil and all masks on the detector, deg, from +y through -x."""
