"""Choices of the user for images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Choices of the user."""

    kernel: str | None = None
    """Of the drizzling; None = lanczos3 where an image is well sampled, else square."""
    pixfrac: float = 1.0
    north_up: bool = False
    allow_missing: bool = False
    standards: Any = None
    """Path of a catalogue of standards."""
    mosaic: bool = False
    """All chips in one image."""
    sky: str = "dithers"
    """How the sky is taken (`instrument_table`)."""
