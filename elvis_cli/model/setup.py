"""An instrument made ready for one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elvis_cli.model.atmosphere import Atmosphere
from elvis_cli.model.calibration import Calibration
from elvis_cli.model.coronagraph import Coronagraph
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.exposure import Exposure
from elvis_cli.model.psf_model import PsfModel
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.spectrograph import Spectrograph
from elvis_cli.model.telescope import PupilMask, Surface, Telescope


@dataclass(frozen=True, slots=True, eq=False)
class Optics:
    """Telescope and instrument from the pupil to the focal plane."""

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
    pupil_mask: PupilMask | None = None
    coronagraph: Coronagraph | None = None
    """Its mask is centred on the telescope's axis, and its pupil stands still on the detector."""
    axis: tuple[float, float] = (0.0, 0.0)
    """Field coordinates (arcsec) of the telescope's axis: centre of the distortion, reference point of the WCS."""
    distortion: float = 0.0
    """Cubic term of the radial distortion, 1/arcsec2."""
    design_distortion: float = 0.0
    """The instrument's own, which the WCS has, whatever model the user puts in its place."""
    throughput_factor: float = 1.0
    """Grey factor on the throughput: the user's zero point over the instrument's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of the focal plane that is rendered."""

    window: Window
    """Of each chip."""
    chips: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """The prediction that is asked for."""

    snr: float | None = None
    """Requested signal-to-noise ratio: the number of integrations is solved for it."""
    wave: tuple[float, float] | None = None
    """Range over which the ratio of a spectrum is meant, um; None = all of it."""
    aperture_pix: int = 0
    """Diameter (image) or length (slit) of the extraction aperture, pixels; 0 = automatic."""
    aperture_inside: bool = False
    """The automatic aperture is the largest odd number of pixels within 2 FWHM, else the smallest that holds them."""
    orders: tuple[str, ...] = ()
    """Orders of which tables are written; () = all."""
    read_noise_once: bool = False
    """The requested ratio counts the read noise once in a sequence, as the ETC of the first generation did."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """An instrument made ready for one request: everything that the renderer and the writer need."""

    instrument: str
    """Name of the plugin."""
    mode: str
    optics: Optics
    atmosphere: Atmosphere
    psf: PsfModel
    detector: Detector
    exposure: Exposure
    frame: Frame
    goal: Goal
    header: Mapping[str, Any]
    """Further primary header cards: keyword (as in "ESO INS FILT1 NAME" or "INSTRUME") -> value or (value, comment)."""
    repeated_cards: Mapping[str, str] = field(default_factory=dict)
    """Primary header cards that have the value of another, where there is that: keyword -> the other keyword."""
    spectrograph: Spectrograph | None = None
    """None = an imager."""
    arms: tuple[str, ...] = ()
    """The arms that one exposure of this mode has, the default first; () = the instrument has no arms."""
    arm: str = ""
    """Which of them this is."""
    calibration: Calibration | None = None
    """The calibration frame that is taken; None = the target."""
    values: tuple[SourcedValue, ...] = ()
    notes: tuple[str, ...] = ()
    """Notes for the user (assumed figures, replaced data): stderr and header."""

    @property
    def arm_number(self) -> int:
        """Number of the arm, 0 for the default one and where there are no arms."""
        return self.arms.index(self.arm) if self.arm else 0

    @property
    def kind(self) -> str:
        """Kind of mode: imager, slit, ifu, echelle or mos."""
        return "imager" if self.spectrograph is None else self.spectrograph.kind
