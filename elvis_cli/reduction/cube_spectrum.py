"""Spectra and images out of a cube: the light inside a circle, the white light, the response by a standard star."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.kernels import medians, voxels
from elvis_cli.reduction import flux_standard
from elvis_cli.reduction.extract import Spectrum
from elvis_cli.reduction.flux_standard import Response
from elvis_cli.reduction.frame import BAD
from elvis_cli.scene.standards import StandardStar

if TYPE_CHECKING:
    from elvis_cli.reduction.cube import Cube

MAX_LOST = 0.1
"""Part of the spaxels without data from which a plane is flagged: slices end at different wavelengths."""
FAINT = 0.03
"""Of the star's median light: below, the response is not known."""
SEEN = 3.0
"""Scatter of the spaxels above which the brightest of a median is a source."""
BOXES = (1, 3, 5, 9)
"""Spaxels over which an image is smoothed to find its brightest source."""
PARTS = 8
"""Into how many parts a spaxel's side is cut where the edge of a circle crosses it."""


def white_light(cube: Cube) -> tuple[Image, Image]:
    """Return the mean of all planes (y, x) and its error, electron/s of a voxel; NaN of spaxels without data."""
    return _mean(cube, slice(None))


def circle(cube: Cube, x: float, y: float, radius: float) -> Floats:
    """Return the part (y, x) of each spaxel within ``radius`` arcsec of a place along the cube's axes."""
    grid = cube.grid
    fine = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    gx = (grid.x[:, None] + fine * grid.step[2]).ravel() - x
    gy = (grid.y[:, None] + fine * grid.step[1]).ravel() - y
    inside = gx[None, :] ** 2 + gy[:, None] ** 2 <= radius**2
    return np.asarray(inside.reshape(grid.y.size, PARTS, grid.x.size, PARTS).mean(axis=(1, 3)))


def spectrum(cube: Cube, weights: Floats) -> Spectrum:
    """Return the sum over spaxels by ``weights`` (y, x): electron/s of a plane.

    Voxels without data have the light of their neighbours along the wavelength. The error counts what voxels share.
    Without any spaxel all planes are flagged.
    """
    use = weights > 0
    w = weights[use]
    sci, err = cube.sci[:, use], cube.sum_err[:, use]
    good = (cube.dq[:, use] & BAD) == 0
    planes = np.arange(cube.grid.shape[0])
    for n in np.flatnonzero(~good.all(axis=0) & good.any(axis=0)):
        sci[:, n] = np.interp(planes, planes[good[:, n]], sci[good[:, n], n])
    flux = sci @ w
    errors = np.sqrt(np.square(err * good) @ np.square(w) + np.square(cube.sky_err * (good @ w)))
    if w.size:
        lost = (~good) @ w / w.sum()
        lost -= lost.min()  # what no plane has is the field's edge
    else:
        lost = np.ones(planes.size)
    wave = cube.grid.wave
    zeros = np.zeros_like(wave)
    bad = (lost > MAX_LOST) | (errors <= 0)
    width = np.full(wave.size, cube.grid.step[0])
    return Spectrum(1, 1, wave, width, flux, errors, flux, errors, zeros, bad, 0)


def whole(cube: Cube) -> Spectrum:
    """Return the sum of all spaxels."""
    return spectrum(cube, np.ones(cube.grid.shape[1:]))


def brightest(cube: Cube) -> tuple[float, float]:
    """Return the place of the brightest source along the cube's axes, arcsec: the centroid of its upper half.

    It is NaN where no spaxel has light.
    """
    return _centroid(cube, _continuum(cube, slice(None)))


def brightest_source(cube: Cube) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the place of the brightest source as `brightest`, and its FWHM and the error of that, arcsec.

    The FWHM is the diameter of the circle as large as the spaxels above half of the maximum, at least one spaxel; its
    error is half of what blue and red differ.
    """
    middle = cube.grid.shape[0] // 2
    all_, blue, red = (_continuum(cube, part) for part in (slice(None), slice(0, middle), slice(middle, None)))
    error = abs(_width(cube, red) - _width(cube, blue)) / 2
    return _centroid(cube, all_), (_width(cube, all_), error)


def _centroid(cube: Cube, image: Image) -> tuple[float, float]:
    light = _above_half(image)
    total = light.sum()
    if not total > 0:
        return math.nan, math.nan
    return float((light.sum(axis=0) * cube.grid.x).sum() / total), float(
        (light.sum(axis=1) * cube.grid.y).sum() / total
    )


def _width(cube: Cube, image: Image) -> float:
    area = np.count_nonzero(_above_half(image)) * cube.grid.step[1] * cube.grid.step[2]
    return 2.0 * math.sqrt(max(area, cube.grid.step[1] * cube.grid.step[2]) / math.pi)


def _mean(cube: Cube, part: slice) -> tuple[Image, Image]:
    """Return the mean (y, x) of the good ones of some planes and its error, NaN where there is none."""
    mean, error = (np.empty(cube.grid.shape[1:], np.float32) for _ in range(2))

    def fill(_: int, rows: slice) -> None:
        own = (each[part, rows] for each in (cube.sci, cube.err, cube.dq))
        voxels.means(*own, BAD, mean[rows], error[rows])

    parallel.for_rows(len(mean), fill)
    return mean, error


def _continuum(cube: Cube, part: slice) -> Image:
    """Return the median of some planes (y, x), which cosmic rays leave alone, or their mean if nothing is in it."""
    image = np.full(cube.grid.shape[1:], np.nan, np.float32)

    def fill(row: int) -> None:
        spectra, use = np.ascontiguousarray(cube.sci[part, row].T), cube.dq[part, row].T & BAD == 0
        seen = use.any(axis=1)
        image[row, seen] = medians.of_rows(spectra[seen], use[seen])

    parallel.gather(fill, range(len(image)))
    seen = np.isfinite(image)
    if seen.any():
        away = image[seen] - np.median(image[seen])
        if away.max() > SEEN * 1.4826 * np.median(np.abs(away)):
            return image
    return _mean(cube, part)[0]


def _above_half(image: Image) -> Image:
    """Return the light (y, x) around the maximum that is above half of it, 0 elsewhere."""
    from scipy.ndimage import label, uniform_filter

    image = np.nan_to_num(image)
    # a source of many faint spaxels stands out when they are smoothed
    seen = max((uniform_filter(image, size, mode="nearest") for size in BOXES), key=_significance)
    regions, _ = label(seen > seen.max() / 2)
    own = regions == regions.flat[int(np.argmax(seen))]
    return np.where(own, np.maximum(image, 0.0), 0.0).astype(np.float32)


def _significance(image: Image) -> float:
    """Return the maximum over the scatter of neighbours."""
    steps = np.abs(np.diff(image, axis=1))
    scatter = 1.4826 / math.sqrt(2.0) * float(np.median(steps)) if steps.size else 0.0
    return float(image.max()) / max(scatter, 1e-30)


def response(one: Spectrum, star: StandardStar, notes: list[str], **telluric: Any) -> Response | None:
    """Return the response by all light of a standard star in the field, None and a note if it cannot be seen.

    ``telluric`` is what `flux_standard.measure` needs to take the air's lines out.
    """
    one.bad |= one.flux < FAINT * np.median(one.flux[~one.bad])
    made = flux_standard.measure([one], star, **telluric)
    if (1, 1) in made.curves:
        return made
    notes.append(f"the standard star {star.name} is not in its cube: fluxes are not calibrated")
    return None
