"""A number of an instrument with its unit and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A number of an instrument, as `elvis explain` lists it."""

    name: str
    value: Any
    unit: str
    source: str
    assumed: bool = False
