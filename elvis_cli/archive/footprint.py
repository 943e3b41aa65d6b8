"""Polygons on the sky that a file covers: of its chips by their WCS, or of the apertures of its spectrograph."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from elvis_cli.archive.regions import vector
from elvis_cli.base.geometry import deproject, field_to_sky, project, rotate

if TYPE_CHECKING:
    from elvis_cli.model.spectrograph import Aperture

Polygon = tuple[tuple[float, float], ...]
"""Vertices (ra, dec; deg), counter-clockwise as seen from inside the sphere (DALI 1.1, section 3.3.7)."""
MIN_SIZE = 1e-3
"""arcsec: no footprint is smaller."""
FIBRE_CORNERS = 12
STRAIGHT = 1e-6
"""Sine of the angle below which three vertices are on a line."""
_OF_WCS = re.compile(
    r"NAXIS\d?|WCSAXES|C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA)\d|(CD|PC|PV|PS)\d_\d+|[AB]P?_\w+|RADESYS|EQUINOX|L[OA][NT]POLE"
)
"""Keywords that matter: astropy takes ten times as long for all of a header."""
DECIMALS = 9
"""Of the degrees of a vertex: 4 microarcsec."""


def of_image(header: Any) -> Polygon | None:
    """Return the outline of an image by the celestial axes of its WCS; None if it has none."""
    from astropy.io import fits
    from astropy.wcs import WCS, FITSFixedWarning

    if not str(header.get("CTYPE1", "")).startswith("RA--") or not header.get("NAXIS2"):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(fits.Header([card for card in header.cards if _OF_WCS.fullmatch(card.keyword)]), naxis=2)
    nx, ny = header["NAXIS1"], header["NAXIS2"]
    x, y = np.array([(-0.5, -0.5), (nx - 0.5, -0.5), (nx - 0.5, ny - 0.5), (-0.5, ny - 0.5)]).T
    ra, dec = wcs.all_pix2world(x, y, 0)
    if not np.isfinite([ra, dec]).all():
        return None
    return hull(list(zip(ra.tolist(), dec.tolist(), strict=True)))


def of_apertures(apertures: Iterable[Aperture], ra: float, dec: float, angle: float) -> Polygon | None:
    """Return the hull of the apertures that see the sky about a pointing (deg) at a position angle."""
    places: list[tuple[float, float]] = []
    for one in apertures:
        if one.feed == "sky":
            places += [(one.x + x, one.y + y) for x, y in _corners(one)]
    if not places:
        return None
    x, y = np.array(places).T
    ras, decs = deproject(*field_to_sky(x, y, angle), ra, dec)
    return hull(list(zip(ras.tolist(), decs.tolist(), strict=True)))


def _corners(one: Aperture) -> list[tuple[float, float]]:
    width, length = one.extent
    if one.fibre:
        angles = [2 * math.pi * n / FIBRE_CORNERS for n in range(FIBRE_CORNERS)]
        return [(width / 2 * math.cos(a), width / 2 * math.sin(a)) for a in angles]
    half = [
        (sx * width / 2 + one.slope * sy * length / 2, sy * length / 2)
        for sx, sy in ((1, 1), (1, -1), (-1, -1), (-1, 1))
    ]
    return [rotate(x, y, -one.angle) for x, y in half]


def hull(places: Sequence[tuple[float, float]]) -> Polygon:
    """Return the convex hull of places (ra, dec; deg) less than 90 deg from their middle."""
    vectors = unit(np.array(places))
    middle = vectors.sum(axis=0)
    ra0, dec0 = position(middle)
    ra, dec = np.array(places).T
    east, north = project(ra, dec, ra0, dec0)
    points = sorted(set(zip((-east).tolist(), north.tolist(), strict=True)))
    outline = _half(points) + _half(points[::-1])
    if len(outline) < 3:
        (x0, y0), (x1, y1) = points[0], points[-1]
        outline = [(x0 - MIN_SIZE, y0 - MIN_SIZE), (x1 + MIN_SIZE, y1 - MIN_SIZE), (x1, y1 + MIN_SIZE)]
    x, y = np.array(outline).T
    ras, decs = deproject(-x, y, ra0, dec0)
    return tuple((round(float(a), DECIMALS) % 360.0, round(float(d), DECIMALS)) for a, d in zip(ras, decs, strict=True))


def _half(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the lower half of the hull of sorted points without its last one (Andrew 1979)."""
    chain: list[tuple[float, float]] = []
    for x, y in points:
        while len(chain) > 1:
            (ax, ay), (bx, by) = chain[-2:]
            turn = (bx - ax) * (y - by) - (by - ay) * (x - bx)
            if turn > STRAIGHT * math.hypot(bx - ax, by - ay) * math.hypot(x - bx, y - by):
                break
            chain.pop()
        chain.append((x, y))
    return chain[:-1]


def unit(places: Any) -> Any:
    """Return unit vectors (n, 3) of places (n, 2; deg)."""
    ra, dec = np.radians(np.asarray(places, float)).T
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=-1)


def position(vector: Any) -> tuple[float, float]:
    """Return ra (0..360) and dec (deg) of a vector."""
    x, y, z = (float(each) for each in vector)
    return math.degrees(math.atan2(y, x)) % 360.0, math.degrees(math.atan2(z, math.hypot(x, y)))


def centre(polygon: Polygon) -> tuple[float, float]:
    """Return the middle (ra, dec; deg) of a small polygon: the centre of its area in the tangent plane."""
    ra0, dec0 = position(unit(polygon).sum(axis=0))
    ra, dec = np.array(polygon).T
    x, y = project(ra, dec, ra0, dec0)
    parts = x * np.roll(y, -1) - np.roll(x, -1) * y
    if parts.sum() == 0.0:
        return ra0, dec0
    east, north = (float(((v + np.roll(v, -1)) * parts).sum() / (3.0 * parts.sum())) for v in (x, y))
    ra_middle, dec_middle = deproject(np.array(east), np.array(north), ra0, dec0)
    return float(ra_middle), float(dec_middle)


def diameter(polygon: Polygon) -> float:
    """Return the greatest distance (deg) of two vertices."""
    vectors = unit(polygon)
    chord = max(float(np.linalg.norm(vectors - each, axis=1).max()) for each in vectors)
    return math.degrees(2.0 * math.asin(min(chord / 2.0, 1.0)))


def box(polygon: Polygon) -> tuple[float, float, float, float, float, float]:
    """Return a box (x0, x1, y0, y1, z0, z1) of unit vectors about the cap that holds a polygon."""
    vectors = [vector(ra, dec) for ra, dec in polygon]
    total = [sum(axis) for axis in zip(*vectors, strict=True)]
    middle = [value / math.hypot(*total) for value in total]
    reach = max(math.dist(middle, each) for each in vectors)  # chord of the cap's radius
    x, y, z = ((max(each - reach, -1.0), min(each + reach, 1.0)) for each in middle)
    return (*x, *y, *z)
