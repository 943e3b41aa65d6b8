"""Spectroscopy: the light of the apertures, dispersed along the traces onto the pixels of each chip."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats
from elvis_cli.base.constants import LIGHT
from elvis_cli.focalplane import imager, slit_plane
from elvis_cli.focalplane import trace as tracing
from elvis_cli.focalplane.layers import FEW, PITCH, Layers, Pile, smoothed, wings
from elvis_cli.focalplane.renderer import PARTS
from elvis_cli.focalplane.samples import Samples, Wavelengths
from elvis_cli.focalplane.slit_plane import Plane
from elvis_cli.focalplane.trace import FINE, STEP, Nodes, SampledTrace
from elvis_cli.light.compose import Scene
from elvis_cli.light.groups import Group, density
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.psf_model import AoPsf, CubePsf
from elvis_cli.model.setup import Setup
from elvis_cli.model.spectrograph import SIGMA, Aperture, Spectrograph, Trace
from elvis_cli.optics.psf_types import Psf
from elvis_cli.sky.pointing import ExposureGeometry

Image = NDArray[np.float32]
EDGE = 3
"""Samples beside those that are needed: the cubic's reach, and one."""
TELLABLE = 10
"""Parts of a pixel's velocity that still count."""
SCENE = frozenset(("stars", "galaxies"))
"""Parts of the light that are not background."""
RESOLUTION = 6000
"""Of the sky's table (`elvis_cli.sky.local`)."""
KEPT = 2**28
"""Bytes of all traces' layers up to which they are made once."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """The spectra of one order on a grid that is fine compared with its pixels."""

    edges: Floats
    groups: tuple[Floats, ...]
    """Electrons/s (n,) in each bin of each group's rate of 1."""
    uniform: tuple[Floats, ...]
    """The same per arcsec2."""


@dataclass(frozen=True, eq=False)
class Spectrometer:
    """One observation's spectra, ready to be drawn on any chip."""

    spectrograph: Spectrograph
    scene: Scene
    """All of it, with the rates that an image would have."""
    groups: tuple[Group, ...]
    light: Illumination
    plane: Plane
    courses: tuple[SampledTrace, ...]
    """The traces in units of pixels."""
    notes: tuple[str, ...] = ()

    @property
    def setup(self) -> Setup:
        """The Setup as the light meets it."""
        return self.light.setup

    @property
    def psf(self) -> Psf:
        """The target's, in the middle of the band."""
        return self.plane.psfs[len(self.plane.wave) // 2]

    def illuminate(self, chip: Chip, window: Window, parts: frozenset[str] = PARTS) -> Image:
        """Return the expected electrons/s of every pixel of ``window`` (ny, nx) on ``chip``: no noise, no dark.

        ``parts`` of the light are drawn; an infinite target counts as a galaxy, warm optics are thermal.
        """
        from elvis_cli.kernels import dispersion

        image = np.zeros((window.ny, window.nx), np.float32)
        drawn = [
            (number, nodes)
            for number in range(len(self.courses))
            if (nodes := self._nodes(number, chip)) is not None
            and nodes.x0 < window.x0 + window.nx
            and nodes.x1 > window.x0
            and nodes.y0 < window.y0 + window.ny
            and nodes.y1 > window.y0
        ]
        layers = dict(
            zip((n for n, _ in drawn), parallel.gather(lambda item: self._layers(item[0]), drawn), strict=True)
        )

        def work(_: int, rows: slice) -> None:
            row = window.y0 + rows.start
            for number, nodes in drawn:
                found = self._rectified(number, nodes, layers[number], row, row + rows.stop - rows.start, window, parts)
                if found is not None:
                    rectified, first, pitch = found
                    box = nodes.x0, nodes.y0, nodes.x1, nodes.y1
                    within = nodes.p, nodes.s, nodes.density
                    dispersion.resample(image[rows], row, window.x0, box, STEP, within, rectified, first, pitch)

        parallel.for_rows(window.ny, work)
        return image

    def wavelengths(self, chip: Chip, window: Window) -> Wavelengths:
        """Return what each pixel of a window sees."""
        from elvis_cli.kernels import dispersion

        shape = window.ny, window.nx
        found = Wavelengths(
            np.full(shape, np.nan, np.float32), np.zeros(shape, np.int16), np.full(shape, -1, np.int16),
            np.full(shape, np.nan, np.float32),
        )  # fmt: skip
        for number, course in enumerate(self.courses):
            nodes = self._nodes(number, chip)
            if nodes is None:
                continue
            aperture = self.spectrograph.apertures[course.trace.aperture]
            left, right = max(nodes.x0, window.x0), min(nodes.x1, window.x0 + window.nx)
            low, high = max(nodes.y0, window.y0), min(nodes.y1, window.y0 + window.ny)
            if left >= right or low >= high:
                continue
            cut = slice(low - window.y0, high - window.y0), slice(left - window.x0, right - window.x0)
            p, s = np.full((2, high - low, right - left), np.nan)
            half = aperture.length / 2
            limits = 0.0, course.length, aperture.offset - half, aperture.offset + half
            box = nodes.x0, nodes.y0, nodes.x1, nodes.y1
            dispersion.locate(p, s, low, left, box, STEP, (nodes.p, nodes.s, nodes.density), limits)
            lit = np.isfinite(p)
            found.wave[cut][lit] = np.interp(p[lit], course.p, course.wave)
            found.order[cut][lit], found.aperture[cut][lit] = course.trace.order, course.trace.aperture
            found.s[cut][lit] = s[lit]
        return found

    def samples(self, number: int, reach: int) -> Samples:
        """Return the light around the target, ``reach`` pixels to either side, along trace ``number``."""
        course, graph = self.courses[number], self.spectrograph
        aperture = graph.apertures[course.trace.aperture]
        centre = aperture.offset + aperture.within(*self.scene.centre)[1]
        rows = centre + np.arange(-reach, reach + 1) * course.row
        rows = rows[np.abs(rows - aperture.offset) <= aperture.length / 2]
        if not rows.size:
            rows = np.array([aperture.offset])
        p = np.arange(0.5, course.length, 1.0)
        wave = np.interp(p, course.p, course.wave)
        layers = self._layers(number)
        grid, pitch = self._grid(course, aperture)
        at = (rows - grid[0]) / pitch
        near = slice(math.floor(at[0]), math.ceil(at[-1]) + 2)
        below = np.floor(at).astype(int) - near.start
        part = (at - np.floor(at)).astype(np.float32)

        def seen(parts: frozenset[str]) -> Image:
            lines = layers.straight(near, (p - course.p[0]) * FINE, parts) * np.float32(course.row)
            return np.asarray(lines[below].T * (1 - part) + lines[below + 1].T * part, np.float32)

        x, y = course.trace.place(wave, np.full(p.size, rows[rows.size // 2]))
        chip = np.zeros(p.size, np.int64)
        for one in self.setup.detector.chips:
            u, v = tracing.to_pixels(x, y, one, self.setup.detector)
            inside = (u > -0.5) & (u < self.setup.detector.nx - 0.5) & (v > -0.5) & (v < self.setup.detector.ny - 0.5)
            chip[inside] = one.id
        light, efficiency = self.light.budget, course.trace.efficiency.at(wave)
        return Samples(
            wave=wave,
            dispersion=np.gradient(wave, p),
            chip=chip,
            s=np.asarray(rows, float),
            centre=centre,
            target=seen(SCENE),
            background=seen(PARTS - SCENE),
            enslitted=np.interp(wave, self.plane.wave, self._inside(course.trace.aperture)),
            total=np.interp(wave, light.wave, light.total, left=0.0, right=0.0) * efficiency,
        )

    def beyond(self, near: Collection[int]) -> tuple[Floats, Floats]:
        """Return two wavelengths (um) and the fraction of the scene's light in all apertures but some, by number."""
        ends = [0, self.plane.wave.size - 1]
        far = [self._inside(n, ends) for n in range(len(self.spectrograph.apertures)) if n not in near]
        return self.plane.wave[ends], np.asarray(sum(far, np.zeros(2)))

    def _inside(self, number: int, waves: Sequence[int] | None = None) -> Floats:
        """Return the fraction of the scene's light in an aperture, at all wavelengths of the plane or some."""
        aperture = self.spectrograph.apertures[number]
        scenes = [group.scene for group in self.groups]
        whole = sum(float(np.sum(scene.rate)) + sum(one.rate for one in scene.extended) for scene in scenes)
        whole = (whole + sum(float(np.sum(rate)) for scene in scenes for _, rate in scene.galaxies)) or 1.0
        some = range(self.plane.wave.size) if waves is None else waves
        return np.array([self.plane.inside(self._whole[n], aperture) / whole for n in some])

    @cached_property
    def _whole(self) -> list[NDArray[Any]]:
        """The plane of the apertures with the light of all groups at each wavelength."""
        drawn = list(self._images.values())
        empty = np.zeros((self.plane.setup.detector.ny, self.plane.setup.detector.nx))
        return [sum((images[n] for images in drawn), empty) for n in range(self.plane.wave.size)]

    @cached_property
    def _images(self) -> dict[tuple[int, str], list[Image]]:
        """The plane of the apertures for each group and part of the light."""
        found = {}
        for number, group in enumerate(self.groups):
            scene = group.scene
            if scene.rate.size:
                found[number, "stars"] = self.plane.draw(scene, frozenset({"stars"}), group.band)
            if scene.extended or scene.galaxies or scene.surface:
                found[number, "galaxies"] = self.plane.draw(scene, frozenset({"galaxies"}), group.band)
        return found

    @cached_property
    def _orders(self) -> dict[int, _Order]:
        """The spectra by order."""
        together: dict[int, list[SampledTrace]] = {}
        for course in self.courses:
            together.setdefault(course.trace.order, []).append(course)
        made = parallel.gather(self._order, list(together.values()))
        return dict(zip(together, made, strict=True))

    def _order(self, members: list[SampledTrace]) -> _Order:
        low, high = min(c.wave[0] for c in members), max(c.wave[-1] for c in members)
        finest = min(float(np.diff(c.wave).min()) for c in members)
        edges = np.linspace(low, high, math.ceil((high - low) / finest) + 1)
        width, middle = np.diff(edges), (edges[1:] + edges[:-1]) / 2
        light = self.light.budget
        passed = np.interp(middle, light.wave, light.total, left=0.0, right=0.0) * light.area
        groups = []
        for group in self.groups:
            if group.band is not None and (group.band[1] <= low or group.band[0] >= high):
                groups.append(np.zeros(0))
                continue
            groups.append(density(group, edges) * passed * width)
        return _Order(edges, tuple(groups), tuple(source.density(edges) * width for source in self.light.uniform))

    def _grid(self, course: SampledTrace, aperture: Aperture) -> tuple[Floats, float]:
        """Return the samples of s (arcsec) of a rectified image, and their pitch."""
        pitch = course.row * PITCH
        beyond = aperture.length / 2 + course.row * (0.5 + 1.5 * self.spectrograph.blur) + EDGE * pitch
        count = 2 * math.ceil(beyond / pitch) + 1
        return np.asarray(aperture.offset + (np.arange(count) - count // 2) * pitch, float), pitch

    @cached_property
    def _made(self) -> dict[int, Layers]:
        """The layers of some traces, kept."""
        return {}

    def _layers(self, number: int) -> Layers:
        """Return the layers of a trace."""
        if number in self._made:
            return self._made[number]
        course, graph, plane = self.courses[number], self.spectrograph, self.plane
        aperture = graph.apertures[course.trace.aperture]
        order = self._orders[course.trace.order]
        count = slit_plane.strips(aperture, graph.across)
        s, _ = self._grid(course, aperture)
        wide, blur = aperture.width / graph.across, graph.blur / SIGMA
        low, high = course.trace.wave
        lit = (
            np.diff(np.clip(course.edges, low, high)) / np.diff(course.edges) * course.trace.efficiency.at(course.wave)
        )

        def spread(electrons: Floats, width: float) -> Floats:
            """Return electrons/s/pixel averaged over the pixel, a strip ``width`` pixels wide and the optics' blur."""
            counts = np.interp(course.edges, order.edges, np.concatenate([[0.0], np.cumsum(electrons)]))
            return smoothed(np.diff(counts) * lit * FINE, width, blur)

        # the last hat is that of what is the same at all wavelengths
        hats = np.stack([*(self._hat(course.wave, n) for n in range(plane.wave.size)), np.ones(course.wave.size)])
        pile = Pile(blur, hats)
        centres = ((np.arange(count) + 0.5) / count - 0.5) * wide
        spectra = {
            n: pile.spectrum(spread(electrons, wide / count))
            for n, electrons in enumerate(order.groups)
            if electrons.any()
        }
        for n in np.flatnonzero(hats[:-1].any(axis=1)).tolist():
            for part in ("stars", "galaxies"):
                own = {m: images[n] for (m, kind), images in self._images.items() if kind == part and m in spectra}
                if not own:
                    continue
                profiles = list(plane.profiles(list(own.values()), aperture, count, s, course.row))
                if len(profiles) > FEW:
                    profiles, rest, mean = wings(profiles, [pile.spectra[spectra[m]] for m in own])
                    pile.add(part, rest, centres, pile.spectrum(mean), n)
                for member, each in zip(own, profiles, strict=True):
                    pile.add(part, each, centres, spectra[member], n)
        for electrons, source in zip(order.uniform, self.light.uniform, strict=True):
            pieces = count if aperture.fibre else 1
            even = slit_plane.uniform(aperture, pieces, s, course.row)
            filled = pile.spectrum(spread(electrons, wide / pieces))
            pile.add(source.part, even, centres if pieces > 1 else np.zeros(1), filled, len(hats) - 1)
        made = pile.layers()
        if sum(one.nbytes for one in tuple(self._made.values())) + made.nbytes < KEPT:
            self._made[number] = made
        return made

    def _hat(self, wave: Floats, number: int) -> Floats:
        """Return the weight of the plane's wavelength ``number``: linear between neighbours, the ends hold."""
        weights = np.zeros(self.plane.wave.size)
        weights[number] = 1.0
        return np.interp(wave, self.plane.wave, weights)

    @cached_property
    def _found(self) -> dict[tuple[int, int], Nodes | None]:
        """The nodes of some traces on some chips, kept."""
        return {}

    def _nodes(self, number: int, chip: Chip) -> Nodes | None:
        """Return the nodes of a trace on a chip, None where it does not touch it."""
        key = number, chip.id
        if key not in self._found:
            course, graph = self.courses[number], self.spectrograph
            aperture = graph.apertures[course.trace.aperture]
            self._found[key] = tracing.on_chip(course, aperture, chip, self.setup.detector, _slack(graph, aperture))
        return self._found[key]

    def _rectified(
        self, number: int, nodes: Nodes, layers: Layers, low: int, high: int, window: Window, parts: frozenset[str]
    ) -> tuple[Image, tuple[float, float], tuple[float, float]] | None:
        """Return a trace, straightened, as far as rows low..high of the window see it."""
        rows = slice(max((low - nodes.y0) // STEP, 0), max(math.ceil((high - nodes.y0) / STEP) + 1, 0))
        columns = slice(
            max((window.x0 - nodes.x0) // STEP, 0), max(math.ceil((window.x0 + window.nx - nodes.x0) / STEP) + 1, 0)
        )
        p, s = nodes.p[rows, columns], nodes.s[rows, columns]
        if not p.size or not np.isfinite(p).any():
            return None
        course = self.courses[number]
        grid, pitch = self._grid(course, self.spectrograph.apertures[course.trace.aperture])
        first_p = course.p[0]
        span = (course.p.size - 1) // round(PITCH * FINE) + 1
        j0 = max(math.floor((np.nanmin(p) - first_p) / PITCH) - EDGE, 0)
        j1 = min(math.ceil((np.nanmax(p) - first_p) / PITCH) + EDGE + 1, span)
        reached = s[np.isfinite(p)]
        i0 = max(math.floor((reached.min() - grid[0]) / pitch) - EDGE, 0)
        i1 = min(math.ceil((reached.max() - grid[0]) / pitch) + EDGE + 1, grid.size)
        if j0 >= j1 or i0 >= i1:
            return None
        at = np.arange(j0, j1) * (PITCH * FINE)
        rectified = layers.straight(slice(i0, i1), at, parts)
        return rectified, (float(grid[i0]), first_p + j0 * PITCH), (pitch, PITCH)


def sampled_traces(graph: Spectrograph, pixel: float) -> tuple[SampledTrace, ...]:
    """Return the traces of a spectrograph in units of pixels, which are ``pixel`` mm wide."""
    return tuple(_course(trace, graph, pixel) for trace in graph.traces)


def velocity_step(courses: Sequence[SampledTrace]) -> float:
    """Return the velocity (km/s) that is a small part of what a pixel of the finest trace spans."""
    finest = max(float((c.wave[1:-1] / np.gradient(c.wave, c.p)[1:-1]).max()) for c in courses)
    return LIGHT * 1e-3 / finest / TELLABLE


def prepare(
    light: Illumination,
    graph: Spectrograph,
    courses: tuple[SampledTrace, ...],
    scene: Scene,
    groups: tuple[Group, ...],
    geometry: ExposureGeometry,
) -> Spectrometer:
    """Return the Spectrometer of an observation; ``scene`` is all of it, ``groups`` its parts of one spectrum each.

    Raises
    ------
    ResourceError
        The apertures cannot be drawn together.
    """
    setup = light.setup
    movement = slit_plane.drift(graph, setup, geometry.parallactic, geometry.position_angle)
    plane = slit_plane.lay(light, scene, movement, graph)
    resolution = graph.resolving_power(setup.optics.band, setup.detector.pixel_mm)
    notes: tuple[str, ...] = ()
    if resolution > RESOLUTION:
        notes += (
            f"sky: lines and absorption are those of a table of R = {RESOLUTION}, the spectrum's R is {resolution:.0f}",
        )
    if scene.x.size > imager.FEW and isinstance(setup.psf, AoPsf | CubePsf):
        notes += ("the target's PSF is that of all stars in the apertures",)
    return Spectrometer(graph, scene, groups, light, plane, courses, notes)


def _course(trace: Trace, graph: Spectrograph, pixel: float) -> SampledTrace:
    aperture = graph.apertures[trace.aperture]
    return tracing.follow(trace, aperture, pixel, _slack(graph, aperture))


def _slack(graph: Spectrograph, aperture: Aperture) -> float:
    """Return how many pixels beyond its ends a trace still has light."""
    return aperture.width / graph.across / 2 + 3.0 * graph.blur + 4.0
