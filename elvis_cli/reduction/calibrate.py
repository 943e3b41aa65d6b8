"""A raw chip to electron/s: linearity, dark, flat, flags, variance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.kernels import exposures
from elvis_cli.reduction import master
from elvis_cli.reduction.frame import NO_LIGHT, Frame
from elvis_cli.reduction.master import Masters
from elvis_cli.reduction.raw import RawFile

ADC_RANGE = 65534.0
"""ADU that 16 bits hold."""
LEAST_RESPONSE = 0.05
"""Of the flat, below which a pixel sees no light."""


def calibrate(file: RawFile, chip: str, masters: Masters, response: Image | None = None) -> Frame:
    """Return one chip of a raw file in electron/s, sky included, with the variance of shot and read noise.

    The variance is that of the mean of NDIT integrations, with the master dark's and the flat's own; a pixel that the
    flat scales has the noise of what it collected. ``response`` takes the place of a flat: that of a spectrograph's
    single pixels, which all see light.
    """
    image, header = file.read(chip)
    readout, dit = masters.readout, file.dit
    dq = np.zeros(image.shape, np.uint32) if masters.dq is None else masters.dq.copy()
    limit = _limit(header, masters)
    dq |= master.saturated(image, limit)
    linear = master.straight(image, masters)
    if masters.flat is not None:
        lit = masters.flat > LEAST_RESPONSE
        response = np.where(lit, masters.flat, np.float32(1.0))
        dq |= (~lit).astype(np.uint32) * np.uint32(NO_LIGHT)
    sci, var = exposures.rates(
        linear,
        masters.dark,
        response,
        gain=readout.gain,
        dark_electrons=readout.dark * dit,
        read_variance=readout.ron**2,
        dark_variance=masters.dark_var,
        count=file.ndit,
        time=dit,
    )
    frame = Frame(sci, var, dq, header)
    full = master.straight(np.array([[min(limit, 1e9)]], np.float32), replace(masters, bias=None))
    frame.saturation = float(full[0, 0]) * readout.gain / dit if limit < 1e9 else float("inf")
    return frame


def _limit(header: Any, masters: Masters) -> float:
    """Return the level (ADU) up to which a pixel's value is believed."""
    return min(masters.range, ADC_RANGE) if header["BITPIX"] == 16 else masters.range
