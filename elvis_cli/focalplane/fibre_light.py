"""The light of fibres, order by order: each fibre's spectrum in the shape of its images in the slit.

All fibres of an order lie beside each other in one slit and are drawn together. A fibre's image is an evenly lit
ellipse, whatever fell into the fibre, blurred by the optics.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.focalplane import slit_plane
from elvis_cli.focalplane.aperture_light import EDGE, Band
from elvis_cli.focalplane.fibre_plane import FibrePlane
from elvis_cli.focalplane.layers import PITCH, gaussian, smoothed
from elvis_cli.focalplane.trace import FINE, SampledTrace
from elvis_cli.light.groups import Group, density
from elvis_cli.light.illumination import Illumination
from elvis_cli.light.uniform import UniformSource
from elvis_cli.model.spectrograph import SIGMA, Aperture, Spectrograph

APART = 8
"""Samples along the slit between the rows of two images that are looked at one by one."""
BLOCK = 4096
"""Samples along the dispersion that are summed at once."""


@dataclass(frozen=True, slots=True, eq=False)
class FibreLayers:
    """The light of all fibres of one order: strips of their images times their spectra."""

    profiles: Image
    """(r, m) per arcsec at samples ``first[r]`` ... of s: one a strip of an image."""
    first: NDArray[np.int64]
    fibre: NDArray[np.int64]
    """Index into the spectra (r,)."""
    shift: Floats
    """Pixels along the dispersion (r,): the strip's place in the image."""
    stretch: Floats
    """Factor on ``shift`` at the samples of the trace (n,)."""
    spectra: dict[str, Image]
    """Of each part of the light: (fibres, n) electrons/s/pixel at the samples of the trace, averaged over a pixel and a
    strip."""

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.profiles.nbytes + sum(one.nbytes for one in self.spectra.values())

    def straight(self, s: slice, p: Floats, parts: Collection[str], fibre: int | None = None) -> Image:
        """Return the sum of some parts, electrons/s/pixel/arcsec, at samples ``s`` of the slit and ``p`` of the trace.

        ``fibre`` is the only one to be shown, all are if not given. ``p`` ascends evenly.
        """
        from elvis_cli.kernels import fibres as kernel

        out = np.zeros((s.stop - s.start, p.size), np.float32)
        near = (self.first + self.profiles.shape[1] > s.start) & (self.first < s.stop)
        near &= True if fibre is None else self.fibre == fibre
        wanted = [one for part, one in self.spectra.items() if part in parts]
        if not wanted or not near.any():
            return out
        used, which = np.unique(self.fibre[near], return_inverse=True)
        profiles, first, shift = self.profiles[near], self.first[near] - s.start, self.shift[near] * FINE
        reach = math.ceil(float(np.abs(shift).max() * self.stretch.max())) + 1
        for start in range(0, p.size, BLOCK):
            at = p[start : start + BLOCK]
            low, high = max(math.floor(at[0]) - reach, 0), max(math.ceil(at[-1]) + reach + 2, 0)
            spectra = np.sum([one[used, low:high] for one in wanted], axis=0, dtype=np.float32)
            block = np.zeros((out.shape[0], at.size), np.float32)
            stretch = np.interp(at, np.arange(self.stretch.size), self.stretch)
            kernel.add(block, profiles, first, spectra, which, shift, stretch, at - low)
            out[:, start : start + BLOCK] = block
        return out


@dataclass(frozen=True, eq=False)
class FibreLight:
    """The light that enters each fibre, and the layers of it along each order."""

    spectrograph: Spectrograph
    groups: tuple[Group, ...]
    light: Illumination
    plane: FibrePlane
    traces: tuple[SampledTrace, ...]

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """The orders, each with the slit that all its fibres lie in."""
        found: dict[tuple[int, int], list[int]] = {}
        for number, sampled in enumerate(self.traces):
            found.setdefault(_course(sampled), []).append(number)
        return tuple(self._band(numbers) for numbers in found.values())

    def aperture(self, sampled: SampledTrace) -> Aperture:
        """Return the fibre of a trace."""
        return self.spectrograph.apertures[sampled.trace.aperture]

    def grid(self, band: Band) -> tuple[Floats, float]:
        """Return the samples of s (arcsec) of an order's slit, and their pitch."""
        pitch = band.sampled.spatial_scale * PITCH
        count = 2 * math.ceil(band.aperture.length / 2 / pitch + EDGE) + 1
        return np.asarray(band.aperture.offset + (np.arange(count) - count // 2) * pitch, float), pitch

    def enslitted(self, number: int, waves: Sequence[int] | None = None) -> Floats:
        """Return the fraction of the scene's light in a fibre, at all wavelengths of the plane or some."""
        scenes = [group.scene for group in self.groups]
        whole = sum(float(np.sum(scene.rate)) + sum(one.rate for one in scene.extended) for scene in scenes)
        whole = (whole + sum(float(np.sum(rate)) for scene in scenes for _, rate in scene.galaxies)) or 1.0
        inside = sum((light[:, number] for light in self._collected.values()), np.zeros(self.plane.wave.size))
        return (inside if waves is None else inside[list(waves)]) / whole

    def layers(self, number: int) -> FibreLayers:
        """Return the layers of an order; not to be changed."""
        if number not in self._kept:
            self._kept[number] = self._build(self.bands[number])
        return self._kept[number]

    def rows(self, number: int, _centre: float, _reach: int) -> Floats:
        """Return s (arcsec) of the pixels across all images of the fibre of trace ``number``."""
        sampled = self.traces[number]
        aperture, scale = self.aperture(sampled), sampled.spatial_scale
        count = 2 * round(aperture.length / scale / 2 + self.spectrograph.blur * 0.5) + 1
        places = np.sort(aperture.images)
        runs = np.split(places, np.flatnonzero(np.diff(places) > count * scale) + 1)  # images that overlap share rows
        counts = [count + math.ceil((run[-1] - run[0]) / scale) for run in runs]
        return np.concatenate(
            [(run[0] + run[-1]) / 2 + (np.arange(n) - (n - 1) / 2) * scale for run, n in zip(runs, counts, strict=True)]
        )

    def on_rows(self, number: int, rows: Floats, p: Floats, kinds: Sequence[Collection[str]]) -> list[Image]:
        """Return each of some kinds of light of the fibre of trace ``number`` on pixels at ``rows`` of s and ``p``."""
        return [self._on_rows(number, rows, p, parts) for parts in kinds]

    def _on_rows(self, number: int, rows: Floats, p: Floats, parts: Collection[str]) -> Image:
        sampled = self.traces[number]
        order = next(n for n, band in enumerate(self.bands) if number in band.traces)
        band = self.bands[order]
        grid, pitch = self.grid(band)
        fibre = band.traces.index(number)
        at, result = (rows - grid[0]) / pitch, np.zeros((rows.size, p.size), np.float32)
        low, part = np.floor(at).astype(np.int64), (at - np.floor(at)).astype(np.float32)
        samples, scale = (p - sampled.p[0]) * FINE, np.float32(sampled.spatial_scale)
        # images that lie apart one by one: what is between them is dark
        for run in np.split(np.arange(rows.size), np.flatnonzero(np.diff(low) > APART) + 1):
            lines = self.layers(order).straight(slice(low[run[0]], low[run[-1]] + 2), samples, parts, fibre)
            for n in run:
                below, above = lines[low[n] - low[run[0]]], lines[low[n] - low[run[0]] + 1]
                result[n] = (below * (1 - part[n]) + above * part[n]) * scale
        return np.ascontiguousarray(result.T)

    @cached_property
    def _kept(self) -> dict[int, FibreLayers]:
        return {}

    @cached_property
    def _collected(self) -> dict[tuple[int, str], Floats]:
        """The electrons/s of each group and part of the light in each fibre: (waves, fibres)."""
        found = {}
        sees = np.array([one.feed == "sky" for one in self.spectrograph.apertures])
        for number, group in enumerate(self.groups):
            scene = group.scene
            if scene.rate.size:
                found[number, "stars"] = self.plane.light(scene, frozenset({"stars"})) * sees
            if scene.extended or scene.galaxies or scene.surface:
                found[number, "galaxies"] = self.plane.light(scene, frozenset({"galaxies"})) * sees
        return found

    def _half(self, aperture: Aperture, scale: float) -> float:
        """Return the half height (arcsec of the slit) of the image of a fibre, blur included."""
        return aperture.length / 2 + scale * (0.5 + 1.5 * self.spectrograph.blur)

    def _band(self, numbers: list[int]) -> Band:
        first = self.traces[numbers[0]]
        halves = [self._half(self.aperture(self.traces[n]), first.spatial_scale) for n in numbers]
        images = [self.aperture(self.traces[n]).images for n in numbers]
        low = min(min(some) - half for some, half in zip(images, halves, strict=True))
        high = max(max(some) + half for some, half in zip(images, halves, strict=True))
        width = max(self.aperture(self.traces[n]).width for n in numbers)
        slit = Aperture(0.0, 0.0, high - low, width, offset=(low + high) / 2, fibre=True)
        return Band(first, slit, tuple(numbers))

    def _build(self, band: Band) -> FibreLayers:
        sampled, blur = band.sampled, self.spectrograph.blur
        grid, pitch = self.grid(band)
        profiles, first, fibre, shift = [], [], [], []
        for n, number in enumerate(band.traces):
            one = self.aperture(self.traces[number])
            strips, centres = self._strips(one)
            reach = math.ceil(self._half(one, sampled.spatial_scale) / pitch) + 2 * EDGE
            for place in one.images:
                start = round((place - grid[0]) / pitch) - reach
                s = grid[0] + (start + np.arange(2 * reach + 1)) * pitch - place
                profiles.append(_image(one, strips, s, sampled.spatial_scale, blur / PITCH) / len(one.images))
                first += [start] * strips
                fibre += [n] * strips
                shift += centres.tolist()
        wide = max(one.shape[1] for one in profiles)
        padded = np.concatenate([np.pad(one, ((0, 0), (0, wide - one.shape[1]))) for one in profiles])
        curve = self.aperture(self.traces[band.traces[0]]).stretch
        stretch = np.ones(sampled.wave.size) if curve is None else curve.at(sampled.wave)
        return FibreLayers(
            padded.astype(np.float32), np.array(first), np.array(fibre), np.array(shift), stretch, self._spectra(band)
        )

    def _strips(self, aperture: Aperture) -> tuple[int, Floats]:
        """Return into how many strips an image is cut, and their places in pixels."""
        scale = self.spectrograph.dispersion_scale
        count = slit_plane.strips(aperture, scale)
        return count, ((np.arange(count) + 0.5) / count - 0.5) * aperture.width / scale

    def _spectra(self, band: Band) -> dict[str, Image]:
        """Return the electrons/s/pixel of each part of the light in each fibre (fibres, n)."""
        sampled = band.sampled
        low, high = sampled.wave[0], sampled.wave[-1]
        edges = np.linspace(low, high, math.ceil((high - low) / float(np.diff(sampled.wave).min())) + 1)
        middle, width = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
        members = [self.spectrograph.apertures[self.traces[n].trace.aperture] for n in band.traces]
        passed = sampled.passed
        indices = [self.traces[n].trace.aperture for n in band.traces]
        result = {
            part: np.zeros((len(members), sampled.wave.size), np.float32)
            for part in sorted({kind for _, kind in self._collected} | {one.part for one in self.light.uniform})
        }
        for source in self.light.uniform:
            spectrum = self._along(sampled, edges, source.density(edges) * width, passed, members[0])
            for n, one in enumerate(members):
                if _sees(one, source):
                    area = math.pi / 4 * one.extent[0] ** 2
                    result[source.part][n] += (spectrum * (area * one.transmission)).astype(np.float32)
        budget = self.light.budget
        collected = budget.electrons_per_photon(edges) * budget.area * width
        scene: dict[tuple[str, int], Floats] = {}
        for number, group in enumerate(self.groups):
            own = {part: light for (m, part), light in self._collected.items() if m == number}
            lit = {
                (part, n): light[:, k]
                for part, light in own.items()
                for n, k in enumerate(indices)
                if light[:, k].any()
            }
            if not lit or (group.band is not None and (group.band[1] <= low or group.band[0] >= high)):
                continue
            electrons = density(group, edges, budget.resolved is not None) * collected
            for key, light in lit.items():
                more = electrons * np.interp(middle, self.plane.wave, light)
                scene[key] = scene[key] + more if key in scene else more

        def along(key: tuple[str, int]) -> Floats:
            return self._along(sampled, edges, scene[key], passed, members[key[1]]) * members[key[1]].transmission

        for (part, n), spectrum in zip(scene, parallel.gather(along, list(scene)), strict=True):
            result[part][n] += spectrum.astype(np.float32)
        return result

    def _along(
        self, sampled: SampledTrace, edges: Floats, electrons: Floats, passed: Floats, aperture: Aperture
    ) -> Floats:
        """Return electrons/s/pixel (n,) along a trace from those between ``edges``, blurred, as a strip sees them."""
        strips, _ = self._strips(aperture)
        counts = np.interp(sampled.edges, edges, np.concatenate([[0.0], np.cumsum(electrons)]))
        width = aperture.width / self.spectrograph.dispersion_scale / strips
        return smoothed(np.diff(counts) * passed * FINE, width, self.spectrograph.blur / SIGMA)


def _image(aperture: Aperture, strips: int, s: Floats, scale: float, blur: float) -> Floats:
    """Return the fractions of an image in strips across it (strips, m), per arcsec, blurred (FWHM in samples)."""
    # an ellipse is a disc in units of its length
    edges = np.linspace(-0.5, 0.5, strips + 1) * aperture.length
    profiles = slit_plane.disc(aperture.length / 2, edges, s, scale)
    return gaussian(profiles, blur / SIGMA) if blur else profiles


def _sees(aperture: Aperture, source: UniformSource) -> bool:
    return source.part == "thermal" or aperture.feed == source.feed


def _course(sampled: SampledTrace) -> tuple[int, int]:
    """Return what traces share that lie in one slit."""
    return id(sampled.trace.x), id(sampled.trace.y)
