"""Run by alembic: migrate the database behind the connection that the configuration holds."""

from alembic import context

from elvis_cli.observatory.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
