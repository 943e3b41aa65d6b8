"""Coordinate frames of telescope offsets: the sky's, and the detector's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from elvis_cli.base.geometry import field_to_sky, rotate
from elvis_cli.observing.checked_object import CheckedObject


@dataclass(frozen=True, slots=True)
class Frame(ABC):
    """Axes of telescope offsets: `SkyFrame` or `InstrumentFrame`."""

    name: str
    scale: float
    """arcsec per unit of the offsets that are given in pixels."""
    angle: float
    """Of the frame's y axis from that of its kind, deg, North through East."""

    @property
    def kind(self) -> str:
        """The name of the class, by which all frames of a pattern must agree."""
        return type(self).__name__

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads, complete: it does not depend on the name."""
        return {"class": self.kind, "name": self.name, "scale": self.scale, "angle": self.angle}

    @abstractmethod
    def offset(self, dx: float, dy: float, position_angle: float) -> tuple[float, float]:
        """Return (East, North), arcsec, of a motion of the telescope by (dx, dy), arcsec, in this frame.

        ``position_angle`` (deg) is that of the detector's +y.
        """


@dataclass(frozen=True, slots=True)
class SkyFrame(Frame):
    """+x is East, +y North, whatever the position angle; header keywords RAOFF and DECOFF."""

    name: str = "SkyFrame"
    scale: float = 1.0
    angle: float = 0.0

    def offset(self, dx: float, dy: float, position_angle: float) -> tuple[float, float]:
        """Return (East, North), arcsec."""
        return rotate(dx, dy, -self.angle)


@dataclass(frozen=True, slots=True)
class InstrumentFrame(Frame):
    """+x and +y are the field's axes (West and North at position angle 0); keywords INSTXOFF and INSTYOFF."""

    name: str = "InstrumentFrame"
    scale: float = 1.0
    angle: float = 0.0

    def offset(self, dx: float, dy: float, position_angle: float) -> tuple[float, float]:
        """Return (East, North), arcsec."""
        return field_to_sky(dx, dy, position_angle + self.angle)


@dataclass(frozen=True, slots=True)
class SlitFrame(InstrumentFrame):
    """+y is along the slit, +x across it; the field's axes without a slit (`TelescopeOffset.align_to_slit`)."""

    name: str = "SlitFrame"


SKY = SkyFrame()
FRAME_CLASSES: dict[str, type[SkyFrame] | type[InstrumentFrame]] = {
    "SkyFrame": SkyFrame,
    "InstrumentFrame": InstrumentFrame,
    "SlitFrame": SlitFrame,
}


def from_dict(node: Any, pointer: str) -> Frame:
    """Return the frame that an object describes, or a name: that of a class, with its defaults.

    Raises
    ------
    RequestError
        There is no such class, or its members are wrong.
    """
    if isinstance(node, str):
        node = {"class": node}
    members = CheckedObject(node, pointer, ("class", "name", "scale", "angle"))
    kind = FRAME_CLASSES[members.choice("class", FRAME_CLASSES)]
    return kind(
        members.text("name", kind.__name__),
        members.number("scale", 1.0, 1e-6, 1e6, unit="arcsec"),
        members.number("angle", 0.0, -360, 360, unit="deg"),
    )
