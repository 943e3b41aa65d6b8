"""Fibres of a spectrograph: where they are on the sky, and where their images lie in the slit."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from elvis_cli.base.arrays import Floats
from elvis_cli.base.curve import Curve
from elvis_cli.errors import ResourceError
from elvis_cli.instrument.sourced_table import SourcedTable
from elvis_cli.model.request import Request
from elvis_cli.model.spectrograph import Aperture
from elvis_cli.scene.library import places

Places = tuple[tuple[float, ...], tuple[float, ...]]
"""x and y in the field, arcsec."""
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
"""Multiples of it, modulo 1, fill the unit interval evenly: transmissions of fibres that nobody has measured."""


def make(facts: SourcedTable, scales: tuple[float, float], targets: Places | None = None) -> tuple[Aperture, ...]:
    """Return the fibres of the table ``facts`` in the order in which they lie in the slit.

    ``scales`` are the arcsec of a pixel along the dispersion and along the slit. ``targets`` are where fibres that can
    be moved are to stand; without any, the fibre or bundle named ``target`` stands in the middle of the field.

    Raises
    ------
    ResourceError
        Lists differ in length.
    """
    width = facts.number("width", "arcsec")
    angle = facts.number("angle", "deg") if "angle" in facts else 0.0
    image = facts.value("image", "pixel") if "image" in facts else (width / scales[0], width / scales[1])
    one = Aperture(0.0, 0.0, float(image[1]) * scales[1], float(image[0]) * scales[0], angle, 0.0, True, width)
    if "stretch" in facts:
        one = replace(one, stretch=facts.curve("stretch"))
    x, y = _on_sky(facts, targets)
    slit = _in_slit(facts, x.size, scales[1])
    feeds = list(facts.tree.get("feeds", ()))
    science = ["sky"] * (x.size - len(feeds))
    feeds = science + feeds if "positioner" in facts else feeds + science
    low, high = facts.value("transmission", "1") if "transmission" in facts else (1.0, 1.0)
    spread = (np.arange(x.size) * GOLDEN) % 1.0
    try:
        return tuple(
            replace(
                one,
                x=float(px),
                y=float(py),
                offset=float(np.mean(images)) if images else 0.0,
                places=tuple(images) if len(images) > 1 else (),
                transmission=float(low + (high - low) * t),
                feed=feed,
            )
            for px, py, images, feed, t in zip(x, y, slit, feeds, spread, strict=True)
        )
    except ValueError as error:
        raise ResourceError(f"{facts.file}: {facts.path}: x, y, slit and feeds: {error}", file=facts.file) from error


def hexagon(rings: int, pitch: float) -> tuple[Floats, Floats]:
    """Return the places of a bundle: one in the middle and ``rings`` about it, ``pitch`` apart, row by row."""
    rows = range(-rings, rings + 1)
    cells = [
        (c + r / 2, r * math.sqrt(0.75))
        for r in rows
        for c in range(max(-rings, -rings - r), min(rings, rings - r) + 1)
    ]
    x, y = np.array(cells).T * pitch
    return x, y


def by_rings(rings: int, pitch: float) -> tuple[Floats, Floats]:
    """Return the places of a bundle as `hexagon` has them, from the middle outwards, each ring by its angle."""
    x, y = hexagon(rings, pitch)
    angle = np.mod(np.arctan2(y, x), 2.0 * math.pi)
    # distance from the middle in steps to neighbours: the largest of the three oblique coordinates
    row = np.rint(y / (math.sqrt(0.75) * pitch))
    column = np.rint(x / pitch - row / 2)
    order = np.lexsort((angle, np.maximum.reduce([abs(row), abs(column), abs(row + column)])))
    return x[order], y[order]


def _on_sky(facts: SourcedTable, targets: Places | None) -> tuple[Floats, Floats]:
    """Return x and y (arcsec) of each fibre."""
    if "hexagon" in facts:
        table = facts.part("hexagon")
        spaxels = by_rings(int(table.number("rings", "1")), table.number("pitch", "arcsec"))
        others = (np.array(facts.value(axis, "arcsec"), float) for axis in ("x", "y"))
        return tuple(np.concatenate(pair) for pair in zip(spaxels, others, strict=True))  # type: ignore[return-value]
    if "positioner" not in facts:
        return tuple(np.array(facts.value(axis, "arcsec"), float) for axis in ("x", "y"))  # type: ignore[return-value]
    table = facts.part("positioner")
    count = int(table.number("count", "1"))
    cx, cy, _ = allocate(table, targets)
    if "rings" not in table:
        ox, oy = (np.array(facts.value(axis, "arcsec") if axis in facts else (), float) for axis in ("x", "y"))
        return np.concatenate([cx[:count], ox]), np.concatenate([cy[:count], oy])
    bx, by = hexagon(int(table.number("rings", "1")), table.number("pitch", "arcsec"))
    return (cx[:, None] + bx).ravel(), (cy[:, None] + by).ravel()


def allocate(table: SourcedTable, targets: Places | None) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Return the places (arcsec) of the fibres or bundles of a positioner, and notes.

    Each target in turn gets the next one, from the middle of the slit to both ends, unless it is outside of the
    ``field`` or ``closest`` arcsec or less from one that has got its own. The rest see the sky on a hexagonal grid.
    The first ``skip`` of several have a fibre of another spectrograph.
    """
    count, field = int(table.number("count", "1")), table.number("field", "arcsec")
    closest = table.number("closest", "arcsec")
    x, y = home(count, field)
    order = np.argsort(np.abs(np.arange(count) - (count - 1) / 2), kind="stable")
    wanted = ((0.0,), (0.0,)) if targets is None else targets
    skip = int(table.number("skip", "1")) if "skip" in table and len(wanted[0]) > 1 else 0
    taken: list[tuple[float, float]] = []
    outside = close = late = 0
    for place in zip(*wanted, strict=True):
        if math.hypot(*place) > field / 2:
            outside += 1
        elif taken and np.hypot(*(np.array(taken) - place).T).min() <= closest:
            close += 1
        elif len(taken) == count + skip:
            late += 1
        else:
            taken.append(place)
    for number, place in zip(order, taken[skip:], strict=False):
        x[number], y[number] = place
    reasons = (
        (outside, f"outside of the field of {field:g} arcsec"),
        (close, f"{closest:g} arcsec or less from another"),
    )
    more = (late, f"there are {count + skip}"), (min(skip, len(taken)), "the other spectrograph has them")
    notes = [f"{n} targets without a fibre: {why}" for n, why in (*reasons, *more) if n]
    return x, y, tuple(notes)


def targets(facts: SourcedTable, request: Request) -> tuple[Places | None, tuple[str, ...]]:
    """Return where a request wants fibres that can be moved, and notes on targets that get none; None = the middle.

    They are wanted on the sources of its catalogue, in their order.
    """
    if "positioner" not in facts.part("aperture"):
        return None, ()
    catalogue = request.elvis.catalogue
    if catalogue is None or request.elvis.calibration is not None:
        return (request.elvis.offset[:1], request.elvis.offset[1:]), ()
    x, y = places(request, catalogue)
    wanted = tuple(x.tolist()), tuple(y.tolist())
    return wanted, allocate(facts.part("aperture", "positioner"), wanted)[2]


def coupling(facts: SourcedTable, seeing: float, mag: float) -> tuple[Curve, tuple[str, ...]]:
    """Return the fraction of a star's light that a fibre takes behind adaptive optics, and notes.

    The table has it by ``seeing`` (arcsec, at the zenith), magnitude of the guide star and wavelength; it is linear
    between, and holds beyond the ends.
    """
    grid = [np.array(facts.value(name, unit), float) for name, unit in (("seeings", "arcsec"), ("mags", "mag"))]
    values = np.array(facts.value("table", "1"), float)
    named = zip(("the seeing", "the guide star's magnitude"), (seeing, mag), grid, strict=True)
    notes = tuple(
        f"coupling of the fibre: {what}, {value:.3g}, is beyond the table of {axis[0]:g} to {axis[-1]:g}: its end holds"
        for what, value, axis in named
        if not axis[0] <= value <= axis[-1]
    )
    for axis, value in zip(grid, (seeing, mag), strict=True):
        at = float(np.interp(value, axis, np.arange(axis.size)))
        low = min(int(at), axis.size - 2)
        values = values[low] * (1 - at + low) + values[low + 1] * (at - low)
    return Curve(np.array(facts.value("wave", "um"), float), values), notes


def home(count: int, field: float) -> tuple[Floats, Floats]:
    """Return x and y (arcsec) of ``count`` places evenly over a round field: the sky's (Vogel's spiral)."""
    k = np.arange(count) + 0.5
    radius, angle = 0.5 * field * np.sqrt(k / count), 2.0 * math.pi * GOLDEN * k
    return radius * np.cos(angle), radius * np.sin(angle)


def _in_slit(facts: SourcedTable, count: int, scale: float) -> list[list[float]]:
    """Return the places of each fibre's images in the slit, arcsec of the slit (``scale`` a pixel).

    Beside fibres that can be moved ``slit`` has those of the others, which come last.
    """
    fixed = [[float(p) * scale for p in images] for images in facts.value("slit", "pixel")] if "slit" in facts else []
    if fixed and "positioner" not in facts:
        return fixed
    if "numbers" in facts:  # of the places in the slit, which are a pitch apart
        middle, pitch = facts.number("middle", "1"), facts.number("pitch", "pixel")
        return [[(float(n) - middle) * pitch * scale for n in images] for images in facts.value("numbers", "1")]
    if "count" not in facts:
        return [[] for _ in range(count)]
    bundle = int(facts.number("count", "1"))
    pitch = facts.number("pitch", "pixel")
    period = facts.number("period", "pixel") if "period" in facts else pitch * bundle
    k = np.arange(count - len(fixed), dtype=float)
    s = (k // bundle) * period + (k % bundle) * pitch
    if "gap" in facts:  # between the two halves of a slit
        s[k // bundle >= k.size // bundle // 2] += facts.number("gap", "pixel")
    return [*([float(p)] for p in (s - (s[0] + s[-1]) / 2) * scale), *fixed]
