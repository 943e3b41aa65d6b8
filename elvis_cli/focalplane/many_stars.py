"""Many stars at once: cores drawn one by one, haloes by FFT, the PSF interpolated over the field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image, pieces
from elvis_cli.base.recent import Recent
from elvis_cli.base.taper import taper
from elvis_cli.focalplane import convolution
from elvis_cli.focalplane.convolution import REACH
from elvis_cli.focalplane.geometry import pixel_to_field, rotate_stamp
from elvis_cli.light.compose import Scene
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import PsfCube
from elvis_cli.model.psf_model import AoPsf, CubePsf
from elvis_cli.model.setup import Setup
from elvis_cli.optics import make_psf, psf_store, user_psf
from elvis_cli.optics.otf import MAX_WIDE_POSITIONS
from elvis_cli.optics.psf_types import Psf

HALF = 24
"""Half size of a core, pixels; the taper from core to halo runs from half of it to all of it."""
PHASES = 8
"""Places of the star within a pixel for which a core is tabulated."""
PARTS = {"scao": 16}
"""PsfGrid across the array by kind of AO: one star's correction falls off within seconds of arc."""
USUAL_PARTS = 8
LEAST_PITCH = 1.0
"""arcsec between zones of small arrays: halfway, the mean of the ELT's PSFs in K 1 arcsec apart has 0.6 % less peak."""
WIDE = 16
"""Elements of the PSF's coarse grid up to which the cores of stars with the same PSF reach."""
BATCH = 32
"""PSFs in memory at a time."""
MAX_KEPT_BYTES = 64 << 20
"""Cores of zones that a process keeps for its next frames: some dozens."""


@dataclass(frozen=True, slots=True, eq=False)
class PsfGrid:
    """PSFs on a square grid over the field, the same whichever chips are drawn."""

    target: Psf
    """The target's PSF: the haloes of all stars, but for their share of the light, are like its own."""
    cores: Callable[[NDArray[np.int64]], Image]
    """Returns the middle of the PSF of each of some zones (zones, n, n), sampled as ``target.fine`` is."""
    pitch: float
    """arcsec; 0 = one zone only."""
    places: NDArray[np.int64]
    """Grid place of each zone, ascending, as `_place` numbers them; the number of its PSF in ``cube``."""
    cube: PsfCube | None = None
    """The user's PSFs: each star has the nearest."""

    def weights(self, x: Floats, y: Floats) -> list[tuple[NDArray[np.int64], Floats]]:
        """Return, for each of the zones around every star, its number and its bilinear weight; x, y in arcsec."""
        if self.cube is not None:
            nearest = user_psf.nearest(self.cube, np.stack([x, y], axis=1))
            return [(np.searchsorted(self.places, nearest), np.ones(x.size))]
        if not self.pitch:
            return [(np.zeros(x.size, np.int64), np.ones(x.size))]
        u, v = x / self.pitch, y / self.pitch
        iu, iv = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        return [
            (
                np.searchsorted(self.places, _place(iu + a, iv + b)),
                np.abs((1 - a) - (u - iu)) * np.abs((1 - b) - (v - iv)),
            )
            for b in (0, 1)
            for a in (0, 1)
        ]

    def draw(self, image: Image, chip: Chip, x: Floats, y: Floats, scene: Scene, *, cores: bool = True) -> None:
        """Add the scene's stars, at pixels (x, y) of ``image``, to it; without their ``cores`` if those are drawn."""
        ny, nx = image.shape
        response, far = convolution.core_and_halo(self.target, chip, 0)
        _add_far(image, x, y, scene.rate, far, self.target.step)
        margin = response.shape[0] // 2
        near = (x > -margin) & (x < nx + margin) & (y > -margin) & (y < ny + margin) & (scene.rate > 0)
        if not near.any():
            return
        x, y, rate = x[near], y[near], scene.rate[near]
        around = self.weights(scene.x[near], scene.y[near])
        zones = np.unique(np.concatenate([zone for zone, _ in around]))
        left_out = 1.0 - self._bank(zones, chip, phases=1)[:, 0, 0].sum(axis=(1, 2), dtype=np.float64)  # by each core
        usual = 1.0 - float(
            _bank(self.target.fine[:1], self.target.oversample, chip, phases=1)[0, 0, 0].sum(dtype=np.float64)
        )
        halo = np.zeros(x.size)
        for zone, weight in around:
            halo += rate * weight * left_out[np.searchsorted(zones, zone)]
        if cores:
            self._add_cores([image], chip, [(x, y, rate)], [around])
        _add_near(image, x, y, halo - rate * usual, rate, response)

    def draw_cores(
        self, images: Sequence[Image], chip: Chip, places: Sequence[tuple[Floats, Floats]], scenes: Sequence[Scene]
    ) -> None:
        """Add the cores of the stars of each scene, at ``places`` (x, y) of its image, to its image."""
        stars = [(x, y, scene.rate) for (x, y), scene in zip(places, scenes, strict=True)]
        self._add_cores(images, chip, stars, [self.weights(scene.x, scene.y) for scene in scenes])

    def _add_cores(
        self,
        images: Sequence[Image],
        chip: Chip,
        stars: Sequence[tuple[Floats, Floats, Floats]],
        around: Sequence[list[tuple[NDArray[np.int64], Floats]]],
    ) -> None:
        """Add the cores of each image's stars (x, y, electrons/s) with the zones and weights ``around`` them."""
        from elvis_cli.kernels import stamp

        reached = [
            (x > -HALF - 1) & (x < nx + HALF + 1) & (y > -HALF - 1) & (y < ny + HALF + 1)
            for (ny, nx), (x, y, _) in zip((image.shape for image in images), stars, strict=True)
        ]
        if not any(some.any() for some in reached):
            return
        numbers = [zone[some] for some, each in zip(reached, around, strict=True) for zone, _ in each]
        zones = np.unique(np.concatenate(numbers))
        bank = self._bank(zones, chip)
        for image, (x, y, rate), some, each in zip(images, stars, reached, around, strict=True):
            for zone, weight in each:
                use = np.flatnonzero(some & (weight > 0))
                use = use[np.argsort(zone[use], kind="stable")]  # one zone's cores fit the processor's cache
                arguments = x[use], y[use], (rate * weight)[use], np.searchsorted(zones, zone[use])

                def work(
                    _: int, rows: slice, to: Image = image, arguments: tuple[NDArray[Any], ...] = arguments
                ) -> None:
                    stamp.add_cores(to[rows], rows.start, *arguments, bank)

                if use.size:
                    parallel.for_rows(len(image), work)

    def _bank(self, zones: NDArray[np.int64], chip: Chip, phases: int = PHASES) -> Image:
        """Return the tapered cores of some zones, as `_bank` has them."""
        return _bank(self.cores(zones), self.target.oversample, chip, phases)


@dataclass(frozen=True, slots=True, eq=False)
class SplitPsf:
    """One PSF for all stars, in two parts: cores are drawn one by one, haloes together."""

    core: Image
    """Sampled as the PSF's ``fine`` is."""
    halo: Image
    """Sampled as its ``coarse`` is."""
    oversample: int
    step: int
    reach: float
    """Pixels to which a core reaches."""

    def draw(self, image: Image, chip: Chip, x: Floats, y: Floats, scene: Scene) -> None:
        """Add the scene's stars, at pixels (x, y) of ``image``, to it."""
        from elvis_cli.kernels import stamp

        (ny, nx), reach, rate = image.shape, self.reach, scene.rate
        core, halo = rotate_stamp(self.core, chip), rotate_stamp(self.halo, chip)
        nothing = np.zeros((2, 2), np.float32)
        first, last = (np.clip(side, 0, nx).astype(int) for side in (np.floor(x - reach), np.ceil(x + reach) + 1))
        near = np.flatnonzero((first < last) & (y > -reach) & (y < ny + reach) & (rate > 0))

        def work(_: int, rows: slice) -> None:
            for n in near:
                if rows.start - reach <= y[n] <= rows.stop + reach:
                    part = image[rows, first[n] : last[n]]
                    stamp.add_star(
                        part, rows.start, x[n] - first[n], y[n], rate[n], core, self.oversample, nothing, 1.0, reach
                    )

        parallel.for_rows(ny, work)
        nodes = np.zeros((ny // self.step + 2, nx // self.step + 2), np.float32)
        for n in np.flatnonzero(rate > 0):
            stamp.add_star(nodes, 0, x[n] / self.step, y[n] / self.step, rate[n], nothing, 1, halo, 1.0, -1.0)
        convolution.add_interpolated(image, nodes, 0.0, 0.0, self.step)


def cores(psf: Psf) -> SplitPsf:
    """Return the first PSF of ``psf`` in two parts that go over into each other within WIDE elements of the halo."""
    step, oversample = psf.step, psf.oversample
    reach = float(min(psf.fine_radius, WIDE * step))

    def parted(grid: Image, pitch: float) -> Image:
        """Return how much of the core each element of a grid has, elements ``pitch`` pixels wide."""
        offset = (np.arange(len(grid)) - len(grid) // 2) * pitch
        return np.asarray(taper(np.hypot(offset, offset[:, None]), reach), np.float32)

    middle = psf.fine.shape[-1] // 2
    half = min(math.ceil(reach) * oversample + 2, middle)
    fine = psf.fine[0, middle - half : middle + half, middle - half : middle + half]
    coarse = psf.coarse[0]
    return SplitPsf(fine * parted(fine, 1.0 / oversample), coarse * (1 - parted(coarse, step)), oversample, step, reach)


def psf_at(setup: Setup, wave: Floats, weight: Floats, positions: Floats) -> Psf:
    """Return the PSF of a Setup at ``positions`` (n, 2), arcsec in the field, for a passband of samples."""
    extent = max(setup.detector.nx, setup.detector.ny)
    return make_psf.build(setup.psf, setup.optics, setup.atmosphere, extent, wave, weight, positions)


def everywhere(target: Psf) -> PsfGrid:
    """Return the target's PSF as that of the whole field."""
    return PsfGrid(target, target.fine[:1].__getitem__, 0.0, np.zeros(0, np.int64))


def build(setup: Setup, wave: Floats, weight: Floats, scene: Scene, target: Psf) -> PsfGrid:
    """Return the zones that the stars on or near the detector need; ``target`` is the target's PSF.

    Without AO, and where no star is near, that one is enough.
    """
    nowhere = everywhere(target)
    cube = setup.psf.cube if isinstance(setup.psf, CubePsf) and setup.psf.cube.places else None
    if cube is None and not isinstance(setup.psf, AoPsf):
        return nowhere
    corners = np.array([
        pixel_to_field(setup, chip, float(x), float(y))
        for chip in setup.detector.chips
        for x in (0, setup.detector.nx - 1)
        for y in (0, setup.detector.ny - 1)
    ])  # fmt: skip
    margin = math.sqrt(2.0) * (REACH + 1) * setup.optics.pixel_scale  # however the chip is turned
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    near = (scene.x > low[0]) & (scene.x < high[0]) & (scene.y > low[1]) & (scene.y < high[1])
    if not near.any():
        return nowhere
    if cube is not None:
        at = np.stack([scene.x[near], scene.y[near]], axis=1)
        numbers, first = np.unique(user_psf.nearest(cube, at), return_index=True)
        return PsfGrid(target, _Cores(setup, wave, weight, at[first]), 0.0, numbers, cube)
    kind = setup.psf.system.kind if isinstance(setup.psf, AoPsf) else ""
    pitch = max(float(np.ptp(corners, axis=0).max()) / PARTS.get(kind, USUAL_PARTS), LEAST_PITCH)
    squares = np.zeros(0, np.int64)
    for part in pieces(scene.x.size):
        u, v = (np.floor(at[part][near[part]] / pitch).astype(np.int64) for at in (scene.x, scene.y))
        squares = np.union1d(squares, _place(u, v))
    places = np.unique(np.concatenate([squares + i * 2**32 + j for i in (0, 1) for j in (0, 1)]))
    return PsfGrid(target, _Cores(setup, wave, weight, _grid(places) * pitch), pitch, places)


class _Cores:
    """The middles of the PSFs of zones, each made when a chip first needs it: a window needs few of a field's."""

    def __init__(self, setup: Setup, wave: Floats, weight: Floats, positions: Floats) -> None:
        self.setup, self.samples, self.positions = setup, (wave, weight), positions
        self.known: dict[int, Image] = {}
        self.digest = b""  # of all that a core depends on but its place; a user's PSFs are only cut out
        if not isinstance(setup.psf, CubePsf):
            extent = max(setup.detector.nx, setup.detector.ny)
            nowhere = np.empty((0, 2))
            self.digest = make_psf.digest(setup.psf, setup.optics, setup.atmosphere, extent, wave, weight, nowhere)

    def __call__(self, zones: NDArray[np.int64]) -> Image:
        """Return the middle of the PSF of each zone, as `PsfGrid.cores` has them."""
        # The last few of the field's batches have the wider grid of few positions, whichever of them are needed.
        rest = len(self.positions) % BATCH
        wide = len(self.positions) - (rest if rest <= MAX_WIDE_POSITIONS else 0)
        missing = [zone for zone in map(int, zones) if zone not in self.known]
        self._make([zone for zone in missing if zone >= wide], 1)
        self._make([zone for zone in missing if zone < wide], MAX_WIDE_POSITIONS + 1)
        return np.stack([self.known[int(zone)] for zone in zones])

    def _make(self, zones: list[int], least: int) -> None:
        """Make the PSFs of zones, a batch at a time, at ``least`` positions or more: the last again and again."""
        keys = {zone: self.digest + self.positions[zone].tobytes() + bytes([least]) for zone in zones if self.digest}
        kept = {zone: core for zone, key in keys.items() if (core := _kept(key)) is not None}
        self.known |= kept
        zones = [zone for zone in zones if zone not in kept]
        for begin in range(0, len(zones), BATCH):
            batch = zones[begin : begin + BATCH]
            repeated = batch + batch[-1:] * (least - len(batch))
            psf = psf_at(self.setup, *self.samples, self.positions[repeated])
            half, middle = (HALF + 3) * psf.oversample, psf.fine.shape[1] // 2
            cut = slice(middle - half, middle + half)
            for n, zone in enumerate(batch):
                self.known[zone] = psf.fine[n, cut, cut].copy()
                if zone in keys:
                    RECENT.add(keys[zone], self.known[zone])
            psf_store.add({keys[zone]: self.known[zone] for zone in batch if zone in keys})


RECENT: Recent[Image] = Recent(MAX_KEPT_BYTES, lambda core: (core,))
"""Cores of zones, shared by all threads."""


def _kept(key: bytes) -> Image | None:
    """Return a core that this process, or one before it, has computed; None if there is none."""
    core = RECENT.find(key)
    if core is None and (core := psf_store.find(key)) is not None:
        RECENT.add(key, core)
    return core


def _place(u: NDArray[np.int64], v: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for each place (u, v) of the grid of zones, ascending with u, then with v."""
    return u * 2**32 + v


def _grid(places: NDArray[np.int64]) -> Floats:
    """Return the places (u, v) of the grid of zones (n, 2) that `_place` has numbered."""
    v = (places + 2**31) % 2**32 - 2**31
    return np.stack([(places - v) // 2**32, v], axis=1).astype(float)


def _bank(cores: Image, oversample: int, chip: Chip, phases: int = PHASES) -> Image:
    """Return tapered cores (zones, phases + 1, phases + 1, s, s), the star right of and above the centre by a phase."""
    from elvis_cli.kernels import stamp

    size = 2 * HALF + 1
    bank = np.zeros((len(cores), phases + 1, phases + 1, size, size), np.float32)
    offset = np.arange(size) - HALF - np.arange(phases + 1)[:, None] / phases  # of each place
    inside = taper(np.hypot(offset[:, None], offset[:, None, :, None]), HALF)

    def work(zone: int) -> None:
        stamp.fill_cores(bank[zone], rotate_stamp(cores[zone], chip), oversample)
        bank[zone] *= inside

    parallel.gather(work, range(len(cores)))
    return bank


def _add_far(image: Image, x: Floats, y: Floats, rate: Floats, halo: Image, step: int) -> None:
    """Add ``rate`` electrons/s a star, psf like the far halo of the PSF.

    No mirror corrects what falls so far out: it is the same all over the field.
    """
    from elvis_cli.kernels import stamp

    def draw(size: tuple[int, int], px: float, py: float) -> list[Image]:
        points = convolution.blank(size)
        for part in pieces(x.size):
            stamp.deposit(points, (x[part] - x[0]) / step + px, (y[part] - y[0]) / step + py, rate[part])
        return [points]

    convolution.add_halo(image, float(x[0]), float(y[0]), halo, step, draw)


def _add_near(image: Image, x: Floats, y: Floats, more: Floats, rate: Floats, response: Image) -> None:
    """Add ``rate`` electrons/s a star, psf like the near PSF ``response`` of one zone without its core.

    ``more`` is what the star's own core leaves out beyond what that zone's does, electrons/s.
    """
    from elvis_cli.kernels import stamp

    margin = response.shape[0] // 2
    middle = slice(margin - HALF, margin + HALF + 1)
    grid = np.arange(-HALF, HALF + 1)
    response = response.copy()
    response[middle, middle] *= 1.0 - taper(np.hypot(grid, grid[:, None]), HALF).astype(np.float32)
    light = float(response.sum(dtype=np.float64))
    if light <= 0.0:
        return
    ny, nx = image.shape
    points = convolution.blank(convolution.padded(image.shape, margin))
    for part in pieces(x.size):
        flux = np.maximum(rate[part] + more[part] / light, 0.0)
        stamp.deposit(points, x[part] + margin, y[part] + margin, flux)
    image += convolution.convolve([(points, 2, response)])[:ny, :nx]
