"""Files that travel inside the request, in the block ``elvis``: columns of stars, images.

A long column is text: base64 of zlib of little-endian numbers, so that a million stars are read in a second and the
request inside a FITS file stays small.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import elvis_schemas

from elvis_cli.errors import RequestError
from elvis_cli.model.elvis_block import Catalogue, Cube, Exposed, Image, Model, Previous, PsfCube, Window

_SHAPE_COLUMNS = ("radius", "index", "ellipticity", "angle")
NUMBER_COLUMNS = ("mag", "x", "y", "ra", "dec", "temperature", *_SHAPE_COLUMNS, "velocity", "id")
"""Columns of numbers of a catalogue."""
_COLUMNS = (*NUMBER_COLUMNS, "sed", "name")
MIN_PACKED_ROWS = 1000
"""Rows from which on columns are packed: shorter ones stay readable."""
_CATALOGUE_POINTER = "/elvis/catalogue"
MAX_CATALOGUE_ROWS = 5_000_000
"""Stars and galaxies in a catalogue."""
MAX_NAME = 200
"""Characters of a source's name."""
MAX_PSF_BYTES = 4 << 24
"""Bytes of a cube of point-spread functions: four of 2048 x 2048 elements."""
LEAST_CHANNEL_SUM = 1e-4
"""Sum of a channel whose negative elements cancel all others, as a fraction of the sum of their absolute values."""
MAX_CUBE_ELEMENTS = 1 << 24
"""Elements of a data cube: 256 channels of 256 x 256."""


def pack(numbers: bytes) -> str:
    """Return little-endian numbers as text."""
    return base64.b64encode(zlib.compress(numbers, 1)).decode()


def pack_column(column: Any) -> list[float] | str:
    """Return a column of numbers (an array) as the request has it."""
    return pack(column.astype("<f8").tobytes()) if column.size >= MIN_PACKED_ROWS else list(column.tolist())


def pack_names(names: Sequence[str]) -> list[str] | str:
    """Return the names of sources as the request has them."""
    return pack("\n".join(names).encode()) if len(names) >= MIN_PACKED_ROWS else list(names)


def unpack(text: str, pointer: str, most: int) -> bytes:
    """Return what `pack` was given, up to ``most`` bytes.

    Raises
    ------
    RequestError
        The text is not what `pack` makes, or holds more.
    """
    form = "base64 of zlib of little-endian numbers"
    try:
        stream = zlib.decompressobj()
        numbers = stream.decompress(base64.b64decode(text, validate=True), most)
    except (binascii.Error, ValueError, zlib.error):
        raise RequestError(pointer, "cannot be unpacked", found=text[:40], allowed=form) from None
    if stream.unconsumed_tail:
        raise RequestError(pointer, "holds more numbers than there may be", allowed=f"{most} bytes")
    if not stream.eof:
        raise RequestError(pointer, "ends too early", allowed=form)
    return numbers


def catalogue(block: Mapping[str, Any], pointed: bool) -> Catalogue:
    """Return the catalogue in ``elvis.catalogue``; ``pointed`` says whether the request has a pointing.

    Raises
    ------
    RequestError
        Columns are missing, contradict each other, or have different lengths; a packed number is out of range.
    """
    given = {name: block[name] for name in _COLUMNS if block.get(name) is not None}
    columns: dict[str, Any] = {name: _column(value, name) for name, value in given.items()}
    places = [pair for pair in (("x", "y"), ("ra", "dec")) if pair[0] in columns or pair[1] in columns]
    if len(places) != 1 or not set(places[0]) <= set(columns):
        missing = next((name for pair in places for name in pair if name not in columns), "x")
        reason = "is missing" if len(places) < 2 else "x, y or ra, dec: not both"
        raise RequestError(f"{_CATALOGUE_POINTER}/{missing}", reason, allowed="x and y (arcsec), or ra and dec (deg)")
    celestial = "ra" in columns
    if celestial and not pointed:
        middle = " ".join(f"--{name} {sorted(columns[name])[len(columns[name]) // 2]:.6f}" for name in places[0])
        raise RequestError(
            "/elvis/pointing", f"is missing: where does the telescope point? The catalogue's middle is {middle}"
        )
    if "temperature" in columns and "sed" in columns:
        raise RequestError(f"{_CATALOGUE_POINTER}/sed", "temperature is given too", allowed="one of them")
    for name in _SHAPE_COLUMNS[1:]:
        if name in columns and "radius" not in columns:
            raise RequestError(
                f"{_CATALOGUE_POINTER}/radius", f"is missing, and there is {name}", allowed="0 for a star"
            )
    first = places[0][0]
    count = len(columns[first])
    for name, column in columns.items():
        if len(column) != count:
            raise RequestError(
                f"{_CATALOGUE_POINTER}/{name}", f"has {len(column)} items", allowed=f"as many as {first}: {count}"
            )
    x, y = (columns[name] for name in places[0])
    shape = {name: columns.get(name) for name in _SHAPE_COLUMNS}
    numbers = array("q", map(int, columns["id"])) if "id" in columns else None
    return Catalogue(
        x,
        y,
        columns["mag"],
        columns.get("temperature"),
        columns.get("sed"),
        celestial,
        **shape,
        id=numbers,
        velocity=columns.get("velocity"),
        name=columns.get("name"),
        band=block.get("magband"),
        system=block.get("magsys"),
    )


def names_of(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return the names of sources, whose length the schema has checked in a list."""
    if not isinstance(value, str):
        return tuple(value)
    pointer = f"{_CATALOGUE_POINTER}/name"
    try:
        names = unpack(value, pointer, MAX_CATALOGUE_ROWS * (MAX_NAME + 1)).decode().split("\n")
    except UnicodeDecodeError:
        raise RequestError(pointer, "cannot be unpacked", allowed="UTF-8, a line for each source") from None
    for place, text in enumerate(names):
        if len(text) > MAX_NAME:
            raise RequestError(f"{pointer}/{place}", "is too long", allowed=f"up to {MAX_NAME} characters")
    return tuple(names)


def model(name: str, block: Mapping[str, Any]) -> Model:
    """Return the model of a stage in ``elvis.models``.

    Raises
    ------
    RequestError
        The data of an array do not fill its shape.
    """
    arrays = {}
    for chip, given in (block.get("arrays") or {}).items():
        pointer = f"/elvis/models/{name}/arrays/{chip}/data"
        rows, columns = (int(n) for n in given["shape"])
        data = unpack(given["data"], pointer, 4 * rows * columns)
        if len(data) != 4 * rows * columns:
            raise RequestError(pointer, f"holds {len(data) // 4} numbers", allowed=f"rows x columns: {rows * columns}")
        arrays[int(chip)] = data, (rows, columns)
    return Model(dict(block.get("parameters") or {}), arrays)


def image(block: Mapping[str, Any]) -> tuple[Image, tuple[str, ...]]:
    """Return the image in ``elvis.image``, and notes.

    Raises
    ------
    RequestError
        The data do not fill the shape, or their sum is not positive.
    """
    import numpy as np

    pointer = "/elvis/image/data"
    rows, columns = (int(n) for n in block["shape"])
    data = unpack(block["data"], pointer, 4 * rows * columns)
    if len(data) != 4 * rows * columns:
        raise RequestError(pointer, f"holds {len(data) // 4} numbers", allowed=f"rows x columns: {rows * columns}")
    pixels = np.frombuffer(data, "<f4")
    good = np.isfinite(pixels)
    _check_light(float(np.sum(pixels, where=good, dtype=float)), pointer)
    turned = float(block.get("position_angle") or 0)
    return Image(data, (rows, columns), float(block["scale"]), turned), _element_notes(pixels, good, pointer)


def cube(block: Mapping[str, Any]) -> tuple[Cube, tuple[str, ...]]:
    """Return the data cube in ``elvis.cube``, and notes.

    Raises
    ------
    RequestError
        The data do not fill the shape, their sum is not positive, or the wavelengths do not fit the channels.
    """
    import numpy as np

    pointer, where = "/elvis/cube/data", "/elvis/cube/wavelength_um"
    channels, rows, columns = shape = tuple(int(n) for n in block["shape"])
    size = channels * rows * columns
    if size > MAX_CUBE_ELEMENTS:
        allowed = f"up to {MAX_CUBE_ELEMENTS} elements"
        raise RequestError("/elvis/cube/shape", "is too large", found=list(shape), allowed=allowed)
    data = unpack(block["data"], pointer, 4 * size)
    if len(data) != 4 * size:
        raise RequestError(pointer, f"holds {len(data) // 4} numbers", allowed=f"as many as shape: {size}")
    wavelength = tuple(float(w) for w in block["wavelength_um"])
    if len(wavelength) != channels:
        raise RequestError(where, f"has {len(wavelength)} items", allowed=f"as many as channels: {channels}")
    if any(b <= a for a, b in pairwise(wavelength)):
        raise RequestError(where, "does not ascend", found=list(wavelength)[:8])
    light = np.frombuffer(data, "<f4")
    good = np.isfinite(light)
    notes = list(_element_notes(light, good, pointer))
    light = np.where(good, light, np.float32(0)).reshape(channels, -1)
    sums = light.sum(axis=1, dtype=np.float64)
    _check_light(float(np.trapezoid(sums, wavelength)), pointer)
    size = np.abs(light).sum(axis=1, dtype=np.float64)
    for n in np.flatnonzero(np.abs(sums) < LEAST_CHANNEL_SUM * size):  # the scene divides images by their sum
        light[n] += np.float32((LEAST_CHANNEL_SUM * size[n] - sums[n]) / light.shape[1])
        sums[n] = LEAST_CHANNEL_SUM * size[n]
    total = tuple(sums.tolist())
    absolute = bool(block.get("absolute"))
    if absolute:
        notes.append('/elvis/cube: as bright as its unit says, not as /target/brightness; "absolute": false scales it')
    turned = float(block.get("position_angle") or 0)
    made = Cube(light.tobytes(), (channels, rows, columns), float(block["scale"]), wavelength, total, turned, absolute)
    return made, tuple(notes)


def _check_light(total: float, pointer: str) -> None:
    """Raise RequestError if a sum of all elements is not positive."""
    if not 0 < total < math.inf:
        raise RequestError(
            pointer, "holds no light: the sum of its elements, negative ones included, is not positive", found=total
        )


def _element_notes(light: Any, good: Any, pointer: str) -> tuple[str, ...]:
    """Return notes on elements of an array that are not finite (not ``good``) or negative."""
    bad, below = int(good.size - good.sum()), int((light < 0).sum())
    notes = [f"{pointer}: {bad} elements that are not finite hold no data: no light"] if bad else []
    notes += [f"{pointer}: {below} negative elements belong to the sum, as noise about zero does"] if below else []
    return tuple(notes)


def psf(block: Mapping[str, Any]) -> PsfCube:
    """Return the point-spread function in ``elvis.psf``.

    Raises
    ------
    RequestError
        The data do not fill the shape, or the wavelengths do not fit the planes.
    """
    pointer = "/elvis/psf/data"
    planes, rows, columns = shape = tuple(int(n) for n in block["shape"])
    size = 4 * planes * rows * columns
    if size > MAX_PSF_BYTES:
        allowed = f"up to {MAX_PSF_BYTES // 4} elements"
        raise RequestError("/elvis/psf/shape", "is too large", found=list(shape), allowed=allowed)
    data = unpack(block["data"], pointer, size)
    if len(data) != size:
        raise RequestError(pointer, f"holds {len(data) // 4} numbers", allowed=f"as many as shape: {size // 4}")
    wavelength = tuple(float(w) for w in block.get("wavelength_um") or ())
    places = _places(block.get("field"))
    count = max((psf for *_, psf in places), default=0) + 1
    if (len(wavelength) or 1) * count != planes:
        reason = f"has {len(wavelength)} items" if wavelength else "is missing"
        allowed = f"as many as planes{' of a PSF' if places else ''}: {planes / count:g}"
        raise RequestError("/elvis/psf/wavelength_um", reason, allowed=allowed)
    if any(b <= a for a, b in pairwise(wavelength)):
        raise RequestError("/elvis/psf/wavelength_um", "does not ascend", found=list(wavelength)[:8])
    return PsfCube(
        data, (planes, rows, columns), float(block["scale"]), wavelength, str(block.get("name") or ""), places
    )


def _places(field: Mapping[str, Any] | None) -> tuple[tuple[float, float, int], ...]:
    """Return the places in ``elvis.psf.field``, () if there is none."""
    if not field:
        return ()
    for name in ("y", "psf"):
        if len(field[name]) != len(field["x"]):
            found, wanted = len(field[name]), len(field["x"])
            raise RequestError(f"/elvis/psf/field/{name}", f"has {found} items", allowed=f"as many as x: {wanted}")
    return tuple((float(x), float(y), int(n)) for x, y, n in zip(field["x"], field["y"], field["psf"], strict=True))


def previous(block: Mapping[str, Any]) -> Previous:
    """Return the exposure in ``elvis.previous``.

    Raises
    ------
    RequestError
        The data do not fill a window.
    """
    chips = []
    for i, found in enumerate(block["chips"]):
        window = Window(*(int(found["window"][key]) for key in ("x0", "y0", "nx", "ny")))
        pointer, size = f"/elvis/previous/chips/{i}/data", window.nx * window.ny
        data = unpack(found["data"], pointer, size)
        if len(data) != size:
            raise RequestError(pointer, f"holds {len(data)} bytes", allowed=f"one a pixel of the window: {size}")
        chips.append(Exposed(int(found["chip"]), window, data))
    return Previous(float(block["dit"]), int(block.get("count") or 1), float(block.get("gap") or 0), tuple(chips))


def _column(value: str | Sequence[Any], name: str) -> Sequence[Any]:
    """Return a column; a packed one is held to the limits that the schema has checked in a list."""
    if name == "sed":
        return tuple(value)
    if name == "name":
        return names_of(value)
    if not isinstance(value, str):
        return tuple(map(float, value))
    pointer = f"{_CATALOGUE_POINTER}/{name}"
    data = unpack(value, pointer, 8 * MAX_CATALOGUE_ROWS)
    if not data or len(data) % 8:
        raise RequestError(pointer, f"holds {len(data)} bytes", allowed="whole 64-bit floats")
    import numpy as np

    column = np.frombuffer(data, "<f8")
    limits: Any = elvis_schemas.load()["properties"]["elvis"]["properties"]["catalogue"]["properties"][name]["items"]
    low, high = limits["minimum"], limits["maximum"]
    wrong = np.flatnonzero(~((column >= low) & (column <= high)))
    if wrong.size:
        place = int(wrong[0])
        reason = f"{float(column[place])} is out of range"
        raise RequestError(f"{pointer}/{place}", reason, allowed=f"{low} to {high}")
    return array("d", column.astype(float).tobytes())
