"""A point-spread function of the user's own, resampled to what the renderers need."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import ARCSEC
from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.psf_model import CubePsf, adaptive_optics
from elvis_cli.model.setup import Frame, Optics, Setup
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics import pupil
from elvis_cli.optics.psf_types import Psf, disc, power_of_two

ABSOLUTE = (0.5, 1.001)
"""A sum of a plane within these limits is a fraction of the star's light; any other unit is arbitrary."""
WIDEST_ELEMENT = 10.0
"""Pixels of the largest element of a PSF: a star would be a patch of squares."""
LEAST_WIDTH = 0.1
"""Pixels of the narrowest image of a PSF."""
SMALL = 9
"""Elements across an image below which its shape says nothing."""
MAX_BORDER = 0.3
"""Mean light of the elements at the border of a PSF, as a fraction of the brightest one's."""
LEAST_INSIDE = 0.25
"""Light of a PSF within half of its half width of its brightest element or its centroid; a flat picture has 0.2."""
LEAST_ON_FRAME = 0.1
"""Light of a star in the middle of the frame that must land on it."""
LEAST_FRAME = 64
"""Pixels: a smaller frame may be smaller than a star."""
WING = 11 / 3
"""Beyond the border of the user's image light falls as r^-WING (Kolmogorov's law)."""


def adopt(setup: Setup, requested: PsfCube | str, target: tuple[float, float]) -> Setup:
    """Return the Setup with the user's PSF, or TIPTOP's at ``target`` (arcsec in the field), and notes on it.

    Raises
    ------
    RequestError
        It holds no light, or is a picture of something else.
    ResourceError
        It is to come from TIPTOP, which is not installed.
    """
    if isinstance(requested, str):
        from elvis_cli.optics import tiptop

        cube, source = tiptop.cube(setup, target), "TIPTOP"
    else:
        cube, source = requested, "file"
    sums = _sums(cube)
    if not sums.min() > 0:
        raise RequestError("/elvis/psf/data", "holds no light")
    _check_picture(cube, setup.optics)
    if sums.min() > 0.999 and _absolute(sums):
        told = "holds all of the light, none beyond its border"
    elif _absolute(sums):
        told = f"holds {sums.min():.4g} to {sums.max():.4g} of the light, the rest beyond its border falls as r^-11/3"
    else:
        told = "is in an arbitrary unit: scaled to hold all light, none beyond its border"
    named = f"{source} {cube.name}" if cube.name else source
    where = "changes over the field" if cube.places else "the same all over the field"
    notes = [f"the PSF is the request's own ({named}), {where}: it {told}"]
    wave, centre = cube.wavelength, setup.optics.filter_centre
    if wave and not wave[0] <= centre <= wave[-1]:
        known = f"from {wave[0]:g} to {wave[-1]:g}" if len(wave) > 1 else f"at {wave[0]:g}"
        notes.append(f"the PSF is known {known} um: the nearest is taken for {centre:.4g} um")
    if cube.scale > setup.optics.pixel_scale:
        notes.append(
            f"elements of the PSF are larger ({cube.scale:g} arcsec) than pixels ({setup.optics.pixel_scale:g})"
        )
    header = {**setup.header, "ESO SIM PSF SOURCE": (source, "where the point-spread function comes from")}
    if cube.name:
        header["ESO SIM PSF FILE"] = (cube.name, "name of its file")
    psf = CubePsf(cube, adaptive_optics(setup.psf))
    return replace(setup, psf=psf, header=header, notes=(*setup.notes, *notes))


def check_frame(psf: Psf, frame: Frame) -> None:
    """Raise RequestError if almost nothing of a star in the middle of a frame lands on it."""
    side = max(LEAST_FRAME, min(frame.window.nx, frame.window.ny))
    inside = psf.encircled(side)
    if inside < LEAST_ON_FRAME:
        raise RequestError(
            "/elvis/psf",
            f"{inside:.2g} of the light of a star is within {side} pixels: is it a point-spread function?",
            found=inside,
            allowed=f"{LEAST_ON_FRAME:g} or more",
        )


def _check_picture(cube: PsfCube, optics: Optics) -> None:
    """Raise RequestError if an image is no PSF of this camera: a flat picture, or elements that do not suit."""
    ratio = cube.scale / optics.pixel_scale
    if ratio > WIDEST_ELEMENT or ratio * max(cube.shape[1:]) < LEAST_WIDTH:
        raise RequestError(
            "/elvis/psf/scale",
            f"elements of {cube.scale:g} arcsec do not suit pixels of {optics.pixel_scale:g} arcsec",
            found=cube.scale,
            allowed=f"up to {WIDEST_ELEMENT * optics.pixel_scale:g} arcsec, and an image that is not within a pixel",
        )
    for number in range(cube.shape[0]):
        image = planes(cube, slice(number, number + 1))[0]
        if min(image.shape) < SMALL:
            continue
        border = np.concatenate([image[0], image[-1], image[1:-1, 0], image[1:-1, -1]]).mean() / image.max()
        inside = max(_inside(image, at) for at in (_centre(image), _centroid(image)))
        if border > MAX_BORDER or inside < LEAST_INSIDE:
            raise RequestError(
                "/elvis/psf/data",
                f"image {number} is not a point-spread function: its light is not in one place",
                found=f"{inside:.2g} of the light within half of the way to the border, "
                f"{border:.2g} of the peak at the border",
                allowed=f"{LEAST_INSIDE:g} or more, {MAX_BORDER:g} or less",
            )


def _centroid(image: Floats) -> tuple[float, float]:
    """Return the mean place (y, x) of the light."""
    y, x = (np.arange(n) for n in image.shape)
    return float(image.sum(axis=1) @ y / image.sum()), float(image.sum(axis=0) @ x / image.sum())


def _inside(image: Floats, at: tuple[float, float]) -> float:
    """Return the fraction of the light within a quarter of the image's shorter side of a place (y, x)."""
    y, x = (np.arange(n) - centre for n, centre in zip(image.shape, at, strict=True))
    return float(image[np.hypot(y[:, None], x) <= min(image.shape) / 4].sum() / image.sum())


def planes(cube: PsfCube, part: slice = slice(None)) -> Floats:
    """Return the images (planes, rows, columns), or a ``part`` of them; elements that are not finite are dark.

    Negative ones are kept: they are the other half of the noise of a PSF that was observed.
    """
    data = np.frombuffer(cube.data, "<f4").reshape(cube.shape)[part]
    return np.asarray(np.where(np.isfinite(data), data, 0.0), float)


def _sums(cube: PsfCube) -> Floats:
    """Return the sum of each plane."""
    return np.array([planes(cube, slice(n, n + 1)).sum(dtype=float) for n in range(cube.shape[0])])


def nearest(cube: PsfCube, positions: Floats) -> NDArray[np.int64]:
    """Return which of the user's functions holds at each of ``positions`` (n, 2), arcsec in the field: the nearest."""
    if not cube.places:
        return np.zeros(len(positions), np.int64)
    from scipy.spatial import cKDTree

    places = np.array(cube.places)
    return np.asarray(places[cKDTree(places[:, :2]).query(positions)[1], 2], np.int64)


def build(cube: PsfCube, optics: Optics, extent: int, wave: Floats, weight: Floats, positions: Floats) -> Psf:
    """Return the PSF of the user's images for a passband at ``positions`` (n, 2); chips span ``extent`` pixels."""
    which, index = np.unique(nearest(cube, positions), return_inverse=True)
    parts = [_build(cube, int(n), optics, extent, wave, weight) for n in which]
    first: Psf = parts[int(index[0])]
    fine, coarse = (np.concatenate(grids)[index] for grids in ([p.fine for p in parts], [p.coarse for p in parts]))
    return replace(first, fine=fine, coarse=coarse)


def _build(cube: PsfCube, number: int, optics: Optics, extent: int, wave: Floats, weight: Floats) -> Psf:
    """Return one of the user's functions for a passband.

    Elements hold the light that fell on them: what of it lies on a pixel is a matter of areas. The star stands at
    the brightest place. Between the wavelengths of two planes they are mixed linearly, beyond the last one it holds.
    """
    pixel = optics.pixel_scale
    image = _mix(cube, number, np.asarray(wave, float), np.asarray(weight, float) / np.sum(weight))
    y, x = _centre(image)
    size = cube.scale / pixel  # pixels an element
    oversample = min(power_of_two(max(2.0, 1.0 / size)), 16)
    box = max(64, min(power_of_two(size * max(image.shape)), 1024 // oversample))
    step = max(1, box // 32)
    reach = 2 * extent
    nc = max(min(power_of_two(reach / step), 1024), 4 * box // step)
    radius = box / 2 - 4.0
    fine = _on(image, x, y, size, box * oversample, 1.0 / oversample, 1.0)
    coarse = _on(image, x, y, size, nc, float(step), float(step)) / step**2
    borders = [(rim + 0.5) * size for rim in (x, image.shape[1] - 1 - x, y, image.shape[0] - 1 - y)]
    outside = 1.0 - float(image.sum())
    if outside > 0:
        _add_wing(fine, 1.0 / oversample, borders, outside)
        _add_wing(coarse, step, borders, outside)
    inside = disc(fine, radius * oversample) / oversample**2
    ring = (float(coarse.sum()) - disc(coarse, radius / step)) * step**2
    beyond = max(outside, 0.0) * min(1.0, (nc * step / 2 / min(borders)) ** (2 - WING))
    total = inside + ring + beyond
    fine, coarse = ((part / total)[None] for part in (fine, coarse))
    return Psf(
        fine=fine.astype(np.float32),
        coarse=coarse.astype(np.float32),
        oversample=oversample,
        step=step,
        fine_radius=radius,
        pixel_scale=pixel,
        strehl=float(image.max()) / _perfect(optics.telescope, cube.scale, wave, weight),
        fwhm=_fwhm(image, y, x) * cube.scale,
    )


def _absolute(sums: Floats) -> bool:
    return bool(ABSOLUTE[0] < sums.min() and sums.max() <= ABSOLUTE[1])


def _mix(cube: PsfCube, number: int, wave: Floats, weight: Floats) -> Floats:
    """Return the mean image of the passband, its sum the fraction of the light that it holds."""
    count = len(cube.wavelength) or 1
    images = planes(cube, slice(number * count, (number + 1) * count))
    if not _absolute(_sums(cube)):
        images /= images.sum(axis=(1, 2))[:, None, None]
    if len(images) == 1:
        return np.asarray(images[0])
    at = np.interp(wave, cube.wavelength, np.arange(len(images), dtype=float))
    share = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(len(images))))
    return np.asarray(np.tensordot(weight @ share, images, axes=1))


def _centre(image: Floats) -> tuple[float, float]:
    """Return the brightest place (y, x): the top of the parabolas through the brightest element's neighbours."""
    y, x = (int(i) for i in np.unravel_index(np.argmax(image), image.shape))

    def top(line: Floats, i: int) -> float:
        if not 0 < i < len(line) - 1:
            return float(i)
        left, middle, right = line[i - 1 : i + 2]
        bend = left - 2 * middle + right
        return i + 0.5 * float((left - right) / bend) if bend else float(i)

    return top(image[:, x], y), top(image[y], x)


def _on(image: Floats, x: float, y: float, size: float, count: int, step: float, width: float) -> Floats:
    """Return the light on ``count`` x ``count`` squares (``width`` pixels, every ``step``), the star on the middle."""

    def overlap(centre: float, elements: int) -> Floats:
        place = (np.arange(count) - count // 2)[:, None] * step
        low = (np.arange(elements) - centre - 0.5) * size
        shared = np.minimum(place + width / 2, low + size) - np.maximum(place - width / 2, low)
        return np.asarray(np.maximum(shared, 0.0) / size)

    return np.asarray(overlap(y, image.shape[0]) @ image @ overlap(x, image.shape[1]).T)


def _add_wing(grid: Floats, step: float, borders: list[float], light: float) -> None:
    """Add ``light`` beyond the borders (left, right, below, above; pixels) to a grid of light per pixel."""
    place = (np.arange(len(grid)) - len(grid) // 2) * step
    left, right, below, above = borders
    out = (place < -left) | (place > right) | ((place < -below) | (place > above))[:, None]
    angle = (np.arange(64) + 0.5) * math.pi / 256
    around = 2 * math.pi / (WING - 2) * float(np.mean(np.cos(angle) ** (WING - 2)))  # outside a square of half width 1
    amplitude = light / (around * min(borders) ** (2 - WING))
    grid += np.where(out, amplitude * np.maximum(np.hypot(place, place[:, None]), 1.0) ** -WING, 0.0)


def _perfect(telescope: Telescope, scale: float, wave: Floats, weight: Floats) -> float:
    """Return the light on the central element of a star without aberrations."""
    aperture = pupil.transfer(telescope)
    total = 0.0
    for um, share in zip(wave, np.asarray(weight) / np.sum(weight), strict=True):
        metres = float(um) * 1e-6 / ARCSEC  # shift per cycle/arcsec
        rho = np.linspace(0.0, aperture.diameter, 257)
        plus, minus = aperture.sample(rho)
        line = np.sinc(rho / metres * scale)
        line[0] *= 0.5
        step = (rho[1] - rho[0]) / metres * scale
        total += float(share) * 2.0 * step**2 * float(line @ (plus + minus) @ line)
    return total


def _fwhm(image: Floats, y: float, x: float) -> float:
    """Return the mean FWHM of the cuts through the brightest element, in elements."""
    row, column = image[round(y)], image[:, round(x)]
    widths = []
    for line in (row, column):
        top = int(np.argmax(line))
        half = 0.5 * float(line[top])
        for side in (line[top:], line[top::-1]):
            below = int(np.argmax(side < half))
            if not below:
                return float(2 * len(side))
            widths.append(below - (half - float(side[below])) / float(side[below - 1] - side[below]))
    return float(np.mean(widths)) * 2.0
