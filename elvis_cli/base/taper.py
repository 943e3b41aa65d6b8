"""The cosine by which one part of a profile goes over into the next."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base.arrays import Floats


def taper(r: Floats, radius: float) -> Floats:
    """Return 1 within half of ``radius``, 0 beyond ``radius``, a cosine between."""
    return np.asarray(0.5 + 0.5 * np.cos(math.pi * np.clip(2.0 * r / radius - 1.0, 0.0, 1.0)))
