"""Queries on the store, which nothing can change: read-only connections, a list of tables, a deadline."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from elvis_cli.archive import adql, regions, tables
from elvis_cli.archive.adql import Translation
from elvis_cli.archive.adql_functions import QueryError
from elvis_cli.archive.columns import Column
from elvis_cli.archive.regions import RegionError
from elvis_cli.archive.store import READER

if TYPE_CHECKING:
    from elvis_cli.archive.store import Store

HARD_LIMIT = 100_000
"""Most rows of any answer."""
DEFAULT_LIMIT = 2000
DEADLINE = 30.0
"""Seconds of a query that is waited for."""
_STEPS = 20_000
"""Of SQLite's machine between looks at the clock."""
FETCH = 500


class DeadlineError(QueryError):
    """A query took too long, or was cancelled."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A table of the client's."""

    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]


@dataclass(slots=True)
class Cancel:
    """Ends a query from another thread."""

    is_set: bool = False
    action: Callable[[], None] = field(default=lambda: None)

    def __call__(self) -> None:
        """End it."""
        self.is_set = True
        self.action()


@contextmanager
def run(
    store: Store, text: str, base: str, limit: int, *, uploads: Mapping[str, Uploaded] | None = None,
    deadline: float = DEADLINE, cancel: Cancel | None = None,
) -> Iterator[tuple[tuple[Column, ...], Iterator[Sequence[Any]]]]:  # fmt: skip
    """Yield columns and rows of a query in ADQL: one row more than ``limit`` if there are more.

    Raises
    ------
    QueryError
        It is not ADQL, or the database cannot answer it; here or from the rows.
    """
    uploads = uploads or {}
    found = adql.translate(
        text, sqlite=store.is_sqlite, base=base, uploads={name: each.columns for name, each in uploads.items()},
        limit=limit + 1,
    )  # fmt: skip
    session = _sqlite if store.is_sqlite else _postgres
    with session(store, found, uploads, deadline, cancel or Cancel()) as rows:
        yield found.columns, rows


def rows(store: Store, text: str, base: str = "", limit: int = HARD_LIMIT) -> list[dict[str, Any]]:
    """Return all rows of a query by the names of their columns."""
    with run(store, text, base, limit) as (columns, found):
        names = [column.name for column in columns]
        return [dict(zip(names, row, strict=True)) for row in found]


@contextmanager
def _sqlite(
    store: Store, found: Translation, uploads: Mapping[str, Uploaded], deadline: float, cancel: Cancel
) -> Iterator[Iterator[Sequence[Any]]]:
    connection = sqlite3.connect(f"file:{_uri(str(store.url.database))}?mode=ro", uri=True, check_same_thread=False)
    try:
        connection.execute("PRAGMA case_sensitive_like=ON")
        connection.execute("PRAGMA temp_store=MEMORY")
        for name, arguments, function in _FUNCTIONS:
            connection.create_function(name, arguments, function, deterministic=True)
        for name, table in uploads.items():
            _upload_sqlite(connection, name, table)
        end = time.monotonic() + deadline
        connection.set_progress_handler(lambda: int(cancel.is_set or time.monotonic() > end), _STEPS)
        connection.execute("SELECT rid FROM sky LIMIT 0")  # the R*Tree prepares statements of its own when it is opened
        connection.set_authorizer(_authorize)
        cursor = connection.execute(found.sql)
        yield _fetched(cursor, cancel, end)
    except sqlite3.Error as error:
        raise _sqlite_error(error, cancel) from None
    finally:
        connection.close()


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _fetched(cursor: sqlite3.Cursor, cancel: Cancel, end: float) -> Iterator[Sequence[Any]]:
    try:
        while chunk := cursor.fetchmany(FETCH):
            yield from chunk
            if cancel.is_set or time.monotonic() > end:
                raise DeadlineError("the query took too long")
    except (sqlite3.Error, OverflowError) as error:
        raise _sqlite_error(error, cancel) from None


def _sqlite_error(error: Exception, cancel: Cancel) -> QueryError:
    if "interrupted" in str(error):
        return DeadlineError("the query was cancelled" if cancel.is_set else "the query took too long")
    return QueryError(f"the query cannot be answered: {error}")


_READABLE = frozenset(table.stored for table in tables.PUBLIC)
_SKY = ("sky", "sky_node", "sky_rowid", "sky_parent")
_COMMON = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)


def _authorize(action: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
    """Allow reading of public tables and the index, and functions; nothing else."""
    if action in _COMMON:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if second == "load_extension" else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ:
        is_upload = database == "temp" and str(first).startswith("upload_")
        if is_upload or first in _READABLE or first in _SKY or not first:
            return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


_SQL_TYPES = {"char": "TEXT", "short": "SMALLINT", "int": "INTEGER", "long": "BIGINT", "float": "REAL",
              "double": "DOUBLE PRECISION"}  # fmt: skip


def _definition(name: str, table: Uploaded) -> str:
    columns = ", ".join(f'"{c.name}" {_SQL_TYPES[c.datatype]}' for c in table.columns)
    return f'CREATE TEMPORARY TABLE "upload_{name.lower()}" ({columns})'


def _upload_sqlite(connection: sqlite3.Connection, name: str, table: Uploaded) -> None:
    connection.execute(_definition(name, table))
    marks = ", ".join("?" * len(table.columns))
    connection.executemany(f'INSERT INTO "upload_{name.lower()}" VALUES ({marks})', table.rows)


@contextmanager
def _postgres(
    store: Store, found: Translation, uploads: Mapping[str, Uploaded], deadline: float, cancel: Cancel
) -> Iterator[Iterator[Sequence[Any]]]:
    try:
        with store.engine.connect() as connection, connection.begin():
            from psycopg.types.numeric import FloatLoader

            raw: Any = connection.connection.driver_connection
            raw.adapters.register_loader("numeric", FloatLoader)  # no type of VOTable has a Decimal
            for name, table in uploads.items():
                _upload_postgres(connection, name, table)
            for statement in (
                f"SET LOCAL statement_timeout = {max(int(deadline * 1000), 1)}",
                "SET LOCAL transaction_read_only = on",
                f"SET LOCAL ROLE {READER}",
            ):
                connection.execute(sa.text(statement))
            cancel.action = raw.cancel
            if cancel.is_set:
                raise DeadlineError("the query was cancelled")
            streamed = connection.execution_options(no_parameters=True, stream_results=True, max_row_buffer=FETCH)
            result = streamed.exec_driver_sql(found.sql)
            yield _whole(result, found.columns, time.monotonic() + deadline)
            result.close()
    except sa.exc.DBAPIError as error:
        raise _postgres_error(error, cancel) from None
    finally:
        cancel.action = _nothing


def _whole(rows: Iterable[Any], columns: Sequence[Column], end: float) -> Iterator[Sequence[Any]]:
    """Yield rows whose whole numbers are integers: PostgreSQL's sums of them are not."""
    kinds = [column.datatype in ("int", "long") for column in columns]
    for number, row in enumerate(rows):
        if number % FETCH == 0 and time.monotonic() > end:
            raise DeadlineError("the query took too long")
        yield [int(v) if is_whole and isinstance(v, float) else v for v, is_whole in zip(row, kinds, strict=True)]


def _nothing() -> None: ...


def _postgres_error(error: sa.exc.DBAPIError, cancel: Cancel) -> QueryError:
    reason = str(error.orig).strip().splitlines()[0]
    if "canceling statement" in reason:
        return DeadlineError("the query was cancelled" if cancel.is_set else "the query took too long")
    return QueryError(f"the query cannot be answered: {reason}")


def _upload_postgres(connection: sa.Connection, name: str, table: Uploaded) -> None:
    connection.execute(sa.text(f"{_definition(name, table)} ON COMMIT DROP"))
    values = ", ".join(f":v{n}" for n in range(len(table.columns)))
    rows = [{f"v{n}": value for n, value in enumerate(row)} for row in table.rows]
    if rows:
        connection.execute(sa.text(f'INSERT INTO "upload_{name.lower()}" VALUES ({values})'), rows)
    connection.execute(sa.text(f'GRANT SELECT ON "upload_{name.lower()}" TO {READER}'))


def _null_safe(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        if any(value is None for value in values):
            return None
        try:
            return function(*values)
        except (RegionError, TypeError, ValueError, OverflowError):
            return None

    return call


def _round(value: float, digits: int = 0) -> float:
    return float(
        math.copysign(math.floor(abs(value) * 10**digits + 0.5) / 10**digits, value)
    )  # half away from zero, as SQL


def _truncate(value: float, digits: int) -> float:
    return float(math.trunc(value * 10**digits) / 10**digits)


_FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = tuple(
    (name, arguments, _null_safe(function))
    for name, arguments, function in (
        ("elvis_contains", 3, lambda lon, lat, s: int(regions.contains(regions.parse(s), regions.vector(lon, lat)))),
        ("elvis_inside", 2, lambda a, b: int(regions.inside(regions.parse(a), regions.parse(b)))),
        ("elvis_overlap", 2, lambda a, b: int(regions.overlap(regions.parse(a), regions.parse(b)))),
        ("elvis_distance", 4, regions.distance),
        ("elvis_circle", 3, lambda lon, lat, radius: regions.circle(float(lon), float(lat), float(radius)).text()),
        ("elvis_area", 1, lambda s: regions.area(regions.parse(s))),
        ("elvis_round", 1, _round),
        ("elvis_round", 2, _round),
        ("elvis_truncate", 2, _truncate),
    )
)
