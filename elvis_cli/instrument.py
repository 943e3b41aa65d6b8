"""The plugin contract: what an instrument is, and the Setup that it makes of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from elvis_cli.extras import PsfCube, Window
from elvis_cli.request import Request
from elvis_cli.sampling import Sampling

if TYPE_CHECKING:
    from elvis_cli.calibration import Calibration
    from elvis_cli.spectrograph import Spectrograph

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Value:
    """A number of an instrument, as `elvis explain` lists it."""

    name: str
    value: Any
    unit: str
    source: str
    assumed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A quantity against vacuum wavelength (um, ascending), linear between the points."""

    wave: Floats
    value: Floats
    outside: float | None = None
    """Value outside the table; None holds the end points."""

    def at(self, wave: Floats) -> Floats:
        """Return the quantity at ``wave`` (um)."""
        return np.interp(wave, self.wave, self.value, left=self.outside, right=self.outside)


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
class Site:
    """An observatory."""

    name: str
    latitude: float
    """deg North."""
    longitude: float
    """deg East."""
    elevation: float
    """m."""
    temperature: float
    """K."""
    pressure: float
    """hPa."""
    humidity: float
    """0..1."""
    space: bool = False
    """No atmosphere, no horizon: the sky is the zodiacal light, and the figures above are 0."""
    zodiacal: tuple[float, float] | None = None
    """In space: its AB magnitude per arcsec2, stray light included, and the wavelength (um) where it has it."""


@dataclass(frozen=True, slots=True)
class Turbulence:
    """Profile of the turbulence at zenith."""

    height: tuple[float, ...]
    """m above the telescope."""
    weight: tuple[float, ...]
    """Fraction of Cn2 dh; sums to 1."""
    wind: tuple[float, ...]
    """m/s."""
    outer_scale: float
    """L0, m."""
    name: str = ""
    """Of the profile among the site's."""


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


@dataclass(frozen=True, slots=True)
class Chip:
    """One detector chip at its place in the focal plane."""

    id: int
    extname: str
    x_mm: float
    """Centre in the focal plane, mm; +x West, +y North at position angle 0."""
    y_mm: float
    rotation: float
    """Angle from the focal plane's x axis to the chip's x axis, deg, counter-clockwise."""
    gain: float
    """electrons per ADU."""
    ron: float
    """electrons rms per read-out frame (DIT)."""
    dark: float
    """electrons/s per (binned) pixel."""
    header: tuple[tuple[str, str | int | float], ...] = ()
    """Further cards of its extensions."""


@dataclass(frozen=True, slots=True)
class Quadrant:
    """The part of a chip that one amplifier reads out; sizes in pixels as read out, places on the chip's array."""

    name: str
    x0: int
    y0: int
    nx: int
    ny: int
    corner: str
    """Of this part, where the amplifier sits: bottom-left, bottom-right, top-left or top-right. Rows move to its edge,
    then pixels along that edge to the corner."""
    prescan: int = 0
    """Columns that are read before the first with light."""
    overscan: int = 0
    """Columns that are read after the last with light."""
    rows: int = 0
    """Rows that are read after the last with light."""
    gain: float | None = None
    """electrons per ADU; None = the chip's."""
    ron: float | None = None
    """electrons; None = the chip's."""
    bias: float | None = None
    """ADU; None = the detector's."""


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """The detector as read out: sizes and rates are per binned pixel."""

    name: str
    kind: str
    """ccd or ir."""
    nx: int
    ny: int
    pixel_mm: float
    binning: int
    full_well: float
    """electrons."""
    bias: float
    """ADU."""
    adc_max: float
    """ADU."""
    qe: Curve
    chips: tuple[Chip, ...]
    stages: Mapping[str, Mapping[str, Any]]
    """Parameters of the detector stages, by stage name."""
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Orders of the stages by name, the usual one first; {} = that of `elvis_cli.detector.chain`."""
    optional: tuple[str, ...] = ()
    """Stages that only run when they are asked for: those of calibration exposures."""
    quadrants: tuple[Quadrant, ...] = ()
    """A grid that covers the chip; () = one amplifier at its bottom left, no pre- or overscan."""
    extensions: str = "chips"
    """What gets an extension of the file: chips, or quadrants, which are then turned to the field's axes."""
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen, and so is what it holds
    """Of an infrared array; the chips' ``ron`` is that of a frame made like this."""

    def chip(self, number: int) -> Chip:
        """Return the chip with this number."""
        return next(c for c in self.chips if c.id == number)


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """An instrument made ready for one request: everything that the renderer and the writer need."""

    instrument: str
    """Name of the plugin."""
    mode: str
    kind: str
    """imager, slit, ifu, echelle or mos."""
    site: Site
    telescope: Telescope
    surfaces: tuple[Surface, ...]
    """Everything between the sky and the detector in the order of light, filters included."""
    band: tuple[float, float]
    """Wavelength range outside which nothing is detected, um."""
    filter_name: str
    filter_centre: float
    """um: where the ETC quotes the image quality."""
    pixel_scale: float
    """arcsec per (binned) pixel."""
    plate_scale: float
    """arcsec per mm in the focal plane."""
    detector: Detector
    psf: str
    """gaussian (the ETC's image quality), seeing (von Karman), ao, cube (the user's own), or
    diffraction (the pupil and ``jitter``)."""
    seeing: float
    """Zenith seeing FWHM at 500 nm, arcsec."""
    turbulence: Turbulence
    ao: AoSystem | None
    guide_star_mag: float
    """Of the natural guide star, the brightest where there are several."""
    dit: float
    """s."""
    count: int | None
    """NDIT or NEXPO; None in S/N mode."""
    count_key: str
    """The ETC's own name of ``count``, e.g. DET.NDIT or SEQ.NEXPO."""
    snr_goal: float | None
    aperture_pix: int
    """Aperture diameter, pixels; 0 = automatic."""
    window: Window
    chips: tuple[int, ...]
    header: Mapping[str, Any]
    """Further primary header cards: keyword (as in "ESO INS FILT1 NAME" or "INSTRUME") -> value or (value, comment)."""
    pupil_mask: PupilMask | None = None
    jitter: float = 0.0
    """Without an atmosphere: image motion and charge diffusion, arcsec rms per axis."""
    guide_stars: tuple[tuple[float, float, float], ...] = ()
    """x, y (arcsec in the field) and magnitude of each natural guide star; () = where the observation puts them."""
    psf_cube: PsfCube | None = None
    distortion: float = 0.0
    """Cubic term of the radial distortion, 1/arcsec2."""
    spectrograph: Spectrograph | None = None
    """None = an imager."""
    calibration: Calibration | None = None
    """The calibration frame that is taken; None = the target."""
    values: tuple[Value, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """Things a user must know (assumed figures, replaced data): stderr and header."""


@dataclass(frozen=True, slots=True)
class ModeInfo:
    """One line of `elvis instruments`."""

    instrument: str
    mode: str
    title: str
    pixel_scale: float
    """arcsec."""
    frame: tuple[int, int, int]
    """Chips, columns, rows of the full array."""
    filters: tuple[str, ...]


class Instrument(Protocol):
    """What an entry point in the group ``elvis.instruments`` provides."""

    @property
    def name(self) -> str:
        """The plugin's name, as in ``instrumentName``."""

    def modes(self) -> tuple[ModeInfo, ...]:
        """Return the modes, for `elvis instruments`."""

    def example(self, mode: str | None = None) -> dict[str, Any]:
        """Return a complete valid request for ``mode`` (None: the default mode)."""

    def unknown_keys(self, request: Request) -> tuple[str, ...]:
        """Return the keys of the ``instrument`` section that this instrument does not have."""

    def configure(self, request: Request) -> Setup:
        """Return the Setup for a request.

        Raises
        ------
        RequestError
            A key of the ``instrument``, ``seeing`` or ``timesnr`` section has a value unknown to this instrument.
        """
