"""The detector: chips, amplifiers, how an infrared array is sampled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elvis_cli.base.curve import Curve
from elvis_cli.model.sampling import Sampling


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
    scale: float = 1.0
    """Of its pixels on the sky against the mode's: optics do not magnify all chips alike."""


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
    """What gets an extension of the file: chips, or quadrants, which are then turned to the field's axes; with
    "primary" the only chip is in the primary HDU."""
    row_binning: int = 1
    """Binning along y; ``binning`` is that along x, and ``pixel_mm`` the binned width."""
    wcs: str = ""
    """focal plane or sky (""), or pixel."""
    sampling: Sampling = Sampling()  # noqa: RUF009 - frozen, and so is what it holds
    """Of an infrared array; the chips' ``ron`` is that of a frame made like this."""

    def chip(self, number: int) -> Chip:
        """Return the chip with this number."""
        return next(c for c in self.chips if c.id == number)
