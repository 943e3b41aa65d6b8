"""The geometry of ADQL in SQLite: an R*Tree of boxes, then exact functions of ours.

What names a constant region, or one of another table in a conjunct of WHERE or of an inner join, first looks into boxes
of unit vectors, which have no seam at RA 0 and none at the poles, and then at the exact geometry.
"""

from __future__ import annotations

import math
from typing import Any

from sqlglot import exp

from elvis_cli.archive import regions
from elvis_cli.archive.adql_shapes import Point, Shape, constant_of, raw
from elvis_cli.archive.adql_writer import Writer


class SqliteWriter(Writer):
    """Conditions of SQLite."""

    dialect, is_sqlite = "sqlite", True

    def point_in(self, place: Any, point: Point, shape: Shape, strict: bool = False) -> exp.Expression:
        """Return whether a place is in a region."""
        alias, circle = point.products, self._circle(shape)
        if circle is not None and alias:
            lon, lat, radius = circle
            exact = self._chord(alias, lon, lat, radius, "<" if strict else "<=")
            return self._boxed(place, alias, exact, circle)
        lon, lat = self.sql(point.lon), self.sql(point.lat)
        if circle is not None:
            sign = "<" if strict else "<="
            return raw(
                f"elvis_distance({lon}, {lat}, {', '.join(map(self._sql, circle[:2]))}) {sign} {self._sql(circle[2])}"
            )
        exact = f"elvis_contains({lon}, {lat}, {self._region(shape)})"
        if alias and shape.constant is not None:
            return self._boxed(place, alias, exact, self._around(shape.constant))
        if shape.products:
            return self._boxed(place, shape.products, exact, (point.lon, point.lat, 0.0))
        return raw(exact)

    def relation(self, place: Any, inside: bool, first: Shape, second: Shape) -> exp.Expression:
        """Return whether the first region is inside the second, or overlaps it."""
        function = "elvis_inside" if inside else "elvis_overlap"
        exact = f"{function}({self._region(first)}, {self._region(second)})"
        for one, other in ((first, second), (second, first)):
            around = self._around(other.constant) if other.constant else other.circle
            if one.products and around is not None:
                return self._boxed(place, one.products, exact, around)
        return raw(exact)

    def distance(self, a: Point, b: Point) -> exp.Expression:
        """Return the distance in degrees."""
        values = ", ".join(self.sql(each) for each in (a.lon, a.lat, b.lon, b.lat))
        return raw(f"elvis_distance({values})")

    def area(self, shape: Shape) -> exp.Expression:
        """Return the area in square degrees."""
        return raw(f"elvis_area({self._region(shape)})")

    def _circle(self, shape: Shape) -> tuple[Any, Any, Any] | None:
        if isinstance(shape.constant, regions.Circle):
            return shape.constant.lon, shape.constant.lat, shape.constant.radius
        return shape.circle

    def _around(self, region: regions.Region) -> tuple[Any, Any, Any]:
        circle = regions.bounding_circle(region)
        return circle.lon, circle.lat, circle.radius

    def _sql(self, value: Any) -> str:
        return f"({value!r})" if isinstance(value, float) else self.sql(value)

    def _region(self, shape: Shape) -> str:
        if shape.constant is not None:
            return exp.Literal.string(shape.constant.text()).sql("sqlite")
        if shape.column is not None:
            return self.sql(shape.column)
        return f"elvis_circle({', '.join(self.sql(each) for each in shape.circle or ())})"

    def _vector(self, lon: Any, lat: Any) -> tuple[str, str, str]:
        a, d = self._number(lon), self._number(lat)
        if a is not None and d is not None:
            x, y, z = regions.vector(a, d)
            return f"({x!r})", f"({y!r})", f"({z!r})"
        ra, dec = f"radians({self._sql(lon)})", f"radians({self._sql(lat)})"
        return f"(cos({dec})*cos({ra}))", f"(cos({dec})*sin({ra}))", f"sin({dec})"

    @staticmethod
    def _number(value: Any) -> float | None:
        return value if isinstance(value, float) else constant_of(value)

    def _squared_chord(self, radius: Any) -> str:
        value = self._number(radius)
        if value is not None:
            half = math.sin(math.radians(min(value, 180.0)) / 2.0)
            return "-1.0" if value < 0 else repr(4.0 * half * half if value < 180 else 5.0)
        half_sine = f"sin(radians(min({self._sql(radius)}, 180.0)) / 2.0)"
        return f"(4.0 * {half_sine} * {half_sine})"

    def _chord(self, alias: str, lon: Any, lat: Any, radius: Any, sign: str) -> str:
        parts = (
            f'("{alias}"."{axis}" - {value}) * ("{alias}"."{axis}" - {value})'
            for axis, value in zip("xyz", self._vector(lon, lat), strict=True)
        )
        return f"{' + '.join(parts)} {sign} {self._squared_chord(radius)}"

    def _boxed(self, place: Any, alias: str, exact: str, circle: tuple[Any, Any, Any]) -> exp.Expression:
        """Return an exact condition after one of the box about a circle, where the index may be used."""
        numbers = [self._number(each) for each in circle]
        if place is None or (numbers[2] is not None and numbers[2] > 90.0):
            return raw(f"({exact})")
        axes = zip("xyz", self._vector(*circle[:2]), strict=True)
        if all(value is not None for value in numbers):
            reach = 2.0 * math.sin(math.radians(max(numbers[2] or 0.0, 0.0)) / 2.0) + 1e-9
            box = " AND ".join(
                f"{axis}1 >= {value} - {reach!r} AND {axis}0 <= {value} + {reach!r}" for axis, value in axes
            )
            return raw(f'("{alias}"."rid" IN (SELECT rid FROM sky WHERE {box}) AND {exact})')
        select = _conjunct_of(place)
        if select is None:
            return raw(f"({exact})")
        self.joined += 1
        name, reach_sql = f"sky_{self.joined}", f"(sqrt({self._squared_chord(circle[2])}) + 1e-9)"
        box = " AND ".join(
            f"{name}.{axis}1 >= {value} - {reach_sql} AND {name}.{axis}0 <= {value} + {reach_sql}"
            for axis, value in axes
        )
        select.append(
            "joins", exp.Join(this=exp.Table(this=exp.Var(this="sky"), alias=exp.TableAlias(this=exp.Var(this=name))))
        )
        select.where(raw(f'({name}.rid = "{alias}"."rid" AND {box})'), copy=False)
        return raw(f"({exact})")


def _conjunct_of(node: Any) -> Any:
    """Return the SELECT in whose WHERE, or in whose inner joins, a condition is one of those that all must hold."""
    parent = node.parent
    while isinstance(parent, exp.And | exp.Paren):
        parent = parent.parent
    if (isinstance(parent, exp.Where) and isinstance(parent.parent, exp.Select)) or (
        isinstance(parent, exp.Join) and isinstance(parent.parent, exp.Select)
    ):
        select = parent.parent
    else:
        return None
    outer = any(join.args.get("side") for join in select.args.get("joins") or ())
    return None if outer else select
