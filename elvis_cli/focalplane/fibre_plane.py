"""The fibre plane: how much of the scene's light each fibre takes, one spectrum and one wavelength at a time.

Fibres may stand far apart. The scene is drawn on a small patch about each of them, or about a bundle, by the same code
that draws images; what is inside a fibre's circle enters it. A fibre scrambles, so that is all that it remembers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.overlap import circle_on_pixels
from elvis_cli.focalplane import imager, slit_plane
from elvis_cli.focalplane.imager import Imager
from elvis_cli.focalplane.slit_plane import Drift
from elvis_cli.light.compose import Extended, Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Spectrograph
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene.component import Picture

PIXELS = 12
"""Across the smallest fibre."""
BESIDE = 1.0
"""Diameters between the edges of two fibres up to which one patch has both."""
REACH = 20.0
"""arcsec beyond a patch from which a star or the edge of a picture still shines into it."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """A part of the field with some fibres."""

    x: float
    y: float
    """Centre in the field, arcsec."""
    nx: int
    ny: int
    members: tuple[int, ...]
    """Indices of the fibres."""

    def circles(self, apertures: tuple[Aperture, ...], pixel: float) -> Floats:
        """Return the area that each pixel shares with each member: (members, ny, nx)."""
        return np.stack([
            circle_on_pixels(
                (self.ny, self.nx),
                (one.x - self.x) / pixel + (self.nx - 1) / 2,
                (one.y - self.y) / pixel + (self.ny - 1) / 2,
                one.extent[0] / 2 / pixel,
            )
            for one in (apertures[n] for n in self.members)
        ])  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class FibrePlane:
    """The plane of the fibres at some wavelengths."""

    setup: Setup
    """Its pixels: square, one a "mm"."""
    apertures: tuple[Aperture, ...]
    wave: Floats
    """um, ascending."""
    imagers: tuple[Imager, ...]
    """One a wavelength."""
    drifts: tuple[tuple[float, float], ...]
    """Where each wavelength puts the scene, arcsec."""
    patches: tuple[Patch, ...]
    factor: Floats
    """(waves, apertures): what couples of the light of the scene in front of a fibre."""

    @property
    def psfs(self) -> tuple[Psf, ...]:
        """The PSF at each wavelength."""
        return tuple(one.psf for one in self.imagers)

    def light(self, scene: Scene, parts: frozenset[str]) -> Floats:
        """Return the electrons/s of a part of the whole scene in each fibre: (waves, apertures)."""
        result = np.zeros((self.wave.size, len(self.apertures)))
        pixel = self.setup.optics.pixel_scale

        def collect(patch: Patch) -> NDArray[np.float64] | None:
            near = _near(scene, patch, pixel, parts)
            if near is None:
                return None
            circles = patch.circles(self.apertures, pixel)
            window = Window(0, 0, patch.nx, patch.ny)
            found = np.zeros((self.wave.size, len(patch.members)))
            for n, (whole, (dx, dy)) in enumerate(zip(self.imagers, self.drifts, strict=True)):
                chip = Chip(1, "", (patch.x - dx) / pixel, (patch.y - dy) / pixel, 0.0, 1.0, 0.0, 0.0)
                detector = replace(self.setup.detector, nx=patch.nx, ny=patch.ny, chips=(chip,))
                one = slit_plane.restricted(whole, near)
                virtual = replace(one.light, setup=replace(one.light.setup, detector=detector))
                image = replace(one, light=virtual).illuminate(chip, window, parts)
                found[n] = np.sum(circles * image, axis=(1, 2))
            return found

        for patch, found in zip(self.patches, parallel.gather(collect, list(self.patches)), strict=True):
            if found is not None:
                result[:, list(patch.members)] = found
        return result * self.factor


def build(light: Illumination, scene: Scene, drift: Drift, spectrograph: Spectrograph) -> FibrePlane:
    """Return the plane of the fibres for the whole ``scene``."""
    setup, apertures = light.setup, spectrograph.apertures
    pixel = min(one.extent[0] for one in apertures) / PIXELS
    patches = _patches(apertures, pixel)
    nx, ny = (max(getattr(patch, side) for patch in patches) for side in ("nx", "ny"))
    detector = replace(setup.detector, nx=nx, ny=ny, pixel_mm=1.0, chips=(Chip(1, "", 0, 0, 0.0, 1.0, 0.0, 0.0),))
    optics = replace(setup.optics, pixel_scale=pixel, plate_scale=pixel, distortion=0.0, axis=(0.0, 0.0))
    virtual = replace(setup, optics=optics, detector=detector, spectrograph=None)
    # one chip a patch: the PSF of many stars changes over all of them, and is made where there is a fibre
    chips = tuple(replace(detector.chips[0], x_mm=patch.x / pixel, y_mm=patch.y / pixel) for patch in patches)
    field = replace(virtual, detector=replace(detector, chips=chips))

    def prepare(wave: float) -> Imager:
        one = replace(field, optics=replace(optics, filter_centre=wave))
        return imager.prepare(replace(light, setup=one), scene, (np.array([wave]), np.ones(1)), over_field=True)

    band = setup.optics.band
    psf_wave = np.geomspace(*band, max(1, math.ceil(slit_plane.steps(band))) + 1)
    imagers = parallel.gather(prepare, [float(w) for w in psf_wave])
    wave = slit_plane.wavelengths(band, drift, max(min(one.psf.fwhm for one in imagers), apertures[0].extent[0] / 2))
    nearest = np.argmin(np.abs(np.log(wave[:, None] / psf_wave)), axis=1)
    chosen = tuple(imagers[n] for n in nearest)
    factor = np.ones((wave.size, len(apertures)))
    if spectrograph.coupling is not None:
        for n, one in enumerate(chosen):
            widths = np.array([a.extent[0] for a in apertures])
            inside = {width: one.psf.encircled(width / pixel) for width in np.unique(widths)}
            factor[n] = float(spectrograph.coupling.at(wave[n : n + 1])[0]) / np.array([inside[w] for w in widths])
    drifts = tuple(drift.at(float(w)) for w in wave)
    return FibrePlane(virtual, apertures, wave, chosen, drifts, patches, factor)


def _patches(apertures: tuple[Aperture, ...], pixel: float) -> tuple[Patch, ...]:
    """Return patches of ``pixel`` arcsec: fibres that almost touch are in one."""
    x, y, size = (np.array([f(one) for one in apertures]) for f in (_x, _y, _diameter))
    group = np.full(x.size, -1)
    for first in range(x.size):
        if group[first] >= 0:
            continue
        group[first], todo = first, [first]
        while todo:
            n = todo.pop()
            near = (np.hypot(x - x[n], y - y[n]) < (size + size[n]) / 2 + BESIDE * size) & (group < 0)
            group[near] = first
            todo += np.flatnonzero(near).tolist()
    patches = []
    for number in np.unique(group):
        members = np.flatnonzero(group == number)
        ends = [(c[members] - size[members] / 2, c[members] + size[members] / 2) for c in (x, y)]
        (cx, nx), (cy, ny) = (
            ((low.min() + high.max()) / 2, math.ceil((high.max() - low.min()) / pixel) + 2) for low, high in ends
        )
        patches.append(Patch(float(cx), float(cy), nx, ny, tuple(members.tolist())))
    return tuple(patches)


def _x(one: Aperture) -> float:
    return one.x


def _y(one: Aperture) -> float:
    return one.y


def _diameter(one: Aperture) -> float:
    return one.extent[0]


def _near(scene: Scene, patch: Patch, pixel: float, parts: frozenset[str]) -> Scene | None:
    """Return what shines into a patch, None if nothing does."""
    half = math.hypot(patch.nx, patch.ny) * pixel / 2
    near = np.zeros(0, bool)
    if "stars" in parts and scene.x.size:
        near = np.hypot(scene.x - patch.x, scene.y - patch.y) < half + REACH
    pictures = tuple(one for one in scene.extended if _extent(one, patch) < half + REACH)
    other = "galaxies" in parts and bool(pictures or scene.galaxies or scene.surface)
    if not near.any() and not other:
        return None
    if not near.any():
        near = np.zeros(scene.x.size, bool)
    return replace(scene, x=scene.x[near], y=scene.y[near], rate=scene.rate[near], extended=pictures)


def _extent(source: Extended, patch: Patch) -> float:
    """Return how far the edge of a source is from the middle of a patch, arcsec; 0 of one without an edge."""
    shape = source.shape
    if not isinstance(shape, Picture):
        return 0.0
    radius = math.hypot(*shape.image.shape) * shape.scale / 2
    return math.hypot(shape.x - patch.x, shape.y - patch.y) - radius
