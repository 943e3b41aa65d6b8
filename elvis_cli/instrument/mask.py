"""Masks of slits: the apertures of a multi-object spectrograph, the request's or the instrument's own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from elvis_cli.errors import RequestError
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.elvis_block import Mask
from elvis_cli.model.spectrograph import Aperture

POINTER = "/elvis/mask"
COLUMNS = ("x", "y", "length", "width", "angle")
UNITS = {"angle": "deg"}
"""Of columns that are not in arcsec."""
ROUNDING = 1e-6
"""arcsec."""
MAX_NAMED = 5
"""Pairs of slits that a note names."""
GAP = 1.0
"""arcsec along y between the slits that `design` makes."""


def slits(facts: SourcedTable, mask: Mask | None) -> tuple[Aperture, ...]:
    """Return the slits of the table ``spectrograph.aperture``, with the columns of the request's mask in their place.

    Raises
    ------
    RequestError
        A column is missing, or the instrument's own cannot be changed, or a slit is where none can be.
    """
    own = {name: facts.value(name, "arcsec") for name in COLUMNS if name in facts and _of(mask, name) is None}
    own.setdefault("angle", 0.0)
    columns: dict[str, Sequence[float]] = {}
    for name in COLUMNS:
        asked = _of(mask, name)
        if asked is not None and name in facts.tree.get("fixed", ()):
            raise RequestError(f"{POINTER}/{name}", "cannot be chosen: the slits have their own", allowed="absent")
        if asked is None and name not in own:
            where = POINTER if mask is None else f"{POINTER}/{name}"
            raise RequestError(where, "is missing: this mode needs a mask, as `elvis example` makes", allowed="arcsec")
        columns[name] = own[name] if asked is None else asked
    lists = {name: value for name, value in columns.items() if isinstance(value, Sequence)}
    count = len(lists["x"])
    for value in lists.values():
        if len(value) != count:
            raise RequestError(f"{POINTER}/x", f"has {count} items", found=count, allowed=f"{len(value)} slits")
    rows = [{name: _item(value, n) for name, value in columns.items()} for n in range(count)]
    for name, (low, high) in _limits(facts):
        for n, row in enumerate(rows):
            if not low <= row[name] <= high:
                allowed = f"{low:g} to {high:g} {UNITS.get(name, 'arcsec')}"
                raise RequestError(f"{POINTER}/{name}/{n}", "no slit can be so", found=row[name], allowed=allowed)
    apertures = tuple(_slit(row) for row in rows)
    _check_apart(apertures)
    return apertures


def _slit(row: Mapping[str, float]) -> Aperture:
    """Return a slit; that of a tilted one has the width along x and the length along y that it has there."""
    slope = math.tan(math.radians(row["angle"]))
    stretch = math.hypot(1.0, slope)
    return Aperture(row["x"], row["y"], row["length"] / stretch, row["width"] * stretch, offset=row["y"], slope=slope)


def overlaps(apertures: Sequence[Aperture]) -> tuple[str, ...]:
    """Return a note that names slits whose spectra fall onto the same rows: they overlap along y, each in its place."""
    pairs = [
        f"{n} and {m}"
        for n, one in enumerate(apertures)
        for m, other in enumerate(apertures[:n])
        if abs(one.y - other.y) < (one.length + other.length) / 2 - ROUNDING
    ]
    if not pairs:
        return ()
    some = ", ".join(pairs[:MAX_NAMED]) + (f" and {len(pairs) - MAX_NAMED} more" if len(pairs) > MAX_NAMED else "")
    return (f"{POINTER}: spectra of slits that overlap along y share rows of pixels: {some} (counted from 0)",)


def cards(facts: SourcedTable, apertures: Sequence[Aperture]) -> dict[str, tuple[float, str]]:
    """Return the header cards of slits, by the table's ``cards``: name of the first, and a column for each keyword.

    Places x and y are in mm of the mask (``cards.scale``), lengths and widths in arcsec.
    """
    if "cards" not in facts:
        return {}
    table = facts.part("cards")
    prefix, first, scale = table.text("prefix"), int(table.number("first", "1")), table.number("scale", "mm/arcsec")
    found: dict[str, tuple[float, str]] = {}
    for n, slit in enumerate(apertures):
        values = {
            "x": (slit.x * scale, "[mm] place along the dispersion"),
            "y": (slit.y * scale, "[mm] place across the dispersion"),
            "length": (slit.length, "[arcsec] length"),
            "width": (slit.width, "[arcsec] width"),
        }
        for keyword, column in table.tree["columns"].items():
            value, comment = values[column]
            found[f"{prefix}{first + n} {keyword}"] = round(value, 4), comment
    return found


def of_header(facts: SourcedTable, header: Mapping[str, Any]) -> dict[str, list[float]] | None:
    """Return the block ``elvis.mask`` of the slits whose `cards` a header has, None without any: the other way round.

    Slits are not tilted, which no card tells; columns that a mode has fixed are left out.
    """
    if "cards" not in facts:
        return None
    table = facts.part("cards")
    prefix, first, scale = table.text("prefix"), int(table.number("first", "1")), table.number("scale", "mm/arcsec")
    units = {"x": scale, "y": scale, "length": 1.0, "width": 1.0}
    columns = {column: keyword for keyword, column in table.tree["columns"].items()}
    found: dict[str, list[float]] = {}
    number = first
    while any(f"{prefix}{number} {keyword}" in header for keyword in columns.values()):
        for column, keyword in columns.items():
            if column not in facts.tree.get("fixed", ()):
                found.setdefault(column, []).append(float(header[f"{prefix}{number} {keyword}"]) / units[column])
        number += 1
    return found or None


def _check_apart(apertures: Sequence[Aperture]) -> None:
    """Raise if two slits are cut into each other."""
    for n, one in enumerate(apertures):
        for m, other in enumerate(apertures[:n]):
            low = max(one.y - one.length / 2, other.y - other.length / 2) + ROUNDING
            high = min(one.y + one.length / 2, other.y + other.length / 2) - ROUNDING
            if low >= high:
                continue
            ends = [one.x + one.slope * (y - one.y) - other.x - other.slope * (y - other.y) for y in (low, high)]
            if ends[0] * ends[1] <= 0 or min(map(abs, ends)) < (one.width + other.width) / 2 - ROUNDING:
                place = f"x {other.x:g}, y {other.y:g}"
                raise RequestError(f"{POINTER}/x/{n}", f"cuts into slit {m} at {place} arcsec", found=one.x)


def design(facts: SourcedTable, places: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Return the block ``elvis.mask`` with slits on the brightest sources that do not overlap along y.

    ``places`` are x, y (arcsec in the field) and magnitude; the slits' size is the table's ``usual``.

    Raises
    ------
    RequestError
        No source is where a slit can be.
    """
    width, length = (facts.part("usual").number(name, "arcsec") for name in ("width", "length"))
    limits = dict(_limits(facts))
    chosen: list[tuple[float, float]] = []
    for x, y, _ in sorted(places, key=lambda place: place[2]):
        inside = all(limits[name][0] <= at <= limits[name][1] for name, at in (("x", x), ("y", y)))
        if inside and all(abs(y - other) >= length + GAP for _, other in chosen):
            chosen.append((round(x, 3), round(y, 3)))
    if not chosen:
        raise RequestError("/elvis/catalogue", f"none of {len(places)} sources is where a slit can be", allowed=limits)
    return {"x": [x for x, _ in chosen], "y": [y for _, y in chosen], "length": length, "width": width}


def _of(mask: Mask | None, name: str) -> tuple[float, ...] | None:
    column: tuple[float, ...] | None = getattr(mask, name) if mask is not None else None
    return column


def _item(value: Any, number: int) -> float:
    return float(value[number] if isinstance(value, Sequence) else value)


def _limits(facts: SourcedTable) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield the least and the greatest value (arcsec) of each column that has limits."""
    table: Mapping[str, Any] = facts.tree.get("limits", {})
    for name in COLUMNS:
        if name in table:
            low, high = facts.part("limits").value(name, UNITS.get(name, "arcsec"))
            yield name, (float(low), float(high))
