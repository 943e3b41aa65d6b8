"""Crowds of many spectra on the slit plane: the cores of each spectrum's stars, and haloes of few mean spectra.

Haloes are convolutions, cores are stamps: only the spectra with most light have haloes of their own. All other stars
together have haloes of their mean spectrum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.focalplane import many_stars
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.focalplane.many_stars import PsfGrid
from elvis_cli.focalplane.slit_plane import SlitPlane
from elvis_cli.light.compose import Scene
from elvis_cli.model.elvis_block import Window

MAX_HALOES = 8
"""Spectra that haloes have."""


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """Part of a larger image, which is dark beside it."""

    image: Image
    y0: int = 0
    x0: int = 0
    """Place of its first pixel."""

    def __getitem__(self, part: tuple[slice, slice]) -> Image:
        """Return some rows and columns of the larger image."""
        rows, columns = part
        result = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        own = self._within(part)
        y, x = max(self.y0 - rows.start, 0), max(self.x0 - columns.start, 0)
        result[y : y + own.shape[0], x : x + own.shape[1]] = own
        return result

    def is_lit(self, part: tuple[slice, slice]) -> bool:
        """Return whether there is light in some rows and columns of the larger image, without a copy of them."""
        return bool(self._within(part).any())

    def _within(self, part: tuple[slice, slice]) -> Image:
        """Return its own pixels in some rows and columns of the larger image."""
        rows, columns = (
            slice(max(axis.start - first, 0), max(axis.stop - first, 0))
            for axis, first in zip(part, (self.y0, self.x0), strict=True)
        )
        return self.image[rows, columns]

    def any(self) -> bool:
        """Return whether there is light in it."""
        return bool(self.image.any())


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """Stars of many spectra, numbered as their scenes are; the haloes' spectra come behind these."""

    plane: SlitPlane
    scenes: tuple[Scene, ...]
    """The stars of one spectrum each; some may have none."""
    electrons: Floats
    """Electrons/s (scenes,) of a rate of 1, in all orders."""
    haloes: tuple[tuple[int, ...], ...]
    """Numbers of the scenes that share each halo's spectrum."""

    def mean(self, spectra: Sequence[Floats]) -> list[Floats]:
        """Return the spectrum (n,) of each halo; ``spectra`` are those of a rate of 1 of each scene, empty if dark."""
        means = []
        for members in self.haloes:
            rates = self._rates(members)
            parts = [rate * spectra[n] for n, rate in zip(members, rates, strict=True) if spectra[n].size]
            means.append(np.asarray(sum(parts) / rates.sum()) if parts else np.zeros(0))
        return means

    def images(self, window: Window) -> dict[int, list[Patch]]:
        """Return the images in ``window`` at each wavelength, by number of their spectrum, of all that has light."""
        boxes = {n: own for n, scene in enumerate(self.scenes) if (own := box(self.plane, scene, window))}
        images: dict[int, list[Patch]] = {n: [] for n in boxes}
        joined = {len(self.scenes) + k: self._joined(members) for k, members in enumerate(self.haloes)}
        images |= {k: [] for k in joined}
        lit = [self.scenes[n] for n in boxes]
        for one, chip in zip(self.plane.imagers, self.plane.chips, strict=True):
            grid = one.zones
            assert isinstance(grid, PsfGrid)
            cores = {n: Patch(np.zeros((y.stop - y.start, x.stop - x.start), np.float32), y.start, x.start)
                     for n, (y, x) in boxes.items()}  # fmt: skip
            places = [
                (x - window.x0 - patch.x0, y - window.y0 - patch.y0)
                for scene, patch in zip(lit, cores.values(), strict=True)
                for x, y in (field_to_pixel(self.plane.setup, chip, scene.x, scene.y),)
            ]
            grid.draw_cores([patch.image for patch in cores.values()], chip, places, lit)
            for n, patch in cores.items():
                images[n].append(patch)
            for k, scene in joined.items():
                image = np.zeros((window.ny, window.nx), np.float32)
                x, y = field_to_pixel(self.plane.setup, chip, scene.x, scene.y)
                grid.draw(image, chip, x - window.x0, y - window.y0, scene, cores=False)
                images[k].append(Patch(image))
        return images

    def _rates(self, members: tuple[int, ...]) -> Floats:
        """Return the sum of the rates of each member."""
        return np.array([float(self.scenes[n].rate.sum()) for n in members])

    def _joined(self, members: tuple[int, ...]) -> Scene:
        """Return the stars of some scenes, with rates in units of the mean light of a rate of 1."""
        scenes, rates = [self.scenes[n] for n in members], self._rates(members)
        electrons = self.electrons[list(members)]
        scale = electrons * rates.sum() / (rates * electrons).sum()
        x, y = (np.concatenate([getattr(scene, name) for scene in scenes]) for name in ("x", "y"))
        rate = np.concatenate([scene.rate * own for scene, own in zip(scenes, scale, strict=True)])
        return replace(scenes[0], x=x, y=y, rate=rate, extended=(), galaxies=(), surface=0.0)


def is_crowded(plane: SlitPlane, scenes: Sequence[Scene]) -> bool:
    """Return whether the stars of ``scenes``, of one spectrum each, are drawn in two parts."""
    apart = all(isinstance(one.zones, PsfGrid) for one in plane.imagers)
    return apart and sum(scene.rate.size > 0 for scene in scenes) > MAX_HALOES


def gather(plane: SlitPlane, scenes: Sequence[Scene], orders: Iterable[Sequence[Floats]]) -> Crowd | None:
    """Return the crowd of ``scenes``, None if they are not drawn in two parts.

    ``orders`` are the spectra (n,), electrons/s of a rate of 1 of each scene, in each order.
    """
    if not is_crowded(plane, scenes):
        return None
    electrons = np.zeros(len(scenes))
    for spectra in orders:
        electrons += [float(spectrum.sum()) for spectrum in spectra]
    light = electrons * [float(scene.rate.sum()) for scene in scenes]
    return Crowd(plane, tuple(scenes), electrons, share(light))


def share(light: Floats) -> tuple[tuple[int, ...], ...]:
    """Return the numbers of the spectra, with ``light`` (n,) each, that share a halo: the brightest each have one."""
    order = [int(n) for n in np.argsort(-light, kind="stable") if light[n] > 0]
    alone, rest = order[: MAX_HALOES - 1], order[MAX_HALOES - 1 :]
    return (*((n,) for n in alone), *((tuple(sorted(rest)),) if rest else ()))


def box(plane: SlitPlane, scene: Scene, window: Window) -> tuple[slice, slice] | None:
    """Return the rows and columns of ``window`` that the cores of a scene reach at any wavelength; None if none do."""
    margin = many_stars.HALF + 1
    ends = []
    for chip in plane.chips:
        x, y = field_to_pixel(plane.setup, chip, scene.x, scene.y)
        x, y = x - window.x0, y - window.y0
        near = (x > -margin) & (x < window.nx + margin) & (y > -margin) & (y < window.ny + margin)
        if near.any():
            ends.append((y[near].min(), y[near].max(), x[near].min(), x[near].max()))
    if not ends:
        return None
    (y0, _, x0, _), (_, y1, _, x1) = np.min(ends, axis=0), np.max(ends, axis=0)
    low, high = ([int(max(end - margin, 0)) for end in (y0, x0)], [int(end + margin) + 1 for end in (y1, x1)])
    return slice(low[0], min(high[0], window.ny)), slice(low[1], min(high[1], window.nx))
