"""Surface-brightness templates on pixels: any scale, any angle, no light lost."""

from __future__ import annotations

import math

import numpy as np

from elvis_cli.base import parallel
from elvis_cli.base.arrays import Floats, Image


def coarsen(image: Image, factor: float) -> Image:
    """Return ``image`` (ny, nx) on elements ``factor`` (> 1) times as wide about the same middle, sums conserved.

    Each new element takes from the old ones by overlapping area.
    """
    return np.asarray(_overlap(image.shape[0], factor) @ image @ _overlap(image.shape[1], factor).T, np.float32)


def _overlap(size: int, factor: float) -> Floats:
    """Return (m, size): which part of each old element a new one covers."""
    count = math.ceil(size / factor)
    edges = size / 2 + factor * (np.arange(count + 1) - count / 2)
    old = np.arange(size)
    shared = np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old)
    return np.asarray(np.clip(shared, 0.0, 1.0))


def on_pixels(image: Image, scale: float, x: float, y: float, angle: float, shape: tuple[int, int]) -> Image:
    """Return a picture on pixels (ny, nx): shares of the whole picture's light, bilinear between neighbours.

    ``scale`` is pixels per element, (x, y) the pixel at the picture's middle, ``angle`` (rad) the direction of the
    picture's +x axis from the pixels' +x axis towards +y. Elements below half a pixel are joined first, so that
    sampling misses none; between larger ones the light is interpolated.
    """
    from elvis_cli.kernels.image_template import sample

    total = float(image.sum(dtype=np.float64))
    if scale < 0.5:
        image, scale = coarsen(image, 0.5 / scale), 0.5
    # samples at a whole fraction of an element add up to its light wherever they fall
    parts = min(
        range(math.ceil(2 / scale), 9) if scale < 1 else (2, 3), key=lambda n: (abs(n * scale - round(n * scale)), n)
    )
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    middle_y, middle_x = (np.array(image.shape) - 1) / 2
    x0, y0 = middle_x - cos * x - sin * y, middle_y + sin * x - cos * y
    result = np.zeros(shape, np.float32)

    def work(_: int, rows: slice) -> None:
        sample(result[rows], rows.start, image, x0, y0, cos, -sin, parts)

    parallel.for_rows(shape[0], work)
    half_x = (abs(math.cos(angle)) * image.shape[1] + abs(math.sin(angle)) * image.shape[0]) * scale / 2 + 1
    half_y = (abs(math.sin(angle)) * image.shape[1] + abs(math.cos(angle)) * image.shape[0]) * scale / 2 + 1
    if image.min() >= 0 and half_x < x < shape[1] - half_x and half_y < y < shape[0] - half_y:  # all of it is here
        return result / np.float32(result.sum(dtype=np.float64))
    return result * np.float32(1.0 / (total * scale**2))
