"""Seeing, water and airglow drift along a night.

The logarithm of each is a stationary Gaussian process about the requested value, with the exponential
correlation exp(-|t| / T) that series of site monitors show: 0.2 rms in an hour for the seeing; 0.1 in two hours for the
water vapour; 0.1 in an hour for the airglow. The three figures are of the order of what is published and assumed here.

A process is a sum of sine waves whose frequencies are drawn from its power spectrum, 1 / (1 + (2 pi f T)^2), and whose
phases are random (Shinozuka & Deodatis 1991, Appl. Mech. Rev. 44, 191). So its value is a function of the seed and the
time alone: the same night for every plan of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from elvis_cli.base import random_streams
from elvis_cli.sky.pointing import to_mjd

SINE_WAVES = 64
"""Sine waves of a process."""
MAX_FREQUENCY = 30.0
"""Highest angular frequency, in units of 1 / T."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One quantity's process."""

    name: str
    rms: float
    """Of its natural logarithm."""
    hours: float
    """Correlation time T."""

    def factor(self, seed: int, time: datetime) -> float:
        """Return the factor of the quantity at a UTC time; its median is 1."""
        rng = random_streams.generator(seed, 0, 0, f"weather {self.name}", 0)
        limit = np.arctan(MAX_FREQUENCY)
        omega = np.tan(rng.uniform(-limit, limit, SINE_WAVES)) / self.hours  # 1/h, a Cauchy distribution, cut off
        phase = rng.uniform(0.0, 2 * np.pi, SINE_WAVES)
        hours = to_mjd(time) * 24.0
        wave = np.sqrt(2.0 / SINE_WAVES) * np.cos(omega * hours + phase).sum()
        return float(np.exp(self.rms * wave))


SEEING = Drift("seeing", 0.2, 1.0)
WATER = Drift("water", 0.1, 2.0)
AIRGLOW = Drift("airglow", 0.1, 1.0)
