"""The plugin contract: what an instrument is, and the Setup that it makes of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.model.atmosphere import Site, Turbulence
from elvis_cli.model.detector import Detector
from elvis_cli.model.elvis_block import PsfCube, Window
from elvis_cli.model.sourced_value import SourcedValue
from elvis_cli.model.telescope import AoSystem, PupilMask, Surface, Telescope

if TYPE_CHECKING:
    from elvis_cli.model.calibration import Calibration
    from elvis_cli.model.spectrograph import Spectrograph

Floats = NDArray[np.float64]


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
    values: tuple[SourcedValue, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """Things a user must know (assumed figures, replaced data): stderr and header."""
