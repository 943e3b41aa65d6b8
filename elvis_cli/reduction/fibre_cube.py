"""The reduction of integral fields of fibres: a cube of each bundle, and the spectra of which it is made.

Each fibre's spectrum goes into the planes that its pixels cover, all orders at once, and from there into the spaxels
that its cell of the lattice covers (`fibre_field`). What refraction does is undone as the cells are placed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from elvis_cli.base.geometry import deproject, field_to_sky
from elvis_cli.errors import ResourceError
from elvis_cli.model.setup import Setup
from elvis_cli.reduction import (
    bundle,
    chip_calibration,
    cube,
    cube_file,
    cube_spectrum,
    fibre_field,
    fibre_planes,
    fibres,
    flux_standard,
    spectra,
    spectrum_file,
    telluric,
    wavelength,
)
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.bundle import FibreSpectrum
from elvis_cli.reduction.cube import LEAST_COVERED, Cube, CubeProduct, Group
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.fibre_field import FibreField
from elvis_cli.reduction.fibre_planes import FibrePlanes
from elvis_cli.reduction.frame import MEANINGS, NO_DATA
from elvis_cli.reduction.layout import Strip
from elvis_cli.reduction.raw import RawFile
from elvis_cli.reduction.spectra import SpectrumProduct
from elvis_cli.reduction.spectrum_options import SpectrumOptions

MOVED = 0.05
"""Spaxels that refraction may move a cell within the planes that share its place."""

KNOWN = 0.9
"""Part of the cells on a voxel whose light must be known: a fibre without data has not the light of its neighbours."""


@dataclass(slots=True, eq=False)
class FieldProduct:
    """The cubes of one set of raw files and its spectra before they are written."""

    name: str
    cubes: dict[int, CubeProduct]
    """By the number of the bundle's first aperture, from 1; the brightest first."""
    spectrum: SpectrumProduct
    notes: list[str]


def is_field(file: RawFile, setup: Setup) -> bool:
    """Return whether a raw file has the spectra of an integral field of fibres (DPR TECH)."""
    graph = setup.spectrograph
    return graph is not None and graph.apertures[0].fibre and "IFU" in str(file.get("ESO DPR TECH", "")).split(",")


def reduce(files: FileSet, setup: Setup, options: SpectrumOptions) -> FieldProduct:
    """Return the cubes and spectra of a set; ``setup`` is that of its first raw file.

    Raises
    ------
    ResourceError
        No good pixel of the frames sees the field.
    """
    known: dict[Any, Any] = {}
    spectrum = spectra.reduce(files, options, known)
    notes: list[str] = []
    cubes, solutions, way = of_exposures(files, setup, notes, known)
    response = None
    star = flux_standard.star_of(files, options.standards, notes)
    if star is not None and files.standard is not None:
        others = of_exposures(files.standard, setup, notes, known)[0]
        lines = telluric.correction(files, setup, options.telluric)
        response = cube_spectrum.response(cube_spectrum.whole(max(others.values(), key=_signal)), star, notes, **lines)
    name, pointing = product_name(files), cube.pointing_of(files.science[0])
    made: dict[int, CubeProduct] = {}
    for aperture, one in sorted(cubes.items(), key=lambda item: -_signal(item[1])):
        own = CubeProduct(
            f"{name}_{aperture}" if made else name, files, one, solutions, way, pointing,
            *cube_spectrum.brightest_source(one), response, list(dict.fromkeys(notes)),
            _middle(one.grid, pointing), spectrum.velocity,
        )  # fmt: skip
        made[aperture] = own
    return FieldProduct(name, made, spectrum, list(dict.fromkeys([*notes, *spectrum.notes])))


def writers(product: FieldProduct) -> dict[str, Any]:
    """Return the writers of a product's files, by the last part of their names."""
    made: dict[str, Any] = {}
    first = next(iter(product.cubes))
    for aperture, one in product.cubes.items():
        for kind, writer in cube_file.WRITERS.items():
            made[kind if aperture == first else f"{aperture}_{kind}"] = partial(_write, writer, one)
    spectrum = product.spectrum
    return made | {kind: partial(_write, each, spectrum) for kind, each in spectrum_file.writers(spectrum).items()}


def _write(writer: Any, part: Any, _product: FieldProduct, out: BinaryIO) -> None:
    writer(part, out)


def _signal(one: Cube) -> float:
    """Return all light of a cube over its error."""
    return cube_spectrum.whole(one).signal


def _middle(grid: CubeGrid, pointing: tuple[float, float, float]) -> tuple[float, float]:
    """Return RA and Dec (deg) of the middle of a cube whose field is at ``pointing``."""
    east, north = field_to_sky(float(grid.x.mean()), float(grid.y.mean()), pointing[2])
    ra, dec = deproject(float(east), float(north), *pointing[:2])  # type: ignore[arg-type]
    return float(ra), float(dec)


def of_exposures(
    files: FileSet, setup: Setup, notes: list[str], known: dict[Any, Any]
) -> tuple[dict[int, Cube], list[wavelength.Solution], str]:
    """Return the cubes of exposures by their first apertures, without flux calibration, and how sky was taken."""
    first, graph = files.science[0], setup.spectrograph
    assert graph is not None
    groups, seen, numbers = (
        cube.by_pointing(files.science, setup),
        fibres.roles(first, setup),
        _bundles(graph.apertures),
    )
    chips = []
    for name in first.chips:
        key = chip_calibration.calibration_key(files, name)
        if key not in known:
            known[key] = fibres.measure(files, name, setup, notes)
        chips.append(known[key])
    pointings, way = [], "none"
    for group in groups:
        found: list[FibreSpectrum] = []
        for chip in chips:
            more, way = fibres.spectra(replace(files, science=group.files), chip, seen)
            found += more
        pointings.append((group, found, fibre_planes.efficiencies(found)))
    cubes = {}
    for number in dict.fromkeys(numbers.values()):
        strips = [one for chip in chips for one in chip.layout.strips if numbers.get(one.aperture) == number]
        if not strips:
            continue
        apertures = _in_the_slit([aperture for aperture, own in numbers.items() if own == number], strips)
        field = fibre_field.of_apertures([graph.apertures[aperture - 1] for aperture in apertures])
        grid = fibre_field.make_grid(field, strips, [(group.x, group.y) for group in groups])
        placed = ((group, fibre_planes.spread(grid, apertures, found, light)) for group, found, light in pointings)
        made = _voxels(grid, field, placed)
        if made is not None:
            cubes[number] = made
    if not cubes:
        raise ResourceError(f"{product_name(files)}: no good pixel of its frames sees the field")
    return cubes, [chip.solution for chip in chips if chip.solution is not None], way


def _bundles(apertures: Sequence[Any]) -> dict[int, int]:
    """Return the number of the bundle, that of its first aperture, of the fibres (from 1) that see the sky with others.

    A fibre alone is no field.
    """
    numbers = [number + 1 for number in bundle.bundles(apertures)]
    return {
        n: number
        for n, (number, one) in enumerate(zip(numbers, apertures, strict=True), 1)
        if one.feed == "sky" and numbers.count(number) > 1
    }


def _in_the_slit(apertures: Sequence[int], strips: Sequence[Strip]) -> list[int]:
    """Return the apertures of a bundle in the order of their traces on a chip, those without any behind."""
    orders = [one.order for one in strips]
    whole = max(set(orders), key=orders.count)
    return list(dict.fromkeys([*(one.aperture for one in strips if one.order == whole), *apertures]))


def _voxels(grid: CubeGrid, field: FibreField, placed: Iterable[tuple[Group, FibrePlanes]]) -> Cube | None:
    """Return the cube of the fibres' light, None if nothing of it is good.

    A voxel has the mean density of the cells that cover it, so that the sum over the cube is that of the fibres.
    """
    total, weight, square, shared, common, whole = np.zeros((6, grid.shape[0], grid.shape[1] * grid.shape[2]))
    reasons = np.zeros(total.shape, np.uint32)
    for group, light in placed:
        err = np.sqrt(light.square)
        for part, x, y in _places(grid, group):
            cells = field.cells(grid, x, y)
            cover = cells * group.seconds
            share = cover / cells.sum(axis=1, keepdims=True)
            whole[part] += cover.sum(axis=0)
            for flag in MEANINGS:  # of the cells that a voxel lacks
                lacking = ~light.good[:, part] & (light.flags[:, part] & flag > 0)
                if lacking.any():
                    reasons[part] |= np.where(lacking.T.astype(float) @ cells > 0, np.uint32(flag), np.uint32(0))
            weight[part] += light.good[:, part].T.astype(float) @ cover
            total[part] += light.sci[:, part].T @ share
            common[part] += light.sky_err[:, part].T @ share
            square[part] += light.square[:, part].T @ np.square(share)
            for step, each in enumerate(light.correlation, 1):
                both = (each[:-step] * err[:-step] * err[step:])[:, part]
                square[part] += 2.0 * both.T @ (share[:-step] * share[step:])
            shared[part] += light.shared[:, part].T @ share * group.seconds
    if not weight.any():
        return None
    enough = (weight > LEAST_COVERED * weight.max()) & (weight > KNOWN * whole)
    safe = np.where(enough, weight, np.inf)
    sky_err = common / safe
    seen = np.maximum(np.count_nonzero(enough, axis=1), 1)
    parts = total / safe, np.sqrt(square / safe**2 + sky_err**2), np.sqrt(np.maximum(shared, 0.0)) / safe
    sci, err, sum_err = (each.reshape(grid.shape).astype(np.float32) for each in parts)
    dq = np.where(enough, 0, reasons | np.uint32(NO_DATA)).astype(np.uint32).reshape(grid.shape)
    return Cube(grid, sci, err, dq, sum_err, sky_err.sum(axis=1) / seen)


def _places(grid: CubeGrid, group: Group) -> Iterator[tuple[slice, float, float]]:
    """Yield planes and where the field's middle is for light that refraction moved, arcsec."""
    ends = [group.drift.at(float(wave)) for wave in (grid.wave[0], grid.wave[-1])]
    count = min(max(math.ceil(math.dist(*ends) / (MOVED * grid.step[1])), 1), grid.shape[0])
    for part in np.array_split(np.arange(grid.shape[0]), count):
        x, y = group.drift.at(float(grid.wave[part].mean()))
        yield slice(int(part[0]), int(part[-1]) + 1), group.x - x, group.y - y
