"""The tables of the store. In queries `ivoa.obscore` is the table ``products`` with the columns of `columns`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from elvis_cli.archive.columns import COLUMNS, Column

TYPES: dict[str, Any] = {"char": sa.Text, "int": sa.Integer, "long": sa.BigInteger, "double": sa.Double}
COMPUTED = ("access_url",)
"""Columns that depend on the address of the server: they are in no table."""
ROW = sa.BigInteger().with_variant(sa.Integer, "sqlite")

metadata = sa.MetaData()
products = sa.Table(
    "products",
    metadata,
    sa.Column("rid", ROW, primary_key=True),
    *(sa.Column(c.name, TYPES[c.datatype], index=c.indexed) for c in COLUMNS if c.name not in COMPUTED),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("x", sa.Double),
    sa.Column("y", sa.Double),
    sa.Column("z", sa.Double),
    sa.Column("polygons", sa.Text, nullable=False),
    sa.Column("raw_names", sa.Text, nullable=False),
    sa.Column("calibration_names", sa.Text, nullable=False),
)
"""x, y, z is the unit vector of the centre; polygons and names are JSON."""
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, nullable=False, index=True),
    sa.Column("parameters", sa.Text, nullable=False),
    sa.Column("uploads", sa.LargeBinary),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("started", sa.Double),
    sa.Column("ended", sa.Double),
    sa.Column("destruction", sa.Double, nullable=False),
    sa.Column("duration", sa.Double, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("media_type", sa.Text),
    sa.Column("result", sa.LargeBinary),
)
"""Times are Unix seconds; parameters JSON."""
settings = sa.Table(
    "settings", metadata, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False)
)


@dataclass(frozen=True, slots=True)
class PublicTable:
    """A table that queries may name."""

    schema: str
    name: str
    stored: str
    """Its name in the store."""
    description: str
    columns: tuple[Column, ...]
    utype: str = ""


def _text(name: str, description: str) -> Column:
    return Column(name, "char", description, std=True, principal=True)


def _flag(name: str, description: str) -> Column:
    return Column(name, "int", description, std=True)


_KEY_ID = _text("key_id", "identifier of the key")
_TABLE_NAME = _text("table_name", "name of the table, with its schema")
SCHEMAS = {
    "ivoa": "tables of the Virtual Observatory",
    "tap_schema": "this service's own description (TAP 1.1, section 4)",
}
PUBLIC = (
    PublicTable("ivoa", "obscore", "products", "frames and products that ELVIS simulated (ObsCore 1.1)", COLUMNS,
                "ivo://ivoa.net/std/ObsCore#core-1.1"),
    PublicTable("tap_schema", "schemas", "tap_schema_schemas", "schemas of this service", (
        _text("schema_name", "name of the schema"), _text("description", "description"),
        _text("utype", "utype"), Column("schema_index", "int", "order", std=True))),
    PublicTable("tap_schema", "tables", "tap_schema_tables", "tables of this service", (
        _text("schema_name", "name of the schema"), _TABLE_NAME, _text("table_type", "table or view"),
        _text("description", "description"), _text("utype", "utype"), Column("table_index", "int", "order", std=True))),
    PublicTable("tap_schema", "columns", "tap_schema_columns", "columns of these tables", (
        _TABLE_NAME, _text("column_name", "name of the column"), _text("datatype", "datatype of VOTable"),
        _text("arraysize", "arraysize of VOTable"), _text("xtype", "xtype of DALI"),
        Column("size", "int", "length, of TAP 1.0", std=True),
        _text("description", "description"), _text("utype", "utype"), _text("unit", "unit"), _text("ucd", "UCD"),
        _flag("indexed", "1: there is an index"), _flag("principal", "1: of most use"),
        _flag("std", "1: defined by a standard"), Column("column_index", "int", "order", std=True))),
    PublicTable("tap_schema", "keys", "tap_schema_keys", "foreign keys", (
        _KEY_ID, _text("from_table", "table that refers"), _text("target_table", "table that is referred to"),
        _text("description", "description"), _text("utype", "utype"))),
    PublicTable("tap_schema", "key_columns", "tap_schema_key_columns", "columns of foreign keys", (
        _KEY_ID, _text("from_column", "column that refers"), _text("target_column", "column that is referred to"))),
)  # fmt: skip
KEYS = (
    ("1", "tap_schema.tables", "tap_schema.schemas", "schema_name", "schema_name"),
    ("2", "tap_schema.columns", "tap_schema.tables", "table_name", "table_name"),
    ("3", "tap_schema.keys", "tap_schema.tables", "from_table", "table_name"),
    ("4", "tap_schema.keys", "tap_schema.tables", "target_table", "table_name"),
    ("5", "tap_schema.key_columns", "tap_schema.keys", "key_id", "key_id"),
)
"""Identifier, from table, target table, from column, target column."""


def delimited(name: str) -> str:
    """Return the name of a column as a query writes it: in quotes if ADQL reserves the word."""
    return f'"{name}"' if name == "size" else name


def stored_table(table: PublicTable) -> sa.Table:
    """Return a table of TAP_SCHEMA as SQLAlchemy has it."""
    columns: list[sa.Column[Any]] = [sa.Column(column.name, TYPES[column.datatype]) for column in table.columns]
    return sa.Table(table.stored, metadata, *columns)


TAP_SCHEMA = {table.name: stored_table(table) for table in PUBLIC if table.schema == "tap_schema"}
