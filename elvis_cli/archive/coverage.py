"""The sky that the archive covers: a MOC (Fernique et al. 2022, REC-MOC-2.0) and a map in Mollweide's projection."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from elvis_cli.archive.dali import FITS, DaliError, Parameters, Reply, interval
from elvis_cli.archive.store import outline_of

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

ORDER = 13
MAX_POLYGONS = 20_000
INK, PAPER, GRID, LABEL = (11, 92, 171), (255, 255, 255), (205, 210, 216), (83, 96, 111)
MIN_DOT = 4
"""Pixels: the radius of a field that is smaller on the map."""


def moc(store: Store, parameters: Parameters) -> Reply:
    """Return the MOC of the footprints of a COLLECTION and BAND (m), of a MAXORDER, as FITS, JSON or text.

    Raises
    ------
    DaliError
        A parameter is wrong.
    """
    order = parameters.number("MAXORDER")
    if order is not None and (order != int(order) or not 0 <= order <= 18):
        raise DaliError("MAXORDER is a whole number from 0 to 18")
    found = moc_of(polygons(store, parameters), ORDER if order is None else int(order))
    kind = parameters.get("RESPONSEFORMAT", "fits").lower()
    if kind == "json":
        return Reply(json.dumps(found.serialize(format="json")).encode(), "application/json")
    if kind in ("ascii", "text"):
        return Reply(found.serialize(format="str").encode(), "text/plain")
    if kind not in ("fits", FITS):
        raise DaliError(f"RESPONSEFORMAT is {kind[:40]!r}; allowed: fits, json, ascii")
    out = io.BytesIO()
    found.serialize(format="fits").writeto(out)
    return Reply(out.getvalue(), FITS)


def moc_of(outlines: list[list[tuple[float, float]]], order: int) -> Any:
    """Return the MOC of polygons (ra, dec; deg): all cells of the order that they touch."""
    from astropy import units
    from mocpy import MOC

    found = MOC.new_empty(order)
    parts = []
    for outline in outlines:
        ra, dec = np.array(outline).T
        parts.append(MOC.from_polygon(ra * units.deg, dec * units.deg, max_depth=order))
    return found.union(*parts) if parts else found


def polygons(store: Store, parameters: Parameters) -> list[list[tuple[float, float]]]:
    """Return the footprints of all chips in the store that fit.

    Raises
    ------
    DaliError
        BAND is wrong.
    """
    names = [name.replace("\0", "") for name in parameters.all("COLLECTION")]
    wanted = {"obs_collection": names} if names else {}
    bands = [interval("BAND", value) for value in parameters.all("BAND")]
    seen: dict[str, list[list[tuple[float, float]]]] = {}
    for row in store.find(**wanted):
        low, high = row["em_min"], row["em_max"]
        if bands and (low is None or not any(low <= last and high >= first for first, last in bands)):
            continue
        if row["polygons"] not in seen or row["polygons"] == "[]":
            chips = [[(a, d) for a, d in outline] for outline in json.loads(row["polygons"])]
            if not chips and row["s_region"]:
                chips = [outline_of(row["s_region"])]
            seen[row["polygons"] if row["polygons"] != "[]" else str(row["s_region"])] = chips
    found = [chip for chips in seen.values() for chip in chips]
    if len(found) > MAX_POLYGONS:
        raise DaliError(f"{len(found)} footprints, of at most {MAX_POLYGONS}: choose a COLLECTION or BAND")
    return found


def picture(outlines: list[list[tuple[float, float]]], width: int = 1000) -> bytes:
    """Return a PNG of the whole sky with footprints (ra, dec; deg), RA 0 in the middle and East to the left."""
    from PIL import Image, ImageDraw

    scale = 2  # drawn larger and reduced, for smooth lines
    size = width * scale, width * scale // 2
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    for ra in range(-180, 181, 30):
        draw.line(_line([(ra, dec) for dec in range(-90, 91, 2)], size), GRID, scale)
    for dec in range(-60, 61, 30):
        draw.line(_line([(ra, dec) for ra in np.linspace(-179.999, 180, 181)], size), GRID, scale)
    for hour in range(-10, 12, 2):
        (x, y) = _line([(15.0 * hour, 0.0)], size)[0]
        draw.text((x + 4, y + 2), f"{hour % 24}h", LABEL, font_size=11 * scale)
    for dec in (-60, -30, 30, 60):
        (x, y) = _line([(0.0, float(dec))], size)[0]
        draw.text((x + 4, y + 2), f"{dec:+d}", LABEL, font_size=11 * scale)
    for outline in outlines:
        middle = _line([_middle(outline)], size)[0]
        corners = _line(outline, size)
        if max(x for x, _ in corners) - min(x for x, _ in corners) < size[0] / 3:  # else it is over the edge
            draw.polygon(corners, fill=INK)
        x, y = middle
        reach = MIN_DOT * scale
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=INK)
    out = io.BytesIO()
    image.resize((width, width // 2), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _middle(outline: list[tuple[float, float]]) -> tuple[float, float]:
    from elvis_cli.archive.footprint import centre

    return centre(tuple(outline))


def _line(places: Any, size: tuple[int, int]) -> list[tuple[float, float]]:
    """Return pixels of places (ra, dec; deg) in Mollweide's projection (Snyder 1987, p. 249)."""
    ra, dec = np.radians(np.asarray(places, float)).T
    ra = (ra + math.pi) % (2 * math.pi) - math.pi
    ra[np.isclose(np.asarray(places, float)[:, 0], 180.0)] = math.pi
    theta = dec.copy()
    for _ in range(30):
        slope = np.maximum(2 + 2 * np.cos(2 * theta), 1e-6)
        theta -= (2 * theta + np.sin(2 * theta) - math.pi * np.sin(dec)) / slope
    theta = np.clip(theta, -math.pi / 2, math.pi / 2)
    x = -ra / math.pi * np.cos(theta)
    y = np.sin(theta)
    width, height = size
    margin = 0.98
    return list(zip(((1 + margin * x) * width / 2).tolist(), ((1 - margin * y) * height / 2).tolist(), strict=True))
