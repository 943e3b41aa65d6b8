"""The geometry of ADQL in a query: comparisons that an index serves, and values of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from elvis_cli.archive.adql_postgres import PostgresWriter
from elvis_cli.archive.adql_shapes import (
    FUNCTIONS,
    Shape,
    check_count,
    constant_of,
    name_of,
    point_of,
    raw,
    shape_of,
    two_points,
)
from elvis_cli.archive.adql_sqlite import SqliteWriter
from elvis_cli.archive.adql_writer import Writer, plain

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


def rewrite(tree: exp.Expression, *, sqlite: bool) -> None:
    """Replace all geometry in a query."""
    writer: Writer = SqliteWriter(tree) if sqlite else PostgresWriter(tree)
    for node in list(tree.find_all(exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)):
        _rewrite_comparison(node, writer)
    while (found := _outer_call(tree)) is not None:
        found.replace(_value(found, writer))


def _outer_call(tree: exp.Expression) -> Any:
    return next((n for n in tree.find_all(exp.Anonymous) if str(n.this).upper() in FUNCTIONS), None)


def _rewrite_comparison(node: Any, writer: Writer) -> None:
    """Replace CONTAINS(...) = 1 and the like, and DISTANCE(...) < r."""
    left, right = node.left, node.right
    if name_of(right) in ("CONTAINS", "INTERSECTS") and isinstance(node, exp.EQ | exp.NEQ):
        left, right = right, left
    if name_of(left) in ("CONTAINS", "INTERSECTS") and isinstance(node, exp.EQ | exp.NEQ):
        wanted = constant_of(right)
        if wanted in (0.0, 1.0):
            is_true = (wanted == 1.0) == isinstance(node, exp.EQ)
            node.replace(writer.condition(node, left, is_true))
        return
    swapped = {exp.GT: exp.LT, exp.GTE: exp.LTE}.get(type(node))
    if name_of(right) == "DISTANCE" and swapped:
        left, right = right, left
    kind = swapped if swapped and node.right is left else type(node)
    if name_of(left) == "DISTANCE" and kind in _RAISED:
        a, b = two_points(left)
        if b.products and not a.products:
            a, b = b, a
        if a.products:
            shape = Shape(circle=(b.lon, b.lat, right))
            node.replace(writer.point_in(node, a, shape, strict=kind is exp.LT))


def _value(node: Any, writer: Writer) -> exp.Expression:
    """Return the value of a geometrical function where no comparison took it."""
    write = _VALUES.get(name_of(node))
    return writer.text(shape_of(node)) if write is None else write(node, writer)


def _truth(node: Any, writer: Writer) -> exp.Expression:
    condition = writer.condition(node, node, True, boxed=False)
    case = exp.Case().when(condition, exp.Literal.number(1))
    return case.when(exp.Not(this=exp.Paren(this=condition.copy())), exp.Literal.number(0))


def _coordinate(node: Any, writer: Writer) -> exp.Expression:
    check_count(node, 1)
    point = point_of(node.expressions[0])
    return plain(point.lon if name_of(node) == "COORD1" else point.lat)


def _area(node: Any, writer: Writer) -> exp.Expression:
    check_count(node, 1)
    return writer.area(shape_of(node.expressions[0]))


def _point_text(node: Any, writer: Writer) -> exp.Expression:
    point = point_of(node)
    return raw(f"('POINT ICRS ' || {writer.sql(point.lon)} || ' ' || {writer.sql(point.lat)})")


_VALUES: dict[str, Callable[[Any, Writer], exp.Expression]] = {
    "CONTAINS": _truth,
    "INTERSECTS": _truth,
    "DISTANCE": lambda node, writer: writer.distance(*two_points(node)),
    "COORD1": _coordinate,
    "COORD2": _coordinate,
    "COORDSYS": lambda node, writer: exp.Literal.string("ICRS"),
    "AREA": _area,
    "POINT": _point_text,
    "CENTROID": _point_text,
}
