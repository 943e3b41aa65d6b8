"""Rows of whole numbers on an even grid of ln(wavelength), stored as first differences: spectra at high resolution.

Differences of neighbours are small, so that they compress; they are mapped into memory and only a part is summed up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import npy
from elvis_cli.base.arrays import Floats

BLOCK = 4096
"""Samples between the running sums that are kept, so that any part can be read alone."""


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """Whole numbers q; sample i is at ``first`` * ``ratio``**i um."""

    steps: NDArray[Any]
    """(rows, n): differences of q along each row, the first sample's from 0."""
    sums: NDArray[Any]
    """(rows, blocks): q before the first sample of each BLOCK; its type is that of q, in which sums wrap around."""
    first: float
    ratio: float
    scale: tuple[float, float]
    """k and x0 of optical depths, x0 (exp(q / k) - 1); unused elsewhere."""

    def part(self, low: float, high: float) -> slice:
        """Return the samples that enclose ``low`` to ``high`` um, as far as the table reaches; it may be empty."""
        at = np.log(np.array([low, high]) / self.first) / np.log(self.ratio)
        count = self.steps.shape[1]
        start = min(max(int(np.floor(at[0])), 0), count)
        return slice(start, max(min(int(np.ceil(at[1])) + 1, count), start))

    def wave(self, part: slice) -> Floats:
        """Return the wavelengths (um, (n,)) of some samples."""
        return np.asarray(self.first * np.exp(np.log(self.ratio) * np.arange(part.start, part.stop)))

    def numbers(self, part: slice, rows: slice = slice(None)) -> NDArray[Any]:
        """Return q (rows, n) of some samples."""
        block = part.start // BLOCK
        if part.start >= part.stop:
            return np.zeros((len(self.steps[rows]), 0), self.sums.dtype)
        steps = self.steps[rows, block * BLOCK : part.stop]
        return np.asarray(
            (np.cumsum(steps, axis=1, dtype=self.sums.dtype) + self.sums[rows, block, None])[
                :, part.start - block * BLOCK :
            ]
        )

    def depths(self, part: slice) -> Floats:
        """Return the optical depths (rows, n) of some samples."""
        k, x0 = self.scale
        return np.asarray(x0 * np.expm1(self.numbers(part) / k), float)


def pack(q: NDArray[Any], first: float, ratio: float, scale: tuple[float, float] = (1.0, 1.0)) -> PackedRows:
    """Return whole numbers (rows, n) as a table: bytes as they are, larger ones in steps of two bytes."""
    kind = np.uint8 if q.dtype == np.uint8 else np.int32
    steps = np.diff(q.astype(kind), axis=1, prepend=np.zeros((len(q), 1), kind))
    before = np.concatenate([np.zeros((len(q), 1), kind), q[:, BLOCK - 1 : -1 : BLOCK].astype(kind)], axis=1)
    return PackedRows(steps if kind == np.uint8 else steps.astype(np.int16), before, first, ratio, scale)


def pack_depths(depths: Floats, first: float, ratio: float, scale: tuple[float, float]) -> PackedRows:
    """Return optical depths (rows, n) as a table; the error of exp(-depth) is below 1 / k."""
    k, x0 = scale
    return pack(np.rint(k * np.log1p(np.maximum(depths, 0.0) / x0)).astype(np.int32), first, ratio, scale)


def save(path: Path, table: PackedRows) -> None:
    """Write a table as ``path``.npy, which is mapped into memory, and ``path``_index.npz."""
    np.save(path.with_suffix(".npy"), table.steps)
    numbers = np.array([table.first, table.ratio, *table.scale])
    np.savez(path.parent / f"{path.stem}_index.npz", sums=table.sums, numbers=numbers)


def load(path: Path) -> PackedRows:
    """Return the table that `save` wrote."""
    index = npy.load_all(path.parent / f"{path.stem}_index.npz")
    sums, (first, ratio, *scale) = index["sums"], map(float, index["numbers"])
    return PackedRows(npy.load(path.with_suffix(".npy"), mapped=True), sums, first, ratio, (scale[0], scale[1]))
