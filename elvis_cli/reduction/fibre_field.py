"""Places of the fibres of an integral field: each fibre's cell of the lattice, and the grid of spaxels that has them.

A fibre does not remember where in it the light fell. Its light is spread evenly over its cell: all that is nearer to it
than to any other place of the lattice. Cells tile the field, so that no light is lost or counted twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import ResourceError
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.reduction import cube_grid
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.layout import Strip

SPAXELS = 2
"""On the distance of neighbouring fibres."""
NEAR = 1.2
"""Smallest distances of two fibres within which they are neighbours: below the 1.41 of a square's diagonal."""
PARTS = 16
"""Into how many parts a spaxel's side is cut where cells meet in it."""


@dataclass(frozen=True, slots=True, eq=False)
class FibreField:
    """A bundle of fibres that touch on the sky, arcsec in the field."""

    x: Floats
    y: Floats
    """Middles (n,) of the fibres."""
    empty: Floats
    """Places (m, 2) of the lattice around the bundle, where no fibre is."""
    pitch: float
    """Distance of neighbours."""

    @property
    def reach(self) -> float:
        """Largest distance (arcsec) of a cell's edge from its middle: the corner of a square."""
        return self.pitch / math.sqrt(2.0)

    def cells(self, grid: CubeGrid, dx: float, dy: float) -> Floats:
        """Return the part (n, ny nx) of each spaxel that each fibre's cell covers, the field moved by dx and dy."""
        from scipy.spatial import cKDTree

        places = np.concatenate([np.stack([self.x, self.y], axis=1), self.empty]) + np.array([dx, dy])
        fine = (np.arange(PARTS) + 0.5) / PARTS - 0.5
        x = (grid.x[:, None] + fine * grid.step[2]).ravel()
        y = (grid.y[:, None] + fine * grid.step[1]).ravel()
        points = np.stack(np.meshgrid(x, y), axis=-1)
        nearest = np.asarray(cKDTree(places).query(points, distance_upper_bound=self.reach)[1])
        spaxel = np.arange(y.size)[:, None] // PARTS * grid.x.size + np.arange(x.size) // PARTS
        own, size = nearest < self.x.size, grid.x.size * grid.y.size
        counts = np.bincount(nearest[own] * size + spaxel[own], minlength=self.x.size * size)
        return np.asarray(counts.reshape(self.x.size, size) / PARTS**2)


def of_apertures(apertures: Sequence[Aperture]) -> FibreField:
    """Return the field of the fibres of one bundle.

    Raises
    ------
    ResourceError
        There is one fibre alone, which is no field.
    """
    places = np.array([(one.x, one.y) for one in apertures])
    if len(places) < 2:
        raise ResourceError("a single fibre makes no cube", found=len(places))
    steps = places[:, None] - places[None]
    distance = np.hypot(*steps.transpose(2, 0, 1))
    pitch = float(distance[distance > 0].min())
    neighbours = (distance > 0) & (distance < NEAR * pitch)
    around = (places[:, None] + steps[neighbours][None]).reshape(-1, 2)
    around = np.unique(np.round(around / (1e-3 * pitch)).astype(np.int64), axis=0) * (1e-3 * pitch)
    away = np.hypot(*(around[:, None] - places[None]).transpose(2, 0, 1)).min(axis=1)
    return FibreField(places[:, 0], places[:, 1], around[away > pitch / 2], pitch)


def make_grid(field: FibreField, strips: Sequence[Strip], places: Sequence[tuple[float, float]]) -> CubeGrid:
    """Return the grid that holds a field seen by ``strips``, pointed at ``places`` (arcsec in the field).

    Two spaxels are as wide as the distance of fibres; the middle of the bundle is that of a spaxel.
    """
    low, step, planes = cube_grid.planes(strips)
    side = field.pitch / SPAXELS
    first, count = [], []
    for values, shifts in zip((field.y, field.x), np.array(places).T[::-1], strict=True):
        middle = (values.min() + values.max()) / 2
        ends = values.min() + shifts.min() - field.reach - middle, values.max() + shifts.max() + field.reach - middle
        lowest, highest = round(ends[0] / side), round(ends[1] / side)
        first.append(float(middle + side * lowest))
        count.append(highest - lowest + 1)
    return CubeGrid((planes, count[0], count[1]), (low, first[0], first[1]), (step, side, side), 0.0, True)
