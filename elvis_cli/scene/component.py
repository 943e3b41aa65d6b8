"""What a scene is made of: a shape in the field, a spectrum, a brightness, perhaps a motion.

Positions are arcsec in the field, +x West and +y North at position angle 0. A generator (cluster, galaxy, disc ...)
returns components; `elvis_cli.light.compose` turns them into electrons per second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.model.request import Brightness, Sed
from elvis_cli.scene.sersic import Sersic


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Point sources; all arrays (n,)."""

    x: Floats
    y: Floats
    mag: Floats
    """Magnitude of each in the component's band and system; the component's own ``mag`` is not used."""
    sed: NDArray[np.int64]
    """Index of each into the component's ``seds``."""
    velocity: Floats | None = None
    """Away from us, km/s, besides the component's own: what a spectrograph sees and an imager does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Galaxies:
    """Many Sersic profiles; all arrays (n,), magnitudes and spectra as for Points."""

    x: Floats
    y: Floats
    mag: Floats
    sed: NDArray[np.int64]
    radius: Floats
    """Half-light radius along the major axis, arcsec."""
    index: Floats
    ratio: Floats
    """Minor over major axis."""
    angle: Floats
    """Of the major axis from +x towards +y of the field, rad."""
    velocity: Floats | None = None
    """As that of Points."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A Sersic profile: radius in arcsec, angle (rad) from +x towards +y of the field; the brightness is its total."""

    sersic: Sersic
    x: float
    y: float


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A surface-brightness template; the brightness is that of the whole picture."""

    image: NDArray[np.float32]
    """(ny, nx), any unit: only its shares count. Its sum is positive; noise about zero may be negative."""
    scale: float
    """arcsec per element."""
    x: float
    y: float
    """Place of the picture's middle."""
    angle: float = 0.0
    """Angle from the field's +y to the picture's +y axis, deg, counter-clockwise as seen in the field (+x right)."""


@dataclass(frozen=True, slots=True, eq=False)
class Cube:
    """Pictures about one place, each with its own spectrum."""

    images: NDArray[np.float32]
    """(n, ny, nx): an element's share of the component's brightness, with the spectrum of its plane."""
    scale: float
    x: float
    y: float
    angle: float = 0.0
    """As those of a Picture."""

    def plane(self, image: NDArray[np.float32]) -> Picture:
        """Return an image (ny, nx) at this place."""
        return Picture(image, self.scale, self.x, self.y, self.angle)


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One kind of source in the scene."""

    shape: Points | Galaxies | Profile | Picture | Cube
    seds: tuple[Sed, ...]
    """One spectrum; for a Cube one a plane; for Points and Galaxies as many as their ``sed`` points at."""
    brightness: Brightness
    """Band, system and total magnitude (for Points: band and system)."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Field velocity, arcsec/s; the telescope follows the stars."""
    name: str = ""
    """For the truth table, e.g. "star", "clump"."""
    id: NDArray[np.int64] | None = None
    """Number of each source in the user's catalogue."""
    names: NDArray[np.str_] | None = None
    """Name of each source in the user's catalogue, in place of ``name``."""
    velocity: float = 0.0
    """Away from us, km/s, on top of the spectra's own redshift."""
