"""The CCD noise equation of the ETC, S / sqrt(S + npix (sky + dark + RON^2)), in its one place.

All numbers are electrons of one integration; arrays and floats go alike.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from elvis_cli.base.arrays import Floats, Image

MAX_COUNT = 1_000_000
"""Largest NDIT or NEXPO of an observation."""
DETECTION_SNR = 5.0
"""Signal-to-noise ratio of a detection, for limiting magnitudes."""

Number = TypeVar("Number", float, Floats, Image)


def variance(*electrons: Number, ron2: Number | float, shot: float = 1.0) -> Number:
    """Return the variance of some electrons: Poisson's of all of them, and the read-out's ``ron2``.

    ``shot`` is the variance of one electron, which the fit of a slope makes more than 1 (`elvis_cli.model.sampling`).
    """
    total = electrons[0]
    for more in electrons[1:]:
        total = total + more
    return shot * total + ron2


def ratio(target: float, background: float, ron2: float, shot: float = 1.0) -> float:
    """Return the S/N of ``target`` electrons over a ``background`` (sky and dark current) in an aperture."""
    return target / math.sqrt(variance(target, background, ron2=ron2, shot=shot)) if target > 0 else 0.0


def ratios(target: Floats, total: Floats) -> Floats:
    """Return the S/N (n,) of ``target`` electrons with a ``total`` variance; 0 where there is none."""
    return np.divide(target, np.sqrt(np.maximum(total, 0.0)), out=np.zeros_like(target), where=total > 0)


def components(target: Number, sky: Number, dark: Number, ron2: Number, shot: float = 1.0) -> dict[str, Number]:
    """Return the electrons rms in an aperture by origin, and their quadratic ``total``."""
    parts = {"target": shot * target, "sky": shot * sky, "dark": shot * dark, "ron": ron2}
    parts["total"] = parts["target"] + parts["sky"] + parts["dark"] + parts["ron"]
    return {name: np.sqrt(np.maximum(value, 0.0)) for name, value in parts.items()}


def limiting_flux(background: Number, ron2: Number, count: int, shot: float = 1.0) -> Number:
    """Return the electrons of one integration that give DETECTION_SNR after ``count`` integrations."""
    noise, own = shot * background + ron2, shot * DETECTION_SNR**2
    electrons: Number = (own + np.sqrt(own**2 + 4 * count * DETECTION_SNR**2 * noise)) / (2 * count)
    return electrons


def solve_count(single: float, goal: float) -> int:
    """Return the least number of integrations whose S/N reaches ``goal``; 0 when MAX_COUNT are not enough."""
    if single * math.sqrt(MAX_COUNT) < goal:
        return 0
    count = max(1, math.ceil((goal / single) ** 2))
    while count > 1 and single * math.sqrt(count - 1) >= goal:  # rounding of the square
        count -= 1
    return count
