"""From light to ADU: the stages in their order.

The order is that of the charge, unless the detector's data name others (`Detector.orders`, of which the request may
choose one). Light comes first: DRAWN are the parts that the focal plane draws. It meets the pixel's response
(flat_field), but not the border of an infrared array (reference_pixels); dark current adds to what is collected, more
in hot_pixels; dead_pixels collect neither. That is the expectation, which shot_noise makes whole electrons. Cosmic
rays come after it, because their charge has no Poisson noise of its own; everything collected shares one full_well.
The node turns charge into voltage (nonlinearity), which neighbours share (ipc), the amplifier adds read_noise and
correlated_noise, and gain, bias and adc make numbers of it.

Parameters. Those of OWN use the numbers of the Chip and the Detector. The others use the instrument's table
``stages.<name>`` (`Detector.stages`: plain numbers); without a table the stage does not run. `elvis stages --json`
lists them with unit and range. In TOML:

    [stages.flat_field]
    rms = {value = 0.01, unit = "", source = "...", assumed = true}

The fixed patterns belong to the physical pixels of the chip: a binned frame, or a window, shows the same ones as the
full frame.

Infrared: the frame is the mean of ``count`` = NDIT integrations, made at the cost of one. The array holds the mean per
integration: shot noise is Poisson(count * mean) / count, read noise falls with sqrt(count), a cosmic ray counts once
in ``count`` and within the full well of its integration, adc rounds to 1/count. Full well, non-linearity and the ADC's
clipping act on the mean rather than on each integration, which is inexact only for pixels within about one sigma of
those limits (one sigma = sqrt of the full well). How the array is sampled between two resets is in the noise
(`elvis_cli.model.sampling`); single reads are only made when they are to be kept (`elvis_cli.detector.ramp`). CCD:
``count`` is the number of exposures; a frame is one of them.

Whole-image effects (bleeding, charge transfer, overscans) are stages that set ``image`` instead of ``rows``, and may
return an array of another shape; neighbouring ``rows`` stages run together, block of rows by block of rows, for the
sake of the processor's cache. A stage's module is only imported for a detector that has the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.detector.stage import StageContext
from elvis_cli.detector.steps import DRAWN, Step, configure, select, sequence
from elvis_cli.model.detector import Chip
from elvis_cli.model.elvis_block import ElvisBlock
from elvis_cli.model.limits import DEFAULT, Limits
from elvis_cli.model.setup import Setup

Draw = Callable[[frozenset[str]], Image]
_PIXEL_BYTES = 4
"""Bytes of a pixel of an image."""
RowFunction = Callable[[Image, int, Any, StageContext], None]


def check(setup: Setup, block: ElvisBlock, limits: Limits = DEFAULT) -> None:
    """Raise what `expose` would raise for one of the chips, and if they exceed the limits, before anything is rendered.

    Raises
    ------
    RequestError, ResourceError
        See `configure`, and `Limits`.
    """
    images = len(setup.frame.chips)  # frames
    image_bytes = _PIXEL_BYTES * setup.frame.window.nx * setup.frame.window.ny
    if block.product == "expected":
        select(block, setup.detector)
    else:
        for number in setup.frame.chips:
            context = _context(setup, setup.detector.chip(number), block)
            images += sum(step.keep for step in configure(context, block))
        if block.reads:
            reads = context.sampling.reads
            images += reads * len(setup.frame.chips)
            limits.check_memory(image_bytes * reads, "/elvis/readout")
    pointer = "/elvis/keep" if block.keep else "/elvis/reads" if block.reads else "/elvis/chips"
    limits.check_output(image_bytes * images, pointer)


def expose(rate: Image, setup: Setup, chip: Chip, block: ElvisBlock) -> NDArray[np.float32] | NDArray[np.uint16]:
    """Return the frame of one chip: what `develop` yields last.

    ``rate`` is all the light, float32 (ny, nx), electrons per second and pixel: it counts as stars. It is not changed.

    Raises
    ------
    RequestError, ResourceError
        See `configure`.
    """

    def draw(parts: frozenset[str]) -> Image:
        return rate if "stars" in parts else np.zeros_like(rate)

    *_, (_, image) = develop(draw, setup, chip, block)
    return image


def develop(draw: Draw, setup: Setup, chip: Chip, block: ElvisBlock) -> Iterator[tuple[str | None, NDArray[Any]]]:
    """Yield the images of one chip that are to be kept, each with its stage's name, at last the frame with None.

    ``draw`` returns some parts of the light: float32 (ny, nx), the expected electrons per second and pixel of the
    Setup's window without dark current; it is not changed, and asked for more than once. The frame has the
    shape of the window, unless overscans are added: uint16 ADU for a CCD, float32 ADU for an infrared array; float32
    in the unit reached when adc is left out. An image is only good until the next one is asked for.

    Raises
    ------
    RequestError, ResourceError
        See `configure`.
    """
    context = _context(setup, chip, block)
    window = setup.frame.window
    steps, run = configure(context, block), partial(_develop, draw)
    for batch in _batches(steps):
        if parts := _parts(batch):
            draw(parts)  # before there is an image: drawing a crowd takes the most memory
    image: NDArray[Any] = np.zeros((window.ny, window.nx), np.float32)
    if block.reads:
        from elvis_cli.detector import ramp

        yield from ramp.develop(steps, sequence(setup.detector, block.order), run, image, context)
    else:
        yield from run(steps, image, context)


def _develop(
    draw: Draw, steps: Sequence[Step], image: NDArray[Any], context: StageContext
) -> Iterator[tuple[str | None, NDArray[Any]]]:
    """Yield what `develop` does, of some steps on an image that it may change."""
    pending: list[tuple[RowFunction, Any]] = []
    done: set[str] = set()
    for batch in _batches(steps):
        step = batch[-1]
        if step.stage is None:
            yield from _keep_light(batch, image, draw, context)
            parts = _parts(batch)
            if parts:
                pending.append((_integrate, draw(parts)))
        elif step.stage.rows is not None:
            pending.append((step.stage.rows, step.parameters))
        elif step.stage.image is not None:
            _run(pending, image, context)
            image = step.stage.image(image, step.parameters, replace(context, shape=image.shape, done=frozenset(done)))
        done.add(step.name)
        if step.keep:
            _run(pending, image, context)
            yield step.name, image
    _run(pending, image, context)
    yield None, image


def _batches(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Yield the steps one by one, but neighbouring parts of the light together: they are drawn at once."""
    for light, group in groupby(steps, key=lambda step: step.name in DRAWN):
        some = list(group)
        yield from [some] if light else [[step] for step in some]


def _parts(steps: Sequence[Step]) -> frozenset[str]:
    return frozenset(step.name for step in steps if step.runs and step.name in DRAWN)


def _keep_light(
    steps: Sequence[Step], image: Image, draw: Draw, context: StageContext
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the images to keep before the last of some parts of the light.

    They are drawn apart, so that the frame, for which all are drawn together, does not depend on what is kept.
    """
    for n, step in enumerate(steps[:-1], 1):
        if step.keep:
            parts = _parts(steps[:n])
            yield step.name, image + draw(parts) * np.float32(context.dit) if parts else image


def _context(setup: Setup, chip: Chip, block: ElvisBlock) -> StageContext:
    return StageContext(
        instrument=setup.instrument,
        arm=setup.arm,
        detector=setup.detector,
        chip=chip,
        window=setup.frame.window,
        dit=setup.exposure.dit,
        count=setup.exposure.integrations,
        seed=block.seed,
        exposure=setup.exposure.number,
        previous=block.previous,
        models=block.models,
    )


def _integrate(rows: Image, y: int, rate: Image, context: StageContext) -> None:
    rows += rate[y : y + len(rows)] * np.float32(context.dit)


def _run(pending: list[tuple[RowFunction, Any]], image: Image, context: StageContext) -> None:
    """Apply the functions one after another to every block of rows, and forget them."""

    def work(_: int, rows: slice) -> None:
        for function, parameters in pending:
            function(image[rows], rows.start, parameters, sized)

    sized = replace(context, shape=image.shape)
    if pending:
        for_rows(len(image), work)
    pending.clear()
