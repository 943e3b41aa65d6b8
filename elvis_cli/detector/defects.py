"""Where the defective pixels of a chip are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.parallel import ROWS
from elvis_cli.base.random_streams import generator
from elvis_cli.detector.stage import StageContext
from elvis_cli.model.elvis_block import Window


def defects(
    fraction: float, stage: str, context: StageContext
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return y, x in the window and a uniform deviate in [0, 1) of every defective physical pixel in it.

    Each physical pixel of the chip is defective with probability ``fraction``. They are drawn for blocks of ROWS
    rows of the whole chip from the chip's own key, so a window holds exactly those of the full frame; with binning
    several may fall into one pixel.
    """
    detector, key = context.detector, context.key(stage)
    shape = detector.ny * detector.binning, detector.nx * detector.binning
    return _places(fraction, stage, key, context.chip.id, shape, detector.binning, context.window)


@lru_cache(maxsize=8)  # the next frame of a chip has the same
def _places(
    fraction: float, stage: str, key: int, chip: int, shape: tuple[int, int], binning: int, window: Window
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return y, x and deviate (`defects`), read-only, of a chip of ``shape`` physical pixels."""
    height, width = shape
    found = [np.empty((3, 0))]
    first, last = window.y0 * binning // ROWS, ((window.y0 + window.ny) * binning - 1) // ROWS
    for block in range(first, last + 1):
        random = generator(key, 0, chip, stage, block)
        size = width * min(ROWS, height - block * ROWS)
        place = random.choice(size, random.binomial(size, fraction), replace=False, shuffle=False)
        y = (block * ROWS + place // width) // binning - window.y0
        x = place % width // binning - window.x0
        inside = (y >= 0) & (y < window.ny) & (x >= 0) & (x < window.nx)
        found.append(np.array([y, x, random.random(len(place))])[:, inside])
    y, x, deviate = np.concatenate(found, axis=1)
    result = y.astype(np.int64), x.astype(np.int64), deviate
    for each in result:
        each.flags.writeable = False
    return result
