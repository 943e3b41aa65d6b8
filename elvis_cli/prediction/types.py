"""Predictions of any kind: what the pipeline and the headers need of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

Card = tuple[str, object, str]
"""Keyword without HIERARCH, value, comment."""


class Prediction(Protocol):
    """The ETC's answer to one request."""

    @property
    def count(self) -> int:
        """NDIT or NEXPO; 0 where no number of integrations reaches the requested S/N."""

    @property
    def snr(self) -> float | None:
        """Signal-to-noise ratio after all integrations; None without a target."""

    @property
    def snr_single(self) -> float:
        """Signal-to-noise ratio of one integration."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user."""

    def cards(self) -> list[Card]:
        """Return the cards of the HIERARCH ESO SIM block."""


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """The answer for a frame without a target."""

    count: int
    """NDIT or NEXPO."""
    remarks: tuple[Card, ...]
    """Cards of the HIERARCH ESO SIM block."""
    notes: tuple[str, ...] = ()

    @property
    def snr(self) -> float | None:
        """There is no target."""
        return None

    @property
    def snr_single(self) -> float:
        """There is no target."""
        return 0.0

    def cards(self) -> list[Card]:
        """Return (keyword, value, comment) for the HIERARCH ESO SIM block."""
        return list(self.remarks)
