"""The telescope and what light meets behind it: pupil, optical surfaces, adaptive optics."""

from __future__ import annotations

from dataclasses import dataclass

from elvis_cli.base.curve import Curve
from elvis_cli.model.coronagraph import ColdStop


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """An optical element in the order that light meets it."""

    name: str
    group: str
    """telescope, relay, instrument or filter: how the ETC names the parts of the throughput."""
    throughput: Curve
    """Reflection or transmission, 0..1."""
    emissivity: Curve
    temperature: float
    """K."""


@dataclass(frozen=True, slots=True)
class Telescope:
    """Collecting area and pupil."""

    name: str
    area: float
    """m2, as used for photon rates."""
    diameter: float
    """Outer diameter of the pupil for diffraction, m."""
    inner: float
    """Diameter of the central obscuration, m."""
    spider_width: float
    """m."""
    spider_angles: tuple[float, ...]
    """Position angles of the arms, deg."""
    segments: tuple[float, ...] = ()
    """Hexagonal segments: pitch (flat to flat), smallest and largest distance of a segment's centre from the
    axis, m; () = a filled annulus from ``inner`` to ``diameter``."""
    mirror: float = 0.0
    """Diameter of the primary mirror where the pupil is smaller, m, as in the ETC's image quality; 0 = ``diameter``."""


@dataclass(frozen=True, slots=True)
class PupilMask:
    """What stands in a pupil image behind the adaptive optics; the light that it blocks is a filter's business.

    Its coordinates are those of the telescope's pupil: x, y in m on the primary mirror.
    """

    name: str
    angle: float = 0.0
    """Of the telescope's pupil and the mask on the detector, deg, from +y through -x."""
    holes: tuple[tuple[float, float, float], ...] = ()
    """Centre x, y and radius of each hole, m; () = all of the pupil."""
    sines: tuple[tuple[float, ...], ...] = ()
    """Phase plate, rad: row j, column i is the amplitude of sin(2 pi (u x + v y) / D), u = i + 1 and
    v = j - (rows - 1) / 2 cycles across the pupil's diameter D; () = none."""
    grating: float = 0.0
    """Phase ramp along y that carries the light of the two handednesses to either side, cycles across D."""
    leak: float = 0.0
    """Fraction of the light that a phase plate leaves alone."""
    stop: ColdStop | None = None
    """A stop around it."""


@dataclass(frozen=True, slots=True)
class AoSystem:
    """One adaptive-optics system: the error budget's coefficients."""

    kind: str
    """scao, mcao, ltao or glao."""
    wfs: str
    """pyramid or sh."""
    subapertures: int
    """Across the pupil."""
    wfs_wavelength: float
    """um."""
    pitch: float
    """Deformable mirror's actuator pitch in the pupil, m."""
    rate: float
    """Hz."""
    gain: float
    delay: float
    """Frames."""
    zero_point: float
    """Photons/s/m2 of a 0 mag guide star at the wavefront sensor's band, above the telescope."""
    wfs_throughput: float
    wfs_ron: float
    """electrons."""
    excess_noise: float
    modulation: float
    """lambda/D, pyramid only."""
    residual: float
    """Further wavefront error (NCPA, telescope, other), nm rms."""
    jitter: float
    """Residual image motion, mas rms per axis."""
    dm_heights: tuple[float, ...] = (0.0,)
    """m."""
    dm_pitches: tuple[float, ...] = ()
    """m, one per height; empty = ``pitch``."""
    asterism_radius: float = 0.0
    """Laser guide stars' distance from the field centre, arcsec."""
    default_guide_star_mag: float = 10.0
    lasers: int = 0
    """Laser guide stars; 0 = the high-order sensor looks at the natural guide star."""
    laser_photons: float = 0.0
    """Photons per sub-aperture and frame of one laser guide star."""
    laser_spot: float = 1.5
    """FWHM of a laser guide star in a sub-aperture, arcsec."""
    tiptilt_rate: float = 500.0
    """Hz: natural guide star's (low-order) sensor beside the lasers."""
    tiptilt_wavelength: float = 1.65
    """um."""
    tiptilt_ron: float = 0.5
    """electrons."""
    stars: tuple[tuple[float, float, float], ...] = ()
    """Natural guide stars beside the lasers: x, y (arcsec from their centre), magnitudes fainter than the brightest;
    () = one."""
    field_radius: float = 10.0
    """MCAO: radius of the field over which the correction is best, arcsec."""
