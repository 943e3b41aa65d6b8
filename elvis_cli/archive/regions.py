"""Circles and polygons on the sphere: what is inside, what overlaps, how large. Angles are degrees.

Edges of polygons are arcs of great circles; the inside is the smaller side, whatever the order of the vertices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Vector = tuple[float, float, float]
MAX_VERTICES = 500


class RegionError(ValueError):
    """A text or numbers that are not a region."""


@dataclass(frozen=True, slots=True)
class Circle:
    """All places at most ``radius`` (deg) from a centre."""

    lon: float
    lat: float
    radius: float

    @property
    def centre(self) -> Vector:
        """Unit vector of the centre."""
        return vector(self.lon, self.lat)

    def text(self) -> str:
        """Return it as STC-S."""
        return f"CIRCLE ICRS {self.lon!r} {self.lat!r} {self.radius!r}"


@dataclass(frozen=True, slots=True)
class Polygon:
    """The smaller side of a closed line of arcs between vertices."""

    places: tuple[tuple[float, float], ...]
    """lon, lat (deg)."""
    vectors: tuple[Vector, ...]
    sign: float
    """1: the vertices go counter-clockwise as seen from outside the sphere; -1: clockwise."""
    area: float
    """sr."""

    def text(self) -> str:
        """Return it as STC-S."""
        return "POLYGON ICRS " + " ".join(repr(value) for place in self.places for value in place)


Region = Circle | Polygon


def vector(lon: float, lat: float) -> Vector:
    """Return the unit vector of a place."""
    a, d = math.radians(lon), math.radians(lat)
    return math.cos(d) * math.cos(a), math.cos(d) * math.sin(a), math.sin(d)


def place(v: Vector) -> tuple[float, float]:
    """Return lon (0..360), lat of a vector."""
    return math.degrees(math.atan2(v[1], v[0])) % 360.0, math.degrees(math.atan2(v[2], math.hypot(v[0], v[1])))


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def angle(a: Vector, b: Vector) -> float:
    """Return the angle (rad) between two unit vectors, exact for small ones too."""
    return math.atan2(math.sqrt(sum(c * c for c in _cross(a, b))), _dot(a, b))


def distance(lon1: float, lat1: float, lon2: float, lat2: float) -> float:
    """Return the angular distance of two places."""
    return math.degrees(angle(vector(lon1, lat1), vector(lon2, lat2)))


def circle(lon: float, lat: float, radius: float) -> Circle:
    """Return a circle.

    Raises
    ------
    RegionError
        A number is not finite, the latitude is beyond a pole, or the radius is negative.
    """
    _check(lon, lat)
    if not 0.0 <= radius < math.inf:
        raise RegionError(f"{radius:g} is no radius")
    return Circle(lon, lat, min(radius, 180.0))


def polygon(numbers: tuple[float, ...]) -> Polygon:
    """Return the polygon of lon, lat, lon, lat, ...

    Raises
    ------
    RegionError
        There are fewer than three vertices, too many, or an odd number of numbers.
    """
    if len(numbers) % 2 or not 6 <= len(numbers) <= 2 * MAX_VERTICES:
        raise RegionError(f"a polygon has 3 to {MAX_VERTICES} vertices of two numbers")
    places = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    for lon, lat in places:
        _check(lon, lat)
    vectors = tuple(vector(lon, lat) for lon, lat in places)
    excess = _signed_area(vectors)
    if abs(excess) < 1e-20:
        raise RegionError("the vertices of the polygon are on a line")
    return Polygon(places, vectors, math.copysign(1.0, excess), abs(excess))


def _check(lon: float, lat: float) -> None:
    if not (math.isfinite(lon) and abs(lat) <= 90.0):
        raise RegionError(f"({lon:g}, {lat:g}) is no place on the sky")


def _signed_area(vectors: tuple[Vector, ...]) -> float:
    """Return the solid angle (sr, -2 pi to 2 pi), positive for counter-clockwise (Van Oosterom & Strackee 1983)."""
    first, total = vectors[0], 0.0
    for b, c in pairwise(vectors[1:]):
        triple = _dot(first, _cross(b, c))
        total += 2.0 * math.atan2(triple, 1.0 + _dot(first, b) + _dot(b, c) + _dot(c, first))
    return (total + 2.0 * math.pi) % (4.0 * math.pi) - 2.0 * math.pi


@lru_cache(maxsize=4096)
def parse(text: str) -> Region:
    """Return the region in STC-S: CIRCLE, POLYGON or BOX, in ICRS.

    Raises
    ------
    RegionError
        It is something else.
    """
    words = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    kind = words[0].upper() if words else ""
    rest = words[1:]
    while rest and rest[0].upper() in ("ICRS", "J2000", "GEOCENTER", "UNKNOWNREFPOS", "SPHERICAL2"):
        rest = rest[1:]
    try:
        numbers = tuple(float(word) for word in rest)
    except ValueError:
        raise RegionError(f"{text[:60]!r} is not CIRCLE, POLYGON or BOX ICRS and numbers") from None
    return region(kind, numbers)


def region(kind: str, numbers: tuple[float, ...]) -> Region:
    """Return a circle, polygon or box (lon, lat, width, height of great circles) of numbers.

    Raises
    ------
    RegionError
        The numbers do not make one.
    """
    if kind == "CIRCLE" and len(numbers) == 3:
        return circle(*numbers)
    if kind == "POLYGON":
        return polygon(numbers)
    if kind == "BOX" and len(numbers) == 4:
        lon, lat, width, height = numbers
        if not (0 < width < 180 and height > 0 and lat + height / 2 <= 90 and lat - height / 2 >= -90):
            raise RegionError("a BOX has a width below 180 deg and ends at a pole at the farthest")
        x, y = width / 2, height / 2
        return polygon((lon - x, lat - y, lon + x, lat - y, lon + x, lat + y, lon - x, lat + y))
    raise RegionError(f"{kind or 'nothing'} with {len(numbers)} numbers is no region")


def contains(shape: Region, v: Vector) -> bool:
    """Return whether a unit vector is inside."""
    if isinstance(shape, Circle):
        return angle(shape.centre, v) <= math.radians(shape.radius)
    total, vectors = 0.0, shape.vectors
    for a, b in zip(vectors, (*vectors[1:], vectors[0]), strict=True):  # angles under which v sees the edges
        total += math.atan2(_dot(v, _cross(a, b)), _dot(a, b) - _dot(a, v) * _dot(b, v))
    return total * shape.sign > math.pi


def overlap(a: Region, b: Region) -> bool:
    """Return whether two regions have a place in common."""
    if isinstance(a, Circle):
        if isinstance(b, Circle):
            return math.degrees(angle(a.centre, b.centre)) <= a.radius + b.radius
        return contains(b, a.centre) or _nearest_edge(b, a.centre) <= math.radians(a.radius)
    if isinstance(b, Circle):
        return overlap(b, a)
    return contains(a, b.vectors[0]) or contains(b, a.vectors[0]) or _edges_cross(a, b)


def inside(a: Region, b: Region) -> bool:
    """Return whether all of ``a`` is in ``b``."""
    if isinstance(b, Circle):
        if isinstance(a, Circle):
            return b.radius >= 180.0 or math.degrees(angle(a.centre, b.centre)) + a.radius <= b.radius
        if b.radius <= 90.0:
            return all(contains(b, v) for v in a.vectors)
        rest = Circle(b.lon + 180.0, -b.lat, 180.0 - b.radius)
        return b.radius >= 180.0 or not overlap(rest, a)
    if isinstance(a, Circle):
        return contains(b, a.centre) and _nearest_edge(b, a.centre) >= math.radians(a.radius)
    return all(contains(b, v) for v in a.vectors) and not _edges_cross(a, b)


def area(shape: Region) -> float:
    """Return the area in square degrees."""
    solid = shape.area if isinstance(shape, Polygon) else 2 * math.pi * (1 - math.cos(math.radians(shape.radius)))
    return solid * math.degrees(1.0) ** 2


def centre(shape: Region) -> tuple[float, float]:
    """Return the middle (lon, lat): of a polygon the direction of the sum of its vertices."""
    if isinstance(shape, Circle):
        return shape.lon, shape.lat
    x, y, z = (sum(v[axis] for v in shape.vectors) for axis in range(3))
    return place((x, y, z))


def bounding_circle(shape: Region) -> Circle:
    """Return a circle that holds a region."""
    if isinstance(shape, Circle):
        return shape
    lon, lat = centre(shape)
    middle = vector(lon, lat)
    reach = max(angle(middle, v) for v in shape.vectors)
    return Circle(lon, lat, math.degrees(reach) if reach < math.pi / 2 else 180.0)


def _nearest_edge(shape: Polygon, v: Vector) -> float:
    """Return the distance (rad) of a unit vector from the nearest edge."""
    vectors = shape.vectors
    return min(_to_arc(v, a, b) for a, b in zip(vectors, (*vectors[1:], vectors[0]), strict=True))


def _to_arc(v: Vector, a: Vector, b: Vector) -> float:
    normal = _cross(a, b)
    size = math.sqrt(_dot(normal, normal))
    if size > 0.0 and _dot(_cross(normal, a), v) >= 0.0 and _dot(_cross(b, normal), v) >= 0.0:
        return abs(math.asin(max(-1.0, min(1.0, _dot(normal, v) / size))))
    return min(angle(v, a), angle(v, b))


def _edges_cross(one: Polygon, other: Polygon) -> bool:
    for a, b in zip(one.vectors, (*one.vectors[1:], one.vectors[0]), strict=True):
        n = _cross(a, b)
        for c, d in zip(other.vectors, (*other.vectors[1:], other.vectors[0]), strict=True):
            m = _cross(c, d)
            line = _cross(n, m)
            # The lines meet at +line and -line: an arc has it if it is between both ends.
            sides = (-_dot(_cross(n, a), line), _dot(_cross(n, b), line), -_dot(_cross(m, c), line),
                     _dot(_cross(m, d), line))  # fmt: skip
            if all(s > 0 for s in sides) or all(s < 0 for s in sides):
                return True
    return False
