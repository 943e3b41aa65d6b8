"""The light of a standard star without its cube: that of its cube."""

import json
from dataclasses import replace

import numpy as np
import pytest

from elvis_cli import pipeline
from elvis_cli.focalplane import slit_plane
from elvis_cli.instrument import registry
from elvis_cli.reduction import cube, cube_grid, cube_spectrum, layout
from elvis_cli.reduction.field_light import FieldLight
from elvis_cli.reduction.frame import COSMIC_RAY, Frame
from elvis_cli.reduction.strip_pixels import Pixels
from elvis_cli.request import parse

ROWS, COLUMNS, SECONDS = 128, 2048, 60.0


@pytest.mark.parametrize("bad", [0.0, 0.01])
def test_it_is_the_sum_over_the_cube(bad):
    """A star in SPIFFIER's field: flux and error of each plane, with bad pixels as with their neighbours' light."""
    made = registry.load("eris").example("ifs_noao")
    setup = pipeline.configure(parse.read(json.dumps(made)))
    strips = layout.of_chip(setup, "SPIFFIER", (COLUMNS, ROWS, 1, 1101)).strips
    grid = cube_grid.make(setup.spectrograph.apertures, strips, [(0.0, 0.0)])
    planes, (step, *others) = grid.shape[0] * 3 // 4, grid.step  # thicker than pixels
    grid = replace(grid, shape=(planes, *grid.shape[1:]), step=(step * 4 / 3, *others))
    group = cube.Group([], 0.0, 0.0, slit_plane.refraction_drift(setup.spectrograph, setup, 0.0, 0.0))
    flags = np.zeros((ROWS, COLUMNS), np.uint32)
    flags[np.random.default_rng(1).random(flags.shape) < bad] = COSMIC_RAY
    frame = Frame(np.zeros(flags.shape, np.float32), np.zeros(flags.shape, np.float32), flags, {})
    placed, light = [], FieldLight(grid, SECONDS)
    for strip in strips:
        star = 50.0 * np.exp(-0.5 * (np.square(strip.s - strip.slit.offset) + strip.slit.y**2) / 0.05**2)
        pixels = Pixels(star * (1.0 + strip.wave), np.full(star.shape, 0.1), strip.cut(flags) == 0, SECONDS)
        placed.append(cube._boxes(strip, pixels, np.zeros_like(star), frame, group, grid))
        light.add(strip, pixels, np.zeros_like(star))
    expected, found = cube_spectrum.whole(cube.Voxels(grid).add(placed).cube(grid)), light.spectrum()
    seen = np.flatnonzero(~expected.bad & ~found.bad)[1:-1]  # those at the ends are covered in part
    assert seen.size > 0.5 * ROWS
    np.testing.assert_array_equal(expected.wave, found.wave)
    assert found.flux[seen] == pytest.approx(expected.flux[seen], rel=0.01 if bad else 1e-3)
    assert np.median(found.err[seen] / expected.err[seen]) == pytest.approx(1.0, abs=0.01 + bad)
    assert found.bad[[0, -1]].all()
