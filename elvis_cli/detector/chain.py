"""From expected electrons per second to ADU: the detector stages in their one order.

The order is that of the charge. Light meets the pixel's response (flat_field), but not the border of an infrared
array (reference_pixels); dark current adds to what is
collected, more in hot_pixels; dead_pixels collect neither. That is the expectation, which shot_noise makes whole
electrons. Cosmic rays come after it, because their charge has no Poisson noise of its own; everything collected
shares one full_well. The node turns charge into voltage (nonlinearity), the amplifier adds read_noise, and gain, bias
and adc make numbers of it.

Parameters. Dark, full_well, read_noise, gain, bias and adc use the numbers of the Chip and the Detector. The others
use the instrument's table ``stages.<name>`` (`Detector.stages`: plain numbers); without a table the stage does not
run. In TOML:

    [stages.flat_field]     rms: of the response of a physical pixel
    [stages.reference_pixels]
                            border: width in physical pixels
    [stages.hot_pixels]     fraction of the physical pixels; low, high: range of their dark current, electron/s
    [stages.dead_pixels]    fraction of the physical pixels
    [stages.cosmic_rays]    rate, 1/(cm2 s); probability: list from 0 to 1;
                            length, um, and energy, electron: the quantiles at these probabilities
    [stages.nonlinearity]   beta, 1/electron: Q -> Q (1 - beta Q)

    each as  rms = {value = 0.01, unit = "", source = "...", assumed = true}

`describe` lists them with unit and range. The fixed patterns belong to the physical pixels of the chip: a binned
frame, or a window, shows the same ones as the full frame.

Infrared: the frame is the mean of ``count`` = NDIT integrations, made at the cost of one. The array holds the mean per
integration: shot noise is Poisson(count * mean) / count, read noise falls with sqrt(count), a cosmic ray counts once
in ``count`` and within the full well of its integration, adc rounds to 1/count. Full well, non-linearity and the ADC's
clipping act on the mean rather than on each integration, which is inexact only for pixels within about one sigma of
those limits (one sigma = sqrt of the full well). CCD: ``count`` is the number of exposures; a frame is one of them.

Whole-image effects (bleeding, charge transfer, overscans) fit in as stages that set ``image`` instead of ``rows``;
neighbouring ``rows`` stages run together, block of rows by block of rows, for the sake of the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.detector import (
    adc,
    bias,
    cosmic_rays,
    dark,
    dead_pixels,
    flat_field,
    full_well,
    gain,
    hot_pixels,
    nonlinearity,
    read_noise,
    reference_pixels,
    shot_noise,
)
from elvis_cli.detector.stage import Image, Readout, Stage
from elvis_cli.errors import RequestError, choice_error
from elvis_cli.instrument import Chip, Setup
from elvis_cli.parallel import for_rows
from elvis_cli.request import Extras, Request, Window

CHAIN: tuple[Stage[Any], ...] = (
    flat_field.STAGE,
    reference_pixels.STAGE,
    dark.STAGE,
    hot_pixels.STAGE,
    dead_pixels.STAGE,
    shot_noise.STAGE,
    cosmic_rays.STAGE,
    full_well.STAGE,
    nonlinearity.STAGE,
    read_noise.STAGE,
    gain.STAGE,
    bias.STAGE,
    adc.STAGE,
)
RowFunction = Callable[[Image, int, Any, Readout], None]
NAMES = tuple(stage.name for stage in CHAIN)


def describe() -> tuple[dict[str, Any], ...]:
    """Return the stages in order, with their parameters: what `elvis stages` prints."""
    return tuple(
        {
            "name": stage.name,
            "title": stage.title,
            "from": "chip or detector" if stage.own else "stages table",
            "parameters": [
                {
                    "name": f.name,
                    "unit": f.metadata["unit"],
                    "low": f.metadata["low"],
                    "high": f.metadata["high"],
                    "text": f.metadata["text"],
                }
                for f in fields(stage.parameters)
            ],
        }
        for stage in CHAIN
    )


def select(extras: Extras) -> tuple[Stage[Any], ...]:
    """Return the stages to run in the order of CHAIN: those of ``extras.stages`` (None: all) less ``extras.skip``.

    Raises
    ------
    RequestError
        An unknown name, at /elvis/stages/i or /elvis/skip/i.
    """
    for key, names in (("stages", extras.stages or ()), ("skip", extras.skip)):
        for i, name in enumerate(names):
            if name not in NAMES:
                raise choice_error(f"/elvis/{key}/{i}", name, NAMES)
    wanted = NAMES if extras.stages is None else extras.stages
    return tuple(stage for stage in CHAIN if stage.name in wanted and stage.name not in extras.skip)


def configure(readout: Readout, extras: Extras) -> list[tuple[Stage[Any], Any]]:
    """Return the stages that will run on a chip, each with its parameters.

    Raises
    ------
    RequestError
        An unknown stage, or one asked for by name that this instrument has no parameters for.
    ResourceError
        The instrument's parameters are wrong.
    """
    steps = []
    for stage in select(extras):
        parameters = stage.configure(readout)
        if parameters is not None:
            steps.append((stage, parameters))
        elif extras.stages is not None:
            raise RequestError(
                f"/elvis/stages/{extras.stages.index(stage.name)}",
                f"{readout.instrument} ({readout.detector.name}) has no parameters for the stage {stage.name!r}",
                found=stage.name,
                allowed=[s.name for s in CHAIN if s.own or s.name in readout.detector.stages],
            )
    return steps


def check(request: Request, setup: Setup) -> None:
    """Raise what `expose` would raise for one of the chips, before anything is rendered."""
    if request.extras.product == "expected":
        select(request.extras)
        return
    for number in setup.chips:
        configure(_readout(setup, setup.detector.chip(number), setup.window, request, 1), request.extras)


def expose(
    rate: Image, setup: Setup, chip: Chip, window: Window, request: Request, count: int
) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Return the frame of one chip.

    ``rate`` is float32 (ny, nx), the expected electrons per second and pixel of ``window`` without dark current; it is
    not changed. ``count`` is NDIT or NEXPO, see the module. The frame has the same shape: uint16 ADU for a CCD, float32
    ADU for an infrared array; float32 in the unit reached when adc is left out.

    Raises
    ------
    RequestError, ResourceError
        See `configure`.
    """
    readout = _readout(setup, chip, window, request, count)
    image: NDArray[Any] = np.empty(rate.shape, np.float32)
    pending: list[tuple[RowFunction, Any]] = [(_integrate, rate)]
    for stage, parameters in configure(readout, request.extras):
        if stage.rows is not None:
            pending.append((stage.rows, parameters))
        elif stage.image is not None:
            _run(pending, image, readout)
            pending = []
            image = stage.image(image, parameters, readout)
    _run(pending, image, readout)
    return image


def _readout(setup: Setup, chip: Chip, window: Window, request: Request, count: int) -> Readout:
    return Readout(
        instrument=setup.instrument,
        detector=setup.detector,
        chip=chip,
        window=window,
        dit=setup.dit,
        count=1 if setup.detector.kind == "ccd" else count,
        seed=request.extras.seed,
        exposure=request.extras.exposure,
    )


def _integrate(rows: Image, y: int, rate: Image, readout: Readout) -> None:
    np.multiply(rate[y : y + len(rows)], np.float32(readout.dit), out=rows)


def _run(pending: Sequence[tuple[RowFunction, Any]], image: Image, readout: Readout) -> None:
    """Apply the functions one after another to every block of rows."""

    def work(_: int, rows: slice) -> None:
        for function, parameters in pending:
            function(image[rows], rows.start, parameters, readout)

    if pending:
        for_rows(len(image), work)
