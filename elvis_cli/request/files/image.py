"""An image of the sky -> the block ``elvis.image``, and the orientation of what has a celestial WCS."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from numpy.typing import NDArray

from elvis_cli.base.arrays import Floats
from elvis_cli.errors import RequestError, UsageError
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.payload import pack

MAX_IMAGE_SIDE = 4096
"""Rows or columns of an image."""


def read_image(path: Path) -> dict[str, Any]:
    """Return the first image of a FITS file as the block ``elvis.image``, East to the left of its upward axis.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no image with a celestial WCS of square elements, or one that is too large.
    """
    try:
        with fits.open(path) as hdus:
            found = next((h for h in hdus if h.is_image and h.data is not None and h.data.squeeze().ndim == 2), None)
            if found is None:
                raise RequestError("/elvis/image", f"{path.name} holds no image of two dimensions")
            pixels, header = np.asarray(found.data.squeeze(), "<f4"), found.header
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"--image: cannot read {path}: {one_line(error)}") from None
    if max(pixels.shape) > MAX_IMAGE_SIDE:
        raise RequestError(
            "/elvis/image/shape",
            f"{path.name} has {pixels.shape[0]} x {pixels.shape[1]} elements: cut out or bin what is needed",
            found=list(pixels.shape),
            allowed=f"up to {MAX_IMAGE_SIDE} x {MAX_IMAGE_SIDE}",
        )
    pixels, scale, angle = upright(path, pixels, header, "/elvis/image")
    return {"data": pack(pixels.tobytes()), "shape": list(pixels.shape), "scale": scale, "position_angle": angle}


def upright(path: Path, pixels: NDArray[Any], header: fits.Header, pointer: str) -> tuple[NDArray[Any], float, float]:
    """Return pixels (..., latitude, longitude), East to the left, their scale (arcsec) and position angle (deg)."""
    matrix = _matrix(path, header, pointer)
    if np.linalg.det(matrix) > 0:  # a mirror image: East is on the right
        pixels, matrix = pixels[..., ::-1], matrix * [-1.0, 1.0]
    scale = math.sqrt(-float(np.linalg.det(matrix)))
    east, north = matrix[:, 1] / scale
    if not np.allclose(matrix, scale * np.array([[-north, east], [east, north]]), atol=0.01 * scale):
        raise RequestError(f"{pointer}/scale", f"{path.name}: its elements are not square", allowed="within 1 %")
    return pixels, scale, math.degrees(math.atan2(east, north))


def _matrix(path: Path, header: fits.Header, pointer: str) -> Floats:
    """Return arcsec (East, North) per element along x and y, (2, 2)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header)
            found = wcs.sub(["longitude", "latitude"]) if wcs.has_celestial else None
        except Exception as error:  # whatever wcslib finds wrong
            raise RequestError(pointer, f"{path.name}: its WCS cannot be read: {one_line(error)}") from None
    if found is None:
        raise RequestError(pointer, f"{path.name} has no celestial WCS: how large is an element, which way is North?")
    return np.asarray(found.pixel_scale_matrix * 3600.0)
