"""The grid of a product on the sky, and where the pixels of an exposure fall on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.wcs import WCS
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.request.files.coordinate_cards import readable

NODE = 32
"""Pixels between the nodes at which coordinates are computed; 2e-4 pixels is the error of HAWK-I's distortion."""
STEADY = 1e-4
"""Pixels by which a shift may change from the middle of a tile of 64 pixels to its corner."""


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Pixels of a product: a gnomonic projection of ``shape`` (ny, nx)."""

    wcs: Any
    shape: tuple[int, int]
    scale: float
    """arcsec a pixel."""

    def cards(self) -> list[tuple[str, object, str]]:
        """Return the WCS for a header."""
        w = self.wcs.wcs
        return [
            ("WCSAXES", 2, "number of axes of the WCS"),
            ("CTYPE1", "RA---TAN", "gnomonic projection"),
            ("CTYPE2", "DEC--TAN", "gnomonic projection"),
            ("CUNIT1", "deg", "unit of CRVAL1 and CD1_j"),
            ("CUNIT2", "deg", "unit of CRVAL2 and CD2_j"),
            ("CRVAL1", float(w.crval[0]), "[deg] right ascension of the reference"),
            ("CRVAL2", float(w.crval[1]), "[deg] declination of the reference"),
            ("CRPIX1", float(w.crpix[0]), "[pixel] reference"),
            ("CRPIX2", float(w.crpix[1]), "[pixel] reference"),
            *((f"CD{i}_{j}", float(w.cd[i - 1, j - 1]), "[deg/pixel]") for i in (1, 2) for j in (1, 2)),
            ("RADESYS", "ICRS", "celestial reference frame"),
            ("EQUINOX", 2000.0, "[yr] standard FK5 equinox"),
        ]


def wcs_of(header: Any) -> Any:
    """Return the celestial WCS of a header, without a word about what it repairs."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(readable(header), naxis=2)


def make(headers: Sequence[Any], north_up: bool = False) -> Grid:
    """Return the grid that holds all exposures, with the scale and, unless ``north_up``, the axes of the first.

    Without distortion its pixels coincide with those of the first exposure.
    """
    first = wcs_of(headers[0])
    nx, ny = int(headers[0]["NAXIS1"]), int(headers[0]["NAXIS2"])
    middle = (nx - 1) / 2, (ny - 1) / 2
    step = 0.5
    x = np.array([middle[0] - step, middle[0] + step, middle[0], middle[0]])
    y = np.array([middle[1], middle[1], middle[1] - step, middle[1] + step])
    crval = np.array(first.wcs.crval)
    east, north = _tangent(*first.all_pix2world(x, y, 0), *crval)
    cd = np.array([[east[1] - east[0], east[3] - east[2]], [north[1] - north[0], north[3] - north[2]]])
    scale = math.sqrt(abs(np.linalg.det(cd)))
    if north_up:
        cd = scale * np.array([[-1.0, 0.0], [0.0, 1.0]])
    made = WCS(naxis=2)
    made.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    made.wcs.cunit = ["deg", "deg"]
    made.wcs.crval = crval
    made.wcs.cd = cd
    made.wcs.crpix = [1.0, 1.0]
    if not north_up:  # the middle of the first exposure falls onto itself
        centre = made.all_world2pix(*first.all_pix2world([middle[0]], [middle[1]], 0), 0)
        made.wcs.crpix = [1.0 + middle[0] - float(centre[0][0]), 1.0 + middle[1] - float(centre[1][0])]
    corners = np.concatenate([_edges(header, made) for header in headers])
    low, high = np.floor(corners.min(axis=0) + 0.01), np.ceil(corners.max(axis=0) - 0.01)
    made.wcs.crpix = np.array(made.wcs.crpix) - low
    made.wcs.set()
    size = (high - low).astype(int) + 1
    return Grid(made, (int(size[1]), int(size[0])), scale * 3600.0)


def _tangent(ra: Floats, dec: Floats, ra0: float, dec0: float) -> tuple[Floats, Floats]:
    """Return gnomonic coordinates (deg) about ra0, dec0."""
    from elvis_cli.base.geometry import project

    east, north = project(ra, dec, ra0, dec0)
    return np.asarray(east) / 3600.0, np.asarray(north) / 3600.0


def _edges(header: Any, target: Any) -> Floats:
    """Return where the border of an exposure falls on the grid, (n, 2)."""
    nx, ny = int(header["NAXIS1"]), int(header["NAXIS2"])
    along = np.linspace(0, 1, 9)
    x = np.concatenate([along * (nx - 1), along * (nx - 1), np.zeros(9), np.full(9, nx - 1)])
    y = np.concatenate([np.zeros(9), np.full(9, ny - 1), along * (ny - 1), along * (ny - 1)])
    return np.stack(target.all_world2pix(*wcs_of(header).all_pix2world(x, y, 0), 0), axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class PixelMap:
    """Where the pixels of an exposure fall on a grid, bilinear between nodes."""

    x: Floats
    """Columns of the nodes (k,), pixels from 0, evenly spaced."""
    y: Floats
    """Rows of the nodes (l,)."""
    places: Floats
    """x and y on the grid of the nodes, (l, k, 2)."""
    area: Floats
    """Area of a pixel on the grid at the nodes, (l, k, 1)."""
    shape: tuple[int, int]
    """Rows and columns of the exposure."""

    @property
    def ratio(self) -> float:
        """Side of a pixel of the grid in pixels of the exposure, at the middle."""
        return 1.0 / math.sqrt(float(self.area[self.area.shape[0] // 2, self.area.shape[1] // 2, 0]))

    @property
    def nodes(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Places and areas at the nodes, the first node and the steps to the next (x, y), as the kernels take them."""
        origin, step = np.array([self.x[0], self.y[0]]), np.array([self.x[1] - self.x[0], self.y[1] - self.y[0]])
        return self.places, self.area, origin, step

    @property
    def shifts(self) -> bool:
        """Whether the exposure is only shifted against the grid, by the same number of pixels all over any tile."""
        from elvis_cli.kernels.shifts import TILE

        move = self.places - np.stack(np.meshgrid(self.x, self.y), axis=-1)
        slopes = (np.abs(np.diff(move, axis=1)).max() / (self.x[1] - self.x[0]),
                  np.abs(np.diff(move, axis=0)).max() / (self.y[1] - self.y[0]))  # fmt: skip
        return bool(np.all(self.area == 1.0)) and TILE / 2 * sum(slopes) <= STEADY

    def at(self, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        """Return the places (n, 2) on the grid of places in the exposure, pixels from 0."""
        return self._between(self.places, x, y)

    def area_at(self, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        """Return the areas (n,) on the grid of pixels of the exposure."""
        return self._between(self.area, x, y)[:, 0]

    def _between(self, nodes: Floats, x: NDArray[Any], y: NDArray[Any]) -> Floats:
        u, v = (
            (np.asarray(x) - self.x[0]) / (self.x[1] - self.x[0]),
            (np.asarray(y) - self.y[0]) / (self.y[1] - self.y[0]),
        )
        k = np.clip(u.astype(np.int64), 0, len(self.x) - 2)
        m = np.clip(v.astype(np.int64), 0, len(self.y) - 2)
        s, t = (u - k)[:, None], (v - m)[:, None]
        low = nodes[m, k] * (1 - s) + nodes[m, k + 1] * s
        return np.asarray(low * (1 - t) + (nodes[m + 1, k] * (1 - s) + nodes[m + 1, k + 1] * s) * t)

    def all(self) -> tuple[Floats, NDArray[np.float32]]:
        """Return the places (ny, nx, 2) and areas (ny, nx) of all pixels."""
        y, x = (each.ravel() for each in np.indices(self.shape))
        return self.at(x, y).reshape(*self.shape, 2), self.area_at(x, y).reshape(self.shape).astype(np.float32)

    def rows(self) -> Floats:
        """Return the lowest and highest y on the grid of each row of the exposure, (ny, 2)."""
        edges = np.stack([np.interp(np.arange(self.shape[0]), self.y, column) for column in self.places[..., 1].T])
        return np.stack([edges.min(axis=0), edges.max(axis=0)], axis=1)

    def cut(self, x0: int, y0: int, shape: tuple[int, int], corner: Floats) -> PixelMap:
        """Return the map of a part of the exposure onto a part of the grid whose first pixel is ``corner`` (x, y)."""
        return PixelMap(self.x - x0, self.y - y0, self.places - corner, self.area, shape)


def pixel_map(header: Any, grid: Grid) -> PixelMap:
    """Return the map of an exposure."""
    nx, ny = int(header["NAXIS1"]), int(header["NAXIS2"])
    x = np.linspace(0, nx - 1, max(nx // NODE, 1) + 1)
    y = np.linspace(0, ny - 1, max(ny // NODE, 1) + 1)
    mesh = np.meshgrid(x, y)
    places = grid.wcs.all_world2pix(*wcs_of(header).all_pix2world(mesh[0].ravel(), mesh[1].ravel(), 0), 0)
    nodes = [np.asarray(place).reshape(mesh[0].shape) for place in places]
    (xx, xy), (yx, yy) = ((np.gradient(node, x, axis=1), np.gradient(node, y, axis=0)) for node in nodes)
    area = np.abs(xx * yy - xy * yx)
    if float(np.ptp(area)) < 1e-6 and abs(float(area.mean()) - 1.0) < 1e-6:
        area = np.ones_like(area)
    return PixelMap(x, y, np.stack(nodes, axis=-1), area[..., None], (ny, nx))
