"""Cosmic rays of a single exposure, by their shape: sharper than any image of a star."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from elvis_cli.kernels import exposures
from elvis_cli.reduction.frame import BAD, COSMIC_RAY, Frame

SIGMA = 10.0
SHARPNESS = 0.1
"""A star of FWHM 1.5 pixels has more than this fraction of its peak in the median of the eight pixels around it."""


def flag_single(frame: Frame, where: NDArray[np.bool_] | None = None) -> int:
    """Flag sharp pixels of a frame without sky, all or those ``where`` is true, and return their number.

    A pixel is flagged that is 10 sigma above the median of the eight around it, if that median is below a tenth of
    it. Tracks of more than one pixel are left to the combination of dithers.
    """
    flags = frame.dq if where is None else frame.dq.copy()
    number = exposures.sharp_pixels(
        frame.sci, frame.var, flags, BAD, np.float32(SIGMA), np.float32(SHARPNESS), COSMIC_RAY
    )
    if where is None:
        return int(number)
    hit = where & (flags != frame.dq)
    frame.dq[hit] = flags[hit]
    return int(hit.sum())
