"""How an infrared array is sampled between two resets: the reads, and the weights that make one frame of them.

Everything that a read-out mode does to a frame follows from the weights w_i of its reads at the times t_i (fractions of
the integration time): the noise of a read counts sqrt(sum w^2), what is the same in all reads (the reset level) counts
sum w, and a charge that arrives at the time u counts the sum of w over the reads after u.

Source: Rauscher et al. 2007, PASP 119, 768, eq. 1 for one frame a group, as corrected by Robberto 2009
(JWST-STScI-001853): read noise 12 (n-1) / (n (n+1)) sigma^2, shot noise 6 (n^2+1) / (5 n (n+1)) of the electrons.
Multiple correlated double sampling: Fowler & Gatley 1990, ApJ 353, L33.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.errors import RequestError

MOST = 256
"""Reads of a ramp."""
FORM = "single, cds, mcds:N with 1 to 128 pairs of reads, utr or utr:N with 2 to 256 reads"
_NAME = re.compile(r"single|cds|utr(?::([0-9]{1,3}))?|mcds:([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Sampling:
    """One read at the end (1), the difference of two (2), or the slope of a line through more, times DIT.

    With a ``step`` the mean of half of them at the end less that of half at the start, over the time between.
    """

    reads: int = 2
    step: float | None = None
    """Part of the integration time between two reads of such a group; None = the reads are evenly spread."""

    @property
    def name(self) -> str:
        """As the request writes it."""
        if self.step is not None:
            return f"mcds:{self.reads // 2}"
        return {1: "single", 2: "cds"}.get(self.reads, f"utr:{self.reads}")

    @property
    def noise(self) -> float:
        """Read noise of the frame in units of that of one read."""
        n = self.reads
        if self.step is not None:
            return float((self.weights() ** 2).sum() ** 0.5)
        return (12 * (n - 1) / (n * (n + 1))) ** 0.5 if n > 1 else 1.0

    @property
    def shot(self) -> float:
        """Variance of the frame in units of its electrons, for light that arrives evenly."""
        n = self.reads
        if self.step is not None:
            later = np.cumsum(self.weights()[::-1])[::-1]
            return float((np.diff(self.times()) * later[1:] ** 2).sum())
        return 6 * (n**2 + 1) / (5 * n * (n + 1)) if n > 1 else 1.0

    def times(self) -> NDArray[np.float64]:
        """Return when the reads are, 0 (just after the reset) to 1 (at the end)."""
        if self.step is not None:
            early = np.arange(self.reads // 2) * self.step
            return np.concatenate((early, 1.0 - early[::-1]))
        return np.linspace(float(self.reads == 1), 1.0, self.reads)

    def weights(self) -> NDArray[np.float64]:
        """Return the weight of every read: those of the least-squares slope, in electrons per integration."""
        t = self.times()
        if self.step is not None:
            n = self.reads // 2
            return np.asarray(np.repeat((-1.0, 1.0), n) / (t[n:] - t[:n]).sum())
        if self.reads > 1:
            t = t - t.mean()
        return np.asarray(t / (t**2).sum())

    def share(self, arrival: NDArray[np.float64], read: int | None = None) -> NDArray[np.float64]:
        """Return how much of a charge that arrives at ``arrival`` (0 to 1) the frame, or one read, shows."""
        if read is not None:
            return np.asarray(arrival < self.times()[read], float)
        if self.reads < 3:
            return np.ones_like(arrival)  # exactly, which the sum of rounded weights need not be
        later = np.append(np.cumsum(self.weights()[::-1])[::-1], 0.0)
        return later[np.searchsorted(self.times(), arrival, side="right")]

    def clipped(self, ratio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the fit makes of a ramp to ``ratio`` > 1 full wells that stays at 1 when it is reached."""
        fit = np.zeros_like(ratio)
        for t, weight in zip(self.times(), self.weights(), strict=True):
            fit += np.float32(weight) * np.minimum(np.float32(t) * ratio, np.float32(1.0))
        return fit


def parse(text: str, dit: float, least: float | None) -> Sampling:
    """Return the sampling that ``text`` names for an integration of ``dit`` s.

    ``least`` is the time between two reads, s; None where the detector has none (those of a group then take no time).
    ``utr`` alone takes as many reads as there is time for.

    Raises
    ------
    RequestError
        There is no such sampling, or no time for that many reads.
    """
    where, match = "/elvis/readout", _NAME.fullmatch(text)
    if match is None:
        raise RequestError(where, f"{text[:40]!r} is no way to read out", found=text[:40], allowed=FORM)
    if text in ("single", "cds", "mcds:1"):
        return Sampling(1 if text == "single" else 2)
    room = MOST if least is None else int(min(dit / least * (1 + 1e-9), MOST - 1)) + 1
    if least is None and text == "utr":
        raise RequestError(where, "how many reads? The detector has no shortest time", found=text, allowed=FORM)
    reads = 2 * int(match[2]) if match[2] else room if match[1] is None else int(match[1])
    if not 2 <= reads <= MOST:
        raise RequestError(where, f"{reads} reads are no ramp", found=reads, allowed=FORM)
    if reads > room:
        raise RequestError(
            where,
            f"there is no time for {reads} reads in {dit:g} s, one takes {least:g} s",
            found=reads,
            allowed=f"up to {room}",
        )
    return Sampling(reads, (least or 0.0) / dit if match[2] else None)
