"""Stores with the same products in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("sqlglot", reason="needs the extra archive")
pytest.importorskip("sqlalchemy", reason="needs the extra archive")

from elvis_cli.archive.store import Store
from tests import postgres as server
from tests.archive import rows


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = Store(str(tmp_path_factory.mktemp("archive") / "archive.sqlite"))
    rows.fill(store, rows.products(600))
    yield store
    store.close()


@pytest.fixture(scope="session")
def postgres_store(request: pytest.FixtureRequest) -> Any:
    if reason := server.lacking("pg_sphere"):
        pytest.skip(reason)
    store = Store(request.getfixturevalue("postgres")())
    rows.fill(store, rows.products(600))
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Any:
    """The same products on each of the databases."""
    return request.getfixturevalue(f"{request.param}_store")
