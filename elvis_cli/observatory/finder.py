"""Events in light curves: peaks of the change in units of the noise."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.parameters import FinderParameters
from elvis_cli.observatory.quality import EpochQuality


@dataclass(frozen=True, slots=True)
class Peak:
    """An event: epochs ``start`` to ``end`` (inclusive), the strongest is ``at``."""

    at: int
    start: int
    end: int
    snr: float
    """Change over noise at the peak; negative for a dip."""
    is_bad: bool
    """Whether one of its epochs has bad quality."""
    offset: float
    """Largest offset of its epochs, by absolute value."""


@dataclass(frozen=True)
class Finder:
    """Finds events."""

    parameters: FinderParameters = field(default_factory=FinderParameters)

    def find(self, curve: LightCurve, quality: EpochQuality) -> list[Peak]:
        """Return at most ``max_detections`` events, the strongest first.

        An event reaches from its peak as far as the change keeps its sign and is larger than ``snr_region``.
        """
        p = self.parameters
        dsnr = np.where(np.isfinite(curve.dsnr), curve.dsnr, 0.0)
        free, found = np.ones(dsnr.size, bool), list[Peak]()
        while len(found) < p.max_detections:
            height = np.where(free, dsnr if p.positive_only else np.abs(dsnr), 0.0)
            at = int(np.argmax(height)) if height.size else 0
            if not height.size or height[at] < p.snr_threshold:
                break
            sign = 1.0 if dsnr[at] > 0 else -1.0
            inside = free & (sign * dsnr > p.snr_region)
            start, end = at, at
            while start > 0 and inside[start - 1]:
                start -= 1
            while end + 1 < dsnr.size and inside[end + 1]:
                end += 1
            part = slice(start, end + 1)
            free[part] = False
            is_bad = bool(quality.bad[part].any())
            if is_bad and p.remove_failed:
                continue
            offsets = quality.offset[part]
            strongest = np.nanargmax(np.abs(offsets)) if np.isfinite(offsets).any() else 0
            found.append(Peak(at, start, end, float(dsnr[at]), is_bad, float(offsets[strongest])))
        return found
