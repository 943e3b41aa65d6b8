"""ADQL 2.1 as the SQL of SQLite or PostgreSQL: one SELECT, known tables and functions, nothing else.

sqlglot parses and writes; every kind of node that is not in `_NODES` is refused, so that what this module does not know
cannot reach the database. Reference: ADQL 2.1 (Mantelet et al. 2023, REC-ADQL-2.1).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from sqlglot import exp, parser, tokenizer_core, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from elvis_cli.archive import adql_geometry, adql_shapes, tables
from elvis_cli.archive.adql_functions import FUNCTIONS, QueryError, rewrite_function
from elvis_cli.archive.columns import Column
from elvis_cli.archive.tables import PublicTable
from elvis_cli.errors import nearest_name

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of statements, which are refused
MAX_LENGTH = 20_000
"""Characters of a query."""
MAX_NODES = 5_000
MAX_DEPTH = 60
"""Brackets inside each other."""
UPLOAD = "tap_upload"

_KEPT = ("COUNT", "SUM", "AVG", "MIN", "MAX", "LOWER", "UPPER", "ABS", "COALESCE")
_NODE_NAMES = """
    Select From Join Where Group Having Order Ordered Limit Offset Table TableAlias Identifier Column Star Literal
    Null Alias And Or Not Paren EQ NEQ GT GTE LT LTE Is Between In Exists Like ILike Escape Add Sub Mul Div Mod Neg
    DPipe Case If Cast DataType Count Sum Avg Min Max Lower Upper Abs Coalesce Distinct Subquery Union Except Intersect
    With CTE Anonymous Var
"""
_NODES = frozenset(getattr(exp, name) for name in _NODE_NAMES.split())
_CASTS = frozenset(
    getattr(exp.DataType.Type, name)
    for name in ("SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "CHAR", "VARCHAR", "TEXT")
)


class _Adql(Dialect):
    """ADQL for sqlglot: TOP, and functions that mean what ADQL says."""

    TYPED_DIVISION = True

    class Tokenizer(tokens.Tokenizer):
        KEYWORDS: ClassVar[dict[str, Any]] = {**tokens.Tokenizer.KEYWORDS, "TOP": tokenizer_core.TokenType.TOP}

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {name: parser.Parser.FUNCTIONS[name] for name in _KEPT}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": parser.Parser.FUNCTION_PARSERS["CAST"]}


@dataclass(frozen=True, slots=True)
class Translation:
    """A query as the database takes it."""

    sql: str
    columns: tuple[Column, ...]
    """Of the answer."""
    limit: int | None
    """TOP of the query."""


def translate(
    text: str,
    *,
    sqlite: bool,
    base: str,
    uploads: Mapping[str, Sequence[Column]] | None = None,
    limit: int | None = None,
) -> Translation:
    """Return an ADQL query as SQL that gives at most ``limit`` rows; ``base`` is the address of files without names.

    Raises
    ------
    QueryError
        It is not one query in ADQL, or names what is not there.
    """
    known = _known(uploads or {})
    tree = _parsed(text)
    try:
        return _translated(tree, known, sqlite, base, limit)
    except QueryError:
        raise
    except SqlglotError as error:
        raise QueryError(_hint(_first_line(error), known)) from None
    except RecursionError:
        raise QueryError("the query is too deeply nested") from None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        # sqlglot meets what it does not expect with any of these
        raise QueryError(f"the query cannot be understood ({type(error).__name__})") from None


def _parsed(text: str) -> exp.Expression:
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the query has {len(text)} characters, of at most {MAX_LENGTH}")
    if "\0" in text:
        raise QueryError("the query has a NUL character")
    _check_depth(text)
    try:
        found = [tree for tree in _Adql().parse(text.strip().rstrip(";")) if tree is not None]
    except SqlglotError as error:
        raise QueryError(_first_line(error)) from None
    except RecursionError:
        raise QueryError("the query is too deeply nested") from None
    except Exception as error:  # the parser of others, on any text
        raise QueryError(f"the query cannot be understood ({type(error).__name__})") from None
    if len(found) != 1 or not isinstance(found[0], (exp.Select, exp.SetOperation)):
        raise QueryError("a query is one SELECT")
    _check_nodes(found[0])
    return found[0]


def _check_depth(text: str) -> None:
    depth = most = 0
    for character in text:
        depth += (character == "(") - (character == ")")
        most = max(most, depth)
    if most > MAX_DEPTH:
        raise QueryError("the query is too deeply nested")


def _check_nodes(tree: exp.Expression) -> None:
    for number, node in enumerate(tree.walk()):
        if number > MAX_NODES:
            raise QueryError("the query is too long")
        if type(node) not in _NODES:
            raise QueryError(f"{type(node).__name__.upper()} is not part of ADQL here: {str(node)[:60]}")
        if isinstance(node, exp.Anonymous):
            name = str(node.this).upper()
            if name not in FUNCTIONS and name not in adql_shapes.FUNCTIONS:
                near = nearest_name(name, (*FUNCTIONS, *adql_shapes.FUNCTIONS, *_KEPT))
                raise QueryError(f"there is no function {name[:60]}" + (f"; did you mean {near}?" if near else ""))
        if isinstance(node, exp.Cast) and node.to.this not in _CASTS:
            raise QueryError(f"CAST to {node.to.sql()[:60]} is not possible")
        if isinstance(node, (exp.Limit, exp.Offset)) and not _is_count(node.expression):
            raise QueryError("TOP and OFFSET want a whole number")
        if isinstance(node, exp.Var):
            raise QueryError(f"{str(node)[:60]} is not part of ADQL here")


def _is_count(node: Any) -> bool:
    return isinstance(node, exp.Literal) and not node.is_string and node.this.isdigit() and len(node.this) < 10


def _known(uploads: Mapping[str, Sequence[Column]]) -> dict[tuple[str, str], PublicTable]:
    known = {(table.schema, table.name): table for table in tables.PUBLIC}
    for name, columns in uploads.items():
        known[UPLOAD, name.lower()] = PublicTable(UPLOAD, name.lower(), f"upload_{name.lower()}", "", tuple(columns))
    return known


def _translated(
    tree: exp.Expression, known: Mapping[tuple[str, str], PublicTable], sqlite: bool, base: str, limit: int | None
) -> Translation:
    _name_tables(tree, known)
    schema: dict[str, object] = {}
    for (room, name), table in known.items():
        inner: Any = schema.setdefault(room, {})
        inner[name] = {column.name: _SQL_TYPES[column.datatype] for column in table.columns}
    tree = qualify(tree, dialect=_Adql, schema=schema, quote_identifiers=True, identify=True)
    _check_qualified(tree)
    _mark(tree, known)
    top = _top(tree)
    columns = tuple(_unique(_described(each) for each in _outermost(tree).selects))
    adql_geometry.rewrite(tree, sqlite=sqlite)
    tree = tree.transform(lambda node: rewrite_function(node, sqlite=sqlite))
    _store_names(tree, base)
    if limit is not None and (top is None or top > limit) and isinstance(tree, exp.Query):
        tree = tree.limit(limit)
    for each, column in zip(_outermost(tree).selects, columns, strict=True):
        if isinstance(each, exp.Alias):
            each.set("alias", exp.to_identifier(column.name, quoted=True))
    return Translation(tree.sql("sqlite" if sqlite else "postgres"), columns, top)


_SQL_TYPES = {"char": "text", "short": "smallint", "int": "int", "long": "bigint", "float": "float", "double": "double"}


def _name_tables(tree: exp.Expression, known: Mapping[tuple[str, str], PublicTable]) -> None:
    """Check the names of all tables; the schema of ObsCore may be left out."""
    common = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.args.get("catalog"):
            raise QueryError(f"{table.sql()[:60]} is no table")
        room, name = table.db.lower(), table.name.lower()
        if not room and name in common:
            continue
        room = room or ("ivoa" if name == "obscore" else "")
        if (room, name) not in known:
            names = [f"{a}.{b}" for a, b in known]
            near = nearest_name(f"{room}.{name}".strip("."), names)
            raise QueryError(f"there is no table {table.sql()[:80]}; did you mean {near or names[0]}?")
        table.set("db", exp.to_identifier(room))
        table.set("this", exp.to_identifier(name))


def _check_qualified(tree: exp.Expression) -> None:
    for node in tree.walk():
        if type(node) not in _NODES:
            raise QueryError(f"{type(node).__name__.upper()} is not part of ADQL here")


def _mark(tree: exp.Expression, known: Mapping[tuple[str, str], PublicTable]) -> None:
    """Note at each column which column of a public table it is, also through subqueries."""
    outputs: dict[int, dict[str, Column]] = {}
    for scope in traverse_scope(tree):
        for column in scope.columns:
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                table = known[source.db, source.name]
                found = {each.name: each for each in table.columns}.get(column.name)
                column.meta["table"] = table.stored
            elif isinstance(source, Scope):
                found = outputs.get(id(source.expression), {}).get(column.name)
            else:
                found = None
            if found is not None:
                column.meta["column"] = found
        outer = _outermost(scope.expression) if isinstance(scope.expression, exp.Query) else None
        outputs[id(scope.expression)] = (
            {each.alias_or_name: _described(each) for each in outer.selects} if outer is not None else {}
        )


def _outermost(tree: Any) -> exp.Select:
    """Return the SELECT that names the columns of a query."""
    while not isinstance(tree, exp.Select):
        tree = tree.this
    return tree


def _top(tree: exp.Expression) -> int | None:
    found = tree.args.get("limit")
    return int(found.expression.this) if isinstance(found, exp.Limit) else None


def _described(node: Any) -> Column:
    """Return the column of an answer that an expression makes: that of a table as it is, else a type."""
    name = node.alias_or_name
    inner: Any = node.this if isinstance(node, exp.Alias) else node
    found: Column | None = inner.meta.get("column") if isinstance(inner, exp.Column) else None
    if found is not None:
        return Column(name, found.datatype, found.description, found.unit, found.ucd, found.utype, found.xtype)
    return Column(name, _datatype(inner), "", xtype=adql_geometry.xtype(inner))


def _datatype(node: Any) -> str:
    """Return the datatype of VOTable of an expression."""
    found = next((of(node) for kinds, of in _DATATYPES if isinstance(node, kinds)), "double")
    return found


def _literal_type(node: Any) -> str:
    if node.is_string:
        return "char"
    return "long" if re.fullmatch(r"\d{1,18}", node.this) else "double"


def _case_type(node: Any) -> str:
    branches = [each.args["true"] for each in node.args["ifs"]]
    return _wider(_datatype(each) for each in (*branches, *filter(None, [node.args.get("default")])))


def _column_type(node: Any) -> str:
    found: Column | None = node.meta.get("column")
    return found.datatype if found else "double"


_CAST_TYPES = {"SMALLINT": "int", "INT": "int", "BIGINT": "long", "FLOAT": "double", "DOUBLE": "double"}
_DATATYPES: tuple[tuple[Any, Callable[[Any], str]], ...] = (
    ((exp.Paren, exp.Neg, exp.Min, exp.Max, exp.Sum, exp.Abs, exp.Coalesce), lambda node: _datatype(node.this)),
    (exp.Distinct, lambda node: _datatype(node.expressions[0])),
    (exp.Subquery, lambda node: _described(_outermost(node).selects[0]).datatype),
    (exp.Column, _column_type),
    (exp.Literal, _literal_type),
    ((exp.DPipe, exp.Lower, exp.Upper), lambda _: "char"),
    (exp.Count, lambda _: "long"),
    (exp.Cast, lambda node: _CAST_TYPES.get(node.to.this.name, "char")),
    (exp.Case, _case_type),
    ((exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod), lambda node: _wider((_datatype(node.left), _datatype(node.right)))),
    (exp.Anonymous, lambda node: adql_geometry.datatype(str(node.this).upper())),
)
"""Of kinds of nodes; a function that is not here gives a double."""


def _wider(kinds: Iterable[str]) -> str:
    order = ("short", "int", "long", "float", "double", "char")
    return max(kinds, key=order.index)


def _unique(columns: Iterable[Column]) -> Iterable[Column]:
    """Yield columns under names that occur once, and that are identifiers."""
    seen: set[str] = set()
    for number, column in enumerate(columns, 1):
        name = column.name if column.name and not column.name.startswith("_col") else f"col{number}"
        while name.lower() in seen:
            name += "_"
        seen.add(name.lower())
        yield Column(name, column.datatype, column.description, column.unit, column.ucd, column.utype, column.xtype)


def _store_names(tree: exp.Expression, base: str) -> None:
    """Give tables the names of the store, and make addresses of files."""
    known = {(table.schema, table.name): table.stored for table in tables.PUBLIC}
    for column in list(tree.find_all(exp.Column)):
        if column.name == "access_url" and column.meta.get("table") == "products":
            path = exp.column(exp.to_identifier("dp_id", quoted=True), exp.to_identifier(column.table, quoted=True))
            column.replace(exp.Paren(this=exp.DPipe(this=exp.Literal.string(base), expression=path)))
    for table in tree.find_all(exp.Table):
        if table.db:
            stored = known.get((table.db, table.name)) or f"upload_{table.name}"
            table.set("this", exp.to_identifier(stored, quoted=True))
            table.set("db", None)


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return (text.splitlines() or ["it is not ADQL"])[0][:300]


def _hint(message: str, known: Mapping[tuple[str, str], PublicTable]) -> str:
    """Return a message on an unknown column with the nearest one that exists."""
    found = re.search(r"Column '?\"?([\w.\"]+)'?\"? could not be resolved|Unknown column: (\w+)", message)
    if found is None:
        return message
    name = (found.group(1) or found.group(2)).replace('"', "").rpartition(".")[2]
    near = nearest_name(name, _column_names(tuple(known.values())))
    return f"there is no column {name}" + (f"; did you mean {near}?" if near else "")


@cache
def _column_names(known: tuple[PublicTable, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.name for table in known for column in table.columns))
