"""Nanoseconds of one thread that a pixel's noise takes, beside numpy's deviates: frames of 2048 x 2048 pixels.

The least processor time of several frames, in this process: the machine's other work makes none of them faster.

    python -m tests.bench.noise
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.kernels import deviates

SIDE = 2048
FRAMES = 7
MEANS = 0.3, 3.0, 30.0, 1000.0, 30_000.0
"""Electrons."""
ASKED = {"normal": 3.0, "Poisson": 5.0}
"""ns a pixel."""


def nanoseconds(draw: Callable[[], object]) -> float:
    """Return the processor time of a pixel."""
    seconds = []
    for _ in range(FRAMES):
        begin = time.process_time()
        draw()
        seconds.append(time.process_time() - begin)
    return min(seconds) / SIDE**2 * 1e9


def ours(mean: float) -> float:
    """Return what a Poisson deviate takes; writing the means anew is taken off."""
    image = np.empty((SIDE, SIDE), np.float32)
    rng = np.random.default_rng(1)
    means = (mean * rng.uniform(0.9, 1.1, image.shape)).astype(np.float32)

    def draw() -> None:
        image[:] = means
        deviates.poisson(image, 1, np.uint64(7), 0, 0)

    def write() -> None:
        image[:] = means

    return nanoseconds(draw) - nanoseconds(write)


def main() -> None:
    """Print a row for each kind of deviates."""
    parallel.set_threads(1)
    random = np.random.Generator(np.random.SFC64(1))
    image = np.empty((SIDE, SIDE), np.float32)
    own = nanoseconds(lambda: deviates.fill_normal(image, np.uint64(7), 0, 0))
    other = nanoseconds(lambda: random.standard_normal(dtype=np.float32, out=image))
    print(f"normal deviate: {own:5.2f} ns a pixel (asked {ASKED['normal']:g}), numpy {other:5.1f}")
    for mean in MEANS:
        own, other = ours(mean), nanoseconds(lambda mean=mean: random.poisson(mean, image.shape))
        print(
            f"Poisson deviate of mean {mean:g}: {own:5.2f} ns a pixel (asked {ASKED['Poisson']:g}), numpy {other:5.1f}"
        )


if __name__ == "__main__":
    main()
