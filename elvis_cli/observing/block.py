"""An Observing Block of Keck's language: target, offset pattern, instrument and detectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from elvis_cli.errors import RequestError
from elvis_cli.observing import alignment, detector_config, instrument_config, pattern, target
from elvis_cli.observing.alignment import Alignment
from elvis_cli.observing.checked_object import CheckedObject
from elvis_cli.observing.detector_config import DetectorConfig
from elvis_cli.observing.instrument_config import InstrumentConfig
from elvis_cli.observing.pattern import OffsetPattern
from elvis_cli.observing.target import Target

if TYPE_CHECKING:
    from elvis_cli.request.files.moving import Ephemeris

BLOCK_TYPES = ("Science", "Telluric", "StandardStar", "Calibration", "Focus", "Unknown")
BLOCK_KEYS = ("type", "name", "id", "programme", "target", "pattern", "instconfig", "detconfig", "align", "guidestar",
        "associatedblocks", "drp_args", "ql_args", "request")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ObservingBlock:
    """An Observing Block: a target or none, an offset pattern, the configurations of instrument and detectors."""

    instconfig: InstrumentConfig
    detconfig: tuple[DetectorConfig, ...]
    pattern: OffsetPattern = pattern.DEFAULT
    target: Target | None = None
    type: str = "Unknown"
    name: str = ""
    id: int = 0
    programme: str = ""
    """Programme and semester."""
    align: Alignment | None = None
    """None = the telescope does not slew."""
    guidestar: Target | None = None
    associatedblocks: tuple[str, ...] = ()
    drp_args: Mapping[str, Any] = field(default_factory=dict)
    """For the pipeline; kept."""
    ql_args: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    """Merge patch to each request, for parts that no block has (brightness, sky, scene)."""

    def shutter_time(self) -> float:
        """Return the seconds of light at all positions, of the detector with the longest."""
        return self._positions() * max(config.shutter_time() for config in self.detconfig)

    def wall_time(self, overhead: float = 0.0) -> float:
        """Return the seconds of its exposures with ``overhead`` s for each file; no slew."""
        return self._positions() * max(config.clock_time(overhead) for config in self.detconfig)

    def _positions(self) -> int:
        return self.pattern.repeat * len(self.pattern.offsets)

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        members: dict[str, Any] = {
            "type": self.type,
            "name": self.name,
            "id": self.id,
            "programme": self.programme,
            "target": self.target and self.target.to_dict(),
            "pattern": self.pattern.to_dict(),
            "instconfig": self.instconfig.to_dict(),
            "detconfig": [config.to_dict() for config in self.detconfig],
            "align": self.align and self.align.to_dict(),
            "guidestar": self.guidestar and self.guidestar.to_dict(),
            "associatedblocks": list(self.associatedblocks),
            "drp_args": dict(self.drp_args),
            "ql_args": dict(self.ql_args),
            "request": dict(self.request),
        }
        return {key: value for key, value in members.items() if value is not None}

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary: target, pattern, instrument, and each detector."""
        cards = {**(self.target.header() if self.target else {}), **self.pattern.header(), **self.instconfig.header()}
        for config in self.detconfig:
            cards |= config.header()
        return cards


def from_dict(
    node: Any,
    pointer: str,
    patterns: Mapping[str, Any] | None = None,
    *,
    resolve: bool = False,
    ephemerides: Mapping[str, Ephemeris] = MappingProxyType({}),
) -> ObservingBlock:
    """Return the block that an object describes; ``patterns`` are those of its instrument.

    Raises
    ------
    RequestError
        A component is missing or wrong.
    """
    members = CheckedObject(node, pointer, BLOCK_KEYS)
    for name, count in (("target", 1), ("pattern", 1), ("instconfig", 1)):
        component = members.node.get(name)
        if isinstance(component, list) and len(component) == count:
            members.node[name] = component[0]
        elif isinstance(component, list):
            raise RequestError(members.at(name), f"{len(component)} are given", allowed="one")
    configs = members.items("detconfig")
    if not configs:
        raise RequestError(members.at("detconfig"), "is missing", allowed="one or more")
    where, node = members.at, members.node
    block = ObservingBlock(
        instrument_config.from_dict(members.require("instconfig"), where("instconfig")),
        tuple(detector_config.from_dict(c, f"{where('detconfig')}/{n}") for n, c in enumerate(configs)),
        pattern.from_dict(members.require("pattern", "Stare, StarSky, ..."), where("pattern"), patterns),
        target.from_dict(node["target"], where("target"), resolve=resolve, ephemerides=ephemerides)
        if "target" in members
        else None,
        members.choice("type", BLOCK_TYPES, "Unknown"),
        members.text("name", ""),
        members.integer("id", 0, 0, 2**63 - 1) if "id" in members else 0,
        members.text("programme", ""),
        alignment.from_dict(node["align"], where("align")) if "align" in members else None,
        target.from_dict(node["guidestar"], where("guidestar"), resolve=resolve) if "guidestar" in members else None,
        tuple(str(one) for one in members.items("associatedblocks")),
        members.table("drp_args"),
        members.table("ql_args"),
        members.table("request"),
    )
    if block.type in ("Science", "Telluric", "StandardStar") and (block.target is None or not block.target.placed):
        raise RequestError(where("target"), f"is missing: a block of the type {block.type} needs one with coordinates")
    return block
