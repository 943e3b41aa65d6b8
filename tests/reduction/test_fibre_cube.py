"""Cubes of fields of fibres: cells that tile the field, light kept, errors of voxels and of sums."""

from dataclasses import replace

import numpy as np
import pytest

from elvis_cli.kernels import fibre_extraction as kernel
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.reduction import cube_spectrum, fibre_cube, fibre_field, fibre_planes
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.cube import Group
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.frame import COSMIC_RAY, HOT, NO_DATA

PITCH, RINGS = 0.14, 4


class Drift:
    """Refraction that moves all light by the same."""

    def __init__(self, x=0.0):
        self.x = x

    def at(self, wave):
        return self.x, 0.0


def lattice(kind="hexagons", x0=3.0, y0=-2.0):
    """The fibres of a bundle about a place in the field."""
    steps = range(-RINGS, RINGS + 1)
    if kind == "hexagons":
        places = [(q + r / 2, r * np.sqrt(0.75)) for q in steps for r in steps if abs(q + r) <= RINGS]
    else:
        places = [(q, r) for q in steps for r in steps]
    return [
        Aperture(x0 + PITCH * x, y0 + PITCH * y, 0.1, 0.1, offset=0.2 * n, fibre=True)
        for n, (x, y) in enumerate(places)
    ]


def grid_of(field, planes=40):
    """A grid as `fibre_field.make_grid` lays it for a bundle."""
    side = field.pitch / 2
    count = 2 * int(np.ceil((np.ptp(field.x) / 2 + field.reach) / side)) + 1
    first = 1.2, field.y.mean() - side * (count // 2), field.x.mean() - side * (count // 2)
    return CubeGrid((planes, count, count), first, (1e-4, side, side), 0.0, True)


def spectra_of(fibres, level, throughput=None, orders=(1,), planes=40):
    """Spectra without noise of fibres with ``level`` (fibres,) electron/s a pixel, on pixels of their own."""
    made = []
    for n, _ in enumerate(fibres):
        wave = 1.2 + 1e-4 * (np.arange(planes) + 0.37 * (n % 3))
        through, nought = 1.0 if throughput is None else throughput[n], np.zeros(planes)
        for order in orders:
            along = (wave - 1.2) / (1e-4 * planes)
            blaze = np.ones(planes) if len(orders) == 1 else 0.02 + 0.9 * (along if order == 1 else 1 - along)
            flux, err = level[n] * through * blaze, np.ones(planes)
            made.append(
                FibreSpectrum(order, n + 1, wave, np.full(planes, 1e-4), flux, err, flux, err, nought, err < 0, 0,
                              1000.0 * through * blaze, nought, nought, n, np.zeros((planes, 3)),
                              np.zeros((planes, 2)), err)
            )  # fmt: skip
    return made


def noisy(fibres, talk, rng, planes, noise=2.0, sky_err=0.3):
    """Dark spectra of fibres that have ``talk`` of their neighbours' light in the slit, and of a sky that all share."""
    count = len(fibres)
    information = (np.eye(count) + talk * (np.eye(count, k=1) + np.eye(count, k=-1))) / noise**2
    covariance = np.linalg.inv(information)
    bands = [np.pad(np.diagonal(information, k), (0, k)) for k in range(kernel.BAND + 1)]
    band = np.ascontiguousarray(np.stack(bands, axis=1)[:, None].repeat(planes, axis=1))
    correlation, joint = np.zeros((count, planes, kernel.BAND)), np.ones((count, planes))
    kernel.correlations(band, np.zeros((count, planes), np.float32), correlation, joint)
    variance = np.diagonal(covariance)
    assert joint[:, 0] == pytest.approx(covariance.sum(axis=0) / variance)
    expected = np.diagonal(covariance, 1) / np.sqrt(variance[1:] * variance[:-1])
    assert correlation[:-1, 0, 0] == pytest.approx(expected)
    flux = np.linalg.cholesky(covariance) @ rng.normal(size=(count, planes)) + sky_err * rng.normal(size=planes)
    dark = spectra_of(fibres, np.zeros(count), planes=planes)
    err, sky = np.sqrt(variance + sky_err**2), np.full(planes, sky_err)
    return [
        replace(one, flux=flux[n], err=np.full(planes, err[n]), sky_err=sky, correlation=correlation[n], joint=joint[n],
                wave=1.2 + 1e-4 * (np.arange(planes) + 0.37))
        for n, one in enumerate(dark)
    ]  # fmt: skip


def cube_of(fibres, found, x=0.0, planes=40):
    """The cube of spectra whose light refraction moved by ``x``."""
    field = fibre_field.of_apertures(fibres)
    grid = grid_of(field, planes)
    light = fibre_planes.spread(grid, range(1, len(fibres) + 1), found, fibre_planes.efficiencies(found))
    return fibre_cube._voxels(grid, field, [(Group([], 0.0, 0.0, Drift(x)), light)])


@pytest.fixture(autouse=True)
def _seconds(monkeypatch):
    monkeypatch.setattr(Group, "seconds", 100.0)


@pytest.mark.parametrize(("kind", "area"), [("hexagons", np.sqrt(0.75)), ("squares", 1.0)])
def test_cells_tile_the_field(kind, area):
    """Fibres at the bundle's edge have the same cells as others, and spaxels inside are covered once."""
    field = fibre_field.of_apertures(lattice(kind))
    grid = grid_of(field)
    cells = field.cells(grid, 0.0, 0.0)
    assert cells.sum(axis=1) == pytest.approx(np.full(field.x.size, 4 * area), rel=0.01)
    covered = cells.sum(axis=0).reshape(grid.shape[1:])
    assert covered.max() == 1.0
    middle = tuple(slice(n // 2 - 3, n // 2 + 4) for n in covered.shape)
    assert covered[middle] == pytest.approx(1.0)


def test_light_and_place_are_kept():
    """A star between fibres whose throughputs differ; the sum over the cube is that of the fibres, to 0.1 %."""
    fibres = lattice()
    x, y = (np.array([getattr(one, name) for one in fibres]) for name in ("x", "y"))
    level = np.exp(-0.5 * (np.square(x - 3.05) + np.square(y + 2.03)) / 0.11**2)
    through = 1.0 + 0.1 * np.sin(np.arange(x.size))
    made = cube_of(fibres, spectra_of(fibres, 50.0 * level, throughput=through / through.mean()))
    inner = made.sci[5:-5]
    assert inner.sum(axis=(1, 2)) == pytest.approx(np.full(len(inner), 50.0 * level.sum()), rel=1e-3)
    light = inner[0] / inner[0].sum()
    assert (light.sum(axis=0) * made.grid.x).sum() == pytest.approx((level * x).sum() / level.sum(), abs=1e-3)
    assert (light.sum(axis=1) * made.grid.y).sum() == pytest.approx((level * y).sum() / level.sum(), abs=1e-3)


def test_orders_join_without_a_step():
    """Two orders whose blazes fall in opposite directions: the light of an even source is the same in all planes."""
    fibres = lattice()
    made = cube_of(fibres, spectra_of(fibres, np.full(len(fibres), 40.0), orders=(1, 2)))
    good = (made.dq == 0).all(axis=0)
    assert good.sum() > 100
    light = made.sci[3:-3, good].mean(axis=1) / (40.0 / (4 * np.sqrt(0.75)))
    assert light == pytest.approx(np.full(light.size, 0.91), abs=0.012)  # along the line through the lamp's maxima
    assert np.abs(np.diff(light, 2)).max() < 1e-3


def test_a_fibre_without_data_has_not_the_light_of_its_neighbours():
    """A fibre that saw three times as much as the others is bad in one plane: its voxels have its flags there."""
    fibres = lattice()
    level = np.full(len(fibres), 40.0)
    level[len(fibres) // 2] = 120.0
    found = spectra_of(fibres, level)
    broken = found[len(fibres) // 2]
    broken.bad[20] = True
    broken.flags = np.where(broken.bad, HOT | COSMIC_RAY, 0).astype(np.uint32)
    made = cube_of(fibres, found)
    lost = (made.dq[20] != 0) & (made.dq[10] == 0)
    assert 4 <= lost.sum() <= 16
    assert set(made.dq[20, lost]) == {HOT | COSMIC_RAY | NO_DATA}
    assert set(made.dq[made.dq != 0]) == {NO_DATA, HOT | COSMIC_RAY | NO_DATA}
    good = made.dq[20] == 0
    assert made.sci[20, good] == pytest.approx(made.sci[10, good], rel=0.2)
    one = cube_spectrum.spectrum(made, cube_spectrum.circle(made, 3.0, -2.0, 0.5))
    assert one.flux[20] == pytest.approx(one.flux[10], rel=0.01)


@pytest.mark.parametrize("talk", [0.0, 0.4])
def test_errors_of_voxels_and_of_sums_are_right(talk):
    """Pulls of voxels and of the light in a circle on 8 planes, where the least squares mix neighbours and do not.

    ANDES's fibres, 2.25 pixels apart, have 0.4: errors of neighbours are against each other, and sums know more.
    """
    fibres, rng = lattice(), np.random.default_rng(8)
    pulls, sums = [], []
    for _ in range(5):
        made = cube_of(fibres, noisy(fibres, talk, rng, 406), planes=406)
        pulls.append((made.sci / np.where(made.err > 0, made.err, np.inf))[3:-3])
        one = cube_spectrum.spectrum(made, cube_spectrum.circle(made, 3.0, -2.0, 0.45))
        blocks = [each[3:-3].reshape(-1, 8).sum(axis=1) for each in (one.flux, np.square(one.err))]
        sums.append(blocks[0] / np.sqrt(blocks[1]))
    good = (made.dq == 0)[3:-3]
    assert np.std(np.array(pulls)[:, good]) == pytest.approx(1.0, abs=0.05)
    assert np.std(sums) == pytest.approx(1.0, abs=0.1)
    whole = np.ones(made.grid.shape[1:])
    alone = cube_spectrum.spectrum(replace(made, sky_err=0.0), whole)
    assert np.median(alone.err) < 0.85 * np.median(cube_spectrum.spectrum(made, whole).err)
    if not talk:
        assert made.correlation > np.sqrt(4 * np.sqrt(0.75))  # a cell has as many spaxels; planes share too


def test_refraction_is_undone():
    """Light that went half a spaxel to +x is that of a place as far on the other side."""
    fibres = lattice()
    level = np.zeros(len(fibres))
    level[len(fibres) // 2] = 10.0
    still, moved = (cube_of(fibres, spectra_of(fibres, level), x).sci[20] for x in (0.0, PITCH / 4))
    columns = np.arange(still.shape[1])
    places = [(one.sum(axis=0) * columns).sum() / one.sum() for one in (still, moved)]
    assert places[0] - places[1] == pytest.approx(0.5, abs=0.03)
