"""Combination of dithered exposures by drizzling, and cosmic rays from what the others see.

Drizzle: Fruchter & Hook (2002), PASP 114, 144. Weights are the inverse variance of the sky in each exposure, without
the sources' own photons, which would make a bright star's profile depend on its brightness.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats, Image
from elvis_cli.base.parallel import for_rows, gather
from elvis_cli.reduction import cosmics
from elvis_cli.reduction.frame import COSMIC_RAY, NO_DATA, Flags, Frame, sample
from elvis_cli.reduction.grid import Grid, PixelMap

MIN_DITHERS = 3
"""Exposures from which on cosmic rays are told by the median of the others."""
UNSEEN = NO_DATA
"""Flags of a combination whose pixels have no value; the others say what was left out of it."""
MAX_SAMPLE = 65_536
"""Pixels of which the variance of the sky is the median."""
BAND = 256
"""Rows of a grid that one thread fills at once."""
CR_SIGMA = 5.0
CR_GRADIENT = 1.2
"""Times the difference of neighbours in the median that a pixel without noise may differ from it, at most."""
MIN_FLANKS = 50
"""Pixels on the flanks of stars from which on they tell how much less that is."""
HALVINGS = 10
"""Of the interval in which the error of the median is: to a thousandth of it."""
NEIGHBOUR = 0.6
"""Of the limit, for neighbours of a cosmic ray: the ends of its track (AstroDrizzle: 3.5 and 3 sigma, 1.2 and 0.7)."""


@dataclass(slots=True, eq=False)
class Stack:
    """A combination on a grid: electron/s, its standard deviation, flags, and weight (s2/electron2)."""

    sci: Image
    err: Image
    dq: Flags
    weight: Image


def weight_of(frame: Frame) -> float:
    """Return the inverse variance of a pixel of sky: the median over good pixels."""
    var = sample(frame.var, frame.good, MAX_SAMPLE)
    return 1.0 / float(np.median(var)) if var.size else 0.0


@dataclass(slots=True, eq=False)
class Drizzled:
    """What goes into a combination: an exposure's pixels, their variance, which are good, its weight and its place."""

    sci: Image
    var: Image
    good: NDArray[np.bool_]
    weight: float
    place: PixelMap


class Sums:
    """Exposures that are drizzled onto a grid of ``shape`` (ny, nx), one after another; ``most`` has weight 1.

    Surface brightness is what is kept: flux a pixel becomes flux a pixel of the grid. The kernel lanczos3 is one of
    ours: a quarter of the library's time, on all threads.
    """

    def __init__(self, shape: tuple[int, int], kernel: str, pixfrac: float, most: float) -> None:
        self.shape, self.pixfrac, self.most = shape, pixfrac, most
        self.drizzle: Any = None
        if kernel == "lanczos3":
            self.sums = np.zeros((3, *shape), np.float32)
            return
        from drizzle.resample import Drizzle

        self.drizzle = Drizzle(kernel=kernel, out_shape=shape, fillval="0.0", disable_ctx=True)

    def add(self, exposures: Sequence[Drizzled]) -> None:
        """Add exposures."""
        if self.drizzle is None:
            self._lanczos(exposures)
            return
        for each in exposures:
            places, area = each.place.all()
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # that lanczos2 does not conserve flux: normalised by its weights it does
                self.drizzle.add_image(
                    data=each.sci / area,
                    exptime=1.0,
                    pixmap=places,
                    data2=each.var / area**2,
                    weight_map=np.where(each.good, np.float32(each.weight / self.most), np.float32(0.0)),
                    pixel_scale_ratio=each.place.ratio,
                    pixfrac=self.pixfrac,
                    in_units="cps",
                )

    def _lanczos(self, exposures: Sequence[Drizzled]) -> None:
        from elvis_cli.kernels import drizzle as kernels
        from elvis_cli.kernels import shifts

        kernel, lines = kernels.table(), [each.place.rows() for each in exposures]
        shifted = [self.pixfrac == 1.0 and each.place.shifts for each in exposures]

        def fill(_: int, rows: slice) -> None:
            for each, line, shift in zip(exposures, lines, shifted, strict=True):
                own = each.sci, each.var, each.good, each.weight / self.most
                places, area, *nodes = each.place.nodes
                if shift:
                    shifts.lanczos(*own, places, *nodes, kernel, rows.start, rows.stop, self.sums)
                    continue
                stretch = each.place.ratio / self.pixfrac
                kernels.lanczos(*own, places, area, *nodes, line, stretch, kernel, rows.start, rows.stop, self.sums)

        for_rows(self.shape[0], fill, BAND)

    def means(self) -> tuple[Image, Image, Image]:
        """Return mean, variance and weight (1 is that of an exposure of weight ``most``), in place of the sums."""
        if self.drizzle is not None:
            out = self.drizzle
            var2 = out.out_img2[0] if isinstance(out.out_img2, list) else out.out_img2
            return np.asarray(out.out_img), np.asarray(var2), np.asarray(out.out_wht, np.float32)
        light, noise, weight = self.sums
        total = np.where(weight > 1e-6, weight, np.float32(np.inf))
        light /= total
        noise /= np.square(total, out=total)
        return light, noise, weight


def drizzle(
    exposures: Sequence[Drizzled], shape: tuple[int, int], kernel: str, pixfrac: float
) -> tuple[Image, Image, Image]:
    """Return mean, variance and weight (of the heaviest exposure's) of exposures on a grid of ``shape`` (ny, nx)."""
    sums = Sums(shape, kernel, pixfrac, max(each.weight for each in exposures))
    sums.add(exposures)
    return sums.means()


class Combination:
    """A combination of frames on a grid, to which chips are added one after another."""

    def __init__(self, grid: Grid, kernel: str, pixfrac: float, most: float) -> None:
        self.sums = Sums(grid.shape, kernel, pixfrac, most)
        self.flags, self.lost = np.zeros(grid.shape, np.uint32), np.zeros(grid.shape, np.float32)
        self.least = 0.3 if kernel.startswith("lanczos") else 1e-3  # at the borders less than a kernel's half is seen
        self.faintest = most

    def add(
        self, frames: Sequence[Frame], maps: Sequence[PixelMap], filled: Sequence[NDArray[np.bool_]] | None = None
    ) -> None:
        """Add frames. ``filled`` are flagged pixels that have values nevertheless: they count, but not as weight."""
        exposures = []
        for n, (frame, place) in enumerate(zip(frames, maps, strict=True)):
            y, x = np.nonzero(frame.dq)
            _flag(self.flags, place.at(x, y), frame.dq[y, x])
            good = frame.good
            if filled is not None:
                good |= filled[n]
                y, x = np.nonzero(filled[n])
                x, y, inside = _nearest(place.at(x, y), self.sums.shape)
                np.add.at(self.lost, (y[inside], x[inside]), frame.weight / self.sums.most)
            exposures.append(Drizzled(frame.sci, frame.var, good, frame.weight, place))
            self.faintest = min(self.faintest, frame.weight)
        self.sums.add(exposures)

    def stack(self) -> Stack:
        """Return the combination, in place of the sums; a pixel that no frame sees has weight 0, NO_DATA and SCI 0."""
        image, var, weight = self.sums.means()
        unseen = weight <= max(self.least * self.faintest / self.sums.most, 1e-3)
        image, var = (np.asarray(each, np.float32) for each in (image, var))
        err = np.sqrt(np.maximum(var, 0.0, out=var), out=var)
        self.flags[unseen] |= np.uint32(NO_DATA)
        weight = np.maximum(weight - self.lost, np.float32(0.05) * weight)
        weight *= np.float32(self.sums.most)
        for each in (image, err, weight):
            each[unseen] = 0.0
        return Stack(image, err, self.flags, weight)


def _nearest(places: Floats, shape: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return column and row of the pixels nearest to places (n, 2), and which are inside an image."""
    x, y = np.rint(places).astype(np.int64).T
    return x, y, (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])


def _flag(flags: Flags, places: Floats, values: Flags) -> None:
    """Add flags of pixels to the nearest pixel of the grid."""
    x, y, inside = _nearest(places, flags.shape)
    np.bitwise_or.at(flags, (y[inside], x[inside]), values[inside])


def flag_cosmic_rays(frames: Sequence[Frame], maps: Sequence[PixelMap]) -> int:
    """Flag cosmic rays in frames without sky, and return their number.

    Each frame is drizzled alone (kernel turbo), their median is what the sky looks like, but for what the drizzling
    blurs: a second pass over it tells how much, which is added back. Interpolated onto the pixels of a frame it differs
    from them by less than 5 sigma of noise and 5 `_median_error` of its own steepness, or it is a cosmic ray. Its eight
    neighbours belong to it from 3/5 of that on. What one exposure alone sees, on the rim of the field, is judged by its
    shape.
    """
    if len(frames) < MIN_DITHERS:
        return 0
    from elvis_cli.kernels import drizzle as kernels
    from elvis_cli.kernels import rays, shifts

    places = np.concatenate([place.places.reshape(-1, 2) for place in maps])
    low = np.floor(places.min(axis=0)) - 1.0
    width, height = (np.ceil(places.max(axis=0)) - low).astype(int) + 2
    maps = [place.cut(0, 0, place.shape, low) for place in maps]  # onto the part of the grid that they see
    shape, shifted = (int(height), int(width)), [place.shifts for place in maps]

    def single(n: int, image: Image) -> Image:
        places, area, *nodes = maps[n].nodes
        if shifted[n]:
            alone = np.empty(shape, np.float32)
            shifts.squares(image, frames[n].good, places, *nodes, alone)
            return alone
        sums = np.zeros((2, *shape), np.float32)
        kernels.squares(image, frames[n].good, places, area, *nodes, 1.0 / maps[n].ratio, sums)
        with np.errstate(invalid="ignore"):
            return np.asarray(sums[0] / sums[1], np.float32)  # NaN where the exposure sees nothing

    def seen(n: int, image: Image | None = None) -> Image:
        places, area, *nodes = maps[n].nodes
        model = np.empty(frames[n].sci.shape, np.float32)
        if shifted[n]:
            shifts.blot(middle if image is None else image, places, *nodes, model)
        else:
            kernels.blot(middle if image is None else image, places, area, *nodes, model)
        return model

    singles = gather(lambda n: single(n, frames[n].sci), range(len(frames)))
    middle = _median(singles)
    lone = (np.sum([np.isfinite(image) for image in singles], axis=0) < 2).astype(np.float32)
    del singles
    blurred = _median(gather(lambda n: single(n, seen(n)), range(len(frames))))
    middle *= 2.0
    middle -= blurred
    del blurred

    def flag(n: int) -> int:
        frame, alone = frames[n], seen(n, lone) > 0
        own = frame.sci, seen(n), frame.var, frame.good & ~alone
        error = _median_error(rays.flanks(*own, 2.0 * CR_SIGMA / CR_GRADIENT))
        found = int(rays.flag(*own, CR_SIGMA, CR_SIGMA * error, NEIGHBOUR, frame.dq, COSMIC_RAY))
        return found + cosmics.flag_single(frame, alone)

    return sum(gather(flag, range(len(frames))))


def _median_error(flanks: Image) -> float:
    """Return the standard deviation of the error of a median, in units of its steepness.

    With it and the noise the residuals on the ``flanks`` (3, n) of a frame's own stars have a robust spread of 1 sigma.
    It is at most a fifth of `CR_GRADIENT`, which holds where there are no stars.
    """
    most = CR_GRADIENT / CR_SIGMA
    if flanks.shape[1] < MIN_FLANKS:
        return most
    residual, steep, noise = flanks
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        lower, upper = np.percentile(residual / np.hypot(noise, np.float32(middle) * steep), (15.87, 84.13))
        low, high = (middle, high) if upper - lower > 2.0 else (low, middle)
    return high


def _median(images: Sequence[Image]) -> Image:
    """Return the median of the finite values, of two the lower, which has no cosmic ray; 0 where there are fewer."""
    from elvis_cli.kernels.exposures import finite_median

    out = np.empty(images[0].shape, np.float32)

    def fill(_: int, rows: slice) -> None:
        finite_median(np.stack([image[rows] for image in images]), out[rows])

    for_rows(len(out), fill)
    return out
