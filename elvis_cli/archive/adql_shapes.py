"""Places and regions in ADQL: the calls of POINT, CIRCLE, POLYGON, BOX and REGION as what they mean."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from elvis_cli.archive import regions
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.regions import RegionError

FUNCTIONS = (
    "AREA", "BOX", "CENTROID", "CIRCLE", "CONTAINS", "COORD1", "COORD2", "COORDSYS", "DISTANCE", "INTERSECTS", "POINT",
    "POLYGON", "REGION",
)  # fmt: skip
SYSTEMS = ("", "ICRS", "ICRS GEOCENTER", "UNKNOWN", "J2000", "FK5")


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


def name_of(node: Any) -> str:
    """Return the name of a function that is called, in capitals; nothing for another node."""
    return str(node.this).upper() if isinstance(node, exp.Anonymous) else ""


def _only_constant(shape: Shape, name: str) -> regions.Region:
    if shape.constant is None:
        raise QueryError(f"{name} takes a region of numbers here")
    return shape.constant


def check_count(node: Any, count: int) -> None:
    """Raise if a function has not ``count`` arguments.

    Raises
    ------
    QueryError
        It has another number.
    """
    if len(node.expressions) != count:
        raise QueryError(f"{name_of(node)} takes {count} argument{'s' * (count > 1)}")


def two_points(node: Any) -> tuple[Point, Point]:
    """Return the places of DISTANCE, of two points or four numbers."""
    arguments = node.expressions
    if len(arguments) == 4:
        return Point(*arguments[:2]), Point(*arguments[2:])
    check_count(node, 2)
    return point_of(arguments[0]), point_of(arguments[1])


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


def point_of(node: Any) -> Point:
    """Return the place of POINT or CENTROID.

    Raises
    ------
    QueryError
        It is another expression.
    """
    if name_of(node) == "CENTROID":
        check_count(node, 1)
        shape = shape_of(node.expressions[0])
        if shape.products:
            lon = exp.column("s_ra", shape.column.table, quoted=True)
            lat = exp.column("s_dec", shape.column.table, quoted=True)
            for each in (lon, lat):
                each.meta["table"] = "products"
            return Point(lon, lat)
        return Point(*(number_literal(value) for value in regions.centre(_only_constant(shape, "CENTROID"))))
    if name_of(node) != "POINT":
        raise QueryError(f"{str(node)[:60]} is no POINT")
    arguments = _without_system(node)
    if len(arguments) != 2:
        raise QueryError("POINT takes two numbers")
    return Point(*arguments)


def shape_of(node: Any) -> Shape:
    """Return the region of an expression; constant ones are checked."""
    if isinstance(node, exp.Column):
        column = node.meta.get("column")
        if column is None or column.datatype != "char":
            raise QueryError(f"{node.name} is no region")
        return Shape(column=node)
    name = name_of(node)
    try:
        if name == "REGION":
            check_count(node, 1)
            text = node.expressions[0]
            if not (isinstance(text, exp.Literal) and text.is_string):
                raise QueryError("REGION takes a text")
            return Shape(constant=regions.parse(text.this))
        if name not in ("CIRCLE", "POLYGON", "BOX"):
            raise QueryError(f"{str(node)[:60]} is no region")
        arguments = [each for one in _without_system(node) for each in _spread(one)]
        numbers = [constant_of(each) for each in arguments]
        if all(value is not None for value in numbers):
            return Shape(constant=regions.region(name, tuple(numbers)))  # type: ignore[arg-type]
    except RegionError as error:
        raise QueryError(f"{name}: {error}") from None
    if name != "CIRCLE" or len(arguments) != 3:
        raise QueryError(f"{name} takes numbers, not columns" if name != "CIRCLE" else "CIRCLE takes three numbers")
    return Shape(circle=(arguments[0], arguments[1], arguments[2]))


def _spread(node: Any) -> tuple[Any, ...]:
    """Return the two numbers of a POINT in the place of a vertex or centre; else the expression itself."""
    if name_of(node) in ("POINT", "CENTROID"):
        point = point_of(node)
        return point.lon, point.lat
    return (node,)


def constant_of(node: Any) -> float | None:
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


def number_literal(value: float) -> exp.Expression:
    """Return a number as an expression."""
    return exp.Neg(this=number_literal(-value)) if value < 0 else exp.Literal.number(repr(value))


def raw(sql: str) -> exp.Expression:
    """Return SQL as it is; nothing in it is a text of the user's but literals that sqlglot wrote."""
    return exp.Var(this=sql)
