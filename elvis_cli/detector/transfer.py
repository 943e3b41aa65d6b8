"""Clocking charge through traps: a chip's quadrants through the kernels `cdm03` and `arctic`, on all threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.detector.layout import Area

Floats = NDArray[np.float64]
BLOCK = 256
"""Columns or rows of one block of work."""
RELEASED = 1e-16
"""Part of the trapped charge that stays so through one transfer, below which it is nothing."""


@dataclass(frozen=True, slots=True)
class Traps:
    """The traps that charge meets along one direction; the columns of numbers are one a species."""

    model: str
    """cdm03 or arctic."""
    density: Floats
    """cdm03: per cm3; arctic: per pixel."""
    tau: Floats
    """Release time, in the unit of ``period``."""
    period: float
    """Time of one transfer, s."""
    beta: float
    """Exponent of the volume that a packet fills."""
    well: float
    """Full well, electrons."""
    sigma: Floats
    """cdm03: capture cross-section, cm2."""
    velocity: float
    """cdm03: thermal velocity of the electrons, cm/s."""
    volume: float
    """cdm03: largest volume of a packet, cm3."""
    notch: float
    """arctic: electrons that fill no volume."""
    express: int
    """arctic: passes that stand for all transfers; 0 = one each."""

    @property
    def left(self) -> Floats:
        """The part of the trapped charge that stays so through one transfer."""
        return np.asarray(np.exp(-self.period / self.tau))


def clock(charge: Floats, transfers: Floats, traps: Traps, *, along_rows: bool) -> None:
    """Clock ``charge`` (row, column; electrons; [0, 0] is read first) in place along its rows or its columns.

    ``transfers`` through trap-filled pixels that each column (``along_rows``) or row makes.
    """
    if not traps.density.size or transfers.max() <= 0:
        return
    if traps.model == "cdm03":
        _cdm03(charge, transfers, traps, along_rows)
    else:
        _arctic(charge, transfers, traps, along_rows)


def parallel_transfers(area: Area, rows: int) -> Floats:
    """Return how many pixels each of ``rows`` rows of a quadrant passes; overscan rows pass the whole column."""
    return np.asarray(np.minimum(area.first_y + np.arange(rows) + 1.0, area.first_y + area.ny))


def serial_transfers(area: Area, columns: int) -> Floats:
    """Return how many pixels of the register each column passes: those of the prescan belong to it."""
    return np.asarray(np.minimum(area.first_x + np.arange(columns) + 1.0, area.first_x + area.prescan + area.nx))


def _cdm03(charge: Floats, transfers: Floats, traps: Traps, along_rows: bool) -> None:
    from elvis_cli.kernels import cdm03

    scale = traps.well**traps.beta
    alpha = traps.period * traps.sigma * traps.velocity * scale / (2.0 * traps.volume)
    gamma = 2.0 * traps.density * traps.volume / scale
    kernel = cdm03.serial if along_rows else cdm03.parallel
    slow = traps.left > RELEASED  # the others give back to a packet all that they took from it
    numbers = (alpha[slow], gamma[slow], traps.left[slow], traps.beta)
    # The first packet meets no traps in this model: x is the index of the row.
    _blocks(charge.shape[0 if along_rows else 1], kernel, charge, transfers - 1.0, *numbers)


def _arctic(charge: Floats, transfers: Floats, traps: Traps, along_rows: bool) -> None:
    from elvis_cli.kernels import arctic

    lines = charge if along_rows else np.ascontiguousarray(charge.T)
    weights = arctic.passes(transfers, traps.express)
    numbers = (weights, traps.density, traps.left, traps.notch, traps.well, traps.beta)
    _blocks(len(lines), arctic.clock, lines, *numbers)
    if not along_rows:
        charge[...] = lines.T


def _blocks(size: int, kernel: Callable[..., None], charge: Floats, *numbers: Any) -> None:
    def work(first: int) -> None:
        kernel(charge, first, min(first + BLOCK, size), *numbers)

    parallel.gather(work, range(0, size, BLOCK))
