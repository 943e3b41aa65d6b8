"""The sky of dithered images: from the other exposures, objects left out.

Two ways. `smooth`: a surface, the medians of boxes in all exposures but the own one; it adds no noise, and is right
where flat field and dark leave no pattern. `pixel`: the mean of the other exposures pixel by pixel, which takes with it
what the flat's own noise prints on a bright sky, at the cost of 1/(n - 1) more variance. Either is followed by a
constant, so that the median of the sky is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows, gather
from elvis_cli.detection.sources import smoothed
from elvis_cli.product.pair_cards import CHOP_CYCLE, CHOP_HALF, NOD_CYCLE, NOD_POSITION
from elvis_cli.reduction.frame import DEAD, HOT, Frame, sample
from elvis_cli.reduction.raw import RawFile

OBJECT_SIGMA = 3.0
"""A smoothed pixel this far above the sky belongs to an object."""
MAX_MASKED = 0.7
"""Fraction of an image that objects and haloes may have; above it the haloes are taken for sky."""
GROW = 5
"""Pixels around one that belong to it too."""
HALO_WIDTH = 10.0
"""Pixels of sigma at which haloes of stars and galaxies are looked for."""
BLOCK = 4
"""Side of the blocks in which an image is smoothed for haloes, pixels."""
BOX = 256
"""Side of the boxes of a smooth sky, pixels: above that of haloes, which a finer surface would take for sky."""
MAX_SAMPLE = 262_144
"""Pixels of which a median is taken."""
HIDING = 0.25
"""Variance that the flat prints on the sky, over an exposure's own, from which on objects are looked for once more."""
FLAT_SHARE = 0.1
"""Noise of the flat on the sky, as a fraction of the noise of an exposure, above which the sky is taken by pixel."""


def level(frame: Frame, mask: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Return median and robust standard deviation of the good pixels outside ``mask``, electron/s."""
    return _level(frame.sci, frame.good, mask)


def _level(sci: Image, good: NDArray[np.bool_], mask: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    values = sample(sci, good, MAX_SAMPLE, mask)
    if values.size == 0:
        return 0.0, 0.0
    middle = float(np.median(values))
    return middle, 1.4826 * float(np.median(np.abs(values - middle)))


def objects(frame: Frame, width: float = 1.5) -> NDArray[np.bool_]:
    """Return the pixels of objects (`bodies`) and of their haloes.

    A halo is 3 sigma above the sky when smoothed by HALO_WIDTH, unless most of the image is, which then is sky with a
    slope.
    """
    good = frame.good
    found = _bodies(frame.sci, good, width)
    middle, sigma = _level(frame.sci, good, found)
    if sigma == 0.0:
        return found
    haloes = _haloes(frame.sci, good, middle, sigma)
    haloes |= found
    return haloes if np.count_nonzero(haloes) < MAX_MASKED * haloes.size else found


def bodies(frame: Frame, width: float = 1.5) -> NDArray[np.bool_]:
    """Return the pixels of objects without their haloes, grown.

    An object is 3 sigma of the smoothed noise above the sky when smoothed by a Gaussian of ``width`` pixels.
    """
    return _bodies(frame.sci, frame.good, width)


def _bodies(sci: Image, good: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    from elvis_cli.kernels import masks as kernels

    middle, sigma = _level(sci, good)
    if sigma == 0.0:
        return np.zeros(sci.shape, np.bool_)
    smooth = smoothed(sci, width, good, middle)
    return np.asarray(kernels.without_specks(smooth, _limit(width, sigma), GROW))


def _haloes(sci: Image, good: NDArray[np.bool_], middle: float, sigma: float) -> NDArray[np.bool_]:
    """Return where an image of noise ``sigma`` about ``middle`` has haloes, smoothed in blocks of `BLOCK` pixels."""
    from elvis_cli.kernels import masks as kernels

    ny, nx = sci.shape
    width = HALO_WIDTH / BLOCK
    means = kernels.block_means(sci, good, middle, 5 * sigma, BLOCK)
    above = smoothed(means, width) > _limit(width, sigma / BLOCK)
    return np.repeat(np.repeat(above, BLOCK, axis=0), BLOCK, axis=1)[:ny, :nx]


def _limit(width: float, sigma: float) -> float:
    """Return OBJECT_SIGMA of an image of noise ``sigma`` that is smoothed by a Gaussian of ``width`` pixels."""
    return float(OBJECT_SIGMA * sigma / (2.0 * width * np.sqrt(np.pi)))


def subtract(frames: Sequence[Frame], masks: Sequence[NDArray[np.bool_]], flat_var: float, way: str = "dithers") -> str:
    """Subtract the sky of every frame in place; return the way that was taken: "pixel", "smooth" or "constant".

    ``flat_var`` is the relative variance of the flat. The ``way`` is taken of three frames and more.
    """
    middles = [level(frame, mask) for frame, mask in zip(frames, masks, strict=True)]
    if len(frames) < 3:
        for frame, (middle, _) in zip(frames, middles, strict=True):
            frame.sci -= np.float32(middle)
            frame.var += np.float32(flat_var * middle**2)
        return "constant"
    noisy = any(flat_var**0.5 * abs(middle) > FLAT_SHARE * sigma for middle, sigma in middles)
    by_pixel = way == "pixel" or (way == "dithers" and noisy)
    for frame, (middle, _) in zip(frames, middles, strict=True):
        frame.sci -= np.float32(middle)
    if by_pixel:
        patterns, inner = [flat_var * middle**2 for middle, _ in middles], gather(bodies, frames)
        if any(p > HIDING * float(np.median(f.var[::8, ::8])) for p, f in zip(patterns, frames, strict=True)):
            masks = gather(objects, _by_pixel(frames, masks, inner, patterns))  # the pattern hid what is fainter
        for frame, made in zip(frames, _by_pixel(frames, masks, inner, patterns), strict=True):
            frame.sci, frame.var = made.sci, made.var
    else:
        _smooth(frames, masks)
        for frame, (middle, _) in zip(frames, middles, strict=True):
            frame.var += np.float32(flat_var * middle**2)
    for frame, mask in zip(frames, masks, strict=True):
        frame.sci -= np.float32(level(frame, mask)[0])
    return "pixel" if by_pixel else "smooth"


def from_exposures(frames: Sequence[Frame], skies: Sequence[Frame]) -> None:
    """Subtract the mean of exposures of the sky, clipped, from every frame in place, and a constant."""
    masks = gather(objects, skies)
    total, var, count = _sums(skies, masks, [level(sky, mask)[0] for sky, mask in zip(skies, masks, strict=True)])
    n = np.maximum(count, 1)
    pattern = np.where(count > 0, total / n, 0.0).astype(np.float32)
    noise = (var / n**2).astype(np.float32)
    for frame in frames:
        frame.sci -= pattern
        frame.var += noise
    for frame, mask in zip(frames, gather(objects, frames), strict=True):
        frame.sci -= np.float32(level(frame, mask)[0])


def partners(files: Sequence[RawFile]) -> list[int] | None:
    """Return for each chopped or nodded exposure the index of the one whose sky it takes; None if some have none.

    It is the other half of the same chop cycle, or without a chopper the other nod position, nearest in time.
    """
    keyword = CHOP_HALF if all(CHOP_HALF in file.header for file in files) else NOD_POSITION
    places = [file.get(keyword) for file in files]
    if None in places or len(set(places)) < 2:
        return None
    cycle = [NOD_POSITION, NOD_CYCLE, CHOP_CYCLE] if keyword == CHOP_HALF else [NOD_CYCLE]
    found = []
    for file, place in zip(files, places, strict=True):
        others = [
            (sum(other.get(key) != file.get(key) for key in cycle), abs(other.mjd - file.mjd), index)
            for index, other in enumerate(files)
            if places[index] != place
        ]
        found.append(min(others)[2])
    return found


def from_partners(frames: Sequence[Frame], chosen: Sequence[int]) -> None:
    """Subtract from every frame the one that `partners` chose, in place, then a constant.

    Stars leave negative images where the partner sees them; all frames together have each star once with all its light.
    """
    own = [(frame.sci.copy(), frame.var.copy(), frame.dq.copy()) for frame in frames]
    for frame, index in zip(frames, chosen, strict=True):
        sci, var, dq = own[index]
        frame.sci -= sci
        frame.var += var
        frame.dq |= dq
        negative = Frame(-frame.sci, frame.var, frame.dq, frame.header)
        mask = objects(frame) | objects(negative)
        frame.sci -= np.float32(level(frame, mask if mask.mean() < MAX_MASKED else None)[0])


def _sums(
    frames: Sequence[Frame], masks: Sequence[NDArray[np.bool_]], middles: Sequence[float]
) -> tuple[Image, Image, Image]:
    """Return sums of sky pattern, of variance, and the number of exposures at each pixel."""
    shape = frames[0].sci.shape
    total, var, count = (np.zeros(shape, np.float32) for _ in range(3))
    for frame, mask, middle in zip(frames, masks, middles, strict=True):
        keep = ~mask & ((frame.dq & ~np.uint32(3)) == 0)  # dead and hot pixels have their sky too
        total += np.where(keep, frame.sci - np.float32(middle), np.float32(0.0))
        var += np.where(keep, frame.var, np.float32(0.0))
        count += keep
    return total, var, count


def _by_pixel(
    frames: Sequence[Frame],
    masks: Sequence[NDArray[np.bool_]],
    inner: Sequence[NDArray[np.bool_]],
    patterns: Sequence[float],
) -> list[Frame]:
    """Return frames less the mean of the other exposures pixel by pixel; their cosmic rays are flagged before.

    Where haloes cover a pixel in all others, these are taken for sky: they are fainter than what the flat prints on it.
    Where the objects themselves do (``inner``), the frame keeps that pattern, whose variance in each is ``patterns``.
    """
    from elvis_cli.kernels import exposures

    made = [replace(frame, sci=np.empty_like(frame.sci), var=np.empty_like(frame.var)) for frame in frames]

    def fill(_: int, rows: slice) -> None:
        sci, var = (np.stack([getattr(frame, name)[rows] for frame in frames]) for name in ("sci", "var"))
        use = np.stack([(frame.dq[rows] & ~np.uint32(DEAD | HOT)) == 0 for frame in frames])  # these have their sky too
        free = [use & ~np.stack([mask[rows] for mask in each]) for each in (masks, inner)]
        exposures.less_others(sci, var, *free, np.array(patterns))
        for n, frame in enumerate(made):
            frame.sci[rows], frame.var[rows] = sci[n], var[n]

    for_rows(len(frames[0].sci), fill)
    return made


def _smooth(frames: Sequence[Frame], masks: Sequence[NDArray[np.bool_]]) -> None:
    """Subtract a surface through the boxes' means in the other exposures."""
    from elvis_cli.kernels import masks as kernels

    ny, nx = frames[0].sci.shape
    starts = [np.linspace(0, size, max(size // BOX, 1) + 1).astype(np.int64)[:-1] for size in (ny, nx)]
    boxes = gather(lambda n: kernels.box_sums(frames[n].sci, frames[n].good, masks[n], *starts), range(len(frames)))
    total = sum(one for one, _ in boxes)
    count = sum(one for _, one in boxes)
    for frame, (values, number) in zip(frames, boxes, strict=True):
        n = count - number
        mean = np.where(n > 0, (total - values) / np.maximum(n, 1), 0.0)
        kernels.subtract_surface(frame.sci, mean)
