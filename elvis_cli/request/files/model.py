"""A model of a detector stage -> an item of the block ``elvis.models``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from elvis_cli.errors import RequestError, json_pointer
from elvis_cli.request.files.errors import one_line
from elvis_cli.request.files.guard import open_fits
from elvis_cli.request.parse import parse_json
from elvis_cli.request.payload import pack


def read_model(name: str, path: Path) -> dict[str, Any]:
    """Return a JSON object of parameters, or the images of a FITS file, as an item of the block ``elvis.models``.

    The images of several chips are told apart by ESO DET CHIP NO or EXTVER; one image is that of all chips.

    Raises
    ------
    RequestError
        There is no such file, or it is neither.
    """
    pointer = json_pointer("elvis", "models", name)
    try:
        content = path.read_bytes()
        if content.lstrip()[:1] in b"{[":
            found = _json(content, path.name, pointer)
            if not isinstance(found, dict):
                raise RequestError(pointer, f"{path.name} is not an object of parameters", found=type(found).__name__)
            return {"parameters": {key: _flat(value) for key, value in found.items()}}
        with open_fits(path) as hdus:
            images = [h for h in hdus if h.is_image and h.data is not None]
            if not images or any(h.data.ndim != 2 for h in images):
                raise RequestError(pointer, f"{path.name} holds no image of two dimensions")
            numbers = [int(h.header.get("ESO DET CHIP NO", h.header.get("EXTVER", 0))) for h in images]
            numbers = numbers if len(images) > 1 else [0]
            if len(set(numbers)) < len(numbers):
                raise RequestError(pointer, f"{path.name}: which chip is which?", allowed="ESO DET CHIP NO or EXTVER")
            arrays = {
                str(n): {"data": pack(np.asarray(h.data, "<f4").tobytes()), "shape": list(h.data.shape)}
                for n, h in zip(numbers, images, strict=True)
            }
    except (OSError, ValueError, TypeError) as error:
        raise RequestError(pointer, f"cannot read {path}: {one_line(error)}", allowed="a JSON or FITS file") from None
    return {"arrays": arrays}


def _json(content: bytes, name: str, pointer: str) -> Any:
    try:
        return parse_json(content)
    except RequestError as error:
        raise RequestError(pointer, f"{name}: {error.details['reason']}") from None


def _flat(value: Any) -> Any:
    """Return a matrix as one list, row by row."""
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        return [item for row in value for item in row]
    return value
