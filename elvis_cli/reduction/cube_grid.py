"""The voxels of a cube: their places in wavelength and on the sky, and the WCS that says so.

Spaxels are as wide as a slice and as long as a pixel along it: with slices at rest nothing is resampled across them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import field_to_sky, rotate
from elvis_cli.kernels import voxels
from elvis_cli.kernels.voxels import Boxes
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.product.header import Card
from elvis_cli.reduction.layout import Strip

MARGIN = 16
"""Planes by which the wavelengths of arcs may be off from the layout's."""
NODES = 33
"""Wavelengths of a slice at which refraction is computed."""


@dataclass(frozen=True, slots=True)
class CubeGrid:
    """First voxel's centre and the steps of each axis: wavelength (um), y and x of the field (arcsec)."""

    shape: tuple[int, int, int]
    """(wavelength, y, x)."""
    first: tuple[float, float, float]
    step: tuple[float, float, float]
    angle: float
    """deg from the field's y to the cube's, towards +x: that of slices that are neither upright nor flat."""
    upright: bool
    """Slices lie along y."""

    def boxes(
        self,
        strip: Strip,
        thick: Floats,
        inside: NDArray[np.bool_],
        place: tuple[float, float],
        away: Callable[[float], tuple[float, float]],
    ) -> Boxes:
        """Return the boxes (k, 6) of the pixels (n, m) of a slice that are ``inside``.

        ``thick`` is their length in wavelength (um), ``place`` the middle of the field (arcsec, x and y), and ``away``
        what refraction moved at a wavelength.
        """
        slit = strip.slit
        ends = float(strip.wave.min()), float(strip.wave.max())
        moved = np.array([away(float(one)) for one in np.linspace(*ends, NODES)])
        gx, gy = rotate(place[0] + slit.x - moved[:, 0], place[1] + slit.y - moved[:, 1], self.angle)
        middle = np.stack([(each - self.first[n]) / self.step[n] for n, each in ((1, gy), (2, gx))], axis=1)
        dx, dy = rotate(*rotate(0.0, 1.0, -slit.angle), self.angle)
        half = (slit.width / 2, strip.scale / 2) if self.upright else (strip.scale / 2, slit.width / 2)
        return np.asarray(
            voxels.boxes(
                strip.wave,
                strip.s - slit.offset,
                thick,
                inside,
                middle,
                ends=ends,
                slope=(float(dy) / self.step[1], float(dx) / self.step[2]),
                first=self.first[0],
                step=self.step[0],
                half=(half[1] / self.step[1], half[0] / self.step[2]),
            )
        )

    @property
    def wave(self) -> Floats:
        """Wavelengths of the planes, um."""
        return np.asarray(self.first[0] + self.step[0] * np.arange(self.shape[0]), float)

    @property
    def x(self) -> Floats:
        """Places of the columns, arcsec along the cube's x."""
        return np.asarray(self.first[2] + self.step[2] * np.arange(self.shape[2]), float)

    @property
    def y(self) -> Floats:
        """Places of the rows, arcsec along the cube's y."""
        return np.asarray(self.first[1] + self.step[1] * np.arange(self.shape[1]), float)

    def stretched(self, factor: float) -> CubeGrid:
        """Return the grid with all wavelengths times a factor."""
        return replace(
            self, first=(self.first[0] * factor, *self.first[1:]), step=(self.step[0] * factor, *self.step[1:])
        )

    def cards(self, ra: float, dec: float, position_angle: float, *, flat: bool = False) -> Iterator[Card]:
        """Yield the WCS about the field's middle at ``ra`` and ``dec`` (deg); ``flat`` leaves the wavelengths out."""
        yield "WCSAXES", 2 if flat else 3, "number of axes of the WCS"
        yield "CTYPE1", "RA---TAN", "right ascension, gnomonic"
        yield "CTYPE2", "DEC--TAN", "declination, gnomonic"
        yield "CUNIT1", "deg", "unit"
        yield "CUNIT2", "deg", "unit"
        yield "CRVAL1", ra, "[deg] middle of the field"
        yield "CRVAL2", dec, "[deg] middle of the field"
        yield "CRPIX1", 1.0 - self.first[2] / self.step[2], "[pixel] middle of the field"
        yield "CRPIX2", 1.0 - self.first[1] / self.step[1], "[pixel] middle of the field"
        for axis, unit in ((1, (self.step[2], 0.0)), (2, (0.0, self.step[1]))):
            x, y = rotate(*unit, -self.angle)
            east, north = field_to_sky(x, y, position_angle)
            yield f"CD1_{axis}", float(east) / 3600.0, "[deg/pixel]"
            yield f"CD2_{axis}", float(north) / 3600.0, "[deg/pixel]"
        yield "RADESYS", "ICRS", "celestial reference frame"
        if flat:
            return
        yield "CTYPE3", "WAVE", "wavelength in vacuum"
        yield "CUNIT3", "nm", "unit"
        yield "CRVAL3", self.first[0] * 1e3, "[nm] first plane"
        yield "CRPIX3", 1.0, "[pixel] first plane"
        for name in ("CD1_3", "CD2_3", "CD3_1", "CD3_2"):
            yield name, 0.0, "axes are independent"
        yield "CD3_3", self.step[0] * 1e3, "[nm/pixel]"


def make(apertures: Sequence[Aperture], strips: Sequence[Strip], places: Sequence[tuple[float, float]]) -> CubeGrid:
    """Return the grid that holds the slices seen by ``strips``, pointed at ``places`` (arcsec in the field).

    Its planes are those of the instrument's layout, so that cubes of different nights have the same wavelengths.
    """
    turned = (apertures[0].angle + 45.0) % 90.0 - 45.0
    upright = abs(math.cos(math.radians(apertures[0].angle - turned))) > 0.5
    seen = {strip.aperture - 1 for strip in strips}
    ends: list[tuple[float, float]] = []
    for number in seen:
        one = apertures[number]
        length = (one.length - float(np.median([s.scale for s in strips]))) / 2
        for along in (-length, length):
            dx, dy = rotate(0.0, along, -one.angle)
            ends += [(one.x + float(dx) + x, one.y + float(dy) + y) for x, y in places]
    x, y = np.array(ends).T
    gx, gy = rotate(x, y, turned)
    width = float(np.median([apertures[number].width for number in seen]))
    scale = float(np.median([strip.scale for strip in strips]))
    step_x, step_y = (width, scale) if upright else (scale, width)
    low, step, number = planes(strips)

    def count(values: Floats, size: float) -> int:
        return round(float(np.ptp(values)) / size) + 1

    shape = number, count(np.asarray(gy), step_y), count(np.asarray(gx), step_x)
    return CubeGrid(shape, (low, float(np.min(gy)), float(np.min(gx))), (step, step_y, step_x), turned, upright)


def wider(grid: CubeGrid) -> CubeGrid:
    """Return a grid with `MARGIN` more planes at either end: for light of a layout that arcs have yet to correct."""
    first = grid.first[0] - MARGIN * grid.step[0]
    return replace(grid, shape=(grid.shape[0] + 2 * MARGIN, *grid.shape[1:]), first=(first, *grid.first[1:]))


def planes(strips: Sequence[Strip]) -> tuple[float, float, int]:
    """Return the wavelength of the first plane, the step (um) and the number of planes for all light of ``strips``."""
    first, step = min(s.planes[0] for s in strips), float(np.median([s.planes[1] for s in strips]))
    low, high = min(float(s.wave.min()) for s in strips), max(float(s.wave.max()) for s in strips)
    low = first + round((low - first) / step) * step
    return low, step, int((high - low) / step + 0.5) + 1
