"""The geometry of ADQL in PostgreSQL: operators and types of pg_sphere, with indexes on points and polygons."""

from __future__ import annotations

import math
from typing import Any

from sqlglot import exp

from elvis_cli.archive import regions
from elvis_cli.archive.adql_shapes import Point, Shape, constant_of, number_literal, raw
from elvis_cli.archive.adql_writer import Writer


class PostgresWriter(Writer):
    """Conditions of PostgreSQL."""

    dialect = "postgres"

    def point_in(self, place: Any, point: Point, shape: Shape, strict: bool = False) -> exp.Expression:
        """Return whether a place is in a region."""
        where = self._point(point)
        if isinstance(shape.constant, regions.Circle):
            circle = shape.constant
            shape = Shape(
                circle=(number_literal(circle.lon), number_literal(circle.lat), number_literal(circle.radius))
            )
        if shape.circle is None:
            return raw(f"({where} <@ {self._region(shape)})")
        lon, lat, radius = shape.circle
        value = constant_of(radius)
        inside = f"{where} <@ {self._circle(lon, lat, radius)}"
        is_small = value is not None and 0.0 <= value <= 90.0  # pg_sphere has no larger circles
        if is_small and not strict:
            return raw(f"({inside})")
        exact = f"({where} <-> {self._point(Point(lon, lat))}) {'<' if strict else '<='} {self._radians(radius)}"
        if is_small or (value is None and not strict):  # the index serves circles alone
            exact = f"{inside} AND {exact}"
        return raw(f"({exact})")

    def relation(self, place: Any, inside: bool, first: Shape, second: Shape) -> exp.Expression:
        """Return whether the first region is inside the second, or overlaps it."""
        operator = "<@" if inside else "&&"
        for one, other in ((first, second), (second, first)):
            circle = other.constant
            if isinstance(circle, regions.Circle) and circle.radius > 90.0 and not (inside and one is second):
                return self._in_large(one, circle, inside)
        return raw(f"({self._region(first)} {operator} {self._region(second)})")

    def _in_large(self, shape: Shape, circle: regions.Circle, inside: bool) -> exp.Expression:
        """Return whether a region is in, or overlaps, a circle of more than 90 deg, by the circle that is left out."""
        region = self._region(shape)
        if circle.radius >= 180.0:
            return raw(f"({region} IS NOT NULL)")
        rest = self._circle(
            exp.Literal.number(repr((circle.lon + 180.0) % 360.0)), number_literal(-circle.lat), 180.0 - circle.radius
        )
        return raw(f"(NOT ({region} {'&&' if inside else '<@'} {rest}))")

    def distance(self, a: Point, b: Point) -> exp.Expression:
        """Return the distance in degrees."""
        return raw(f"degrees({self._point(a)} <-> {self._point(b)})")

    def area(self, shape: Shape) -> exp.Expression:
        """Return the area in square degrees."""
        if shape.constant is not None:
            return raw(repr(regions.area(shape.constant)))
        return raw(f"(area({self._region(shape)}) * {math.degrees(1.0) ** 2!r})")

    def _point(self, point: Point) -> str:
        if point.products:
            return f'"{point.products}"."s_point"'
        return f"spoint({self._radians(point.lon)}, {self._radians(point.lat)})"

    def _radians(self, value: Any) -> str:
        """Return an angle (deg) in radians; PostgreSQL refuses to multiply the smallest numbers."""
        number = value if isinstance(value, float) else constant_of(value)
        if number is None:
            return f"radians({self.sql(value)})"
        return f"({0.0 if abs(number) < 1e-200 else math.radians(number)!r})"

    def _circle(self, lon: Any, lat: Any, radius: Any) -> str:
        return f"scircle({self._point(Point(lon, lat))}, {self._radians(radius)})"

    def _region(self, shape: Shape) -> str:
        if shape.products:
            return f'"{shape.products}"."s_poly"'
        if shape.column is not None:
            return f"elvis_poly({self.sql(shape.column)})"
        if shape.circle is not None:
            return self._circle(*shape.circle)
        if isinstance(shape.constant, regions.Circle):
            circle = shape.constant
            return self._circle(number_literal(circle.lon), number_literal(circle.lat), circle.radius)
        assert shape.constant is not None
        vertices = ",".join(f"({lon!r}d,{lat!r}d)" for lon, lat in shape.constant.places)
        return f"CAST('{{{vertices}}}' AS spoly)"
