"""Noise of a frame of 2048 x 2048 pixels on one thread, beside numpy's deviates of the same distribution.

A row's time is the least of several frames, drawn in this process; its floor is numpy's (SFC64): `standard_normal` in
32 bits, `poisson` of one mean for all pixels. Our means differ from pixel to pixel; writing them anew is taken off.

    python -m tests.bench.noise
"""

from __future__ import annotations

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.kernels import deviates
from tests.bench import measure

SIDE = 2048
FRAMES = 7
MEANS = 0.3, 3.0, 30.0, 1000.0, 30_000.0
"""Electrons."""
ASKED = {"normal": 3.0, "Poisson": 5.0}
"""ns a pixel."""


def row(name: str, own: measure.Used, other: measure.Used, asked: float) -> None:
    """Print a row with the nanoseconds of a pixel."""
    ours_ns, numpys_ns = (used.cpu / SIDE**2 * 1e9 for used in (own, other))
    measure.row(name, own, other.cpu, f"{ours_ns:.2f} ns a pixel (asked {asked:g}), numpy {numpys_ns:.1f}")


def ours(mean: float) -> measure.Used:
    """Return processor seconds and memory of the Poisson deviates of a frame, without those of writing its means."""
    image = np.empty((SIDE, SIDE), np.float32)
    rng = np.random.default_rng(1)
    means = (mean * rng.uniform(0.9, 1.1, image.shape)).astype(np.float32)

    def draw() -> None:
        image[:] = means
        deviates.poisson(image, 1, np.uint64(7), 0, 0)

    def write() -> None:
        image[:] = means

    used = measure.least(draw, FRAMES)
    return used._replace(cpu=used.cpu - measure.least(write, FRAMES).cpu)


def main() -> None:
    """Print a row for each kind of deviates."""
    measure.head(__doc__)
    parallel.set_threads(1)
    random = np.random.Generator(np.random.SFC64(1))
    image = np.empty((SIDE, SIDE), np.float32)
    own = measure.least(lambda: deviates.fill_normal(image, np.uint64(7), 0, 0), FRAMES)
    other = measure.least(lambda: random.standard_normal(dtype=np.float32, out=image), FRAMES)
    row("normal deviates", own, other, ASKED["normal"])
    for mean in MEANS:
        other = measure.least(lambda mean=mean: random.poisson(mean, image.shape), FRAMES)
        row(f"Poisson deviates of mean {mean:g}", ours(mean), other, ASKED["Poisson"])


if __name__ == "__main__":
    main()
