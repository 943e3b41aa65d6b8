"""Ghosts: light that is reflected twice and comes out of focus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from elvis_cli.base.arrays import Image
from elvis_cli.base.parameters import number
from elvis_cli.detector.stage import Stage, StageContext

FINE = 4
"""Pixels of an element in which ghosts are drawn: they are rings of tens of pixels."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of every source that was drawn before: an annulus, shifted."""

    ratio: float = number("", 0.0, 1.0, "light of a ghost in units of its source's")
    outer: float = number("pixel", 4.0, 4000.0, "outer radius of the annulus")
    inner: float = number("pixel", 0.0, 4000.0, "inner radius", 0.0)
    x: float = number("pixel", -1e4, 1e4, "offset from the source", 0.0)
    y: float = number("pixel", -1e4, 1e4, "offset from the source", 0.0)

    def __post_init__(self) -> None:
        if self.inner >= self.outer:
            raise ValueError(f"inner = {self.inner:g} is not below outer = {self.outer:g}")


def annulus(outer: float, inner: float) -> NDArray[np.float64]:
    """Return an annulus (radii in elements, any centre of an odd square) of sum 1, with smooth edges."""
    half = int(np.ceil(outer)) + 1
    n = np.arange(-half, half + 1)
    distance = np.hypot(n[:, None], n)
    ring = np.clip(outer + 0.5 - distance, 0, 1) - np.clip(inner + 0.5 - distance, 0, 1) * (inner > 0)
    return np.asarray(ring / ring.sum())


def apply(image: Image, parameters: Parameters, context: StageContext) -> Image:
    """Add the ghosts of what is in the image."""
    from scipy import fft

    ny, nx = image.shape
    my, mx = -(-ny // FINE), -(-nx // FINE)
    padded = np.zeros((my * FINE, mx * FINE), np.float32)
    padded[:ny, :nx] = image
    coarse = padded.reshape(my, FINE, mx, FINE).sum(axis=(1, 3), dtype=np.float64)
    if not coarse.any():
        return image
    ring = annulus(parameters.outer / FINE, parameters.inner / FINE)
    reach = ring.shape[0] // 2
    size = [fft.next_fast_len(n + 2 * reach, real=True) for n in (my, mx)]
    full = fft.irfft2(fft.rfft2(coarse, size) * fft.rfft2(ring, size), size) * parameters.ratio / FINE**2
    full = np.where(full > 1e-9 * full.max(), full, 0.0)[: my + 2 * reach, : mx + 2 * reach]
    sy, sx = round(parameters.y / FINE), round(parameters.x / FINE)
    ghost = np.zeros((my, mx))
    for_y, for_x = np.arange(my) + reach - sy, np.arange(mx) + reach - sx
    in_y, in_x = (for_y >= 0) & (for_y < full.shape[0]), (for_x >= 0) & (for_x < full.shape[1])
    ghost[np.ix_(in_y, in_x)] = full[np.ix_(for_y[in_y], for_x[in_x])]
    rows = np.repeat(ghost.astype(np.float32), FINE, axis=1)[:, :nx]
    image += np.repeat(rows, FINE, axis=0)[:ny]
    return image


STAGE = Stage("ghosts", "rings of light that is reflected twice", Parameters, image=apply)
