"""Times at which a source is observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.observatory.parameters import parameter


@dataclass(frozen=True)
class CadenceParameters:
    """Of the times of epochs."""

    n: int = parameter(20, "epochs of a source", low=1, high=1_000_000)
    start: float = parameter(61000.0, "first night", "MJD", low=44239, high=73049)
    span: float = parameter(20.0, "from the first epoch to the last", "d", low=0)
    jitter: float = parameter(0.01, "scatter of the times", "d", low=0)
    night: tuple[float, ...] = parameter(
        (0.0, 0.4), "part of the day (UTC) in which there are epochs, from, to", "d", length=2, low=0, high=1
    )
    times: tuple[float, ...] = parameter((), "times of all epochs in place of these", "MJD")


def times(cadence: CadenceParameters, seed: Sequence[int]) -> Floats:
    """Return the times (MJD), rising: evenly spaced nights, within each at a time of the night, with jitter."""
    if cadence.times:
        return np.sort(np.array(cadence.times, np.float64))
    random = np.random.default_rng(list(seed))
    even = np.linspace(cadence.start, cadence.start + cadence.span, cadence.n)
    even = even + random.normal(0.0, 1.0, cadence.n) * cadence.jitter
    day = np.floor(even)
    low, high = cadence.night
    return np.sort(day + low + (even - day) * (high - low))
