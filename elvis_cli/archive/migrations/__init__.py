"""Changes of the store's tables, by Alembic."""
