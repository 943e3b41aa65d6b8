"""What was asked for: one frozen Request, whatever generation of ETC JSON it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.limits import DEFAULT, Limits


@dataclass(frozen=True, slots=True)
class Morphology:
    """Spatial shape. ``kind``: point, sersic or infinite (uniform; brightness per arcsec2)."""

    kind: str = "point"
    index: float = 1.0
    """Sersic index n."""
    radius: float = 0.5
    """Sersic half-light radius along the major axis, arcsec."""
    ellipticity: float = 0.0
    """1 - b/a (extension to the ETC)."""
    angle: float = 0.0
    """Position angle of the major axis, deg, North through East (extension to the ETC)."""


@dataclass(frozen=True, slots=True)
class Sed:
    """Spectral shape. ``kind``: template, blackbody, powerlaw, upload or emissionline; a data cube's: cube, channel."""

    kind: str = "template"
    catalog: str = "Pickles"
    id: str = "G:2:V"
    temperature: float = 1000.0
    """Black body, K."""
    exponent: float = 0.0
    """Power law, F_lambda ~ lambda**exponent."""
    line_wavelength: float = 1000.0
    """Emission line centre, nm, vacuum."""
    line_fwhm: float = 1.0
    """Emission line FWHM, nm."""
    extinction_av: float = 0.0
    """A_V, mag."""
    redshift: float = 0.0
    velocity: float = 0.0
    """Barycentric velocity correction, km/s."""
    vsini: float = 0.0
    """Rotation of a template's star, km/s."""
    macroturbulence: float | None = None
    """Of a template's star, km/s; None = what is usual for its type."""
    uploaded: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Uploaded spectrum: wavelength (um, ascending), f_lambda (arbitrary unit, not negative, not all zero); that of a
    cube; or what a channel's is, photon/s/m2/um whatever the brightness."""


@dataclass(frozen=True, slots=True)
class Brightness:
    """``kind``: mag (band, system Vega or AB) or flux (integrated W/m2 of an emission line, a cube or a spectrum)."""

    kind: str = "mag"
    mag: float = 20.0
    band: str = "V"
    system: str = "vega"
    flux: float = 0.0
    """W/m2, or W/m2/arcsec2 when the target is infinite."""


@dataclass(frozen=True, slots=True)
class Target:
    """Shape, spectrum and brightness of the target."""

    morphology: Morphology = Morphology()
    sed: Sed = Sed()
    brightness: Brightness = Brightness()


@dataclass(frozen=True, slots=True)
class SkyConditions:
    """The ETC's ``sky`` section."""

    airmass: float = 1.2
    fli: float = 0.5
    """Fractional lunar illumination, 0..1."""
    pwv: float = 2.5
    """Precipitable water vapour at zenith, mm."""
    moon_distance: float = 30.0
    """Moon - target separation, deg."""
    moon_altitude: float = 45.0
    """Moon altitude, deg; below 0 there is no moonlight."""
    airglow: bool = True
    """False leaves out the airglow continuum (ETC key airglowEnabled, P118; see elvis_cli.sky.local)."""
    airglow_scale: float = 1.0
    """Factor on all airglow, lines and continuum."""


@dataclass(frozen=True, slots=True)
class ImageQuality:
    """The ETC's ``seeing`` / ``seeingiqao`` section, AO keys included; None = not given."""

    turbulence_category: float | None = None
    """Percentile of seeing conditions, %."""
    seeing: float | None = None
    """Zenith seeing at 500 nm, arcsec (v1)."""
    iq: float | None = None
    """Image quality, arcsec FWHM at ``iq_wavelength`` um (v1)."""
    iq_wavelength: float | None = None
    aperture_pix: int | None = None
    """Diameter of the extraction aperture, pixels; 0 = automatic."""
    ao_mode: str | None = None
    """noao, aongs, aolgs (v1/v2)."""
    guide_star_mag: float | None = None
    """R magnitude of the (tip-tilt) guide star."""
    separation: float = 0.0
    """Guide star - target distance, arcsec."""


@dataclass(frozen=True, slots=True)
class ArmGoal:
    """The S/N that is asked of one arm of a spectrograph; None = none is."""

    snr: float | None = None
    wave: tuple[float, float] | None = None
    """Where it is meant, um; None = everywhere."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The ETC's ``timesnr`` section. ``count`` is NDIT (infrared) or NEXPO (CCD); None when ``snr`` asks for it."""

    dit: float | None = None
    """Detector integration time (DIT, UIT1), s."""
    count: int | None = None
    snr: float | None = None
    """Requested S/N: solve for ``count``."""
    wave: tuple[float, float] | None = None
    """Where the S/N is meant, um; None = everywhere."""
    arms: Mapping[str, float] = field(default_factory=dict)
    """Times (s) and counts of the single arms of a spectrograph, by the ETC's key."""
    goals: Mapping[str, ArmGoal] = field(default_factory=dict)
    """Requested S/N of the single arms, by the arm's name."""

    def dit_of(self, key: str) -> float | None:
        """Return the integration time (s) of the arm that has this key, or that of all."""
        return float(self.arms[key]) if key in self.arms else self.dit

    def count_of(self, key: str) -> int | None:
        """Return the count of the arm that has this key, or that of all; None where ``snr`` asks for it."""
        return int(self.arms[key]) if key in self.arms and self.snr is None else self.count

    def of_arm(self, arm: str) -> Timing:
        """Return the timing of one arm: an S/N that is asked of other arms only is not its own."""
        if not self.goals:
            return self
        goal = self.goals.get(arm, ArmGoal())
        return replace(self, snr=goal.snr, wave=goal.wave, goals={})


class SceneRequest(Protocol):
    """The part of a request that a scene is made of: scenes know no instrument, sky or exposure time."""

    @property
    def target(self) -> Target:
        """The ETC's target."""

    @property
    def elvis(self) -> ElvisBlock:
        """Catalogue, scene, image, cube, motion, pointing and seed."""

    @property
    def limits(self) -> Limits:
        """Limits on the memory of its sources and their trails."""

    @property
    def memory(self) -> float:
        """Bytes of memory that the program and the arrays of the request take, as estimated."""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything that was asked for, checked, with units settled."""

    instrument: str
    generation: int
    """1, 2 or 3: the generation of ETC JSON that it was written in."""
    target: Target
    sky: SkyConditions
    image_quality: ImageQuality
    keys: Mapping[str, Any]
    """The ``instrument`` section as given, e.g. {"INS.FILT1.NAME": "Ks"}; the plugin checks it."""
    timing: Timing
    output: Mapping[str, Any]
    """The ``output`` section as given."""
    elvis: ElvisBlock
    document: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """The whole JSON as read, with command-line options merged in: what travels inside the FITS."""
    warnings: tuple[str, ...] = ()
    """Lines for stderr, each with a JSON pointer."""
    limits: Limits = DEFAULT
    memory: float = 0.0
    """Bytes of memory that the program and its arrays take, as estimated."""

    def of_arm(self, arm: str) -> Request:
        """Return the request for one arm of the spectrograph."""
        document = {**self.document, "elvis": {**(self.document.get("elvis") or {}), "arm": arm}}
        return replace(self, elvis=replace(self.elvis, arm=arm), document=document)
