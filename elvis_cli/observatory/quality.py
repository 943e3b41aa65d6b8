"""Quality of epochs: flags, missing values, places that are off."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.observatory.lightcurve import LightCurve
from elvis_cli.observatory.parameters import QualityParameters


@dataclass(frozen=True, eq=False)
class EpochQuality:
    """Quality of the epochs of a light curve: each (n,)."""

    bad: NDArray[np.bool_]
    offset: Floats
    """(r - median)/MAD of the distance r from the median place; 0 where no place is known."""


@dataclass(frozen=True)
class Quality:
    """Tells bad epochs from good ones."""

    parameters: QualityParameters = field(default_factory=QualityParameters)

    def check(self, curve: LightCurve) -> EpochQuality:
        """Return the quality: bad is what is flagged, has no flux, or whose place is too far off."""
        offset = self.offset(curve)
        bad = ~np.isfinite(curve.flux) | curve.flag | ~(np.abs(offset) <= self.parameters.offset_limit)
        return EpochQuality(bad, offset)

    def offset(self, curve: LightCurve) -> Floats:
        """Return (r - median)/MAD; 0 if the MAD is, or if no epoch has a place; NaN where one lacks it."""
        x = curve.ra * np.cos(np.radians(curve.dec))
        y = curve.dec
        if not np.isfinite(x + y).any():
            return np.zeros(len(curve))
        x = (x - np.nanmedian(x) + 180.0) % 360.0 - 180.0
        r = np.hypot(x, y - np.nanmedian(y))
        off = r - np.nanmedian(r)
        mad = float(np.nanmedian(np.abs(off)))
        return off / mad if mad > 0.0 else np.where(np.isfinite(off), 0.0, np.nan)
