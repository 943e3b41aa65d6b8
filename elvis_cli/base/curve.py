"""A quantity against wavelength."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A quantity against vacuum wavelength (um, ascending), linear between the points."""

    wave: Floats
    value: Floats
    outside: float | None = None
    """Value outside the table; None holds the end points."""

    def at(self, wave: Floats) -> Floats:
        """Return the quantity at ``wave`` (um)."""
        return np.interp(wave, self.wave, self.value, left=self.outside, right=self.outside)
