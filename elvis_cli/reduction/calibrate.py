"""A raw chip to electron/s: linearity, dark, flat, flags, variance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from elvis_cli.base.arrays import Image
from elvis_cli.kernels import exposures
from elvis_cli.reduction import master
from elvis_cli.reduction.frame import NO_LIGHT, SATURATED, Flags, Frame
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
    frame = Frame(*rates(image, header, file, masters, response=response), header)
    limit = _limit(header, masters)
    full = master.straight(np.array([[min(limit, 1e9)]], np.float32), replace(masters, bias=None))
    frame.saturation = float(full[0, 0]) * masters.readout.gain / file.dit if limit < 1e9 else float("inf")
    return frame


def rates(
    image: Image,
    header: Any,
    file: RawFile,
    masters: Masters,
    rows: slice = slice(None),
    response: Image | None = None,
) -> tuple[Image, Image, Flags]:
    """Return ``rows`` of the ``image`` of a chip of a raw file in electron/s, their variance and flags: `calibrate`."""
    readout, dit = masters.readout, file.dit
    a, b = (0.0, 0.0) if masters.linearity is None else masters.linearity
    bias, dark, factors, known = (
        None if each is None else each[rows]
        for each in (masters.bias, masters.dark, response if masters.flat is None else masters.flat, masters.dq)
    )
    return exposures.rates(  # type: ignore[no-any-return]
        image[rows],
        bias,
        np.float32(a),
        np.float32(b),
        dark,
        factors,
        known,
        gain=readout.gain,
        dark_electrons=readout.dark * dit,
        read_variance=readout.ron**2,
        dark_variance=masters.dark_var,
        count=file.ndit,
        time=dit,
        limit=np.float32(_limit(header, masters)),
        saturated=SATURATED,
        least=np.float32(-np.inf if masters.flat is None else LEAST_RESPONSE),
        unlit=NO_LIGHT,
    )


def _limit(header: Any, masters: Masters) -> float:
    """Return the level (ADU) up to which a pixel's value is believed."""
    return min(masters.range, ADC_RANGE) if header["BITPIX"] == 16 else masters.range
