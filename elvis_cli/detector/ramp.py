"""The reads of an infrared array one by one, and the frame that is fitted to them.

As everywhere in the chain, a read is the mean of the same read of all integrations. Without this module the frame is
made at once, with the same mean and the same noise (`elvis_cli.model.sampling`), at the cost of one read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parallel import for_rows
from elvis_cli.detector import shot_noise
from elvis_cli.detector.stage import StageContext

if TYPE_CHECKING:
    from elvis_cli.detector.steps import Step

NAME = "READS"
"""Of the extension."""
Develop = Callable[[Sequence["Step"], Image, StageContext], Iterator[tuple[str | None, NDArray[Any]]]]


def charges(mean: Image, noisy: bool, context: StageContext) -> Iterator[tuple[Image, StageContext]]:
    """Yield the charge (ny, nx) at every read, of which ``mean`` is expected at the end: it grows by what is drawn."""
    charge, before = np.zeros_like(mean), 0.0
    for number, time in enumerate(context.sampling.times()):
        each, step = replace(context, read=number), mean * np.float32(time - before)

        def work(_: int, rows: slice, step: Image = step, each: StageContext = each) -> None:
            shot_noise.draw(step[rows], rows.start, each)

        if noisy:
            for_rows(len(step), work)
        charge += step
        before = time
        yield charge.copy(), each


def develop(
    steps: Sequence[Step], names: Sequence[str], run: Develop, image: Image, context: StageContext
) -> Iterator[tuple[str | None, NDArray[Any]]]:
    """Yield the images to keep, the reads (n, ny, nx) as `NAME`, at last the frame with None.

    ``run`` makes some of the ``steps``, which stand in the order of ``names``. What comes before the stage shot_noise
    is done once, what follows up to bias for every read, the rest for the reads and for the frame.
    """
    marks = (0, names.index("shot_noise"), names.index("bias"), len(names))
    before, during, after = ([s for s in steps if a <= names.index(s.name) < b] for a, b in pairwise(marks))
    mean = image
    for name, mean in run(before, image, context):
        if name:
            yield name, mean
    noisy = bool(during) and during[0].name == shot_noise.STAGE.name
    during = [replace(step, keep=False) for step in during[noisy:]]
    reads = np.stack([_last(run(during, *charge)) for charge in charges(mean, noisy, context)])
    frame = np.tensordot(context.sampling.weights().astype(np.float32), reads, axes=1)
    last = [replace(step, keep=False) for step in after]
    for read in reads:
        read[...] = _last(run(last, read, context))
    yield NAME, reads
    yield from run(after, frame, context)


def _last(images: Iterator[tuple[str | None, NDArray[Any]]]) -> NDArray[Any]:
    *_, (_, image) = images
    return image
