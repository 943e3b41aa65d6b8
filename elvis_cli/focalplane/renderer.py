"""Renderers: what draws the light of an exposure on the chips."""

from __future__ import annotations

from typing import Protocol

from elvis_cli.base.arrays import Image
from elvis_cli.focalplane.samples import Wavelengths
from elvis_cli.light.compose import Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.optics.psf_types import Psf

PARTS = frozenset(("stars", "galaxies", "thermal", "background"))
"""Parts of the light of a frame."""


class Renderer(Protocol):
    """One exposure, ready to be drawn on any chip."""

    @property
    def scene(self) -> Scene:
        """Sources and their rates."""

    @property
    def light(self) -> Illumination:
        """The light that it draws."""

    @property
    def psf(self) -> Psf:
        """The PSF at the target."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user."""

    def illuminate(self, chip: Chip, window: Window, parts: frozenset[str] = PARTS) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark."""

    def wavelengths(self, chip: Chip, window: Window) -> Wavelengths | None:
        """Return the wavelengths of each pixel of a window; None for an image."""
