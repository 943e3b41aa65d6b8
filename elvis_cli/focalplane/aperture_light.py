"""The light in the apertures, trace by trace: the slit plane's images times the spectra of each order, as layers."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image
from elvis_cli.focalplane import crowd_plane, shared_spectra, slit_plane
from elvis_cli.focalplane.crowd_plane import Crowd, Patch
from elvis_cli.focalplane.layers import PITCH, LayerBuilder, Layers, smoothed, split_wings
from elvis_cli.focalplane.shared_spectra import SharedSpectra
from elvis_cli.focalplane.slit_plane import SlitPlane
from elvis_cli.focalplane.trace import FINE, SampledTrace, edges_between
from elvis_cli.light.groups import Group, density
from elvis_cli.light.illumination import Illumination
from elvis_cli.model.elvis_block import Window
from elvis_cli.model.spectrograph import SIGMA, Aperture, Spectrograph

EDGE = 3
"""Samples beside those that are needed: the cubic's reach, and one."""
MAX_GROUPS_WITH_WINGS = 8
"""Spectra that keep the wings of their sources to themselves; of more, all wings have the mean spectrum."""
MAX_BIN = 2e-6
"""Of the wavelength: the bins in which lines of the star and of the air are multiplied, 0.6 km/s."""
NEAR_END = 8
"""Pixels from the end of an aperture within which pixels are counted from there."""
MAX_KEPT_BYTES = 2**28
"""Of all traces' layers up to which they are computed once: few of many are not worth their memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Light that is drawn at once: that of a trace, or of all fibres that lie side by side in an order."""

    sampled: SampledTrace
    aperture: Aperture
    """Slit that it fills: an aperture, or the one in which the fibres lie."""
    traces: tuple[int, ...]
    """Numbers of the traces."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """The spectra of one order on a grid that is fine compared with its pixels."""

    edges: Floats
    groups: tuple[Floats, ...]
    """Electrons/s (n,) in each bin of each group's rate of 1."""
    uniform: tuple[Floats, ...]
    """The same per arcsec2."""


@dataclass(frozen=True, eq=False)
class ApertureLight:
    """The light that enters each aperture, and the layers of it along each trace."""

    spectrograph: Spectrograph
    groups: tuple[Group, ...]
    light: Illumination
    plane: SlitPlane
    traces: tuple[SampledTrace, ...]

    def aperture(self, sampled: SampledTrace) -> Aperture:
        """Return the aperture of a trace."""
        return self.spectrograph.apertures[sampled.trace.aperture]

    @cached_property
    def bands(self) -> tuple[Band, ...]:
        """What is drawn at once: each trace alone."""
        return tuple(Band(one, self.aperture(one), (number,)) for number, one in enumerate(self.traces))

    def grid(self, band: Band) -> tuple[Floats, float]:
        """Return the samples of s (arcsec) of the profiles of a trace, and their pitch."""
        aperture, scale = band.aperture, band.sampled.spatial_scale
        pitch = scale * PITCH
        beyond = aperture.length / 2 + scale * (0.5 + 1.5 * self.spectrograph.blur) + EDGE * pitch
        count = 2 * math.ceil(beyond / pitch) + 1
        return np.asarray(aperture.offset + (np.arange(count) - count // 2) * pitch, float), pitch

    def enslitted(self, number: int, waves: Sequence[int] | None = None) -> Floats:
        """Return the fraction of the scene's light in an aperture, at all wavelengths of the plane or some."""
        aperture = self.spectrograph.apertures[number]
        scenes = [group.scene for group in self.groups]
        whole = sum(float(np.sum(scene.rate)) + sum(one.rate for one in scene.extended) for scene in scenes)
        whole = (whole + sum(float(np.sum(rate)) for scene in scenes for _, rate in scene.galaxies)) or 1.0
        some = range(self.plane.wave.size) if waves is None else waves
        window, sums = self.plane.window(number), self._sums(self.plane.window(number))

        def inside(n: int) -> float:
            beams = self.spectrograph.beams(aperture, float(self.plane.wave[n]))
            return sum(part * self.plane.inside(sums[n], seen, window) for part, seen in beams)

        return np.array([inside(n) / whole for n in some])

    def layers(self, number: int) -> Layers:
        """Return the layers of a trace; not to be changed."""
        if number in self._kept:
            return self._kept[number]
        layers = self._build(self.traces[number])
        kept = sum(one.nbytes for one in tuple(self._kept.values()))
        if kept + layers.nbytes < MAX_KEPT_BYTES and len(self.traces) * layers.nbytes < MAX_KEPT_BYTES:
            self._kept[number] = layers
        return layers

    def rows(self, number: int, centre: float, reach: int) -> Floats:
        """Return s (arcsec) of the pixels of a trace ``reach`` to either side of ``centre``, within the aperture.

        ``centre`` is in the middle of a pixel, unless an end of the aperture is near: whole pixels begin there, so that
        the two halves of a slice share none.
        """
        sampled = self.traces[number]
        aperture = self.aperture(sampled)
        scale, half = sampled.spatial_scale, aperture.length / 2
        rows = centre + np.arange(-reach, reach + 1) * scale
        end = aperture.offset + math.copysign(half, centre - aperture.offset)
        if abs(centre - end) < NEAR_END * scale:
            rows += (end - centre) % scale - scale / 2
        rows = rows[np.abs(rows - aperture.offset) <= half]
        return rows if rows.size else np.array([aperture.offset])

    def on_rows(self, number: int, rows: Floats, p: Floats, kinds: Sequence[Collection[str]]) -> list[Image]:
        """Return each of some kinds of parts of the light (n, m) on pixels at ``rows`` (m,) of s and ``p`` (n,)."""
        sampled = self.traces[number]
        grid, pitch = self.grid(self.bands[number])
        at = (rows - grid[0]) / pitch
        near = slice(math.floor(at[0]), math.ceil(at[-1]) + 2)
        below = np.floor(at).astype(int) - near.start
        part = (at - np.floor(at)).astype(np.float32)
        layers, samples = self.layers(number), (p - sampled.p[0]) * FINE
        images = []
        for parts in kinds:
            lines = layers.straight(near, samples, parts) * np.float32(sampled.spatial_scale)
            images.append(np.asarray(lines[below].T * (1 - part) + lines[below + 1].T * part, np.float32))
        return images

    @cached_property
    def _kept(self) -> dict[int, Layers]:
        """The layers of some traces, by number."""
        return {}

    @cached_property
    def _shared(self) -> dict[tuple[int, float], SharedSpectra]:
        """The spectra of a crowd, by order and width of a strip (pixels)."""
        return {}

    @cached_property
    def _drawn(self) -> dict[Window, dict[tuple[int, str], Sequence[Image | Patch]]]:
        """Images (electrons/s) of windows of the slit plane, by number of the spectrum and part of the light."""
        return {}

    @cached_property
    def _summed(self) -> dict[Window, list[NDArray[Any]]]:
        """The sums of some windows, kept."""
        return {}

    def _sums(self, window: Window) -> list[NDArray[Any]]:
        """Return a window of the slit plane with the light of all groups at each wavelength."""
        if window not in self._summed:
            images, empty = list(self._images(window).values()), np.zeros((window.ny, window.nx))
            whole = slice(0, window.ny), slice(0, window.nx)
            sums = [sum((group[n][whole] for group in images), empty) for n in range(self.plane.wave.size)]
            self._summed[window] = sums
        return self._summed[window]

    def _images(self, window: Window) -> dict[tuple[int, str], Sequence[Image | Patch]]:
        """Return a window of the slit plane at each wavelength, for each group and part of the light that it has."""
        if window in self._drawn:
            return self._drawn[window]
        images: dict[tuple[int, str], Sequence[Image | Patch]] = {}
        crowd = self._crowd
        if crowd is not None:
            images = {(number, "stars"): several for number, several in crowd.images(window).items()}
        for number, group in enumerate(self.groups):
            scene = group.scene
            if scene.rate.size and crowd is None:
                images[number, "stars"] = self.plane.draw(scene, frozenset({"stars"}), window, group.band)
            if scene.extended or scene.galaxies or scene.surface:
                images[number, "galaxies"] = self.plane.draw(scene, frozenset({"galaxies"}), window, group.band)
        if self.plane.windows:  # most groups are far from an aperture that is drawn alone
            images = {key: several for key, several in images.items() if any(image.any() for image in several)}
        self._drawn[window] = images
        return images

    @cached_property
    def _crowd(self) -> Crowd | None:
        """The stars of a crowd, None where each group's stars are drawn whole."""
        return crowd_plane.gather(
            self.plane, [group.scene for group in self.groups], [order.groups for order in self._own_orders.values()]
        )

    @cached_property
    def _orders(self) -> dict[int, _Order]:
        """The spectra by order: of the groups, then of the haloes that they share."""
        crowd, own = self._crowd, self._own_orders
        if crowd is None:
            return own
        return {
            number: replace(order, groups=(*order.groups, *crowd.mean(order.groups))) for number, order in own.items()
        }

    @cached_property
    def _own_orders(self) -> dict[int, _Order]:
        """The spectra of the groups by order."""
        together: dict[int, list[SampledTrace]] = {}
        for sampled in self.traces:
            together.setdefault(sampled.trace.order, []).append(sampled)
        return dict(zip(together, parallel.gather(self._order, list(together.values())), strict=True))

    def _order(self, members: list[SampledTrace]) -> _Order:
        low, high = min(c.wave[0] for c in members), max(c.wave[-1] for c in members)
        finest = min(float(np.diff(c.wave).min()) for c in members)
        edges = np.linspace(low, high, math.ceil((high - low) / finest) + 1)
        budget = self.light.budget
        parts = 1 if budget.resolved is None else math.ceil(finest / (low * MAX_BIN))
        fine = edges if parts == 1 else np.linspace(low, high, (edges.size - 1) * parts + 1)
        width = np.diff(fine)
        passed = budget.electrons_per_photon(fine) * budget.area
        groups = []
        for group in self.groups:
            if group.band is not None and (group.band[1] <= low or group.band[0] >= high):
                groups.append(np.zeros(0))
                continue
            groups.append(_summed(density(group, fine, budget.resolved is not None) * passed * width, parts))
        uniform = tuple(_summed(source.density(fine) * width, parts) for source in self.light.uniform)
        return _Order(edges, tuple(groups), uniform)

    def _build(self, sampled: SampledTrace) -> Layers:
        """Return the layers of a trace: strips of the apertures' images, times spectra, under the wavelengths' hats."""
        aperture, scale = self.aperture(sampled), self.spectrograph.dispersion_scale
        order = self._orders[sampled.trace.order]
        count = slit_plane.strips(aperture, scale)
        s, _ = self.grid(Band(sampled, aperture, ()))
        width = aperture.width / scale
        hats = [self._hat(sampled.wave, n) for n in range(self.plane.wave.size)]
        hats.append(np.ones(sampled.wave.size))  # of light that is spread alike at all wavelengths
        builder = LayerBuilder(self.spectrograph.blur / SIGMA, np.stack(hats))
        centres = ((np.arange(count) + 0.5) / count - 0.5) * width
        lit = [n for n, electrons in enumerate(order.groups) if electrons.any()]
        smooth = self._star_spectra(sampled, lit, width / count)
        spectra = {n: builder.spectrum(own) for n, own in zip(lit, smooth, strict=True)}
        window = self.plane.window(sampled.trace.aperture)
        drawn = self._images(window)
        for n in [n for n, hat in enumerate(hats[:-1]) if hat.any()]:
            beams = self.spectrograph.beams(aperture, float(self.plane.wave[n]))
            near = [self.plane.near(one, window) for _, one in beams]
            for part in ("stars", "galaxies"):
                parts = {m: each[n] for (m, kind), each in drawn.items() if kind == part and m in spectra}
                own = {m: image for m, image in parts.items() if any(_is_lit(image, cut) for cut in near)}
                if not own:
                    continue
                images = list(own.values())
                seen = [
                    part * self.plane.profiles(images, one, count, s, sampled.spatial_scale, window)
                    for part, one in beams
                ]
                profiles = list(seen[0] if len(seen) == 1 else seen[0] + seen[1])
                if len(profiles) > MAX_GROUPS_WITH_WINGS and not (part == "stars" and self._crowd):
                    profiles, wings, mean = split_wings(profiles, [builder.spectra[spectra[m]] for m in own])
                    builder.add(part, wings, centres, builder.spectrum(mean), n)
                for member, each in zip(own, profiles, strict=True):
                    builder.add(part, each, centres, spectra[member], n)
        even = slit_plane.uniform(aperture, s, sampled.spatial_scale)
        smooth = self._spectra(sampled, order, order.uniform, width)
        for own_spectrum, source in zip(smooth, self.light.uniform, strict=True):
            builder.add(source.part, even, np.zeros(1), builder.spectrum(own_spectrum), len(hats) - 1)
        return builder.layers()

    def _star_spectra(self, sampled: SampledTrace, lit: list[int], width: float) -> Floats | Image:
        """Return the spectra (spectra, n) of `_orders` that are ``lit`` along a trace, as `_spectra` does.

        Those of a crowd are made once for all traces of an order.
        """
        number = sampled.trace.order
        order, key = self._orders[number], (number, width)
        electrons = [order.groups[n] for n in lit]
        if self._crowd is None:
            return self._spectra(sampled, order, electrons, width)
        if key not in self._shared:
            wave = shared_spectra.covering([one.wave for one in self.traces if one.trace.order == number])
            smooth = smoothed(_densities(edges_between(wave), order, electrons), width, self.spectrograph.blur / SIGMA)
            self._shared[key] = SharedSpectra(wave, smooth.astype(np.float32))
        along = self._shared[key].along(sampled.wave)
        if along is None:
            return self._spectra(sampled, order, electrons, width)
        along *= sampled.passed.astype(np.float32)
        return along

    def _spectra(self, sampled: SampledTrace, order: _Order, electrons: Sequence[Floats], width: float) -> Floats:
        """Return electrons/s/pixel (spectra, n) along a trace, averaged over pixels and a strip ``width`` pixels wide.

        ``electrons`` are those of each spectrum in the bins of the order; the optics' blur is included.
        """
        densities = _densities(sampled.edges, order, electrons) * sampled.passed
        return smoothed(densities, width, self.spectrograph.blur / SIGMA)

    def _hat(self, wave: Floats, number: int) -> Floats:
        """Return the weight of the plane's wavelength ``number``: linear between neighbours, the ends hold."""
        weights = np.zeros(self.plane.wave.size)
        weights[number] = 1.0
        return np.interp(wave, self.plane.wave, weights)


def _is_lit(image: Image | Patch, part: tuple[slice, slice]) -> bool:
    """Return whether there is light in some rows and columns of an image."""
    return image.is_lit(part) if isinstance(image, Patch) else bool(image[part].any())


def _densities(edges: Floats, order: _Order, electrons: Sequence[Floats]) -> Floats:
    """Return electrons/s/pixel (spectra, n) between ``edges`` (n + 1,), samples of a trace, of spectra in an order."""
    counts = np.empty((len(electrons), edges.size))
    for own, line in zip(electrons, counts, strict=True):
        line[:] = np.interp(edges, order.edges, np.concatenate([[0.0], np.cumsum(own)]))
    return np.diff(counts) * FINE


def _summed(values: Floats, parts: int) -> Floats:
    """Return the sums (n / parts,) of every ``parts`` values."""
    return values if parts == 1 else np.asarray(values.reshape(-1, parts).sum(axis=1))
