"""A point-spread function of the user's own, resampled to what the renderers need."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError
from elvis_cli.base.constants import ARCSEC
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.psf_model import CubePsf, adaptive_optics
from elvis_cli.model.setup import Optics, Setup
from elvis_cli.model.telescope import Telescope
from elvis_cli.optics import pupil
from elvis_cli.optics.psf_types import Psf, disc, power_of_two

ABSOLUTE = (0.5, 1.001)
"""A sum of a plane within these limits is a fraction of the star's light; any other unit is arbitrary."""
WING = 11 / 3
"""Beyond the border of the user's image light falls as r^-WING (Kolmogorov's law)."""


def adopt(setup: Setup, requested: PsfCube | str, target: tuple[float, float]) -> Setup:
    """Return the Setup with the user's PSF, or TIPTOP's at ``target`` (arcsec in the field), and notes on it.

    Raises
    ------
    RequestError
        It holds no light.
    ResourceError
        It is to come from TIPTOP, which is not installed.
    """
    if isinstance(requested, str):
        from elvis_cli.optics import tiptop

        cube, source = tiptop.cube(setup, target), "TIPTOP"
    else:
        cube, source = requested, "file"
    sums = planes(cube).sum(axis=(1, 2), dtype=float)
    if not sums.min() > 0:
        raise RequestError("/elvis/psf/data", "holds no light")
    if sums.min() > 0.999 and _absolute(sums):
        told = "holds all of the light, none beyond its border"
    elif _absolute(sums):
        told = f"holds {sums.min():.4g} to {sums.max():.4g} of the light, the rest beyond its border falls as r^-11/3"
    else:
        told = "is in an arbitrary unit: scaled to hold all light, none beyond its border"
    notes = [f"the PSF is the request's own ({source}), the same all over the field: it {told}"]
    wave, centre = cube.wavelength, setup.optics.filter_centre
    if wave and not wave[0] <= centre <= wave[-1]:
        known = f"from {wave[0]:g} to {wave[-1]:g}" if len(wave) > 1 else f"at {wave[0]:g}"
        notes.append(f"the PSF is known {known} um: the nearest is taken for {centre:.4g} um")
    if cube.scale > setup.optics.pixel_scale:
        notes.append(
            f"elements of the PSF are larger ({cube.scale:g} arcsec) than pixels ({setup.optics.pixel_scale:g})"
        )
    header = {**setup.header, "ESO SIM PSF SOURCE": (source, "where the point-spread function comes from")}
    psf = CubePsf(cube, adaptive_optics(setup.psf))
    return replace(setup, psf=psf, header=header, notes=(*setup.notes, *notes))


def planes(cube: PsfCube) -> Floats:
    """Return the images (planes, rows, columns); what is negative or no number counts as dark."""
    data = np.frombuffer(cube.data, "<f4").reshape(cube.shape)
    return np.asarray(np.where(data > 0, data, 0.0), float)


def build(cube: PsfCube, optics: Optics, extent: int, wave: Floats, weight: Floats, count: int) -> Psf:
    """Return the PSF of the user's images for a passband, ``count`` times the same; chips span ``extent`` pixels.

    Elements hold the light that fell on them: what of it lies on a pixel is a matter of areas. The star stands at
    the brightest place. Between the wavelengths of two planes they are mixed linearly, beyond the last one it holds.
    """
    pixel = optics.pixel_scale
    image = _mix(cube, np.asarray(wave, float), np.asarray(weight, float) / np.sum(weight))
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
    fine, coarse = (np.repeat((part / total)[None], count, axis=0) for part in (fine, coarse))
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


def _mix(cube: PsfCube, wave: Floats, weight: Floats) -> Floats:
    """Return the mean image of the passband, its sum the fraction of the light that it holds."""
    images = planes(cube)
    sums = images.sum(axis=(1, 2))
    if not _absolute(sums):
        images /= sums[:, None, None]
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
