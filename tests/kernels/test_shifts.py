"""Shifted exposures are drizzled and seen back as by the kernels that take any map."""

import numpy as np
import pytest

from elvis_cli.kernels import drizzle, shifts
from elvis_cli.reduction.grid import PixelMap

SIZE, SHAPE = 150, (171, 163)


def exposure(dx, dy, turn=1e-7):
    """An exposure with holes, and its map, turned by a ten-millionth."""
    rng = np.random.default_rng(1)
    sci, var = rng.normal(10.0, 1.0, (SIZE, SIZE)).astype("f4"), rng.uniform(1, 2, (SIZE, SIZE)).astype("f4")
    good = rng.uniform(size=sci.shape) > 0.02
    sci[~good] = np.nan
    nodes = np.linspace(0, SIZE - 1, 5)
    x, y = np.meshgrid(nodes, nodes)
    places = np.stack([x + dx + turn * y, y + dy - turn * x], axis=-1)
    return sci, var, good, PixelMap(nodes, nodes, places, np.ones((*x.shape, 1)), sci.shape)


@pytest.mark.parametrize(("dx", "dy"), [(5.3, 12.75), (0.0, 7.0), (-20.2, 100.5)])
def test_a_shift_is_a_map_like_any_other(dx, dy):
    sci, var, good, place = exposure(dx, dy, turn=1e-7 if dx else 0.0)
    assert place.shifts
    nodes, area, *steps = place.nodes
    any_map, shifted = np.zeros((2, 3, *SHAPE), np.float32)
    for rows in ((0, 64), (64, SHAPE[0])):
        drizzle.lanczos(sci, var, good, 0.7, nodes, area, *steps, place.rows(), 1.0, drizzle.table(), *rows, any_map)
        shifts.lanczos(sci, var, good, 0.7, nodes, *steps, drizzle.table(), *rows, shifted)
    np.testing.assert_allclose(shifted, any_map, atol=2e-4)
    assert any_map[2].max() > 0.6
    sums, alone = np.zeros((2, *SHAPE), np.float32), np.empty(SHAPE, np.float32)
    drizzle.squares(sci, good, nodes, area, *steps, 1.0, sums)
    shifts.squares(sci, good, nodes, *steps, alone)
    covered = sums[1] > 1e-3
    np.testing.assert_allclose(alone[covered], sums[0][covered] / sums[1][covered], rtol=1e-3)
    assert np.all(np.isnan(alone[sums[1] == 0]))
    image, seen = np.random.default_rng(2).normal(size=SHAPE).astype("f4"), np.empty((2, SIZE, SIZE), np.float32)
    drizzle.blot(image, nodes, area, *steps, seen[0])
    shifts.blot(image, nodes, *steps, seen[1])
    inside = seen[0] != 0.0
    assert inside.sum() > 0.5 * min(SIZE, SIZE - dx) * min(SHAPE[0] - dy, SIZE)
    np.testing.assert_allclose(seen[1][inside], seen[0][inside], atol=2e-4)


def test_turned_and_stretched_exposures_are_no_shifts():
    *_, place = exposure(3.0, 4.0, turn=1e-5)
    assert not place.shifts
    *_, place = exposure(3.0, 4.0)
    place.area[0, 0] = 1.01
    assert not place.shifts
