"""One exposure: integration time, number of integrations, what a file holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exposure:
    """The integrations of one exposure; infrared files hold the mean of all, a CCD's one each."""

    dit: float
    """Integration time, s."""
    count: int | None
    """NDIT (infrared) or NEXPO (CCD); None while it is to be solved for a signal-to-noise ratio."""
    count_key: str
    """The ETC's name of ``count``, e.g. DET.NDIT or SEQ.NEXPO."""
    number: int = 1
    """Which exposure of a series this is, from 1 (EXPNO)."""
    infrared: bool = True
    dit_key: str = ""
    """The ETC's name of ``dit``, e.g. DET.DIT."""

    @property
    def integrations(self) -> int:
        """Number of integrations in one file; 1 where it is not known yet."""
        return (self.count or 1) if self.infrared else 1

    @property
    def duration(self) -> float:
        """Time that one file integrates, s."""
        return self.dit * self.integrations

    @property
    def files(self) -> int:
        """Number of files of the series, at least up to this one."""
        return max(self.number, 1 if self.infrared else self.count or 1)
