"""ELVIS beside GalSim: the same stars from the same PSF on one frame, time per star and difference of the images.

Both draw in this process; GalSim draws 64 x 64 stamps of an InterpolatedImage (no pixel: the PSF holds it already).
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elvis_cli import pipeline
from elvis_cli.instrument import registry
from elvis_cli.request import parse

SIZE = 2048
STAMP = 64


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
    zones = replace(ready.renderer.zones, cores=ready.renderer.psf.fine[:1].__getitem__, pitch=0.0)  # type: ignore[type-var]
    return replace(ready, renderer=replace(ready.renderer, zones=zones))


def ours(ready: pipeline.PreparedExposure) -> tuple[NDArray[np.float32], float]:
    """Return the stars on the frame (no background) and the seconds it took."""
    chip = ready.setup.detector.chip(ready.setup.frame.chips[0])
    begin = time.perf_counter()
    image = ready.renderer.illuminate(chip, ready.setup.frame.window)
    seconds = time.perf_counter() - begin
    return image - np.float32(ready.renderer.light.budget.background_rate), seconds


def theirs(ready: pipeline.PreparedExposure, galsim: Any) -> tuple[NDArray[np.float32], float]:
    """Return the same by GalSim."""
    from elvis_cli.focalplane.geometry import field_to_pixel

    scene, setup, spread = ready.renderer.scene, ready.setup, ready.renderer.psf
    fine = spread.fine[0].astype(np.float64)
    fine = fine[1:, 1:]  # odd, so that the star is in the middle
    interpolated = galsim.InterpolatedImage(
        galsim.Image(fine / spread.oversample**2, scale=1.0 / spread.oversample),
        x_interpolant="cubic",
        normalization="flux",
    )
    interpolated = interpolated.withFlux(float(fine.sum()) / spread.oversample**2)
    frame = galsim.Image(SIZE, SIZE, dtype=np.float32, scale=1.0)
    px, py = field_to_pixel(setup, setup.detector.chip(setup.frame.chips[0]), scene.x, scene.y)
    px, py = px - setup.frame.window.x0 + 1, py - setup.frame.window.y0 + 1
    begin = time.perf_counter()
    for x, y, rate in zip(px, py, scene.rate, strict=True):
        ix, iy = round(x), round(y)
        bounds = galsim.BoundsI(ix - STAMP // 2, ix + STAMP // 2 - 1, iy - STAMP // 2, iy + STAMP // 2 - 1)
        stamp = galsim.Image(bounds, dtype=np.float32, scale=1.0)
        (interpolated * rate).drawImage(stamp, center=(x, y), method="no_pixel")
        frame[bounds] += stamp
    return frame.array, time.perf_counter() - begin


def main() -> None:
    """Print microseconds per star of both and how far the images differ."""
    for count in (1000, 10_000, 100_000):
        ready = observation(count)
        ours(ready)
        image, seconds = ours(ready)
        print(f"elvis   {count:7d} stars  {1e6 * seconds / count:8.1f} us a star  (frame of {SIZE}^2, haloes included)")
    try:
        import galsim
    except ImportError:
        print("galsim is not installed: pip install galsim")
        return
    ready = observation(1000)
    image, _ = ours(ready)
    other, seconds = theirs(ready, galsim)
    print(f"galsim     1000 stars  {1e6 * seconds / 1000:8.1f} us a star  (stamps of {STAMP}^2)")
    bright = other > 0.01 * other.max()
    ratio = image[bright] / other[bright]
    print(f"elvis / galsim on the bright pixels: mean {ratio.mean():.4f}, scatter {ratio.std():.4f}")


if __name__ == "__main__":
    main()
