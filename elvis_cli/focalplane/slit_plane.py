"""The light in the apertures: the scene drawn where they cut it, one spectrum and one wavelength at a time.

The plane of the apertures is drawn by the same code that draws images, on pixels that are fine compared with an
aperture's width; each aperture takes from it strips across its width, each a profile along the aperture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.geometry import rotate, sky_to_field
from elvis_cli.base.overlap import circle_below, circle_on_pixels
from elvis_cli.errors import ResourceError
from elvis_cli.focalplane import imager
from elvis_cli.light.compose import Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Spectrograph
from elvis_cli.optics.psf_types import Psf
from elvis_cli.sky import refraction

Image = NDArray[np.float32]
SPREAD = 1.12
"""Ratio of neighbouring wavelengths at which PSFs are made: between them the PSF is mixed."""
DRIFT = 0.25
"""Of the PSF's FWHM: how far differential refraction may move a star between neighbouring wavelengths."""
MOST = 24
"""Wavelengths at most."""
LEAST = 3
"""Strips of an aperture at least."""


@dataclass(frozen=True, slots=True)
class Drift:
    """Differential refraction in the field, as far as nothing corrects it."""

    reference: float
    x: float
    y: float
    """Towards the zenith, a unit vector."""
    airmass: float
    site: Site
    left: float

    def at(self, wave: float) -> tuple[float, float]:
        """Return how far light of ``wave`` (um) stands from that of ``reference``, arcsec."""
        size = self.left * refraction.shift(wave, self.reference, self.airmass, self.site)
        return size * self.x, size * self.y


def drift(spectrograph: Spectrograph, setup: Setup, parallactic: float, angle: float) -> Drift:
    """Return the drift for a parallactic angle and a position angle, deg."""
    q = math.radians(parallactic)
    x, y = sky_to_field(math.sin(q), math.cos(q), angle)
    reference = spectrograph.reference or sum(setup.optics.band) / 2
    return Drift(reference, x, y, setup.atmosphere.airmass, setup.atmosphere.site, 1.0 - spectrograph.adc)


def wavelengths(band: tuple[float, float], movement: Drift, fwhm: float) -> Floats:
    """Return the wavelengths (um) at which the plane is drawn; ``fwhm`` (arcsec) is the PSF's."""
    moved = math.dist(movement.at(band[0]), movement.at(band[1]))
    parts = max(_steps(band), moved / (DRIFT * fwhm))
    return np.geomspace(*band, min(max(math.ceil(parts), 1), MOST - 1) + 1)


def _steps(band: tuple[float, float]) -> float:
    """Return how many steps of SPREAD a band spans."""
    return math.log(band[1] / band[0]) / math.log(SPREAD)


def strips(aperture: Aperture, across: float) -> int:
    """Return into how many strips an aperture is cut: about one pixel each."""
    return max(LEAST, math.ceil(aperture.width / across))


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The plane of the apertures, at some wavelengths."""

    setup: Setup
    """Its pixels: those of its only chip, square, one a "mm"."""
    wave: Floats
    """um, ascending."""
    cameras: tuple[imager.Imager, ...]
    """One a wavelength."""
    chips: tuple[Chip, ...]
    """The chip where each wavelength puts it."""
    origin: tuple[float, float]
    """Place (arcsec, across and along) of the corner of pixel [0, 0]."""

    @property
    def psfs(self) -> tuple[Psf, ...]:
        """The PSF at each wavelength."""
        return tuple(camera.psf for camera in self.cameras)

    def draw(self, scene: Scene, parts: frozenset[str], band: tuple[float, float] | None = None) -> list[Image]:
        """Return, for each wavelength, the share of the light of a part of the whole scene in each pixel.

        Where there is light in a ``band`` (um) alone, wavelengths beyond its neighbours get their image.
        """
        window = Window(0, 0, self.setup.detector.nx, self.setup.detector.ny)

        def one(number: int) -> Image:
            camera = _restricted(self.cameras[number], scene)
            return camera.illuminate(self.chips[number], window, parts)

        last = len(self.cameras) - 1
        low, high = (0, last) if band is None else np.searchsorted(self.wave, band).tolist()
        low, high = min(max(low - 1, 0), last), min(high, last)
        drawn = [one(number) for number in range(low, high + 1)]
        return [drawn[min(max(number, low), high) - low] for number in range(last + 1)]

    def profiles(self, images: Sequence[Image], aperture: Aperture, count: int, s: Floats, row: float) -> Floats:
        """Return the light of ``count`` strips of an aperture, per arcsec along it, averaged over ``row`` arcsec.

        ``s`` (m,) is where, in the coordinate of the aperture's traces: (images, count, m). A fibre shows its own
        shape, whatever fell into it.
        """
        t, along = rotate(aperture.x, aperture.y, aperture.angle)
        q = self.setup.optics.pixel_scale
        edges = np.linspace(-0.5, 0.5, count + 1) * aperture.width
        half = aperture.length / 2
        # only what is near the aperture
        left, bottom = (
            max(math.floor((place - size / 2 - start) / q) - 1, 0)
            for place, size, start in ((t, aperture.width, self.origin[0]), (along, aperture.length, self.origin[1]))
        )
        near = (
            slice(bottom, bottom + math.ceil(aperture.length / q) + 4),
            slice(left, left + math.ceil(aperture.width / q) + 4),
        )
        stack = np.stack([image[near] for image in images])
        t, along = t - self.origin[0] - left * q, along - self.origin[1] - bottom * q
        if aperture.fibre:
            circle = circle_on_pixels((stack.shape[1], stack.shape[2]), t / q - 0.5, along / q - 0.5, half / q)
            light = np.sum(stack * circle, axis=(1, 2))
            return np.asarray(light[:, None, None] * disc(half, edges, s - aperture.offset, row))
        lines = np.diff(_interpolated(_summed(stack), (t + edges) / q), axis=-1).swapaxes(1, 2)
        sums = _summed(lines)
        ends = [np.clip(s - aperture.offset + side * row / 2, -half, half) for side in (-1, 1)]
        low, high = (_interpolated(sums, (along + end) / q) for end in ends)
        return np.asarray((high - low) / row)

    def inside(self, image: Image, aperture: Aperture) -> float:
        """Return the light of ``image`` within an aperture."""
        mean = self.profiles([image], aperture, 1, np.array([aperture.offset]), aperture.length)
        return float(mean[0, 0, 0]) * aperture.length


def uniform(aperture: Aperture, count: int, s: Floats, row: float) -> Floats:
    """Return the strips (count, m) of what fills the field: arcsec2 per arcsec along the aperture."""
    half, edges = aperture.length / 2, np.linspace(-0.5, 0.5, count + 1) * aperture.width
    if aperture.fibre:
        return math.pi * half**2 * disc(half, edges, s - aperture.offset, row)
    low, high = (np.clip(s - aperture.offset + side * row / 2, -half, half) for side in (-1, 1))
    return np.outer(np.diff(edges), (high - low) / row)


def disc(radius: float, edges: Floats, s: Floats, row: float) -> Floats:
    """Return the fractions of a circle between ``edges`` across and averaged over ``row`` along, per unit of ``s``."""
    low, high = (circle_below(edges, s + side * row / 2, radius) for side in (-1, 1))
    return np.diff(high - low, axis=1).T / (row * math.pi * radius**2)


def lay(light: Illumination, scene: Scene, movement: Drift, spectrograph: Spectrograph) -> Plane:
    """Return the plane of the apertures for the whole ``scene``.

    Raises
    ------
    ResourceError
        The apertures do not all have the same angle, a multiple of 90 deg.
    """
    setup = light.setup
    slits = [a for a in spectrograph.apertures if not a.fibre]
    angles = {a.angle for a in slits} or {0.0}
    if len(angles) > 1 or min(angles) % 90.0:
        raise ResourceError("apertures must share one angle, a multiple of 90 deg: the position angle turns the field")
    angle = min(angles)
    widest = max(strips(a, spectrograph.across) for a in spectrograph.apertures)
    width = min(a.width for a in spectrograph.apertures) / widest
    finest = min(setup.optics.pixel_scale / 2, width)
    q = width / math.ceil(width / finest)
    across, along = [], []
    for a in spectrograph.apertures:
        t, u = rotate(a.x, a.y, angle)
        across += [t - a.width / 2, t + a.width / 2]
        along += [u - a.length / 2, u + a.length / 2]
    nx, ny = (math.ceil((max(ends) - min(ends)) / q - 1e-6) + 2 for ends in (across, along))
    origin = (max(across) + min(across) - nx * q) / 2, (max(along) + min(along) - ny * q) / 2
    centre = origin[0] + nx * q / 2, origin[1] + ny * q / 2
    x, y = rotate(*centre, -angle)
    chip = Chip(1, "", x / q, y / q, -angle % 360.0, 1.0, 0.0, 0.0)
    detector = replace(setup.detector, nx=nx, ny=ny, pixel_mm=1.0, chips=(chip,))
    optics = replace(setup.optics, pixel_scale=q, plate_scale=q, distortion=0.0)
    virtual = replace(setup, optics=optics, detector=detector, spectrograph=None)

    def camera(wave: float) -> imager.Imager:
        one = replace(virtual, optics=replace(optics, filter_centre=wave))
        return imager.prepare(replace(light, setup=one), scene, (np.array([wave]), np.ones(1)))

    spread = np.geomspace(*setup.optics.band, max(1, math.ceil(_steps(setup.optics.band))) + 1)
    made = parallel.gather(camera, [float(w) for w in spread])
    wave = wavelengths(setup.optics.band, movement, min(one.psf.fwhm for one in made))
    nearest = np.argmin(np.abs(np.log(wave[:, None] / spread)), axis=1)
    moved = [movement.at(float(w)) for w in wave]
    chips = tuple(replace(chip, x_mm=chip.x_mm - dx / q, y_mm=chip.y_mm - dy / q) for dx, dy in moved)
    return Plane(virtual, wave, tuple(made[n] for n in nearest), chips, origin)


def _restricted(camera: imager.Imager, scene: Scene) -> imager.Imager:
    """Return a camera for a part of the scene that it was made for: its PSFs with the stars that they belong to."""
    if camera.zones is not None or len(camera.psf.fine) == 1:
        return replace(camera, scene=scene)
    whole = {place: n for n, place in enumerate(zip(camera.scene.x, camera.scene.y, strict=True))}
    own = [whole[place] for place in zip(scene.x, scene.y, strict=True)]
    if not own:
        return replace(camera, scene=scene)
    spread = replace(camera.psf, fine=camera.psf.fine[own], coarse=camera.psf.coarse[own])
    return replace(camera, scene=scene, psf=spread)


def _summed(values: NDArray[Any]) -> Floats:
    """Return the sums (..., n + 1) up to each place of the last axis."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, dtype=float, out=sums[..., 1:])
    return sums


def _interpolated(table: Floats, at: Floats) -> Floats:
    """Return ``table`` (..., n) at fractional columns ``at`` (k,), its ends beyond: (..., k)."""
    at = np.clip(at, 0.0, table.shape[-1] - 1)
    low = np.minimum(at.astype(int), table.shape[-1] - 2)
    part = at - low
    return np.asarray(table[..., low] * (1.0 - part) + table[..., low + 1] * part)
