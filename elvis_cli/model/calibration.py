"""Calibration frames: the kinds that the data flow knows, the lamps, and one exposure of an instrument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from elvis_cli.base.arrays import Floats
from elvis_cli.model.request import Target

POINTER = "/elvis/calibration"


@dataclass(frozen=True, slots=True)
class Kind:
    """A calibration as ESO's data flow knows it; an instrument's table ``[calibration.NAME]`` may call it otherwise."""

    category: str
    """DPR CATG."""
    type: str
    """DPR TYPE."""
    light: str
    """lines, lamp, pinholes, pupil or off (UNIT); twilight, sky, star; or none."""
    lamps: tuple[str, ...] = ()
    """Unless the instrument says otherwise."""


WAVELENGTH_KINDS = ("arc", "comb", "fabry-perot", "cell", "orders", "format")
"""Kinds that need a spectrograph, and a lamp that the instrument names."""
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "arc": Kind("CALIB", "WAVE,LAMP", "lines"),
        "comb": Kind("CALIB", "WAVE,LFC", "lines"),
        "fabry-perot": Kind("CALIB", "WAVE,FPET", "lamp"),
        "cell": Kind("CALIB", "WAVE,CELL", "lamp"),
        "flat": Kind("CALIB", "FLAT,LAMP", "lamp", ("halogen",)),
        "orders": Kind("CALIB", "FLAT,ORDERDEF", "lamp"),
        "format": Kind("CALIB", "WAVE,FORMAT", "lines"),
        "dark": Kind("CALIB", "DARK", "none"),
        "bias": Kind("CALIB", "BIAS", "none"),
        "sky": Kind("SCIENCE", "SKY", "sky"),
        "std": Kind("CALIB", "STD", "star"),
        "pinhole": Kind("CALIB", "FLAT,PINHOLE", "pinholes", ("halogen",)),
        "twilight": Kind("CALIB", "FLAT,SKY", "twilight", ("twilight",)),
        "off": Kind("CALIB", "FLAT,OFF", "off"),
        "pupil": Kind("TECHNICAL", "PUPIL", "pupil"),
        "detlin": Kind("CALIB", "FLAT,LINEARITY,DETCHAR", "lamp", ("halogen",)),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A calibration exposure of one instrument."""

    name: str
    light: str
    lamps: tuple[Lamp, ...]
    fill: float
    """Part of the full well that the lamp fills in the brightest pixel."""
    time: float
    """s in which it does so; 0 = one integration."""
    pinholes: tuple[tuple[float, ...], tuple[float, ...]]
    """x and y in the field, arcsec."""
    standard: Target | None
    offered: tuple[str, ...]
    """All kinds that the instrument's mode has."""
    pupil: float = 0.0
    """Diameter of the pupil's image, pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Lamp:
    """What a lamp shines: lines, or a black body."""

    name: str
    wave: Floats
    """um, vacuum, ascending (n,)."""
    strength: Floats
    """Photons of each line, the strongest 1."""
    temperature: float = 0.0
    """K; 0 = no continuum."""
    fill: float = 0.5
    """Part of the full well that it usually fills in the brightest pixel."""
    fade: float = 0.0
    """s in which a twilight falls to 1/e; 0 = it is steady."""
    etalon: Etalon | None = None
    """The Fabry-Perot that the continuum passes."""
    cell: str = ""
    """Name of the absorption cell (`elvis_cli.light.cells`) that the continuum passes; "" = none."""


@dataclass(frozen=True, slots=True)
class Etalon:
    """Two parallel mirrors in vacuum."""

    gap: float
    """Between them, um."""
    finesse: float
    """Distance of neighbouring maxima over the FWHM of one."""
