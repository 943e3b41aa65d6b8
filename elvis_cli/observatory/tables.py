"""Tables of the database, for SQLite and PostgreSQL; `migrations` makes them."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION_TABLE = "schema_version"
"""Table of the revision of the schema."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_source() -> Column[int]:
    return Column("source", ForeignKey("source.id", ondelete="CASCADE"), nullable=False)


project = Table(
    "project",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("cfg_hash", String, nullable=False),
    Column("config", Text, nullable=False),
    Column("version", String, nullable=False),
    UniqueConstraint("name", "cfg_hash"),
)
source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("ra", Double, nullable=False),
    Column("dec", Double, nullable=False),
    Column("mag", Double),
    Column("magerr", Double),
    Column("filter", String, nullable=False),
    UniqueConstraint("project", "name"),
)
alias = Table(
    "alias",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("observatory", String, nullable=False),
    Column("name", String, nullable=False),
    UniqueConstraint("source", "observatory", "name"),
)
dataset = Table(
    "dataset",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("observatory", String, nullable=False),
    Column("level", String, nullable=False),
    Column("filter", String, nullable=False),
    Column("series", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("path", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("t_start", Double),
    Column("t_end", Double),
    Column("n", Integer, nullable=False),
    Column("calibration", String, nullable=False),
    Column("state", String, nullable=False),
    UniqueConstraint("source", "observatory", "level", "filter", "series"),
)
task = Table(
    "task",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("observatory", String, nullable=False),
    Column("step", String, nullable=False),
    Column("state", String, nullable=False),
    Column("worker", String),
    Column("lease_until", Double),
    Column("tries", Integer, nullable=False),
    Column("error", Text),
    UniqueConstraint("source", "observatory", "step"),
    Index("ix_task_state", "state"),
)
detection = Table(
    "detection",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("analysis", String, nullable=False),
    Column("seal", String, nullable=False),
    Column("snr", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("peak_time", Double, nullable=False),
    Column("time_start", Double, nullable=False),
    Column("time_end", Double, nullable=False),
    Column("peak_mag", Double),
    Column("dmag", Double, nullable=False),
    Column("quality_flag", Integer, nullable=False),
    Column("offset", Double),
    Column("observatory", String, nullable=False),
    Column("filter", String, nullable=False),
    Column("dataset", String, nullable=False),
    Column("cfg_hash", String, nullable=False),
    UniqueConstraint("source", "analysis", "seal"),
)
properties = Table(
    "properties",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("analysis", String, nullable=False),
    Column("json", Text, nullable=False),
    Column("has_data", Boolean, nullable=False),
    UniqueConstraint("source", "analysis"),
)
histogram_part = Table(
    "histogram_part",
    metadata,
    Column("id", Integer, primary_key=True),
    _of_source(),
    Column("analysis", String, nullable=False),
    Column("name", String, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    UniqueConstraint("source", "analysis", "name"),
)
