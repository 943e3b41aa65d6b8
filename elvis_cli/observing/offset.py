"""One offset of the telescope, and the position of the telescope after a sequence of offsets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from elvis_cli.base.geometry import rotate, sky_to_field
from elvis_cli.observing import frames
from elvis_cli.observing.checked_object import CheckedObject
from elvis_cli.observing.frames import Frame, InstrumentFrame, SlitFrame

MAX_OFFSET = 36000.0
"""Largest offset from the target, arcsec."""
OFFSET_KEYS = ("dx", "dy", "dr", "unit", "frame", "relative", "posname", "guide")


@dataclass(frozen=True, slots=True)
class TelescopeOffset:
    """An offset by (dx, dy) and a rotation by dr, relative to the telescope's position or to the target."""

    dx: float = 0.0
    dy: float = 0.0
    """arcsec, or pixels of the frame's scale."""
    dr: float = 0.0
    """Of the position angle, deg."""
    frame: Frame = frames.SKY
    relative: bool = False
    posname: str = ""
    guide: bool = True
    unit: str = "arcsec"

    def arcsec(self) -> tuple[float, float]:
        """Return dx, dy in arcsec."""
        scale = self.frame.scale if self.unit == "pixel" else 1.0
        return self.dx * scale, self.dy * scale

    def align_to_slit(self, slit: float) -> TelescopeOffset:
        """Return an offset along the slit as one along the field's axes; other offsets are unchanged.

        ``slit`` (deg) is the angle of the slit from the field's +y towards +x.
        """
        if not isinstance(self.frame, SlitFrame):
            return self
        x, y = rotate(*self.arcsec(), self.frame.angle - slit)
        return replace(self, dx=x, dy=y, unit="arcsec", frame=InstrumentFrame())

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        return {key: getattr(self, key) for key in OFFSET_KEYS} | {"frame": self.frame.to_dict()}


@dataclass(frozen=True, slots=True)
class TelescopePosition:
    """Position of the telescope: East and North of the target, arcsec, and the rotation of its field, deg."""

    east: float = 0.0
    north: float = 0.0
    rotation: float = 0.0

    def after(self, offset: TelescopeOffset, position_angle: float) -> TelescopePosition:
        """Return the position after an offset; ``position_angle`` (deg) is that of the detector's +y without rotation.

        Relative offsets sum, absolute ones count from the target. The detector's axes are those before the rotation.
        """
        base = self if offset.relative else TelescopePosition()
        east, north = offset.frame.offset(*offset.arcsec(), position_angle + base.rotation)
        return TelescopePosition(base.east + east, base.north + north, base.rotation + offset.dr)

    def on_detector(self, position_angle: float) -> tuple[float, float]:
        """Return (x, y), arcsec, along the field's axes."""
        return sky_to_field(self.east, self.north, position_angle + self.rotation)


def from_dict(node: Any, pointer: str) -> TelescopeOffset:
    """Return the offset that an object describes.

    Raises
    ------
    RequestError
        A member is wrong.
    """
    members = CheckedObject(node, pointer, OFFSET_KEYS)
    frame = members.node.get("frame", "SkyFrame")
    return TelescopeOffset(
        members.number("dx", 0.0, -MAX_OFFSET, MAX_OFFSET, unit="arcsec"),
        members.number("dy", 0.0, -MAX_OFFSET, MAX_OFFSET, unit="arcsec"),
        members.number("dr", 0.0, -360, 360, unit="deg"),
        frames.from_dict(frame, members.at("frame")),
        members.flag("relative", False),
        members.text("posname", ""),
        members.flag("guide", True),
        members.choice("unit", ("arcsec", "pixel"), "arcsec"),
    )
