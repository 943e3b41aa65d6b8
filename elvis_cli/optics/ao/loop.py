"""A control loop: an integrator with a delay."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats


class Loop:
    """An integrator with gain and delay (frames) at ``rate`` Hz: what of a disturbance remains, and of noise passes.

    h = g z^delay / (1 - z), z = exp(-2 pi i nu / rate); rejection 1 / (1 + h), closed loop h / (1 + h).
    """

    def __init__(self, rate: float, gain: float, delay: float) -> None:
        self.rate, self.gain, self.delay = rate, gain, delay
        nu = (np.arange(512) + 0.5) / 1024 * self.rate
        self.noise_gain = float(np.mean(np.abs(1.0 - self.rejection(nu)) ** 2))

    def rejection(self, nu: Floats) -> Floats:
        """Return the (complex) rejection at the temporal frequencies ``nu``, Hz."""
        z = np.exp(-2j * math.pi * nu / self.rate)
        return np.asarray((1.0 - z) / (1.0 - z + self.gain * z**self.delay))

    def averaged(self, nu: Floats) -> tuple[Floats, Floats]:
        """Return the mean of |rejection|^2 and of the closed loop's real part for wind from all directions.

        ``nu`` is wind speed times spatial frequency, Hz: along the wind nu, across it 0.
        """
        across = np.cos((np.arange(16) + 0.5) * math.pi / 32)
        table = np.linspace(0.0, float(nu.max()), 200)
        rejection = self.rejection(table[:, None] * across)
        lag, follow = (np.abs(rejection) ** 2).mean(axis=1), 1.0 - rejection.real.mean(axis=1)
        return np.interp(nu, table, lag), np.interp(nu, table, follow)
