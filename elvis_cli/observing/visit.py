"""An Observing Block in the form that the plan uses, the same for all languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.observing.offset import TelescopeOffset
from elvis_cli.observing.target import Target


@dataclass(frozen=True, slots=True)
class ExposureStep:
    """One file: the motion of the telescope before it, where the telescope and the chopper point, and the read-out."""

    move: TelescopeOffset | None = None
    """None = the telescope stays."""
    sky: bool = False
    chop: TelescopeOffset | None = None
    """Offset of the chopper from the direction of the telescope; None = no chopping."""
    dit: float | None = None
    """s; None = that of the template."""
    count: int | None = None
    """Integrations in the file; None = that of the template."""
    elvis: Mapping[str, Any] = field(default_factory=dict)
    """CheckedObject of the block ``elvis`` of the request: read-out mode, window."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Of the ``instrument`` section, besides the template's."""
    cards: Mapping[str, Any] = field(default_factory=dict)
    dit_factor: float = 1.0
    """Integration time in units of the template's."""
    calibration: str | None = None
    """Kind of calibration frame; None = that of the template."""
    type: str | None = None
    """DPR TYPE; None = that of the template or the calibration."""
    category: str | None = None
    """DPR CATG; None = that of the template."""

    @property
    def has_own_readout(self) -> bool:
        """Whether its request differs from the template's by more than the pointing."""
        return bool(self.dit is not None or self.dit_factor != 1.0 or self.calibration or self.elvis or self.keys)


@dataclass(frozen=True, slots=True)
class TemplateRun:
    """One template of a block with its parameters: the exposure steps, and what their requests have in common."""

    template: str
    title: str
    number: int
    """In the block, from 1."""
    pointer: str
    mode: str
    keys: Mapping[str, Any]
    """Of the ``instrument`` section, as far as the block gives them."""
    timing: Mapping[str, Any]
    """DIT and NDIT by the instrument's own names, as far as the block gives them."""
    steps: tuple[ExposureStep, ...]
    category: str | None = "SCIENCE"
    object_type: str | None = "OBJECT"
    sky_type: str | None = "SKY"
    sky_category: str | None = "SCIENCE"
    tech: str | None = None
    calibration: str | None = None
    """Kind of the calibration frames (dark, flat, ...); None = light from the sky."""
    returns: bool = True
    """Whether the telescope returns to the target at the end."""
    cards: Mapping[str, Any] = field(default_factory=dict)


MAX_BLOCK_FILES = 20_000
"""Files of one template, or of one block."""
MAX_FILES = 100_000
"""Steps of all blocks of a document: each is planned, and most are a file."""


def check_count(files: int, pointer: str, most: int = MAX_BLOCK_FILES) -> None:
    """Raise RequestError if a template, a block or a document makes too many files."""
    if files > most:
        raise RequestError(pointer, "makes too many files", allowed=f"at most {most}")


@dataclass(frozen=True, slots=True)
class Visit:
    """An Observing Block: slew, acquisition, and the runs of its templates."""

    pointer: str
    id: int
    name: str
    programme: str
    target: Target | None
    instrument: str
    runs: tuple[TemplateRun, ...]
    slews: bool = True
    acquires: bool = True
    alignment: float = 0.0
    """Seconds of exposures for the acquisition."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """Merge patch to the requests, for parts that no block has (brightness, scene)."""
    constraints: Mapping[str, float] = field(default_factory=dict)
    """Limits under p2's names: airmass, fli, moonDistance."""
    windows: tuple[tuple[datetime, datetime], ...] = ()
    """Absolute time constraints of its start, UTC."""
    sidereal: tuple[tuple[float, float], ...] = ()
    """Sidereal time constraints of its start, hours; an interval whose end is less than its begin contains 0 h."""
    cards: Mapping[str, Any] = field(default_factory=dict)
