"""Where the defective pixels of a chip are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.parallel import ROWS
from elvis_cli.base.random_streams import generator
from elvis_cli.detector.stage import StageContext


def defects(
    fraction: float, stage: str, context: StageContext
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return y, x in the window and a uniform deviate in [0, 1) of every defective physical pixel in it.

    Each physical pixel of the chip is defective with probability ``fraction``. They are drawn for blocks of ROWS
    rows of the whole chip from the chip's own key, so a window holds exactly those of the full frame; with binning
    several may fall into one pixel.
    """
    window, binning, key = context.window, context.detector.binning, context.key(stage)
    width, height = context.detector.nx * binning, context.detector.ny * binning
    found = [np.empty((3, 0))]
    first, last = window.y0 * binning // ROWS, ((window.y0 + window.ny) * binning - 1) // ROWS
    for block in range(first, last + 1):
        random = generator(key, 0, context.chip.id, stage, block)
        size = width * min(ROWS, height - block * ROWS)
        place = random.choice(size, random.binomial(size, fraction), replace=False, shuffle=False)
        y = (block * ROWS + place // width) // binning - window.y0
        x = place % width // binning - window.x0
        inside = (y >= 0) & (y < window.ny) & (x >= 0) & (x < window.nx)
        found.append(np.array([y, x, random.random(len(place))])[:, inside])
    y, x, deviate = np.concatenate(found, axis=1)
    return y.astype(np.int64), x.astype(np.int64), deviate
