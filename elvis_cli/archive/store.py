"""The store: a SQLite file with an R*Tree of the sky, or a PostgreSQL database with pg_sphere."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from elvis_cli.archive import footprint, regions, tables
from elvis_cli.archive.obscore import Product
from elvis_cli.errors import ResourceError, UsageError

DEFAULT_AUTHORITY = "elvis.local"
AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{2,}")
"""Of an identifier (IVOA Identifiers 2.0, section 2.3.2)."""


class Store:
    """Products and jobs; all methods may be called from any thread."""

    def __init__(self, place: str) -> None:
        """Open a store, and create it or bring it to this version if it is not.

        Raises
        ------
        ResourceError
            It cannot be opened.
        UsageError
            ``place`` is neither a path nor an address of PostgreSQL.
        """
        self.url = _url(place)
        self.is_sqlite = self.url.drivername == "sqlite"
        self._writing = threading.RLock()
        try:
            self.engine = sa.create_engine(self.url, **self._engine_options())
            if self.is_sqlite:
                sa.event.listen(self.engine, "connect", _prepare_sqlite)
            self._upgrade()
        except sa.exc.SQLAlchemyError as error:
            raise ResourceError(f"cannot open the archive {place}: {_reason(error)}") from None
        except ModuleNotFoundError as error:
            raise ResourceError(f"{error.name} not installed: pip install 'elvis-cli[postgres]'") from None

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction; one at a time."""
        with self._writing, self.engine.begin() as connection:
            yield connection

    def setting(self, name: str, default: str) -> str:
        """Return a setting."""
        with self.engine.connect() as connection:
            found = connection.scalar(sa.select(tables.settings.c.value).where(tables.settings.c.name == name))
        return default if found is None else str(found)

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        with self.writing() as connection:
            connection.execute(sa.delete(tables.settings).where(tables.settings.c.name == name))
            connection.execute(sa.insert(tables.settings).values(name=name, value=value))

    @property
    def authority(self) -> str:
        """The naming authority in identifiers."""
        return self.setting("authority", DEFAULT_AUTHORITY)

    def find(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the products whose columns have these values (or one of the values of a list)."""
        table = tables.products
        if any(isinstance(value, str) and "\0" in value for value in wanted.values()):
            return []  # PostgreSQL refuses such texts
        conditions = [
            table.c[name].in_(value) if isinstance(value, (list, tuple)) else table.c[name] == value
            for name, value in wanted.items()
        ]
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(table).where(*conditions).order_by(table.c.rid)).mappings()
            return [dict(row) for row in rows]

    def count(self) -> int:
        """Return the number of products."""
        with self.engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(tables.products)) or 0)

    def add(self, connection: sa.Connection, products: Sequence[Product], places: Sequence[tuple[str, int]]) -> None:
        """Add products with the paths and sizes of their files."""
        if not products:
            return
        last = connection.scalar(sa.select(sa.func.max(tables.products.c.rid))) or 0
        rows, boxes = [], []
        for rid, (each, (path, size)) in enumerate(zip(products, places, strict=True), last + 1):
            rows.append(_row(rid, each, path, size))
            boxes.append(_box(rid, each.values))
        connection.execute(sa.insert(tables.products), rows)
        found = [box for box in boxes if box is not None]
        if found:
            connection.execute(sa.text(self._index), found)

    def lacking(self, connection: sa.Connection, names: Sequence[str], frames: Iterable[str]) -> list[dict[str, Any]]:
        """Return number, raw frames and the columns ``names`` of products that lack one of these.

        Their first raw frame is one of ``frames``.
        """
        table = tables.products
        columns = [table.c[name] for name in names]
        starts: dict[int, list[str]] = {}
        for frame in frames:
            start = json.dumps([frame])[:-1]
            starts.setdefault(len(start), []).append(start)
        is_theirs = [sa.func.substr(table.c.raw_names, 1, length).in_(each) for length, each in starts.items()]
        asked = sa.select(table.c.rid, table.c.raw_names, *columns)
        asked = asked.where(sa.or_(*is_theirs), sa.or_(*(column.is_(None) for column in columns)))
        return [dict(row) for row in connection.execute(asked).mappings()]

    def change(self, connection: sa.Connection, rid: int, values: dict[str, Any]) -> None:
        """Change columns of a product, s_ra, s_dec and s_region among them: its place in the index of the sky too."""
        table = tables.products
        more = {name: value for name, value in values.items() if name != "rid"} | _vector(values)
        connection.execute(sa.update(table).where(table.c.rid == rid).values(more))
        box = _box(rid, values)
        if self.is_sqlite:
            connection.execute(sa.text("DELETE FROM sky WHERE rid = :rid"), {"rid": rid})
        if box is not None:
            connection.execute(sa.text(self._index), box)

    @property
    def _index(self) -> str:
        """The statement that puts a product into the index of the sky."""
        return _SQLITE_BOX if self.is_sqlite else _POSTGRES_REGION

    def _engine_options(self) -> dict[str, Any]:
        if self.is_sqlite:
            return {"connect_args": {"check_same_thread": False, "timeout": 30.0}}
        return {"pool_size": 8, "pool_pre_ping": True}

    def _upgrade(self) -> None:
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        with self.engine.begin() as connection:
            if self._is_current(connection):
                return
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError as error:
                raise ResourceError(
                    f"{self.url.database} is of another version of ELVIS or no archive: {error}"
                ) from None
            _fill_schema(connection)
            if not self.is_sqlite:
                _make_reader(connection)

    def _is_current(self, connection: sa.Connection) -> bool:
        if not sa.inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == HEAD)


HEAD = "0001"
READER = "elvis_archive_reader"
"""Role of PostgreSQL in which queries of others run: it may read the public tables alone."""
_SQLITE_BOX = "INSERT INTO sky VALUES (:rid, :x0, :x1, :y0, :y1, :z0, :z1)"
_POSTGRES_REGION = (
    "UPDATE products SET s_point = spoint(radians(s_ra), radians(s_dec)), s_poly = CAST(:poly AS spoly) "
    "WHERE rid = :rid"
)


def _url(place: str) -> sa.URL:
    """Return the address of a store: a path is one of SQLite."""
    scheme, separator, _ = place.partition("://")
    if not separator:
        path = Path(place)
        if not path.parent.is_dir():
            raise ResourceError(f"cannot open the archive {place}: there is no folder {path.parent}")
        return sa.URL.create("sqlite", database=str(path))
    if scheme not in ("postgresql", "postgres"):
        raise UsageError(f"{place!r} is neither a path nor an address postgresql://USER@HOST/DATABASE")
    try:
        return sa.make_url(place).set(drivername="postgresql+psycopg")
    except sa.exc.ArgumentError:
        raise UsageError(f"{place!r} is not an address postgresql://USER@HOST/DATABASE") from None


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _row(rid: int, product: Product, path: str, size: int) -> dict[str, Any]:
    values = {name: value for name, value in product.values.items() if name not in tables.COMPUTED}
    return {
        **values,
        "rid": rid,
        "path": path,
        "size": size,
        **_vector(values),
        "polygons": json.dumps(product.polygons),
        "raw_names": json.dumps(product.raw_names),
        "calibration_names": json.dumps(product.calibration_names),
    }


def _vector(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the columns x, y, z."""
    if values["s_ra"] is None:
        return {"x": None, "y": None, "z": None}
    return dict(zip("xyz", regions.vector(values["s_ra"], values["s_dec"]), strict=True))


def _box(rid: int, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the parameters of _SQLITE_BOX and _POSTGRES_REGION, None for what is not on the sky."""
    if values["s_ra"] is None:
        return None
    outline = tuple(outline_of(values["s_region"])) if values["s_region"] else ()
    x0, x1, y0, y1, z0, z1 = footprint.box((*outline, (values["s_ra"], values["s_dec"])))
    poly = "{" + ",".join(f"({ra!r}d,{dec!r}d)" for ra, dec in outline) + "}" if outline else None
    return {"rid": rid, "x0": x0, "x1": x1, "y0": y0, "y1": y1, "z0": z0, "z1": z1, "poly": poly}


def outline_of(region: str) -> list[tuple[float, float]]:
    """Return the vertices (ra, dec; deg) of STC-S text as `obscore.stcs` writes it."""
    numbers = [float(word) for word in region.split()[2:]]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _fill_schema(connection: sa.Connection) -> None:
    """Write TAP_SCHEMA anew."""
    for table in tables.TAP_SCHEMA.values():
        connection.execute(sa.delete(table))
    schemas = [
        {"schema_name": name, "description": text, "utype": None, "schema_index": n}
        for n, (name, text) in enumerate(tables.SCHEMAS.items())
    ]
    connection.execute(sa.insert(tables.TAP_SCHEMA["schemas"]), schemas)
    for number, public in enumerate(tables.PUBLIC):
        name = f"{public.schema}.{public.name}"
        connection.execute(sa.insert(tables.TAP_SCHEMA["tables"]).values(
            schema_name=public.schema, table_name=name, table_type="table", description=public.description,
            utype=public.utype or None, table_index=number))  # fmt: skip
        connection.execute(sa.insert(tables.TAP_SCHEMA["columns"]), [
            {"table_name": name, "column_name": tables.delimited(c.name), "datatype": c.datatype,
             "arraysize": c.arraysize or None, "xtype": c.xtype or None, "size": None, "description": c.description,
             "utype": c.utype or None,
             "unit": c.unit or None, "ucd": c.ucd or None, "indexed": int(c.indexed), "principal": int(c.principal),
             "std": int(c.std), "column_index": n}
            for n, c in enumerate(public.columns)])  # fmt: skip
    connection.execute(sa.insert(tables.TAP_SCHEMA["keys"]), [
        {"key_id": key, "from_table": source, "target_table": target, "description": None, "utype": None}
        for key, source, target, _, _ in tables.KEYS])  # fmt: skip
    connection.execute(sa.insert(tables.TAP_SCHEMA["key_columns"]), [
        {"key_id": key, "from_column": source, "target_column": target}
        for key, _, _, source, target in tables.KEYS])  # fmt: skip


def _make_reader(connection: sa.Connection) -> None:
    """Create the role that reads, and let this user take it on."""
    if not connection.scalar(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": READER}):
        connection.execute(sa.text(f"CREATE ROLE {READER} NOLOGIN"))
    connection.execute(sa.text(f"GRANT {READER} TO CURRENT_USER"))
    public = ", ".join(table.stored for table in tables.PUBLIC)
    connection.execute(sa.text(f"GRANT SELECT ON {public} TO {READER}"))
