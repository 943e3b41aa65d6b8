"""ELVIS beside GalSim: the same stars from the same PSF on a frame of 2048 x 2048, processor time per star and images.

Both draw in this process, on one thread, and neither makes the PSF. GalSim draws an InterpolatedImage (no pixel: the
PSF holds it already) on a stamp of 64 x 64 for each star, and no halo outside of it. ELVIS is there twice: with haloes
over all of the frame, as it draws frames, and with cores alone, boxes of 48 x 48, which is what GalSim does. Last,
GalSim draws one star over all of the frame. The floor is numpy's: a normal and a Poisson deviate for each pixel.

    python -m tests.bench.stars
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli import pipeline
from elvis_cli.base import parallel
from elvis_cli.focalplane.geometry import field_to_pixel
from elvis_cli.instrument import registry
from elvis_cli.request import parse
from tests.bench import measure

SIZE = 2048
STAMP = 64
COUNTS = 1, 100, 1000, 2500, 10_000
COMPARED = 1000
"""Stars of the frame whose images are compared."""


def observation(count: int) -> pipeline.PreparedExposure:
    """Return ``count`` stars of MICADO's example on the middle of a chip, one PSF for all."""
    rng = np.random.default_rng(2)
    half = 0.004 * (SIZE / 2 - STAMP)
    x, y = rng.uniform(-half, half, (2, count))
    document = registry.load("micado").example()
    corner = (4096 - SIZE) // 2
    document["elvis"] = {
        "window": {"x0": corner, "y0": corner, "nx": SIZE, "ny": SIZE},
        "catalogue": {"x": x.tolist(), "y": y.tolist(), "mag": rng.uniform(18, 24, count).tolist()},
    }
    ready = pipeline.prepare(parse.read(json.dumps(document)))
    if ready.renderer.zones is None:  # type: ignore[union-attr]
        return ready  # so few stars that each has a PSF of its own
    zones = replace(ready.renderer.zones, cores=ready.renderer.psf.fine[:1].__getitem__, pitch=0.0)  # type: ignore[type-var]
    return replace(ready, renderer=replace(ready.renderer, zones=zones))


def ours(ready: pipeline.PreparedExposure) -> tuple[NDArray[np.float32], float]:
    """Return the stars on the frame (no background) and the processor seconds it took."""
    chip = ready.setup.detector.chip(ready.setup.frame.chips[0])
    begin = time.process_time()
    image = ready.renderer.illuminate(chip, ready.setup.frame.window)
    seconds = time.process_time() - begin
    return image - np.float32(ready.renderer.light.budget.background_rate), seconds


def cores(ready: pipeline.PreparedExposure, count: int) -> float:
    """Return the processor seconds that the cores alone of the first ``count`` stars take, with the frame."""
    scene, chip = ready.renderer.scene, ready.setup.detector.chip(ready.setup.frame.chips[0])
    scene = replace(scene, x=scene.x[:count], y=scene.y[:count], rate=scene.rate[:count])
    begin = time.process_time()
    px, py = field_to_pixel(ready.setup, chip, scene.x, scene.y)
    image = np.zeros((SIZE, SIZE), np.float32)
    place = px - ready.setup.frame.window.x0, py - ready.setup.frame.window.y0
    ready.renderer.zones.draw_cores([image], chip, [place], [scene])  # type: ignore[union-attr]
    return time.process_time() - begin


def theirs(ready: pipeline.PreparedExposure, galsim: Any, side: int = STAMP) -> tuple[NDArray[np.float32], float]:
    """Return the same by GalSim on stamps of a ``side``; one that is larger than the frame is cut."""
    scene, setup, spread = ready.renderer.scene, ready.setup, ready.renderer.psf
    fine = spread.fine[0].astype(np.float64)
    fine = fine[1:, 1:]  # odd, so that the star is in the middle
    interpolated = galsim.InterpolatedImage(
        galsim.Image(fine / spread.oversample**2, scale=1.0 / spread.oversample),
        x_interpolant="cubic",
        normalization="flux",
    )
    interpolated = interpolated.withFlux(float(fine.sum()) / spread.oversample**2)
    px, py = field_to_pixel(setup, setup.detector.chip(setup.frame.chips[0]), scene.x, scene.y)
    px, py = px - setup.frame.window.x0 + 1, py - setup.frame.window.y0 + 1
    begin = time.process_time()
    frame = galsim.Image(SIZE, SIZE, dtype=np.float32, scale=1.0, init_value=0.0)
    for x, y, rate in zip(px, py, scene.rate, strict=True):
        ix, iy = round(x), round(y)
        bounds = galsim.BoundsI(ix - side // 2, ix + side // 2 - 1, iy - side // 2, iy + side // 2 - 1) & frame.bounds
        stamp = galsim.Image(bounds, dtype=np.float32, scale=1.0)
        (interpolated * rate).drawImage(stamp, center=(x, y), method="no_pixel")
        frame[bounds] += stamp
    return frame.array, time.process_time() - begin


def row(name: str, seconds: float, limit: float, count: int = 1, more: str = "") -> None:
    """Print the row of a drawing, with the microseconds of each star."""
    measure.row(name, measure.used(seconds), limit, f"{seconds / count * 1e6:.1f} us a star{more}")


def main() -> None:
    """Print rows of both, and how far the images differ."""
    measure.head(__doc__)
    parallel.set_threads(1)
    try:
        import galsim
    except ImportError:
        galsim = None
        print("    GalSim: no row: it is not installed (pip install galsim)")
    many, limit = observation(COUNTS[-1]), SIZE**2 * measure.floor().deviates
    for count in COUNTS:
        ready = observation(count)
        ours(ready)
        own, part = min(ours(ready)[1] for _ in range(3)), min(cores(many, count) for _ in range(3))
        row(f"{count} stars on {SIZE} x {SIZE}: ELVIS", own, limit, count)
        row("    cores alone", part, limit, count)
        if galsim:
            other = min(theirs(ready, galsim)[1] for _ in range(3 if count < COUNTS[-1] else 1))
            more = f"; {other / part:.1f} times ELVIS's cores, {other / own:.1f} times all"
            row("    GalSim", other, limit, count, more)
    if not galsim:
        return
    ready = observation(1)
    own, (_, other) = min(ours(ready)[1] for _ in range(3)), theirs(ready, galsim, 2 * SIZE)
    row("one star over all of the frame: ELVIS", own, limit)
    row("    GalSim", other, limit)
    ready = observation(COMPARED)
    image, other_image = ours(ready)[0], theirs(ready, galsim)[0]
    bright = other_image > 0.01 * other_image.max()
    ratio = image[bright] / other_image[bright]
    print(f"ELVIS / GalSim on the bright pixels: mean {ratio.mean():.4f}, scatter {ratio.std():.4f}")


if __name__ == "__main__":
    main()
