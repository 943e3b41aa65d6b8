"""Configuration of an instrument: mode and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from elvis_cli.observing.checked_object import CheckedObject


@dataclass(frozen=True, slots=True)
class InstrumentConfig:
    """A mode of an instrument and its keys, as in the ``instrument`` section of a request."""

    instrument: str
    name: str = ""
    package: str = ""
    mode: str = ""
    """"" = the instrument's default."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Such as {"INS.FILT2.NAME": "Ks"}."""

    def to_dict(self) -> dict[str, Any]:
        """Return the object that `from_dict` reads."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"keys": dict(self.keys)}

    def header(self) -> dict[str, Any]:
        """Return the cards of Keck's dictionary."""
        return {"ICNAME": self.name or self.mode or self.instrument, "ICPKG": self.package, "ICINST": self.instrument}


def from_dict(node: Any, pointer: str) -> InstrumentConfig:
    """Return the configuration that an object describes.

    Raises
    ------
    RequestError
        A member is wrong; the keys are checked later, by the instrument.
    """
    members = CheckedObject(node, pointer, InstrumentConfig.__dataclass_fields__)
    return InstrumentConfig(
        members.text("instrument"),
        members.text("name", ""),
        members.text("package", ""),
        members.text("mode", ""),
        members.table("keys"),
    )
