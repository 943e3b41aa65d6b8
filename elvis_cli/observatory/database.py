"""The database: an engine for SQLite or PostgreSQL, its tables brought up to date, transactions that write or read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from elvis_cli.errors import ResourceError

VARIABLE = "ELVIS_DATABASE"
"""Environment variable of a database's address, in place of the parameter."""
FILE_NAME = "observatory.sqlite"
HEAD = "0001"
"""Revision of the tables that this version reads and writes."""
BUSY_SECONDS = 60
MIGRATION_LOCK = 0x454C564953
"""Key of PostgreSQL's advisory lock while tables are made."""


def needs() -> None:
    """Raise ResourceError if the libraries of the extra `observatory` are missing."""
    try:
        import alembic  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ImportError:
        raise ResourceError("this needs SQLAlchemy and alembic: pip install 'elvis-cli[observatory]'") from None


def address(parameter: str | None, folder: Path) -> str:
    """Return the address: that of the environment, of the parameter, or SQLite's in a folder.

    Raises
    ------
    ResourceError
        The parameter holds a password.
    """
    needs()
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    given = os.environ.get(VARIABLE) or parameter
    if given is None:
        return f"sqlite:///{folder.absolute() / FILE_NAME}"
    try:
        url = make_url(given)
    except ArgumentError:
        raise ResourceError(f"database: {given!r:.60} is not an address", allowed="postgresql+psycopg://...") from None
    if url.password and given == parameter and not os.environ.get(VARIABLE):
        raise ResourceError(
            f"database: a password does not belong into the file of parameters: {VARIABLE} or PGPASSWORD may hold it"
        )
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ResourceError(f"database: {url.get_backend_name()} is not one", allowed=["sqlite", "postgresql"])
    return given


class Database:
    """A database whose tables are those of this version."""

    def __init__(self, url: str) -> None:
        needs()
        import sqlalchemy as sa

        self.url = url
        try:
            if url.startswith("sqlite"):
                arguments: dict[str, Any] = {"timeout": BUSY_SECONDS, "check_same_thread": False}
                self.engine = sa.create_engine(url, connect_args=arguments)
            else:
                self.engine = sa.create_engine(url, pool_pre_ping=True, pool_size=1, max_overflow=4)
        except ImportError:
            raise ResourceError("PostgreSQL needs psycopg: pip install 'elvis-cli[postgres]'") from None
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        if self.is_sqlite:
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        self._writer = self.engine.execution_options(elvis_writes=True)
        try:
            with _explained():
                self._migrate()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[Any]:
        """Yield a connection in a transaction that writes: all of it, or nothing."""
        with _explained(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Any]:
        """Yield a connection in a transaction that only reads, of one state of the database."""
        engine = self.engine
        if not self.is_sqlite:
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with _explained(), engine.connect() as connection:
            yield connection
            connection.rollback()

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def revision(self) -> str | None:
        """Return the revision of the tables; None if there are none."""
        import sqlalchemy as sa

        from elvis_cli.observatory.tables import VERSION_TABLE

        with self.engine.connect() as connection:
            if not sa.inspect(connection).has_table(VERSION_TABLE):
                return None
            return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()

    def _migrate(self) -> None:
        if self.revision() == HEAD:
            return
        import sqlalchemy as sa

        with self._writer.begin() as connection:
            if not self.is_sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            upgrade(connection, HEAD)


def upgrade(connection: Any, revision: str, down: bool = False) -> None:
    """Bring the tables to a revision, in the transaction of ``connection``."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(files("elvis_cli.observatory") / "migrations"))
    config.attributes["connection"] = connection
    try:
        (command.downgrade if down else command.upgrade)(config, revision)
    except CommandError as error:
        raise ResourceError(f"the database is of another version of ELVIS: {error}") from None


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the transactions are begun below
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("elvis_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn faults of the database into errors of ours."""
    from sqlalchemy.exc import DBAPIError

    try:
        yield
    except DBAPIError as error:
        raise ResourceError(f"database: {' '.join(str(error.orig).split())[:300]}") from None


def worker_name() -> str:
    """Return the name of this process: host, number, and when it began, as numbers are used again."""
    return f"{os.uname().nodename}:{os.getpid()}:{_began(os.getpid())}"


def is_alive(worker: str) -> bool:
    """Return whether a process may still run; those of other machines may."""
    host, number, began = worker.rsplit(":", 2)
    return host != os.uname().nodename or (began != "" and _began(int(number)) == began)


def _began(number: int) -> str:
    """Return when a process began, in ticks since the machine did; nothing if it has gone."""
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return ""
    words = text.rpartition(")")[2].split()
    return "" if words[0] in "ZX" else words[19]


def now() -> float:
    """Return the time, seconds since 1970."""
    return time.time()
