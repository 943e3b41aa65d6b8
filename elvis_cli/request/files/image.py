"""An image of the sky -> the block ``elvis.image``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.errors import RequestError
from elvis_cli.request.files import hdu, wcs
from elvis_cli.request.payload import pack

MAX_IMAGE_SIDE = 4096
"""Rows or columns of an image."""
_LEAST, _MOST = 1e-30, 1e30
"""Brightest element, in any unit, between which 32 bits hold an image with its faint parts."""


def read_image(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return an image of a FITS file as the block ``elvis.image``, East to the left of its upward axis, and notes.

    Raises
    ------
    UsageError
        The file cannot be read as FITS.
    RequestError
        It holds no image of square elements, or one that is too large or in magnitudes.
    """
    pointer = "/elvis/image"
    with hdu.opened("--image", path) as (file, hdus, named):
        found, notes = hdu.select(file, hdus, named, pointer, _is_flat, "image of two dimensions")
        shape = [n for n in found.shape if n > 1]
        if max(shape) > MAX_IMAGE_SIDE:
            raise RequestError(
                f"{pointer}/shape",
                f"{file.name} has {shape[0]} x {shape[1]} elements: cut out or bin what is needed",
                found=shape,
                allowed=f"up to {MAX_IMAGE_SIDE} x {MAX_IMAGE_SIDE}",
            )
        pixels, header = np.asarray(found.data.squeeze(), float), found.header.copy()
        for key in wcs.SCALE_KEYS:
            if found is not hdus[0] and key in hdus[0].header and key not in header:
                header.append(hdus[0].header.cards[key])
    axes = wcs.read(header, file.name, pointer)
    if axes.x > axes.y:  # a row runs along the declination
        pixels = pixels.T
    pixels, scale, angle = wcs.upright(axes, pixels, file.name, pointer)
    unit = str(header.get("BUNIT", "")).strip()
    if "mag" in unit.casefold().replace("mgy", "").replace("magg", "") or re.match(r"(?i)(log|ln|dex)\b", unit):
        kind = "magnitudes" if "mag" in unit.casefold() else "logarithms"
        raise RequestError(f"{pointer}/data", f"{file.name} holds {kind}", found=unit, allowed="light, linear")
    notes += axes.notes
    notes.append(
        f"{file.name}: {f'BUNIT {unit} is not used' if unit else 'it has no BUNIT'}: as bright as /target/brightness"
    )
    top = float(np.nanmax(np.abs(pixels), initial=0.0, where=np.isfinite(pixels)))
    if top and not _LEAST < top < _MOST:  # beyond 32 bits, and only ratios count
        pixels = pixels / top
    data = np.ascontiguousarray(pixels, "<f4")
    block = {"data": pack(data.tobytes()), "shape": list(data.shape), "scale": scale, "position_angle": angle}
    return block, notes


def _is_flat(shape: tuple[int, ...]) -> bool:
    return sum(n > 1 for n in shape) == 2
