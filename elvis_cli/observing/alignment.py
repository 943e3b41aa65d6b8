"""Alignment: the acquisition of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from elvis_cli.observing import detector_config
from elvis_cli.observing.checked_object import CheckedObject
from elvis_cli.observing.detector_config import DetectorConfig

ALIGNMENT_TYPES = ("Blind", "Guider", "Mask")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Blind (slew only), Guider (on the guide camera) or Mask (with exposures through the mask)."""

    kind: str = "Blind"
    bright: bool = True
    """Guider: whether the target is seen at once."""
    detconfig: DetectorConfig | None = None
    """Mask: of the exposures through it."""
    filter: str = ""
    takesky: bool = False

    def exposures(self) -> float:
        """Return the seconds of the exposures of the acquisition."""
        return 0.0 if self.detconfig is None else self.detconfig.clock_time() * (2 if self.takesky else 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        config = self.detconfig.to_dict() if self.detconfig else None
        members = {"type": self.kind, "bright": self.bright, "filter": self.filter, "takesky": self.takesky}
        return members if config is None else {**members, "detconfig": config}


def from_dict(node: Any, pointer: str) -> Alignment:
    """Return the alignment that an object, or the name of a kind, describes."""
    if isinstance(node, str):
        node = {"type": node}
    members = CheckedObject(node, pointer, ("type", "bright", "detconfig", "filter", "takesky"))
    kind = members.choice("type", ALIGNMENT_TYPES)
    config = members.node.get("detconfig")
    return Alignment(
        kind,
        members.flag("bright", True),
        None if config is None else detector_config.from_dict(config, members.at("detconfig")),
        members.text("filter", ""),
        members.flag("takesky", False),
    )
