"""Absorption cells: gas at rest with the instrument, whose lines are imprinted on the light that passes."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from elvis_cli.base import depths
from elvis_cli.base.arrays import Floats
from elvis_cli.scene.spectrum import average

DATA = Path(__file__).parents[1] / "data"


def names() -> tuple[str, ...]:
    """Return the names of the cells that are known."""
    return tuple(sorted(path.stem.removeprefix("cell_") for path in DATA.glob("cell_*.npy")))


def transmission(cell: str, edges: Floats) -> Floats:
    """Return the transmission (n,) of a cell averaged between ``edges`` (n + 1,), um; 1 beyond its table."""
    table = _table(cell)
    part = table.part(float(edges[0]), float(edges[-1]))
    if part.stop - part.start < 2:
        return np.ones(edges.size - 1)
    return 1.0 - average(table.wave(part), -np.expm1(-table.depths(part)[0]), edges)


def absorbs(cell: str, band: tuple[float, float]) -> bool:
    """Return whether a cell has lines deeper than 1 % in a band, um."""
    table = _table(cell)
    part = table.part(*band)
    return part.stop - part.start > 1 and bool(np.max(table.depths(part)) > 0.01)


@functools.cache
def _table(cell: str) -> depths.PackedRows:
    return depths.load(DATA / f"cell_{cell}")
