"""Migrations of the database, by alembic; SQLite's tables are copied to change them (batch mode)."""
