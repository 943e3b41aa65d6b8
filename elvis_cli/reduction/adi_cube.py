"""Angular differential imaging of cubes: each wavelength's plane by itself, and the white light for the contrast.

The pupil stands still on the slices, so each exposure makes a cube on the same grid; its planes are sampled on squares
about the mask and then treated as images are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.geometry import field_to_sky, rotate
from elvis_cli.errors import ResourceError
from elvis_cli.model.setup import Setup
from elvis_cli.product import fits
from elvis_cli.product.header import Card
from elvis_cli.reduction import adi, adi_product, cube
from elvis_cli.reduction.adi_product import AdiProduct
from elvis_cli.reduction.associate import FileSet, product_name
from elvis_cli.reduction.cube import Cube
from elvis_cli.reduction.cube_grid import CubeGrid
from elvis_cli.reduction.product_cards import UNIT
from elvis_cli.reduction.raw import RawFile

PSF_HALF = 8
"""Squares about the star off the mask that are its image."""


@dataclass(slots=True, eq=False, kw_only=True)
class CubeAdi(AdiProduct):
    """The residual of a sequence of cubes; what AdiProduct holds is of the mean of all planes with light."""

    planes: Image
    """Residual (n, s, s) of each wavelength, electron/s in a square, North up."""
    grid: CubeGrid
    """Whose wavelengths these are."""


def reduce(files: FileSet, setup: Setup) -> CubeAdi:
    """Return the product of a pupil-tracking sequence of an integral field.

    Raises
    ------
    ResourceError
        There are too few exposures, or the field is too small about the mask.
    """
    adi_product.check_number(files)
    notes: list[str] = [f"went on without: {each}" for each in files.missing]
    known: dict[Any, Any] = {}
    skies: dict[Any, list[Floats]] = {}

    def cubes_of(exposures: Sequence[RawFile]) -> list[Cube]:
        each = [replace(files, science=[one]) for one in exposures]
        return [cube.of_exposures(one, setup, notes, known, skies)[0] for one in each]

    cubes, axis = cubes_of(files.science), setup.optics.axis
    lit = np.all([(one.dq == 0).any(axis=(1, 2)) for one in cubes], axis=0)
    if not lit.any():
        raise ResourceError(f"{product_name(files)}: its exposures have light at no common wavelength")
    lit = lit[span := slice(int(lit.argmax()), lit.size - int(lit[::-1].argmax()))]
    grid = _part(cubes[0].grid, span)
    scale, half = _scale(grid), _half(grid, axis)

    def images(one: Cube) -> Image:
        return squares(replace(one, grid=grid, sci=one.sci[span], dq=one.dq[span]), axis, scale, half)

    turns = np.array([adi_product.turn(one) for one in files.science])
    matrices = np.array([matrix(one, grid, scale, t / 2) for one, t in zip(files.science, turns, strict=True)])
    frames = np.array([images(one) for one in cubes])  # (exposure, wavelength, y, x)
    white = adi.Sequence(frames[:, lit].mean(axis=1), matrices, turns, scale)
    if float(np.ptp(turns.cumsum())) < 1e-3 and float(np.ptp(matrices, axis=0).max()) < 1e-6 * scale:
        notes.append("the field does not turn in this sequence: companions are subtracted with the star")
    planes = np.array([adi.residual(replace(white, frames=frames[:, k])) for k in range(frames.shape[1])])
    image = adi.residual(white)
    fwhm = float(files.science[0].get("ESO SIM IQ FWHM", 2.0 * scale)) / scale
    stars = [images(one)[lit].mean(axis=0) for one in cubes_of(files.psf)]
    stamps = [adi_product.star_stamp(one, file.name, PSF_HALF) for one, file in zip(stars, files.psf, strict=True)]
    psf, star = adi_product.star_image(stamps, files, setup, fwhm, PSF_HALF, notes)
    seen = adi_product.transmission(setup)
    curve = adi.contrast(white, image, psf, fwhm, seen)
    return CubeAdi(
        product_name(files), files, white, image, curve, star, seen(curve.radius), fwhm, bool(files.linearity),
        list(dict.fromkeys(notes)), planes=planes, grid=grid,
    )  # fmt: skip


def _part(grid: CubeGrid, span: slice) -> CubeGrid:
    """Return the grid of some neighbouring wavelengths."""
    first = grid.first[0] + span.start * grid.step[0]
    return replace(grid, shape=(span.stop - span.start, *grid.shape[1:]), first=(first, *grid.first[1:]))


def _scale(grid: CubeGrid) -> float:
    """Return the side of the squares, arcsec: the shorter side of a spaxel."""
    return min(grid.step[1], grid.step[2])


def _half(grid: CubeGrid, axis: tuple[float, float]) -> int:
    """Return how many squares there are from the mask to the nearest border of the field."""
    ax, ay = (float(each) for each in rotate(*axis, grid.angle))
    ends = [abs(edge - place) for edges, place in ((grid.x, ax), (grid.y, ay)) for edge in (edges[0], edges[-1])]
    half = int(min(ends) / _scale(grid))
    if half < 2 * PSF_HALF:
        raise ResourceError("the mask is not within the field of the cube, or too near to its border")
    return half


def squares(one: Cube, axis: tuple[float, float], scale: float, half: int) -> Image:
    """Return the planes of a cube on squares (n, 2 half + 1, 2 half + 1) about the mask at ``axis``, electron/s.

    Cubic splines between the spaxels; where the cube has no light a spaxel is that of its neighbours.
    """
    from scipy import ndimage

    grid, offset = one.grid, np.arange(-half, half + 1) * scale
    ax, ay = (float(each) for each in rotate(*axis, grid.angle))
    rows, columns = (offset + ay - grid.first[1]) / grid.step[1], (offset + ax - grid.first[2]) / grid.step[2]
    places = np.array(np.meshgrid(rows, columns, indexing="ij"))
    share = scale**2 / (grid.step[1] * grid.step[2])

    def plane(number: int) -> Image:
        good = (one.dq[number] == 0).astype(np.float32)
        values = one.sci[number] * good
        if not good.all():
            weight = ndimage.uniform_filter(good, 3)
            near = ndimage.uniform_filter(values, 3) / np.maximum(weight, 1e-6)
            values = np.where(good > 0, values, np.where(weight > 1e-3, near, 0.0))
        return np.asarray(ndimage.map_coordinates(values, places, order=3, mode="nearest") * share, np.float32)

    return np.array(parallel.gather(plane, list(range(grid.shape[0]))))


def matrix(file: RawFile, grid: CubeGrid, scale: float, later: float) -> Floats:
    """Return East and North (arcsec) from squares, at a position angle ``later`` deg larger than the header's."""
    angle = float(file.get("ESO ADA POSANG", 0.0)) + later
    columns = [field_to_sky(*rotate(*unit, -grid.angle), angle) for unit in ((scale, 0.0), (0.0, scale))]
    return np.array(columns, float).T


def write_cube(product: CubeAdi, out: BinaryIO) -> None:
    """Write the residual of each wavelength: SCI (wavelength, y, x), North up."""
    scale, grid = product.sequence.scale, product.grid
    cards: list[Card] = [
        *adi_product.residual_wcs(product),
        ("CTYPE3", "WAVE", "wavelength in vacuum"), ("CUNIT3", "nm", ""), ("CRPIX3", 1.0, ""),
        ("CRVAL3", grid.first[0] * 1e3, "[nm] first plane"), ("CD3_3", grid.step[0] * 1e3, "[nm/pixel]"),
    ]  # fmt: skip
    about = f"star subtracted, squares of {scale * 1e3:.3g} mas"
    image = fits.Image("SCI", product.planes, [("BUNIT", UNIT, about), *cards])
    fits.write_file(out, adi_product.primary(product), adi_product.remarks(product), (image,))


WRITERS = {"adi": adi_product.write_residual, "contrast": adi_product.write_contrast, "adicube": write_cube}
