"""Configuration of a detector: exposure time, number of exposures, read-out mode; and the duration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

from elvis_cli.errors import RequestError
from elvis_cli.observing.checked_object import CheckedObject

MAX_EXPOSURE_TIME = 1e6
"""Longest integration, s."""
_IR_MODE = re.compile(r"CDS|MCDS([0-9]{1,2})|SINGLE|UTR(:[0-9]{1,3})?", re.IGNORECASE)
_BINNING = re.compile(r"([1-9])x([1-9])")
_WINDOW = re.compile(r"(\d{1,5}):(\d{1,5}),(\d{1,5}):(\d{1,5})")


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """An exposure of any detector, and how many of them."""

    instrument: str = ""
    detector: str = ""
    exptime: float = 1.0
    """s, of one integration."""
    nexp: int = 1
    """Files at each place of the telescope."""
    readoutmode: str = ""
    KIND: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """Name for tables and headers."""
        return f"{self.label} {self.exptime:g}s ({self.readoutmode or 'default'}) x{self.nexp}"

    @property
    def label(self) -> str:
        """Instrument and detector."""
        return f"{self.instrument} {self.detector}".strip() or "detector"

    @property
    def integrations(self) -> int:
        """Integrations that are summed in one file."""
        return 1

    def shutter_time(self) -> float:
        """Return the seconds of light of all exposures at one place."""
        return self.exptime * self.integrations * self.nexp

    def clock_time(self, overhead: float = 0.0) -> float:
        """Return the duration (s) of all exposures, with ``overhead`` s for each file."""
        return self.shutter_time() + overhead * self.nexp

    def match_time(self, seconds: float, overhead: float = 0.0) -> float:
        """Return the integration time (s) with which all exposures take ``seconds``, 0 if there is no time for any."""
        return max(0.0, (seconds / self.nexp - overhead) / self.integrations)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        return {"type": self.KIND, **{key: getattr(self, key) for key in self.keys()}}

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """Return the members' names in files."""
        return tuple(cls.__dataclass_fields__)

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        return {
            "DCNAME": self.name,
            "DCINSTR": self.instrument,
            "DCDET": self.detector,
            "DCEXPT": self.exptime,
            "DCNEXP": self.nexp,
            "DCRDMODE": self.readoutmode,
        }


@dataclass(frozen=True, slots=True)
class IRDetectorConfig(DetectorConfig):
    """An infrared array: its read-out mode is CDS, MCDSn (n pairs of reads), single, UTR or UTR:n."""

    coadds: int = 1
    KIND: ClassVar[str] = "IR"

    @property
    def name(self) -> str:
        """Name for tables and headers."""
        coadds = f"{self.coadds} coadd{'s' * (self.coadds > 1)}"
        return f"{self.label} {self.exptime:g}s ({self.readoutmode or 'default'}, {coadds}) x{self.nexp}"

    @property
    def integrations(self) -> int:
        """Integrations that are summed in one file."""
        return self.coadds

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        return {**DetectorConfig.header(self), "DCCOADDS": self.coadds}


@dataclass(frozen=True, slots=True)
class VisibleDetectorConfig(DetectorConfig):
    """A CCD."""

    ampmode: str = ""
    dark: bool = False
    binning: str = "1x1"
    window: str = ""
    """x1:x2,y1:y2, pixels from 1, both included."""
    KIND: ClassVar[str] = "Visible"

    @property
    def name(self) -> str:
        """Name for tables and headers."""
        return f"{self.label} {self.exptime:g}s ({self.readoutmode or 'default'}, {self.binning}) x{self.nexp}"

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        more = {"DCAMPMD": self.ampmode, "DCBIN": self.binning, "DCDARK": self.dark, "DCWINDOW": self.window}
        return {**DetectorConfig.header(self), **more}


DETECTOR_TYPES: dict[str, type[DetectorConfig]] = {
    "": DetectorConfig,
    "IR": IRDetectorConfig,
    "Visible": VisibleDetectorConfig,
}


def from_dict(node: Any, pointer: str) -> DetectorConfig:
    """Return the configuration that an object describes; its kind is ``type``, or follows from its members.

    Raises
    ------
    RequestError
        A member is wrong.
    """
    members = CheckedObject(node, pointer)
    type_name = members.choice("type", DETECTOR_TYPES, "")
    visible = any(key in members for key in ("ampmode", "binning", "window", "dark"))
    kind = DETECTOR_TYPES[type_name or ("IR" if "coadds" in members else "Visible" if visible else "")]
    members = CheckedObject(node, pointer, ("type", "name", *kind.keys()))
    common: dict[str, Any] = {
        "instrument": members.text("instrument", ""),
        "detector": members.text("detector", ""),
        "exptime": members.number("exptime", low=0.0, high=MAX_EXPOSURE_TIME, unit="s"),
        "nexp": members.integer("nexp", 1, 1, 100000),
        "readoutmode": members.text("readoutmode", ""),
    }
    if kind is IRDetectorConfig:
        mode = common["readoutmode"]
        match = _IR_MODE.fullmatch(mode) if mode else None
        if mode and (not match or (match[1] and not 1 <= int(match[1]) <= 32)):
            raise RequestError(
                members.at("readoutmode"),
                f"{mode!r} is not a read-out mode",
                found=mode,
                allowed="CDS, MCDS1 to MCDS32, SINGLE, UTR, UTR:n",
            )
        return IRDetectorConfig(**common, coadds=members.integer("coadds", 1, 1, 10**6))
    if kind is VisibleDetectorConfig:
        binning, window = members.text("binning", "1x1"), members.text("window", "")
        _form(members, "binning", _BINNING, binning, "1x1")
        if window:
            _form(members, "window", _WINDOW, window, "x1:x2,y1:y2")
        return VisibleDetectorConfig(
            **common, ampmode=members.text("ampmode", ""), dark=members.flag("dark", False), binning=binning,
            window=window,
        )  # fmt: skip
    return DetectorConfig(**common)


def _form(members: CheckedObject, name: str, form: re.Pattern[str], text: str, allowed: str) -> None:
    match = form.fullmatch(text)
    numbers = [int(part) for part in match.groups()] if match else []
    if not match or (len(numbers) == 4 and not (1 <= numbers[0] <= numbers[1] and 1 <= numbers[2] <= numbers[3])):
        raise RequestError(members.at(name), f"{text!r} cannot be used", found=text, allowed=allowed)
