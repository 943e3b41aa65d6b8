"""Geometry of ADQL as SQL: the part that both databases share."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from elvis_cli.archive.adql_functions import QueryError, rewrite_function
from elvis_cli.archive.adql_shapes import FUNCTIONS, Point, Shape, check_count, name_of, point_of, raw, shape_of


class Writer:
    """Writes conditions of one database."""

    dialect = ""
    is_sqlite = False

    def __init__(self, tree: exp.Expression) -> None:
        self.tree = tree
        self.joined = 0

    def sql(self, node: Any) -> str:
        """Return an expression as SQL in brackets, with the functions of the database; no geometry may be in it."""
        if any(name_of(each) in FUNCTIONS for each in node.find_all(exp.Anonymous)):
            raise QueryError(f"geometry within geometry: {str(node)[:60]}")
        copied = node.copy().transform(lambda each: rewrite_function(each, sqlite=self.is_sqlite))
        return f"({copied.sql(self.dialect)})"

    def condition(self, node: Any, function: Any, is_true: bool, boxed: bool = True) -> exp.Expression:
        """Return the condition of CONTAINS or INTERSECTS, or its opposite; boxed: an index may be used."""
        check_count(function, 2)
        first, second = function.expressions
        place = node if boxed and is_true else None
        if name_of(first) in ("POINT", "CENTROID"):
            found = self.point_in(place, point_of(first), shape_of(second))
        elif name_of(function) == "INTERSECTS" and name_of(second) in ("POINT", "CENTROID"):
            found = self.point_in(place, point_of(second), shape_of(first))
        else:
            found = self.relation(place, name_of(function) == "CONTAINS", shape_of(first), shape_of(second))
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
            return plain(shape.column)
        lon, lat, radius = (self.sql(each) for each in shape.circle or ())
        return raw(f"('CIRCLE ICRS ' || {lon} || ' ' || {lat} || ' ' || {radius})")


def plain(node: Any) -> exp.Expression:
    """Return a copy of an expression in brackets."""
    copied: exp.Expression = node.copy()
    return exp.Paren(this=copied)
