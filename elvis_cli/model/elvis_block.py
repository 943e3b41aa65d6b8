"""What a request asks for in the block ``elvis``: what ETC JSON has no key for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a chip: ``x0``, ``y0`` 0-based pixel of the chip's array, ``nx`` columns, ``ny`` rows."""

    x0: int
    y0: int
    nx: int
    ny: int


@dataclass(frozen=True, slots=True)
class Pointing:
    """Where the field centre points: ICRS ``ra``, ``dec`` deg; ``position_angle`` of +y, deg, North through East."""

    ra: float
    dec: float
    position_angle: float = 0.0


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Stars and galaxies in place of the single target: offsets in arcsec in the field (+x West, +y North at PA 0).

    Long columns are arrays of the standard library, 8 bytes a number in place of 32.
    """

    x: Sequence[float]
    y: Sequence[float]
    mag: Sequence[float]
    temperature: Sequence[float] | None = None
    """K, of each; 0 = the target's spectrum."""
    sed: tuple[str, ...] | None = None
    """Template of each, ``catalog:id``; "", or with neither, the target's spectrum."""
    celestial: bool = False
    """``x`` and ``y`` are ICRS right ascension and declination, deg."""
    radius: Sequence[float] | None = None
    """Half-light radius along the major axis, arcsec: above 0 it is a galaxy, a Sersic profile."""
    index: Sequence[float] | None = None
    """Sersic index; None = 1."""
    ellipticity: Sequence[float] | None = None
    """1 - b/a; None = 0."""
    angle: Sequence[float] | None = None
    """Position angle of the major axis, deg, North through East; None = 0."""
    id: Sequence[int] | None = None
    velocity: Sequence[float] | None = None
    """Radial velocity, km/s, positive away from us; None = 0."""
    name: tuple[str, ...] | None = None
    """Name of each; "" or None = star or galaxy."""
    band: str | None = None
    """Band of ``mag``; None = the target's."""
    system: str | None = None
    """Zero point of ``mag``, vega or AB; None = the target's."""


@dataclass(frozen=True, slots=True)
class Image:
    """Surface-brightness template in place of the single target, whose brightness is that of all of it."""

    data: bytes = field(repr=False)
    """Little-endian float32, row by row from the lowest, East to West."""
    shape: tuple[int, int]
    """Rows, columns."""
    scale: float
    """arcsec per element."""
    position_angle: float = 0.0
    """Of the image's upward axis, deg, North through East."""


@dataclass(frozen=True, slots=True)
class Cube:
    """Pictures at ascending wavelengths in place of the single target."""

    data: bytes = field(repr=False)
    """Little-endian float32, finite: channels, rows from the lowest, columns from East to West; F_lambda."""
    shape: tuple[int, int, int]
    """Channels, rows, columns."""
    scale: float
    """arcsec per element."""
    wavelength: tuple[float, ...]
    """um, vacuum."""
    total: tuple[float, ...]
    """Sum of each channel."""
    position_angle: float = 0.0
    """As that of an Image."""
    absolute: bool = False
    """Values are W/m2/um of an element; else all of it is as bright as the target."""


@dataclass(frozen=True, slots=True)
class PsfCube:
    """A point-spread function of the user's: images at ascending wavelengths, um; one holds for all of them.

    With ``places`` there are several such functions, each at all wavelengths, one after another.
    """

    data: bytes = field(repr=False)
    """Little-endian float32: planes, rows, columns."""
    shape: tuple[int, int, int]
    """Planes, rows, columns."""
    scale: float
    """arcsec per element."""
    wavelength: tuple[float, ...] = ()
    name: str = ""
    """Name of the file, "" if it is not known."""
    places: tuple[tuple[float, float, int], ...] = ()
    """x, y (arcsec in the field) and the number of the function that holds there; () = one function holds all over."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """What a chip, or a window of it, collected in one integration."""

    chip: int
    window: Window
    data: bytes = field(repr=False)
    """A byte a pixel, row by row from the lowest: `elvis_cli.detector.persistence.decode`."""


@dataclass(frozen=True, slots=True)
class Previous:
    """The exposure before this one, which the detector remembers."""

    dit: float
    """s."""
    count: int
    """Integrations."""
    gap: float
    """From its end to the start of this one, s."""
    chips: tuple[Exposed, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What replaces the instrument's own model of a stage."""

    parameters: Mapping[str, Any]
    """In the place of those of the instrument; the others stay."""
    arrays: Mapping[int, tuple[bytes, tuple[int, int]]] = field(repr=False)
    """Little-endian float32, row by row, and the shape (rows, columns), by chip; 0 = all others."""


@dataclass(frozen=True, slots=True)
class NamedScene:
    """A scene of `elvis_cli.scene.library` and the parameters that were given."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Motion:
    """How the target moves among the stars; the telescope follows these, or (``tracked``) the target."""

    rate: float
    """arcsec per hour."""
    angle: float
    """Whither, deg, North through East."""
    tracked: bool = False
    """Then the stars leave trails, about the places where they are in the middle of the exposure."""


@dataclass(frozen=True, slots=True)
class RequestedAtmosphere:
    """The turbulence in place of the turbulence category's; None = its own."""

    seeing: float | None = None
    """At zenith and 500 nm, arcsec."""
    coherence_time: float | None = None
    """At zenith and 500 nm, ms."""
    outer_scale: float | None = None
    """m."""
    wind_scale: float = 1.0
    """Factor on the wind of all layers."""
    profile: str | None = None
    """Name among the site's."""


@dataclass(frozen=True, slots=True)
class GuideStar:
    """A natural guide star: x, y in arcsec in the field (+x West, +y North at PA 0); mag None = the usual one."""

    x: float
    y: float
    mag: float | None = None


@dataclass(frozen=True, slots=True)
class Ao:
    """Adaptive optics in place of the instrument's own; None = as it is."""

    rate: float | None = None
    """Of the loop, Hz."""
    ncpa: float | None = None
    """Wavefront error besides the atmosphere's, nm rms."""
    jitter: float | None = None
    """mas rms per axis."""
    guide_stars: tuple[GuideStar, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """The Observing Block of which this exposure is a part."""

    id: int
    name: str
    programme: str
    target: str
    start: str
    """ISO 8601 UTC."""
    template: int
    """Number of the template in the block."""


@dataclass(frozen=True, slots=True)
class Template:
    """The template of the block that takes this exposure."""

    id: str
    name: str
    start: str
    """ISO 8601 UTC."""
    nexp: int
    expno: int
    category: str | None = None
    """DPR CATG, TYPE and TECH; None = as without a template."""
    type: str | None = None
    tech: str | None = None


@dataclass(frozen=True, slots=True)
class Mask:
    """The slits of a mask, arcsec in the field (+x West, +y North at PA 0); None = the instrument's own."""

    x: tuple[float, ...]
    y: tuple[float, ...] | None = None
    length: tuple[float, ...] | None = None
    """Along the slit: along y where it is not tilted."""
    width: tuple[float, ...] | None = None
    """Across the slit: along x, the dispersion, where it is not tilted."""
    angle: tuple[float, ...] | None = None
    """Tilts, deg, from +y towards +x."""


@dataclass(frozen=True, slots=True)
class Polarisation:
    """Stokes parameters of all sources over their intensity: ``q`` and ``u`` from North through East, ``v``."""

    q: float = 0.0
    u: float = 0.0
    v: float = 0.0


@dataclass(frozen=True, slots=True)
class Standard:
    """The standard star of a calibration, in place of the instrument's; None = as that."""

    mag: float | None = None
    band: str | None = None
    system: str | None = None
    sed: str | None = None
    """``catalog:id``."""
    name: str | None = None
    """Of a star in the catalogue of standards."""


@dataclass(frozen=True, slots=True)
class ElvisBlock:
    """The top-level block ``elvis``: what ETC JSON has no key for."""

    seed: int = 0
    window: Window | str | None = None
    """A Window, "full", or None = the instrument's default."""
    chips: tuple[int, ...] | None = None
    """Chip numbers; empty = all; None = those of the default window, or all with window "full"."""
    mosaic: tuple[int, ...] | None = None
    """The chips of the focal plane of which this is a part: what `elvis combine` waits for."""
    pointing: Pointing | None = None
    date: str | None = None
    """Start of the exposure, ISO 8601 UTC."""
    sky: str = "local"
    """Where the sky comes from: local (shipped tables) or skycalc (ESO's service, by network)."""
    product: str = "raw"
    """raw (ADU) or expected (noiseless electrons per second)."""
    calibration: str | None = None
    """Which calibration frame is taken (`elvis_cli.light.calibration.KINDS`); None = the target."""
    barycentric: bool = False
    """Whether the target's spectrum is shifted by the observatory's motion about the barycentre."""
    lamp: float | None = None
    """Part of the full well that a calibration lamp fills in the brightest pixel; None = the instrument's."""
    standard: Standard = Standard()
    wavemap: bool | None = None
    """Whether a spectrograph's output tells the wavelength of every pixel; None = with the product "expected"."""
    bare: bool = False
    """Whether the file holds the frames alone, as the instrument's own software writes them: no tables."""
    arm: str | None = None
    """Arm of a spectrograph with several, each with a file of its own; None = the one that the request is about."""
    mask: Mask | None = None
    """Slits of a multi-object spectrograph; None = the instrument's own."""
    exposure: int = 1
    """Which of the exposures this frame is (EXPNO); each has its own random streams."""
    offset: tuple[float, float] = (0.0, 0.0)
    """Target's offset from the field centre, arcsec (+x West, +y North at PA 0)."""
    place: tuple[float, float] | None = None
    """Target's place on the sky, ICRS ra and dec, deg; ``offset`` is then that place in the field."""
    catalogue: Catalogue | None = None
    scene: NamedScene | None = None
    image: Image | None = None
    cube: Cube | None = None
    motion: Motion | None = None
    atmosphere: RequestedAtmosphere = RequestedAtmosphere()
    ao: Ao | None = None
    polarisation: Polarisation | None = None
    """Of the sources, for a mode with a polarimeter; None = none."""
    psf: PsfCube | str | None = None
    """The user's own, or tiptop; None = the built-in one."""
    truth: bool = False
    """Whether the output tells what was put in."""
    stages: tuple[str, ...] | None = None
    """Detector stages to run; None = all."""
    skip: tuple[str, ...] = ()
    """Stages to leave out, sources of light included."""
    only: tuple[str, ...] | None = None
    """Stages to run and no others, sources of light included; None = all."""
    also: tuple[str, ...] = ()
    """Stages to run that only run when asked for."""
    order: str | None = None
    """Name of one of the detector's orders of the stages; None = its usual one."""
    keep: tuple[str, ...] = ()
    """Stages after which the image is kept as an extension; ("all",) = all that run."""
    models: Mapping[str, Model] = field(default_factory=dict)
    """Models of stages in place of the instrument's, by the stage's name."""
    readout: str | None = None
    """How an infrared array is sampled (`elvis_cli.model.sampling`); None = the detector's own way."""
    obs: Block | None = None
    template: Template | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    """Further cards of the primary header: keyword -> value, or [value, comment]."""
    reads: bool = False
    """Whether every read of an infrared array is drawn and kept."""
    previous: Previous | None = None
