"""Memory that the block ``elvis`` of a request takes, known before its arrays are unpacked."""

from __future__ import annotations

import base64
import binascii
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.model.limits import Limits, offline_by_environment

PROGRAM_BYTES = 250_000_000
"""Bytes of memory of the program, its libraries and a small frame."""
_ARRAY_BYTES = {"image": 20, "cube": 16, "psf": 16, "model": 4.5}
"""Bytes of memory for an element, as measured: 4 of the array itself and those of what is made of it."""
_SOURCE_BYTES = dict.fromkeys(("x", "y", "ra", "dec", "mag"), 60)
"""Bytes of memory for a number of a source's place and light: as it is read, drawn and listed in TRUTH."""
_SCENE_STAR_BYTES = 165
"""Bytes of memory for a star of a scene."""
_COLUMN_BYTES = 24
"""Bytes of memory for a number of another column."""
_LIST_BYTES = 20
"""Bytes of memory that a number in a list takes beyond one that is packed."""
_PIXEL_BYTES = 1.5
"""Bytes of memory for a pixel of an earlier exposure: a byte, and what a chip at a time makes of it."""
_CHUNK = 1 << 20
_QUANTITY = re.compile(r"(?P<number>\d{1,15}(\.\d{1,9})?)\s*(?P<unit>[kMGT]i?)?B?")


def parse_limits(texts: Sequence[str], offline: bool = False) -> Limits:
    """Return the Limits in texts such as ``memory=2GB``.

    Raises
    ------
    ValueError
        There is no such limit, or it is not a number of bytes.
    """
    given: dict[str, Any] = {"offline": offline}
    for text in texts:
        name, _, value = text.partition("=")
        match = _QUANTITY.fullmatch(value.strip())
        if name.strip() == "time" and value.strip().isascii() and value.strip().isdigit():
            given["time"] = int(value[:18])
            continue
        if name.strip() not in ("memory", "output") or not match:
            raise ValueError(f"{text!r} is not memory=BYTES, output=BYTES or time=SECONDS, such as memory=2GB")
        unit = match["unit"] or ""
        factor = (1024 if unit.endswith("i") else 1000) ** (" kMGT".index(unit[0]) if unit else 0)
        given[name.strip()] = int(float(match["number"]) * factor)
    return Limits(**given)


def check(block: Mapping[str, Any], limits: Limits) -> float:
    """Return the bytes of memory that the program and the arrays of a block ``elvis`` take.

    Raises
    ------
    RequestError
        A limit is exceeded, or the block asks for what the limits forbid.
    """
    if limits.offline or offline_by_environment():
        for key, value in (("sky", "skycalc"), ("psf", "tiptop")):
            if block.get(key) == value:
                raise RequestError(f"/elvis/{key}", f"{value!r} is forbidden by the limit offline", found=value)
    total = float(PROGRAM_BYTES)
    for pointer, size in _sizes(block):
        total += size
        limits.check_memory(total, pointer)
    return total


def _sizes(block: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the pointer to each array and the bytes of memory that it takes."""
    for name in ("image", "cube", "psf"):
        picture = block.get(name)
        if isinstance(picture, Mapping):
            yield f"/elvis/{name}/shape", _ARRAY_BYTES[name] * math.prod(map(int, picture["shape"]))
    for name, model in (block.get("models") or {}).items():
        for chip, array in ((model or {}).get("arrays") or {}).items():
            yield (
                f"/elvis/models/{name}/arrays/{chip}/shape",
                _ARRAY_BYTES["model"] * math.prod(map(int, array["shape"])),
            )
    if stars := (block.get("scene") or {}).get("stars"):
        yield "/elvis/scene/stars", _SCENE_STAR_BYTES * stars
    for place, exposed in enumerate((block.get("previous") or {}).get("chips", ())):
        window = exposed["window"]
        yield f"/elvis/previous/chips/{place}/window", _PIXEL_BYTES * int(window["nx"]) * int(window["ny"])
    catalogue = block.get("catalogue") or {}
    for name, column in catalogue.items():
        if name in ("magband", "magsys"):
            continue
        each = _SOURCE_BYTES.get(name, _COLUMN_BYTES)
        if isinstance(column, str):
            yield f"/elvis/catalogue/{name}", each / 8 * _unpacked_size(column)
        elif isinstance(column, list):
            yield f"/elvis/catalogue/{name}", (each + _LIST_BYTES) * len(column)


def _unpacked_size(text: str) -> int:
    """Return the number of bytes in a packed column, 0 if it is damaged (`payload.unpack` says how)."""
    stream, size = zlib.decompressobj(), 0
    try:
        left = base64.b64decode(text)
        while left and not stream.eof:
            size += len(stream.decompress(left, _CHUNK))
            left = stream.unconsumed_tail
    except (binascii.Error, ValueError, zlib.error):
        return 0
    return size
