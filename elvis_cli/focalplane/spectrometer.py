"""Spectroscopy: the light of the apertures, dispersed along the traces onto the pixels of each chip."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.constants import LIGHT
from elvis_cli.base.spectral_grid import bin_edges
from elvis_cli.focalplane import fibre_plane, imager, slit_plane, trace
from elvis_cli.focalplane.aperture_light import EDGE, ApertureLight, Band
from elvis_cli.focalplane.behind_mask import ExposureState
from elvis_cli.focalplane.fibre_light import FibreLayers, FibreLight
from elvis_cli.focalplane.layers import PITCH, Layers
from elvis_cli.focalplane.renderer import PARTS
from elvis_cli.focalplane.samples import Samples, Wavelengths
from elvis_cli.focalplane.trace import FINE, STEP, SampledTrace, TraceMap
from elvis_cli.light.compose import Scene
from elvis_cli.light.groups import Group
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.psf_model import AoPsf, CubePsf
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import Aperture, Spectrograph
from elvis_cli.optics.psf_types import Psf
from elvis_cli.scene import spectrum
from elvis_cli.sky.pointing import ExposureGeometry

VELOCITY_STEPS = 10
"""Parts of a pixel's velocity that still count."""
ROWS = 512
"""Of the detector that are drawn at once: an order along them is straightened for each block."""
SCENE = frozenset(("stars", "galaxies"))
"""Parts of the light that are not background."""
SKY_RESOLUTION = 6000
"""Of the sky's table (`elvis_cli.sky.local`)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pixels:
    """The pixels along a trace: arrays (n,)."""

    p: Floats
    wave: Floats
    dispersion: Floats
    total: Floats
    """Throughput from the atmosphere to the detector without the order's efficiency."""


@dataclass(frozen=True, eq=False)
class Spectrometer:
    """One observation's spectra, ready to be drawn on any chip."""

    scene: Scene
    """All of it, with the rates that an image would have."""
    apertures: ApertureLight | FibreLight
    """The light of the scene's parts of one spectrum each, in the apertures."""
    notes: tuple[str, ...] = ()

    @property
    def spectrograph(self) -> Spectrograph:
        """Apertures and traces."""
        return self.apertures.spectrograph

    @property
    def light(self) -> Illumination:
        """The light of the exposure."""
        return self.apertures.light

    @property
    def setup(self) -> Setup:
        """The Setup as the light meets it."""
        return self.light.setup

    @property
    def psf(self) -> Psf:
        """The PSF of the target in the middle of the band."""
        plane = self.apertures.plane
        return plane.psfs[len(plane.wave) // 2]

    def illuminate(self, chip: Chip, window: Window, parts: frozenset[str] = PARTS) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark.

        ``parts`` of the light are drawn; an infinite target counts as a galaxy, warm optics are thermal.
        """
        from elvis_cli.kernels import dispersion

        image = np.zeros((window.ny, window.nx), np.float32)
        numbers = range(len(self.apertures.bands))
        trace_maps = parallel.gather(partial(self._trace_map, chip=chip), numbers)
        maps = {
            number: trace_map
            for number, trace_map in zip(numbers, trace_maps, strict=True)
            if trace_map is not None
            and trace_map.x0 < window.x0 + window.nx
            and trace_map.x1 > window.x0
            and trace_map.y0 < window.y0 + window.ny
            and trace_map.y1 > window.y0
        }
        build: Callable[[int], Layers | FibreLayers] = self.apertures.layers
        layers = dict(zip(maps, parallel.gather(build, list(maps)), strict=True))

        def work(_: int, rows: slice) -> None:
            row = window.y0 + rows.start
            part = Window(window.x0, row, window.nx, rows.stop - rows.start)
            for number, trace_map in maps.items():
                rectified = self._rectify(self.apertures.bands[number], trace_map, layers[number], part, parts)
                if rectified is not None:
                    box = trace_map.x0, trace_map.y0, trace_map.x1, trace_map.y1
                    nodes = trace_map.p, trace_map.s, trace_map.density
                    dispersion.resample(image[rows], row, window.x0, box, STEP, nodes, *rectified)

        parallel.for_rows(window.ny, work, ROWS)
        return image

    def wavelengths(self, chip: Chip, window: Window) -> Wavelengths:
        """Return wavelength, order, aperture and place along it of each pixel of a window."""
        from elvis_cli.kernels import dispersion

        shape = window.ny, window.nx
        pixels = Wavelengths(
            np.full(shape, np.nan, np.float32), np.zeros(shape, np.int16), np.full(shape, -1, np.int16),
            np.full(shape, np.nan, np.float32),
        )  # fmt: skip
        for number, band in enumerate(self.apertures.bands):
            trace_map = self._trace_map(number, chip)
            if trace_map is None:
                continue
            sampled, aperture = band.sampled, band.aperture
            left, right = max(trace_map.x0, window.x0), min(trace_map.x1, window.x0 + window.nx)
            low, high = max(trace_map.y0, window.y0), min(trace_map.y1, window.y0 + window.ny)
            if left >= right or low >= high:
                continue
            cut = slice(low - window.y0, high - window.y0), slice(left - window.x0, right - window.x0)
            p, s = np.full((2, high - low, right - left), np.nan)
            half = aperture.length / 2
            limits = 0.0, sampled.length, aperture.offset - half, aperture.offset + half
            box = trace_map.x0, trace_map.y0, trace_map.x1, trace_map.y1
            dispersion.locate(p, s, low, left, box, STEP, (trace_map.p, trace_map.s, trace_map.density), limits)
            seen = self._aperture_at(band, s)
            inside = np.isfinite(p) & (seen >= 0)
            pixels.wave[cut][inside] = np.interp(p[inside], sampled.p, sampled.wave)
            pixels.order[cut][inside] = sampled.trace.order
            pixels.aperture[cut][inside] = seen[inside]
            pixels.s[cut][inside] = s[inside]
        return pixels

    def samples(self, number: int, reach: int) -> Samples:
        """Return the light around the target, ``reach`` pixels to either side, along trace ``number``."""
        sampled = self.apertures.traces[number]
        aperture = self.apertures.aperture(sampled)
        pixels = self._pixels(sampled)
        p, wave = pixels.p, pixels.wave
        beams = self.spectrograph.beams(aperture, sum(sampled.trace.wave) / 2)
        seen = min((one for _, one in beams), key=lambda one: abs(one.within(*self.scene.centre)[1]))
        centre = aperture.offset + (0.0 if aperture.fibre else seen.within(*self.scene.centre)[1])
        rows = self.apertures.rows(number, centre, reach)
        target, background = self.apertures.on_rows(number, rows, p, (SCENE, PARTS - SCENE))
        plane = self.apertures.plane
        return Samples(
            wave=wave,
            dispersion=pixels.dispersion,
            chip=self._chips_under(*sampled.trace.place(wave, np.full(p.size, rows[rows.size // 2]))),
            s=np.asarray(rows, float),
            centre=centre,
            target=target,
            background=background,
            enslitted=np.interp(wave, plane.wave, self.apertures.enslitted(sampled.trace.aperture)),
            total=pixels.total * sampled.trace.efficiency.at(wave),
        )

    def _pixels(self, sampled: SampledTrace) -> _Pixels:
        """Return the pixels along a trace; the fibres of an order share theirs."""
        key = id(sampled.wave)  # of an array that the traces keep: no other has its id
        if key not in self._kept_pixels:
            budget, p = self.light.budget, np.arange(0.5, sampled.length, 1.0)
            wave = np.interp(p, sampled.p, sampled.wave)
            if budget.resolved is None:
                total = np.interp(wave, budget.wave, budget.total, left=0.0, right=0.0)
            else:
                total = budget.electrons_per_photon(bin_edges(wave))
            self._kept_pixels[key] = _Pixels(p, wave, np.gradient(wave, p), total)
        return self._kept_pixels[key]

    @cached_property
    def _kept_pixels(self) -> dict[int, _Pixels]:
        return {}

    def beyond(self, near: Collection[int]) -> tuple[Floats, Floats]:
        """Return two wavelengths (um) and the fraction of the scene's light in all apertures but some, by number."""
        ends = [0, self.apertures.plane.wave.size - 1]
        others = [n for n in range(len(self.spectrograph.apertures)) if n not in near]
        fractions = [self.apertures.enslitted(n, ends) for n in others]
        return self.apertures.plane.wave[ends], np.asarray(sum(fractions, np.zeros(2)))

    def _aperture_at(self, band: Band, s: Floats) -> NDArray[np.int64]:
        """Return the aperture of a band at each ``s``, -1 beside all."""
        if not band.aperture.fibre:
            return np.full(s.shape, band.sampled.trace.aperture)
        images = [
            (place, one.length / 2, number)
            for number in (self.apertures.traces[n].trace.aperture for n in band.traces)
            for one in (self.spectrograph.apertures[number],)
            for place in one.images
        ]
        place, half, number = (np.array(column) for column in zip(*sorted(images), strict=True))
        nearest = np.searchsorted((place[1:] + place[:-1]) / 2, np.nan_to_num(s))
        return np.where(np.abs(s - place[nearest]) <= half[nearest], number[nearest], -1)

    def _chips_under(self, x: Floats, y: Floats) -> np.ndarray:
        """Return the number of the chip at each place (mm) of the focal plane, 0 in a gap."""
        detector = self.setup.detector
        chips = np.zeros(x.size, np.int64)
        for chip in detector.chips:
            u, v = trace.to_pixels(x, y, chip, detector)
            inside = (u > -0.5) & (u < detector.nx - 0.5) & (v > -0.5) & (v < detector.ny - 0.5)
            chips[inside] = chip.id
        return chips

    @cached_property
    def _trace_maps(self) -> dict[tuple[int, int], TraceMap | None]:
        """The maps of some traces on some chips, kept."""
        return {}

    def _trace_map(self, number: int, chip: Chip) -> TraceMap | None:
        """Return the map of a trace on a chip, None where it does not touch it."""
        key = number, chip.id
        if key not in self._trace_maps:
            band = self.apertures.bands[number]
            margin = _margin(self.spectrograph, band.aperture)
            self._trace_maps[key] = trace.map_on_chip(band.sampled, band.aperture, chip, self.setup.detector, margin)
        return self._trace_maps[key]

    def _rectify(
        self, band: Band, trace_map: TraceMap, layers: Layers | FibreLayers, window: Window, parts: frozenset[str]
    ) -> tuple[Image, tuple[float, float], tuple[float, float]] | None:
        """Return a trace, straightened, as far as a window shows it, with its first (s, p) and the steps of both."""
        rows, columns = (
            slice(max((first - start) // STEP, 0), max(math.ceil((first + count - start) / STEP) + 1, 0))
            for first, count, start in ((window.y0, window.ny, trace_map.y0), (window.x0, window.nx, trace_map.x0))
        )
        p, s = trace_map.p[rows, columns], trace_map.s[rows, columns]
        if not p.size or not np.isfinite(p).any():
            return None
        sampled = band.sampled
        grid, pitch = self.apertures.grid(band)
        first_p = sampled.p[0]
        span = (sampled.p.size - 1) // round(PITCH * FINE) + 1
        j0 = max(math.floor((np.nanmin(p) - first_p) / PITCH) - EDGE, 0)
        j1 = min(math.ceil((np.nanmax(p) - first_p) / PITCH) + EDGE + 1, span)
        reached = s[np.isfinite(p)]
        i0 = max(math.floor((reached.min() - grid[0]) / pitch) - EDGE, 0)
        i1 = min(math.ceil((reached.max() - grid[0]) / pitch) + EDGE + 1, grid.size)
        if j0 >= j1 or i0 >= i1:
            return None
        rectified = layers.straight(slice(i0, i1), np.arange(j0, j1) * (PITCH * FINE), parts)
        return rectified, (float(grid[i0]), first_p + j0 * PITCH), (pitch, PITCH)


def sampled_traces(spectrograph: Spectrograph, pixel: float) -> tuple[SampledTrace, ...]:
    """Return the traces of a spectrograph in units of pixels, which are ``pixel`` mm wide."""
    sampled: list[SampledTrace] = []
    shared: dict[tuple[int, int], SampledTrace] = {}
    slit = Aperture(0.0, 0.0, 1.0, max(one.width for one in spectrograph.apertures))
    for one in spectrograph.traces:
        aperture = spectrograph.apertures[one.aperture]
        if not aperture.fibre:
            sampled.append(trace.sample(one, aperture, pixel, _margin(spectrograph, aperture)))
            continue
        course = id(one.x), id(one.y)  # fibres that lie side by side in one slit
        if course not in shared:
            shared[course] = trace.sample(one, slit, pixel, _margin(spectrograph, slit))
        sampled.append(replace(shared[course], trace=one))
    return tuple(sampled)


def velocity_step(traces: Sequence[SampledTrace]) -> float:
    """Return the velocity (km/s) that is a small part of the range of a pixel of the finest trace."""
    distinct = {id(c.wave): c for c in traces}.values()  # fibres of an order share theirs
    finest = max(float((c.wave[1:-1] / np.gradient(c.wave, c.p)[1:-1]).max()) for c in distinct)
    return LIGHT * 1e-3 / finest / VELOCITY_STEPS


def prepare(
    light: Illumination,
    spectrograph: Spectrograph,
    traces: tuple[SampledTrace, ...],
    scene: Scene,
    groups: tuple[Group, ...],
    geometry: ExposureGeometry,
    state: ExposureState | None = None,
) -> Spectrometer:
    """Return the Spectrometer of an observation; ``scene`` is all of it, ``groups`` its parts of one spectrum each.

    ``state`` is that of an exposure with a coronagraph.

    Raises
    ------
    ResourceError
        The apertures cannot be drawn together.
    """
    setup = light.setup
    drift = slit_plane.refraction_drift(spectrograph, setup, geometry.parallactic, geometry.position_angle)
    resolution = spectrograph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    notes: tuple[str, ...] = ()
    if light.budget.resolved is not None:
        notes += spectrum.line_notes(groups[0].target.sed) if groups else ()
    elif resolution > SKY_RESOLUTION and not setup.atmosphere.site.space:
        notes += (
            f"sky: lines and absorption are those of a table of R = {SKY_RESOLUTION}, "
            f"the spectrum's R is {resolution:.0f}",
        )
    apertures: ApertureLight | FibreLight
    if all(aperture.fibre for aperture in spectrograph.apertures):
        if scene.x.size > imager.MAX_STARS_DRAWN_SINGLY and isinstance(setup.psf, AoPsf | CubePsf):
            notes += ("the target's PSF is that of all stars in the fibres",)
        fibres = fibre_plane.build(light, scene, drift, spectrograph)
        apertures = FibreLight(spectrograph, groups, light, fibres, traces)
    else:
        plane = slit_plane.build(light, scene, drift, spectrograph, state)
        apertures = ApertureLight(spectrograph, groups, light, plane, traces)
    return Spectrometer(scene, apertures, notes)


def _margin(spectrograph: Spectrograph, aperture: Aperture) -> float:
    """Return how many pixels beyond its ends a trace still has light."""
    return aperture.width / spectrograph.dispersion_scale / 2 + 3.0 * spectrograph.blur + 4.0
