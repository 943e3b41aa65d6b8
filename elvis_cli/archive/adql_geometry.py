"""The geometry of ADQL as SQL: an R*Tree and functions of ours for SQLite, pg_sphere for PostgreSQL.

SQLite: what names a constant region, or one of another table in a conjunct of WHERE or of an inner join, first looks
into boxes of unit vectors, which have no seam at RA 0 and none at the poles, and then at the exact geometry.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from elvis_cli.archive import regions
from elvis_cli.archive.adql_functions import QueryError, rewrite_function
from elvis_cli.archive.regions import RegionError

FUNCTIONS = (
    "AREA", "BOX", "CENTROID", "CIRCLE", "CONTAINS", "COORD1", "COORD2", "COORDSYS", "DISTANCE", "INTERSECTS", "POINT",
    "POLYGON", "REGION",
)  # fmt: skip
SYSTEMS = ("", "ICRS", "ICRS GEOCENTER", "UNKNOWN", "J2000", "FK5")
_RAISED = (exp.LT, exp.LTE)


def datatype(function: str) -> str:
    """Return the type of the value of a function of ADQL."""
    if function in ("CONTAINS", "INTERSECTS"):
        return "int"
    return "char" if function in ("POINT", "CIRCLE", "POLYGON", "BOX", "REGION", "CENTROID", "COORDSYS") else "double"


def xtype(node: Any) -> str:
    """Return the xtype of an expression: that of geometry in STC-S."""
    shapes = ("POINT", "CIRCLE", "POLYGON", "BOX", "REGION", "CENTROID")
    is_shape = isinstance(node, exp.Anonymous) and str(node.this).upper() in shapes
    return "adql:REGION" if is_shape else ""


@dataclass(frozen=True, slots=True)
class Point:
    """A place: two expressions in degrees."""

    lon: Any
    lat: Any

    @property
    def products(self) -> str | None:
        """The name of the table in the query if it is the centre of a product."""
        names = [(each.name, each.table, each.meta.get("table")) for each in (self.lon, self.lat)
                 if isinstance(each, exp.Column)]  # fmt: skip
        if len(names) == 2 and names[0] == ("s_ra", names[1][1], "products") and names[1][0] == "s_dec":
            return str(names[0][1]) if names[1][2] == "products" else None
        return None


@dataclass(frozen=True, slots=True)
class Shape:
    """A region: constant, a circle of expressions, or a column."""

    constant: regions.Region | None = None
    circle: tuple[Any, Any, Any] | None = None
    column: Any = None

    @property
    def products(self) -> str | None:
        """The name of the table in the query if it is the footprint of a product."""
        column = self.column
        if column is not None and column.name == "s_region" and column.meta.get("table") == "products":
            return str(column.table)
        return None


def rewrite(tree: exp.Expression, *, sqlite: bool) -> None:
    """Replace all geometry in a query."""
    writer: _Writer = _Sqlite(tree) if sqlite else _Postgres(tree)
    for node in list(tree.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)):
        _rewrite_comparison(node, writer)
    while (found := _outer_call(tree)) is not None:
        found.replace(_value(found, writer))


def _outer_call(tree: exp.Expression) -> Any:
    return next((n for n in tree.find_all(exp.Anonymous) if str(n.this).upper() in FUNCTIONS), None)


def _name(node: Any) -> str:
    return str(node.this).upper() if isinstance(node, exp.Anonymous) else ""


def _rewrite_comparison(node: Any, writer: _Writer) -> None:
    """Replace CONTAINS(...) = 1 and the like, and DISTANCE(...) < r."""
    left, right = node.left, node.right
    if _name(right) in ("CONTAINS", "INTERSECTS") and isinstance(node, exp.EQ | exp.NEQ):
        left, right = right, left
    if _name(left) in ("CONTAINS", "INTERSECTS") and isinstance(node, exp.EQ | exp.NEQ):
        wanted = _constant(right)
        if wanted in (0.0, 1.0):
            is_true = (wanted == 1.0) == isinstance(node, exp.EQ)
            node.replace(writer.condition(node, left, is_true))
        return
    swapped = {exp.GT: exp.LT, exp.GTE: exp.LTE}.get(type(node))
    if _name(right) == "DISTANCE" and swapped:
        left, right = right, left
    kind = swapped if swapped and node.right is left else type(node)
    if _name(left) == "DISTANCE" and kind in _RAISED:
        a, b = _two_points(left)
        if b.products and not a.products:
            a, b = b, a
        if a.products:
            shape = Shape(circle=(b.lon, b.lat, right))
            node.replace(writer.point_in(node, a, shape, strict=kind is exp.LT))


def _value(node: Any, writer: _Writer) -> exp.Expression:
    """Return the value of a geometrical function where no comparison took it."""
    write = _VALUES.get(_name(node))
    return writer.text(_shape(node)) if write is None else write(node, writer)


def _truth(node: Any, writer: _Writer) -> exp.Expression:
    condition = writer.condition(node, node, True, boxed=False)
    case = exp.Case().when(condition, exp.Literal.number(1))
    return case.when(exp.Not(this=exp.Paren(this=condition.copy())), exp.Literal.number(0))


def _coordinate(node: Any, writer: _Writer) -> exp.Expression:
    _check_count(node, 1)
    point = _point(node.expressions[0])
    return _plain(point.lon if _name(node) == "COORD1" else point.lat)


def _area(node: Any, writer: _Writer) -> exp.Expression:
    _check_count(node, 1)
    return writer.area(_shape(node.expressions[0]))


def _point_text(node: Any, writer: _Writer) -> exp.Expression:
    point = _point(node)
    return _raw(f"('POINT ICRS ' || {writer.sql(point.lon)} || ' ' || {writer.sql(point.lat)})")


_VALUES: dict[str, Callable[[Any, _Writer], exp.Expression]] = {
    "CONTAINS": _truth,
    "INTERSECTS": _truth,
    "DISTANCE": lambda node, writer: writer.distance(*_two_points(node)),
    "COORD1": _coordinate,
    "COORD2": _coordinate,
    "COORDSYS": lambda node, writer: exp.Literal.string("ICRS"),
    "AREA": _area,
    "POINT": _point_text,
    "CENTROID": _point_text,
}


def _plain(node: Any) -> exp.Expression:
    copied: exp.Expression = node.copy()
    return exp.Paren(this=copied)


def _only_constant(shape: Shape, name: str) -> regions.Region:
    if shape.constant is None:
        raise QueryError(f"{name} takes a region of numbers here")
    return shape.constant


def _check_count(node: Any, count: int) -> None:
    if len(node.expressions) != count:
        raise QueryError(f"{_name(node)} takes {count} argument{'s' * (count > 1)}")


def _two_points(node: Any) -> tuple[Point, Point]:
    arguments = node.expressions
    if len(arguments) == 4:
        return Point(*arguments[:2]), Point(*arguments[2:])
    _check_count(node, 2)
    return _point(arguments[0]), _point(arguments[1])


def _without_system(node: Any) -> list[Any]:
    """Return the arguments after the coordinate system, which may be left out."""
    arguments = list(node.expressions)
    if arguments and isinstance(arguments[0], exp.Literal) and arguments[0].is_string:
        if arguments[0].this.strip().upper() not in SYSTEMS:
            raise QueryError(f"the coordinate system is {arguments[0].this[:40]!r}; allowed: ICRS")
        return arguments[1:]
    if arguments and isinstance(arguments[0], exp.Null):
        return arguments[1:]
    return arguments


def _point(node: Any) -> Point:
    if _name(node) == "CENTROID":
        _check_count(node, 1)
        shape = _shape(node.expressions[0])
        if shape.products:
            lon = exp.column("s_ra", shape.column.table, quoted=True)
            lat = exp.column("s_dec", shape.column.table, quoted=True)
            for each in (lon, lat):
                each.meta["table"] = "products"
            return Point(lon, lat)
        return Point(*(number_literal(value) for value in regions.centre(_only_constant(shape, "CENTROID"))))
    if _name(node) != "POINT":
        raise QueryError(f"{str(node)[:60]} is no POINT")
    arguments = _without_system(node)
    if len(arguments) != 2:
        raise QueryError("POINT takes two numbers")
    return Point(*arguments)


def _shape(node: Any) -> Shape:
    """Return the region of an expression; constant ones are checked."""
    if isinstance(node, exp.Column):
        column = node.meta.get("column")
        if column is None or column.datatype != "char":
            raise QueryError(f"{node.name} is no region")
        return Shape(column=node)
    name = _name(node)
    try:
        if name == "REGION":
            _check_count(node, 1)
            text = node.expressions[0]
            if not (isinstance(text, exp.Literal) and text.is_string):
                raise QueryError("REGION takes a text")
            return Shape(constant=regions.parse(text.this))
        if name not in ("CIRCLE", "POLYGON", "BOX"):
            raise QueryError(f"{str(node)[:60]} is no region")
        arguments = [each for one in _without_system(node) for each in _spread(one)]
        numbers = [_constant(each) for each in arguments]
        if all(value is not None for value in numbers):
            return Shape(constant=regions.region(name, tuple(numbers)))  # type: ignore[arg-type]
    except RegionError as error:
        raise QueryError(f"{name}: {error}") from None
    if name != "CIRCLE" or len(arguments) != 3:
        raise QueryError(f"{name} takes numbers, not columns" if name != "CIRCLE" else "CIRCLE takes three numbers")
    return Shape(circle=(arguments[0], arguments[1], arguments[2]))


def _spread(node: Any) -> tuple[Any, ...]:
    """Return the two numbers of a POINT in the place of a vertex or centre; else the expression itself."""
    if _name(node) in ("POINT", "CENTROID"):
        point = _point(node)
        return point.lon, point.lat
    return (node,)


def _constant(node: Any) -> float | None:
    """Return the value of arithmetic of numbers; None where a column or function is in it."""
    try:
        return _number(node)
    except (ValueError, ZeroDivisionError, OverflowError):
        return None


def _number(node: Any) -> float:
    if isinstance(node, exp.Literal) and not node.is_string:
        return float(node.this)
    if isinstance(node, exp.Paren | exp.Neg):
        value = _number(node.this)
        return -value if isinstance(node, exp.Neg) else value
    operation = next((f for kind, f in _ARITHMETIC.items() if isinstance(node, kind)), None)
    if operation is None:
        raise ValueError
    return float(operation(_number(node.left), _number(node.right)))


_ARITHMETIC = {exp.Add: operator.add, exp.Sub: operator.sub, exp.Mul: operator.mul, exp.Div: operator.truediv}


def _raw(sql: str) -> exp.Expression:
    """Return SQL as it is; nothing in it is a text of the user's but literals that sqlglot wrote."""
    return exp.Var(this=sql)


class _Writer:
    """Writes conditions of one database."""

    dialect = ""
    is_sqlite = False

    def __init__(self, tree: exp.Expression) -> None:
        self.tree = tree
        self.joined = 0

    def sql(self, node: Any) -> str:
        """Return an expression as SQL in brackets, with the functions of the database; no geometry may be in it."""
        if any(_name(each) in FUNCTIONS for each in node.find_all(exp.Anonymous)):
            raise QueryError(f"geometry within geometry: {str(node)[:60]}")
        copied = node.copy().transform(lambda each: rewrite_function(each, sqlite=self.is_sqlite))
        return f"({copied.sql(self.dialect)})"

    def condition(self, node: Any, function: Any, is_true: bool, boxed: bool = True) -> exp.Expression:
        """Return the condition of CONTAINS or INTERSECTS, or its opposite; boxed: an index may be used."""
        _check_count(function, 2)
        first, second = function.expressions
        place = node if boxed and is_true else None
        if _name(first) in ("POINT", "CENTROID"):
            found = self.point_in(place, _point(first), _shape(second))
        elif _name(function) == "INTERSECTS" and _name(second) in ("POINT", "CENTROID"):
            found = self.point_in(place, _point(second), _shape(first))
        else:
            found = self.relation(place, _name(function) == "CONTAINS", _shape(first), _shape(second))
        return exp.Paren(this=found) if is_true else exp.Not(this=exp.Paren(this=found))

    def point_in(self, place: Any, point: Point, shape: Shape, strict: bool = False) -> exp.Expression:
        """Return whether a place is in a region; ``place`` is the node of the query, None: without an index."""
        raise NotImplementedError

    def relation(self, place: Any, inside: bool, first: Shape, second: Shape) -> exp.Expression:
        """Return whether the first region is inside the second, or overlaps it."""
        raise NotImplementedError

    def distance(self, a: Point, b: Point) -> exp.Expression:
        """Return the distance in degrees."""
        raise NotImplementedError

    def area(self, shape: Shape) -> exp.Expression:
        """Return the area in square degrees."""
        raise NotImplementedError

    def text(self, shape: Shape) -> exp.Expression:
        """Return a region as STC-S."""
        if shape.constant is not None:
            return exp.Literal.string(shape.constant.text())
        if shape.column is not None:
            return _plain(shape.column)
        lon, lat, radius = (self.sql(each) for each in shape.circle or ())
        return _raw(f"('CIRCLE ICRS ' || {lon} || ' ' || {lat} || ' ' || {radius})")


class _Sqlite(_Writer):
    dialect, is_sqlite = "sqlite", True

    def point_in(self, place: Any, point: Point, shape: Shape, strict: bool = False) -> exp.Expression:
        alias, circle = point.products, self._circle(shape)
        if circle is not None and alias:
            lon, lat, radius = circle
            exact = self._chord(alias, lon, lat, radius, "<" if strict else "<=")
            return self._boxed(place, alias, exact, circle)
        lon, lat = self.sql(point.lon), self.sql(point.lat)
        if circle is not None:
            sign = "<" if strict else "<="
            return _raw(
                f"elvis_distance({lon}, {lat}, {', '.join(map(self._sql, circle[:2]))}) {sign} {self._sql(circle[2])}"
            )
        exact = f"elvis_contains({lon}, {lat}, {self._region(shape)})"
        if alias and shape.constant is not None:
            return self._boxed(place, alias, exact, self._around(shape.constant))
        if shape.products:
            return self._boxed(place, shape.products, exact, (point.lon, point.lat, 0.0))
        return _raw(exact)

    def relation(self, place: Any, inside: bool, first: Shape, second: Shape) -> exp.Expression:
        function = "elvis_inside" if inside else "elvis_overlap"
        exact = f"{function}({self._region(first)}, {self._region(second)})"
        for one, other in ((first, second), (second, first)):
            around = self._around(other.constant) if other.constant else other.circle
            if one.products and around is not None:
                return self._boxed(place, one.products, exact, around)
        return _raw(exact)

    def distance(self, a: Point, b: Point) -> exp.Expression:
        values = ", ".join(self.sql(each) for each in (a.lon, a.lat, b.lon, b.lat))
        return _raw(f"elvis_distance({values})")

    def area(self, shape: Shape) -> exp.Expression:
        return _raw(f"elvis_area({self._region(shape)})")

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
        return value if isinstance(value, float) else _constant(value)

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
            return _raw(f"({exact})")
        axes = zip("xyz", self._vector(*circle[:2]), strict=True)
        if all(value is not None for value in numbers):
            reach = 2.0 * math.sin(math.radians(max(numbers[2] or 0.0, 0.0)) / 2.0) + 1e-9
            box = " AND ".join(
                f"{axis}1 >= {value} - {reach!r} AND {axis}0 <= {value} + {reach!r}" for axis, value in axes
            )
            return _raw(f'("{alias}"."rid" IN (SELECT rid FROM sky WHERE {box}) AND {exact})')
        select = _conjunct_of(place)
        if select is None:
            return _raw(f"({exact})")
        self.joined += 1
        name, reach_sql = f"sky_{self.joined}", f"(sqrt({self._squared_chord(circle[2])}) + 1e-9)"
        box = " AND ".join(
            f"{name}.{axis}1 >= {value} - {reach_sql} AND {name}.{axis}0 <= {value} + {reach_sql}"
            for axis, value in axes
        )
        select.append(
            "joins", exp.Join(this=exp.Table(this=exp.Var(this="sky"), alias=exp.TableAlias(this=exp.Var(this=name))))
        )
        select.where(_raw(f'({name}.rid = "{alias}"."rid" AND {box})'), copy=False)
        return _raw(f"({exact})")


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


class _Postgres(_Writer):
    dialect = "postgres"

    def point_in(self, place: Any, point: Point, shape: Shape, strict: bool = False) -> exp.Expression:
        where = self._point(point)
        if isinstance(shape.constant, regions.Circle):
            circle = shape.constant
            shape = Shape(
                circle=(number_literal(circle.lon), number_literal(circle.lat), number_literal(circle.radius))
            )
        if shape.circle is None:
            return _raw(f"({where} <@ {self._region(shape)})")
        lon, lat, radius = shape.circle
        value = _constant(radius)
        inside = f"{where} <@ {self._circle(lon, lat, radius)}"
        is_small = value is not None and 0.0 <= value <= 90.0  # pg_sphere has no larger circles
        if is_small and not strict:
            return _raw(f"({inside})")
        exact = f"({where} <-> {self._point(Point(lon, lat))}) {'<' if strict else '<='} {self._radians(radius)}"
        if is_small or (value is None and not strict):  # the index serves circles alone
            exact = f"{inside} AND {exact}"
        return _raw(f"({exact})")

    def relation(self, place: Any, inside: bool, first: Shape, second: Shape) -> exp.Expression:
        operator = "<@" if inside else "&&"
        for one, other in ((first, second), (second, first)):
            circle = other.constant
            if isinstance(circle, regions.Circle) and circle.radius > 90.0 and not (inside and one is second):
                return self._in_large(one, circle, inside)
        return _raw(f"({self._region(first)} {operator} {self._region(second)})")

    def _in_large(self, shape: Shape, circle: regions.Circle, inside: bool) -> exp.Expression:
        """Return whether a region is in, or overlaps, a circle of more than 90 deg, by the circle that is left out."""
        region = self._region(shape)
        if circle.radius >= 180.0:
            return _raw(f"({region} IS NOT NULL)")
        rest = self._circle(
            exp.Literal.number(repr((circle.lon + 180.0) % 360.0)), number_literal(-circle.lat), 180.0 - circle.radius
        )
        return _raw(f"(NOT ({region} {'&&' if inside else '<@'} {rest}))")

    def distance(self, a: Point, b: Point) -> exp.Expression:
        return _raw(f"degrees({self._point(a)} <-> {self._point(b)})")

    def area(self, shape: Shape) -> exp.Expression:
        if shape.constant is not None:
            return _raw(repr(regions.area(shape.constant)))
        return _raw(f"(area({self._region(shape)}) * {math.degrees(1.0) ** 2!r})")

    def _point(self, point: Point) -> str:
        if point.products:
            return f'"{point.products}"."s_point"'
        return f"spoint({self._radians(point.lon)}, {self._radians(point.lat)})"

    def _radians(self, value: Any) -> str:
        """Return an angle (deg) in radians; PostgreSQL refuses to multiply the smallest numbers."""
        number = value if isinstance(value, float) else _constant(value)
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


def number_literal(value: float) -> exp.Expression:
    """Return a number as an expression."""
    return exp.Neg(this=number_literal(-value)) if value < 0 else exp.Literal.number(repr(value))
