"""The plugin contract: what an instrument provides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from elvis_cli.model.request import Request
from elvis_cli.model.setup import Setup


@dataclass(frozen=True, slots=True)
class ModeInfo:
    """One line of `elvis instruments`."""

    instrument: str
    mode: str
    title: str
    pixel_scale: float
    """arcsec."""
    frame: tuple[int, int, int]
    """Chips, columns, rows of the full array."""
    filters: tuple[str, ...]


class Instrument(Protocol):
    """What an entry point in the group ``elvis.instruments`` provides."""

    @property
    def name(self) -> str:
        """The plugin's name, as in ``instrumentName``."""

    def modes(self) -> tuple[ModeInfo, ...]:
        """Return the modes, for `elvis instruments`."""

    def example(self, mode: str | None = None) -> dict[str, Any]:
        """Return a complete valid request for ``mode`` (None: the default mode)."""

    def mask(self, mode: str, places: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
        """Return the block ``elvis.mask`` of a mode for sources: x, y (arcsec in the field) and magnitude of each."""

    def unknown_keys(self, request: Request) -> tuple[str, ...]:
        """Return the keys of the ``instrument`` section that this instrument does not have."""

    def arms(self, request: Request) -> tuple[str, ...]:
        """Return the arms of which a request makes a file each, the default first; () without arms."""

    def configure(self, request: Request) -> Setup:
        """Return the Setup for a request.

        Raises
        ------
        RequestError
            A key of the ``instrument``, ``seeing`` or ``timesnr`` section has a value unknown to this instrument.
        """
