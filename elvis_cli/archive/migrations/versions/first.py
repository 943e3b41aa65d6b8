"""The first tables: products with an index of the sky, jobs, settings, TAP_SCHEMA."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INDEXED = ["obs_publisher_did", "s_ra", "s_dec", "s_region", "t_min", "dp_id", "ob_id", "sha256"]
_TEXTS = [
    "dataproduct_type",
    "obs_collection",
    "obs_id",
    "obs_publisher_did",
    "access_format",
    "target_name",
    "s_region",
    "o_ucd",
    "pol_states",
    "facility_name",
    "instrument_name",
    "dp_id",
    "ob_name",
    "prog_id",
    "tpl_id",
    "dp_cat",
    "dp_type",
    "dp_tech",
    "ins_mode",
    "filter",
    "sha256",
    "file_name",
]
_DOUBLES = [
    "s_ra",
    "s_dec",
    "s_fov",
    "s_resolution",
    "t_min",
    "t_max",
    "t_exptime",
    "t_resolution",
    "em_min",
    "em_max",
    "em_res_power",
    "dit",
    "abmaglim",
    "snr",
    "airmass",
    "x",
    "y",
    "z",
]
_LONGS = ["access_estsize", "s_xel1", "s_xel2", "t_xel", "em_xel", "pol_xel", "ob_id", "ndit", "seed"]
_SCHEMA = {
    "schemas": "schema_name description utype #schema_index",
    "tables": "schema_name table_name table_type description utype #table_index",
    "columns": "table_name column_name datatype arraysize xtype #size description utype unit ucd #indexed #principal "
    "#std #column_index",
    "keys": "key_id from_table target_table description utype",
    "key_columns": "key_id from_column target_column",
}

_POLYGON = r"""
CREATE FUNCTION elvis_poly(region text) RETURNS spoly LANGUAGE sql IMMUTABLE STRICT AS $$
SELECT CAST('{' || rtrim(regexp_replace(substr(region, 14), '(\S+) (\S+) ?', '(\1d,\2d),', 'g'), ',') || '}' AS spoly)
$$
"""
"""Of a polygon in STC-S, where a query has the text alone."""


def upgrade() -> None:
    """Create the tables."""
    row = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "products",
        sa.Column("rid", row, primary_key=True),
        *(sa.Column(name, sa.Text) for name in _TEXTS),
        *(sa.Column(name, sa.Double) for name in _DOUBLES),
        *(sa.Column(name, sa.BigInteger) for name in _LONGS),
        sa.Column("calib_level", sa.Integer),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("polygons", "raw_names", "calibration_names")),
    )
    for name in _INDEXED:
        if name != "s_region":
            op.create_index(f"products_{name}", "products", [name], unique=name in ("dp_id", "sha256"))
    op.create_table(
        "jobs",
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
    op.create_table("settings", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text))
    for name, columns in _SCHEMA.items():
        kinds = [(c.lstrip("#"), sa.Integer if c.startswith("#") else sa.Text) for c in columns.split()]
        op.create_table(f"tap_schema_{name}", *(sa.Column(column, kind) for column, kind in kinds))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE sky USING rtree(rid, x0, x1, y0, y1, z0, z1)")
        return
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_sphere")
    op.execute("ALTER TABLE products ADD COLUMN s_point spoint")
    op.execute("ALTER TABLE products ADD COLUMN s_poly spoly")
    op.execute(_POLYGON)
    op.execute("CREATE INDEX products_point ON products USING gist (s_point)")
    op.execute("CREATE INDEX products_poly ON products USING gist (s_poly)")
