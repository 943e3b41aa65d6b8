"""Runs of an observatory in a folder, light curves made up, and a PostgreSQL server of our own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sqlalchemy")
pytest.importorskip("alembic")

from elvis_cli.observatory.database import Database
from elvis_cli.observatory.dataset import PhotometricDataset
from elvis_cli.observatory.export import FILES, export
from elvis_cli.observatory.lightcurve import MAG_PER_RELATIVE_FLUX, LightCurve, flux_of
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.project import InProcess, Project
from elvis_cli.observatory.steps import STEPS, SourceResult
from elvis_cli.observatory.store import Store

KEY = "5e" * 32
"""A key that is the same in all tests: what is injected follows from it."""


class Run:
    """A run in a folder of its own, with the key of all tests."""

    def __init__(self, folder: Path, patch: dict[str, Any], key: str = KEY) -> None:
        self.project = Project(Parameters.load(None, patch), folder)
        self.folder = self.project.folder
        self.project.make_folder()
        path = self.project.key_file
        if not path.exists():
            path.write_text(key)
            path.chmod(0o600)
        self.store = Store(self.project.database(), self.project.parameters)

    def go(self, steps: tuple[str, ...] = STEPS, pool: Any = None, **more: Any) -> list[SourceResult]:
        """Run, and return the results by name."""
        done = list(self.project.run(pool or InProcess(), self.store, steps, **more))
        return sorted(done, key=lambda each: each.source.name)

    def export(self) -> dict[str, bytes]:
        """Return the products by name."""
        export(self.project, self.store)
        return {name: (self.folder / name).read_bytes() for name in FILES}

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        import sqlalchemy as sa

        with self.store.database.read() as connection:
            return int(connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one())

    def close(self) -> None:
        """Close the database."""
        self.store.database.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make a run: ``run("a", {"catalog": {"rows": 5}})``."""
    made: list[Run] = []

    def make(name: str = "run", patch: dict[str, Any] | None = None, **more: Any) -> Run:
        made.append(Run(tmp_path, {"output": name, **(patch or {})}, **more))
        return made[-1]

    yield make
    for each in made:
        each.close()


def curve(
    size: int = 100, seed: int = 3, spikes: dict[int, float] | None = None, mag: float = 18.0, **changes: Any
) -> LightCurve:
    """Return a light curve of constant brightness, errors of a tenth, with ``spikes`` in sigma at some epochs.

    The noise of the spikes' own epochs is 0, so that they are what they are said to be.
    """
    random = np.random.default_rng(seed)
    mean = float(flux_of(np.array(mag)))
    error = np.full(size, 0.1 * mean / MAG_PER_RELATIVE_FLUX)
    noise = random.standard_normal(size)
    for place, height in (spikes or {}).items():
        noise[place] = height
    columns = {
        "mjd": 57000.0 + np.arange(size) * 3.0,
        "exptime": np.full(size, 30.0),
        "flux": mean + error * noise,
        "fluxerr": error,
        "flag": np.zeros(size, int),
    }
    made = LightCurve.of(PhotometricDataset.of(columns, source_name="X", observatory="DEMO", filter="R"))
    return replace(made, **changes)


@pytest.fixture
def postgres_address(postgres: Callable[[], str]) -> str:
    """Return the address of an empty PostgreSQL database."""
    return postgres().replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'some.sqlite'}"
    return str(request.getfixturevalue("postgres_address"))


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return bool(value) if key == "has_data" else value


def rows(database: Database, name: str) -> list[Any]:
    """Return the rows of a table without what depends on the order of the work, sorted."""
    import sqlalchemy as sa

    hidden = {"id", "source", "project", "tries", "worker", "lease_until"}
    with database.read() as connection:
        query = f"SELECT s.name AS of_source, x.* FROM {name} x JOIN source s ON s.id = x.source"
        found = connection.execute(sa.text(query)).mappings()
        plain = [{key: _plain(key, value) for key, value in row.items()} for row in found]
    return sorted(json.dumps({k: v for k, v in row.items() if k not in hidden}, sort_keys=True) for row in plain)


CONTENT = ("alias", "dataset", "task", "detection", "properties", "histogram_part")


def content(database: Database) -> dict[str, list[Any]]:
    """Return all rows that belong to sources."""
    return {name: rows(database, name) for name in CONTENT}
