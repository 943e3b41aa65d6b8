"""Optical depths on an even grid of ln(wavelength), stored as first differences of a logarithmic scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats

BLOCK = 4096
"""Samples between the running sums that are kept, so that any part can be read alone."""


@dataclass(frozen=True, slots=True, eq=False)
class DepthTable:
    """Optical depths x0 (exp(q / k) - 1) of whole numbers q; sample i is at ``first`` * ``ratio``**i um."""

    steps: NDArray[np.int16]
    """(rows, n): differences of q along each row, the first sample's from 0."""
    sums: NDArray[np.int32]
    """(rows, blocks): q before the first sample of each BLOCK."""
    first: float
    ratio: float
    k: float
    x0: float

    @property
    def wave(self) -> tuple[float, float]:
        """The first and the last wavelength, um."""
        return self.first, self.first * self.ratio ** (self.steps.shape[1] - 1)

    def part(self, low: float, high: float) -> slice:
        """Return the samples that enclose ``low`` to ``high`` um, as far as the table reaches."""
        at = np.log(np.array([low, high]) / self.first) / np.log(self.ratio)
        return slice(max(int(np.floor(at[0])), 0), min(int(np.ceil(at[1])) + 1, self.steps.shape[1]))

    def at(self, part: slice) -> tuple[Floats, Floats]:
        """Return the wavelengths (um, (n,)) of some samples, and their depths (rows, n)."""
        block = part.start // BLOCK
        rows = np.cumsum(self.steps[:, block * BLOCK : part.stop], axis=1, dtype=np.int32)
        q = rows[:, part.start - block * BLOCK :] + self.sums[:, block, None]
        wave = self.first * self.ratio ** np.arange(part.start, part.stop, dtype=float)
        return wave, np.asarray(self.x0 * np.expm1(q / self.k), float)


def encode(depths: Floats, first: float, ratio: float, k: float, x0: float) -> DepthTable:
    """Return depths (rows, n) as a table; the error of exp(-depth) is below 1 / k."""
    q = np.rint(k * np.log1p(np.maximum(depths, 0.0) / x0)).astype(np.int32)
    steps = np.diff(q, axis=1, prepend=0)
    before = np.concatenate([np.zeros((len(q), 1), np.int32), q[:, BLOCK - 1 : -1 : BLOCK]], axis=1)
    return DepthTable(steps.astype(np.int16), before.astype(np.int32), first, ratio, k, x0)


def save(path: Path, table: DepthTable) -> None:
    """Write a table as ``path``.npy, which is mapped into memory, and ``path``_index.npz."""
    np.save(path.with_suffix(".npy"), table.steps)
    numbers = np.array([table.first, table.ratio, table.k, table.x0])
    np.savez(path.parent / f"{path.stem}_index.npz", sums=table.sums, numbers=numbers)


def load(path: Path) -> DepthTable:
    """Return the table that `save` wrote."""
    with np.load(path.parent / f"{path.stem}_index.npz") as index:
        sums, numbers = index["sums"], index["numbers"]
    return DepthTable(np.load(path.with_suffix(".npy"), mmap_mode="r"), sums, *map(float, numbers))
