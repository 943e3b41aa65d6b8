"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "project",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("cfg_hash", sa.String, nullable=False),
        sa.Column("config", sa.Text, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.UniqueConstraint("name", "cfg_hash", name="uq_project_name"),
        sa.PrimaryKeyConstraint("id", name="pk_project"),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "project",
            sa.Integer,
            sa.ForeignKey("project.id", ondelete="CASCADE", name="fk_source_project_project"),
            nullable=False,
        ),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("ra", sa.Double, nullable=False),
        sa.Column("dec", sa.Double, nullable=False),
        sa.Column("mag", sa.Double),
        sa.Column("magerr", sa.Double),
        sa.Column("filter", sa.String, nullable=False),
        sa.UniqueConstraint("project", "name", name="uq_source_project"),
        sa.PrimaryKeyConstraint("id", name="pk_source"),
    )
    op.create_table(
        "alias",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_alias_source_source"),
            nullable=False,
        ),
        sa.Column("observatory", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.UniqueConstraint("source", "observatory", "name", name="uq_alias_source"),
        sa.PrimaryKeyConstraint("id", name="pk_alias"),
    )
    op.create_table(
        "dataset",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_dataset_source_source"),
            nullable=False,
        ),
        sa.Column("observatory", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("filter", sa.String, nullable=False),
        sa.Column("series", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("path", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("t_start", sa.Double),
        sa.Column("t_end", sa.Double),
        sa.Column("n", sa.Integer, nullable=False),
        sa.Column("calibration", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.UniqueConstraint("source", "observatory", "level", "filter", "series", name="uq_dataset_source"),
        sa.PrimaryKeyConstraint("id", name="pk_dataset"),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_task_source_source"),
            nullable=False,
        ),
        sa.Column("observatory", sa.String, nullable=False),
        sa.Column("step", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("worker", sa.String),
        sa.Column("lease_until", sa.Double),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("source", "observatory", "step", name="uq_task_source"),
        sa.PrimaryKeyConstraint("id", name="pk_task"),
    )
    op.create_table(
        "detection",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_detection_source_source"),
            nullable=False,
        ),
        sa.Column("analysis", sa.String, nullable=False),
        sa.Column("seal", sa.String, nullable=False),
        sa.Column("snr", sa.Double, nullable=False),
        sa.Column("score", sa.Double, nullable=False),
        sa.Column("peak_time", sa.Double, nullable=False),
        sa.Column("time_start", sa.Double, nullable=False),
        sa.Column("time_end", sa.Double, nullable=False),
        sa.Column("peak_mag", sa.Double),
        sa.Column("dmag", sa.Double, nullable=False),
        sa.Column("quality_flag", sa.Integer, nullable=False),
        sa.Column("offset", sa.Double),
        sa.Column("observatory", sa.String, nullable=False),
        sa.Column("filter", sa.String, nullable=False),
        sa.Column("dataset", sa.String, nullable=False),
        sa.Column("cfg_hash", sa.String, nullable=False),
        sa.UniqueConstraint("source", "analysis", "seal", name="uq_detection_source"),
        sa.PrimaryKeyConstraint("id", name="pk_detection"),
    )
    op.create_table(
        "properties",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_properties_source_source"),
            nullable=False,
        ),
        sa.Column("analysis", sa.String, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.Column("has_data", sa.Boolean, nullable=False),
        sa.UniqueConstraint("source", "analysis", name="uq_properties_source"),
        sa.PrimaryKeyConstraint("id", name="pk_properties"),
    )
    op.create_table(
        "histogram_part",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column(
            "source",
            sa.Integer,
            sa.ForeignKey("source.id", ondelete="CASCADE", name="fk_histogram_part_source_source"),
            nullable=False,
        ),
        sa.Column("analysis", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("blob", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("source", "analysis", "name", name="uq_histogram_part_source"),
        sa.PrimaryKeyConstraint("id", name="pk_histogram_part"),
    )
    op.create_index("ix_task_state", "task", ["state"])


def downgrade() -> None:
    """Drop the tables."""
    for name in ("histogram_part", "properties", "detection", "task", "dataset", "alias", "source", "project"):
        op.drop_table(name)
