"""The slit plane: the scene drawn where the apertures cut it, one spectrum and one wavelength at a time.

It is drawn by the same code that draws images, on pixels that are fine compared with an
aperture's width; each aperture takes from it strips across its width, each a profile along the aperture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.geometry import rotate, sky_to_field
from elvis_cli.base.overlap import circle_below
from elvis_cli.errors import ResourceError
from elvis_cli.focalplane import behind_mask, imager
from elvis_cli.focalplane.behind_mask import ExposureState
from elvis_cli.light.compose import Scene
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.atmosphere import Site
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Spectrograph
from elvis_cli.optics.psf_types import Psf
from elvis_cli.sky import refraction

PSF_WAVE_RATIO = 1.12
"""Ratio of neighbouring wavelengths at which PSFs are made: between them the PSF is mixed."""
MAX_DRIFT = 0.25
"""Of the PSF's FWHM: how far differential refraction may move a star between neighbouring wavelengths."""
MAX_GROWTH = 0.5
"""Of the PSF's FWHM: how far a speckle may move between neighbouring wavelengths."""
MAX_WAVELENGTHS = 24
"""At which the plane is drawn."""
MIN_STRIPS = 3
"""Of an aperture."""
MAX_EMPTY = 4
"""How many times as large as all apertures the plane may be to be drawn as a whole."""
BORDER = 3
"""Pixels of the plane drawn around an aperture that is drawn alone."""


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
        """Return the displacement (arcsec) of light of ``wave`` (um) from that of ``reference``."""
        size = self.left * refraction.shift(wave, self.reference, self.airmass, self.site)
        return size * self.x, size * self.y


def refraction_drift(spectrograph: Spectrograph, setup: Setup, parallactic: float, angle: float) -> Drift:
    """Return the drift for a parallactic angle and a position angle, deg."""
    q = math.radians(parallactic)
    x, y = sky_to_field(math.sin(q), math.cos(q), angle)
    reference = spectrograph.reference or sum(setup.optics.band) / 2
    return Drift(reference, x, y, setup.atmosphere.airmass, setup.atmosphere.site, 1.0 - spectrograph.adc)


def wavelengths(
    band: tuple[float, float], drift: Drift, fwhm: float, speckled: float = 0.0, beams: float = 0.0
) -> Floats:
    """Return the wavelengths (um) at which the plane is drawn; ``fwhm`` (arcsec) is the PSF's.

    Speckles of a star on a mask grow with the wavelength and reach ``speckled`` arcsec from it. A polarimeter's beam
    is moved by ``beams`` arcsec more at one end of the band than at the other.
    """
    displacement = (math.dist(drift.at(band[0]), drift.at(band[1])) + beams) / MAX_DRIFT
    growth = speckled * math.log(band[1] / band[0]) / MAX_GROWTH
    parts = max(steps(band), max(displacement, growth) / fwhm)
    return np.geomspace(*band, min(max(math.ceil(parts), 1), MAX_WAVELENGTHS - 1) + 1)


def steps(band: tuple[float, float]) -> float:
    """Return how many steps of SPREAD a band spans."""
    return math.log(band[1] / band[0]) / math.log(PSF_WAVE_RATIO)


def strips(aperture: Aperture, dispersion_scale: float) -> int:
    """Return into how many strips an aperture is cut: about one pixel each."""
    return max(MIN_STRIPS, math.ceil(aperture.width / dispersion_scale))


class Cut(Protocol):
    """An image of which rows and columns are taken."""

    def __getitem__(self, part: tuple[slice, slice], /) -> Image:
        """Return some rows and columns."""


@dataclass(frozen=True, slots=True, eq=False)
class SlitPlane:
    """The plane of the apertures at some wavelengths."""

    setup: Setup
    """Its pixels: those of its only chip, square, one a "mm"."""
    wave: Floats
    """um, ascending."""
    imagers: tuple[imager.Imager, ...]
    """One a wavelength."""
    chips: tuple[Chip, ...]
    """The chip where each wavelength puts it."""
    origin: tuple[float, float]
    """Place (arcsec, across and along) of the corner of pixel [0, 0]."""
    windows: tuple[Window, ...] = ()
    """Part that is drawn for each aperture, where they are few in a wide plane; () = all of it for all."""

    def window(self, aperture: int) -> Window:
        """Return the part of the plane that is drawn for an aperture, by its number."""
        whole = Window(0, 0, self.setup.detector.nx, self.setup.detector.ny)
        return self.windows[aperture] if self.windows else whole

    @property
    def psfs(self) -> tuple[Psf, ...]:
        """The PSF at each wavelength."""
        return tuple(one.psf for one in self.imagers)

    def draw(
        self, scene: Scene, parts: frozenset[str], window: Window, band: tuple[float, float] | None = None
    ) -> list[Image]:
        """Return, for each wavelength, the electrons/s in each pixel of ``window`` of a part of the whole scene.

        Where there is light in a ``band`` (um) alone, wavelengths beyond its neighbours get their image.
        """

        def image(number: int) -> Image:
            return restricted(self.imagers[number], scene).illuminate(self.chips[number], window, parts)

        low, high = self.neighbours(band)
        images = [image(number) for number in range(low, high + 1)]
        return [images[min(max(number, low), high) - low] for number in range(len(self.imagers))]

    def neighbours(self, band: tuple[float, float] | None) -> tuple[int, int]:
        """Return the first and the last of the wavelengths at which light in a ``band`` (um) is drawn; None = all."""
        last = len(self.imagers) - 1
        low, high = (0, last) if band is None else (int(n) for n in np.searchsorted(self.wave, band))
        return min(max(low - 1, 0), last), min(high, last)

    def profiles(
        self, images: Sequence[Cut], aperture: Aperture, count: int, s: Floats, spatial_scale: float, window: Window
    ) -> Floats:
        """Return the light of ``count`` strips of an aperture, per arcsec along it, averaged over
        ``spatial_scale`` arcsec; ``images`` are those of ``window``.

        ``s`` (m,) is where, in the coordinate of the aperture's traces: (images, count, m).
        """
        t, along = rotate(aperture.x, aperture.y, aperture.angle)
        q = self.setup.optics.pixel_scale
        edges = np.linspace(-0.5, 0.5, count + 1) * aperture.width
        half = aperture.length / 2
        origin = self.origin[0] + window.x0 * q, self.origin[1] + window.y0 * q
        near = self.near(aperture, window)
        left, bottom = near[1].start, near[0].start
        stack = np.stack([image[near] for image in images])
        t, along = t - origin[0] - left * q, along - origin[1] - bottom * q
        if aperture.slope:
            rows = (np.arange(stack.shape[1]) + 0.5) * q - along
            cut = _interpolated_by_row(_summed(stack), (t + edges + aperture.slope * rows[:, None]) / q)
        else:
            cut = _sums_up_to(stack, (t + edges) / q)
        lines = np.ascontiguousarray(np.diff(cut, axis=-1).swapaxes(1, 2))
        ends = [np.clip(s - aperture.offset + side * spatial_scale / 2, -half, half) for side in (-1, 1)]
        low, high = (_sums_up_to(lines, (along + end) / q) for end in ends)
        return np.asarray((high - low) / spatial_scale)

    def near(self, aperture: Aperture, window: Window) -> tuple[slice, slice]:
        """Return the part of an image of ``window`` that an aperture may take light from."""
        t, along = rotate(aperture.x, aperture.y, aperture.angle)
        q, breadth = self.setup.optics.pixel_scale, _breadth(aperture)
        origin = self.origin[0] + window.x0 * q, self.origin[1] + window.y0 * q
        left, bottom = (
            max(math.floor((place - size / 2 - start) / q) - 1, 0)
            for place, size, start in ((t, breadth, origin[0]), (along, aperture.length, origin[1]))
        )
        return (
            slice(bottom, bottom + math.ceil(aperture.length / q) + 4),
            slice(left, left + math.ceil(breadth / q) + 4),
        )

    def inside(self, image: Image, aperture: Aperture, window: Window) -> float:
        """Return the light of ``image``, of ``window``, within an aperture."""
        mean = self.profiles([image], aperture, 1, np.array([aperture.offset]), aperture.length, window)
        return float(mean[0, 0, 0]) * aperture.length


def uniform(aperture: Aperture, s: Floats, spatial_scale: float) -> Floats:
    """Return the profile (1, m) of what fills the field: arcsec2 per arcsec along the aperture."""
    half, edges = aperture.length / 2, np.linspace(-0.5, 0.5, 2) * aperture.width
    low, high = (np.clip(s - aperture.offset + side * spatial_scale / 2, -half, half) for side in (-1, 1))
    return np.outer(np.diff(edges), (high - low) / spatial_scale)


def disc(radius: float, edges: Floats, s: Floats, spatial_scale: float) -> Floats:
    """Return the fractions of a circle between ``edges`` across, per unit of ``s``, averaged over ``spatial_scale``."""
    low, high = (circle_below(edges, s + side * spatial_scale / 2, radius) for side in (-1, 1))
    return np.diff(high - low, axis=1).T / (spatial_scale * math.pi * radius**2)


def build(
    light: Illumination, scene: Scene, drift: Drift, spectrograph: Spectrograph, state: ExposureState | None = None
) -> SlitPlane:
    """Return the plane of the apertures for the whole ``scene``; ``state`` is as in `spectrometer.prepare`.

    Raises
    ------
    ResourceError
        The apertures do not all have the same angle, a multiple of 90 deg.
    """
    setup = light.setup
    angles = {a.angle for a in spectrograph.apertures}
    if len(angles) > 1 or min(angles) % 90.0:
        raise ResourceError("apertures must share one angle, a multiple of 90 deg: the position angle turns the field")
    angle = min(angles)
    widest = max(strips(a, spectrograph.dispersion_scale) for a in spectrograph.apertures)
    width = min(a.width for a in spectrograph.apertures) / widest
    finest = min(setup.optics.pixel_scale / 2, width)
    q = width / math.ceil(width / finest)
    across, along = [], []
    reach = spectrograph.beam_reach(setup.optics.band)
    for a in spectrograph.apertures:
        t, u = rotate(a.x, a.y, angle)
        across += [t - _breadth(a) / 2, t + _breadth(a) / 2]
        along += [u - a.length / 2 - reach, u + a.length / 2 + reach]
    nx, ny = (math.ceil((max(ends) - min(ends)) / q - 1e-6) + 2 for ends in (across, along))
    origin = (max(across) + min(across) - nx * q) / 2, (max(along) + min(along) - ny * q) / 2
    centre = origin[0] + nx * q / 2, origin[1] + ny * q / 2
    x, y = rotate(*centre, -angle)
    chip = Chip(1, "", x / q, y / q, -angle % 360.0, 1.0, 0.0, 0.0)
    detector = replace(setup.detector, nx=nx, ny=ny, pixel_mm=1.0, chips=(chip,))
    optics = replace(setup.optics, pixel_scale=q, plate_scale=q, distortion=0.0)
    virtual = replace(setup, optics=optics, detector=detector, spectrograph=None)

    def prepare(wave: float) -> imager.Imager:
        own = replace(light, setup=replace(virtual, optics=replace(optics, filter_centre=wave)))
        samples = np.array([wave]), np.ones(1)
        if state is not None and optics.coronagraph is not None:
            return imager.prepare_behind_mask(own, scene, state, samples)
        return imager.prepare(own, scene, samples, over_field=True)

    psf_wave = np.geomspace(*setup.optics.band, max(1, math.ceil(steps(setup.optics.band))) + 1)
    imagers = parallel.gather(prepare, [float(w) for w in psf_wave])
    masks = [one.mask for one in imagers if one.mask is not None]
    speckled = q * math.hypot(nx, ny) / 2 if masks else 0.0
    beams = reach - min(spectrograph.beam_reach((one, one)) for one in setup.optics.band)
    wave = wavelengths(setup.optics.band, drift, min(one.psf.fwhm for one in imagers), speckled, beams)
    nearest = np.argmin(np.abs(np.log(wave[:, None] / psf_wave)), axis=1)
    displacements = [drift.at(float(w)) for w in wave]
    chips = tuple(replace(chip, x_mm=chip.x_mm - dx / q, y_mm=chip.y_mm - dy / q) for dx, dy in displacements)
    seen = [replace(a, length=a.length + 2 * reach) for a in spectrograph.apertures]
    windows = _windows(seen, angle, origin, (nx, ny), q)
    drawn = [imagers[n] for n in nearest]
    if state is not None and masks:
        behind = behind_mask.over_band(masks, wave, state)
        drawn = [replace(one, psf=mask.target, mask=mask) for one, mask in zip(drawn, behind, strict=True)]
    return SlitPlane(virtual, wave, tuple(drawn), chips, origin, windows)


def _windows(
    apertures: Sequence[Aperture], angle: float, origin: tuple[float, float], size: tuple[int, int], q: float
) -> tuple[Window, ...]:
    """Return the part of a plane (``size`` pixels of ``q`` arcsec) about each aperture; () if most of it is lit."""
    nx, ny = size
    windows = []
    for a in apertures:
        t, u = rotate(a.x, a.y, angle)
        ends = [
            (max(math.floor((place - length / 2 - start) / q) - BORDER, 0),
             min(math.ceil((place + length / 2 - start) / q) + BORDER, count))
            for place, length, start, count in ((t, _breadth(a), origin[0], nx), (u, a.length, origin[1], ny))
        ]  # fmt: skip
        (x0, x1), (y0, y1) = ends
        windows.append(Window(x0, y0, x1 - x0, y1 - y0))
    return tuple(windows) if sum(w.nx * w.ny for w in windows) * MAX_EMPTY < nx * ny else ()


def restricted(whole: imager.Imager, scene: Scene) -> imager.Imager:
    """Return an Imager for a part of its scene: its PSFs are those of the stars that are left."""
    if whole.zones is not None or len(whole.psf.fine) == 1:
        return replace(whole, scene=scene)
    numbers = {place: n for n, place in enumerate(zip(whole.scene.x, whole.scene.y, strict=True))}
    own = [numbers[place] for place in zip(scene.x, scene.y, strict=True)]
    if not own:
        return replace(whole, scene=scene)
    psf = replace(whole.psf, fine=whole.psf.fine[own], coarse=whole.psf.coarse[own])
    return replace(whole, scene=scene, psf=psf)


def _breadth(aperture: Aperture) -> float:
    """Return how much of the field an aperture spans across, arcsec: a tilted slit more than its width."""
    return aperture.width + abs(aperture.slope) * aperture.length


def _interpolated_by_row(table: Floats, at: Floats) -> Floats:
    """Return ``table`` (images, rows, n) at fractional columns ``at`` (rows, k) of each row: (images, rows, k)."""
    at = np.clip(at, 0.0, table.shape[-1] - 1)
    low = np.minimum(at.astype(int), table.shape[-1] - 2)
    part, row = at - low, np.arange(low.shape[0])[:, None]
    return np.asarray(table[:, row, low] * (1.0 - part) + table[:, row, low + 1] * part)


def _summed(values: NDArray[Any]) -> Floats:
    """Return the sums (..., n + 1) up to each place of the last axis."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1))
    np.cumsum(values, axis=-1, dtype=float, out=sums[..., 1:])
    return sums


def _sums_up_to(values: NDArray[Any], at: Floats) -> Floats:
    """Return the sums (a, b, k) of ``values`` (a, b, n) up to fractional places ``at`` (k,), those of all beyond."""
    from elvis_cli.kernels import dispersion

    at = np.clip(at, 0.0, values.shape[-1])
    low = np.minimum(at.astype(int), values.shape[-1] - 1)
    return np.asarray(dispersion.sums_up_to(values, low, at - low))
