"""Runs over parts of a catalogue put together: a run whose results are those of one run over all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from elvis_cli.errors import ResourceError
from elvis_cli.observatory import detection
from elvis_cli.observatory import tables as t
from elvis_cli.observatory.database import FILE_NAME, Database
from elvis_cli.observatory.dataset import RAW
from elvis_cli.observatory.parameters import Parameters
from elvis_cli.observatory.project import Project
from elvis_cli.observatory.steps import ANALYSE, DONE
from elvis_cli.observatory.store import Store

TABLES = (t.alias, t.dataset, t.task, t.detection, t.properties, t.histogram_part)
"""Tables whose rows belong to a source."""
RESULTS = (t.detection, t.properties, t.histogram_part)


def merge(folders: Sequence[Path], output: Path) -> tuple[Project, Store]:
    """Return the run in ``output`` that has the sources of all runs; a source that several have counts once.

    Raises
    ------
    ResourceError
        A folder has no run, their parameters or keys differ, or a source has different results.
    """
    databases = [_open(folder) for folder in folders]
    try:
        parameters = _common(databases, folders)
        keys = {folder: detection.read_key(folder / "run.key") for folder in folders}
        if len(set(keys.values())) > 1:
            raise ResourceError("the runs have different keys: copy one run.key to all folders before they begin")
        project = Project(Parameters.load(None, {**parameters, "output": str(output.absolute())}))
        project.make_folder()
        _write_key(project, next(iter(keys.values())))
        store = Store(project.database(), project.parameters)
        for folder, database in zip(folders, databases, strict=True):
            _add(store, database, Project(Parameters.load(None, {**parameters, "output": str(folder.absolute())})))
    finally:
        for each in databases:
            each.close()
    return project, store


def _open(folder: Path) -> Database:
    path = folder / FILE_NAME
    if not path.is_file():
        raise ResourceError(f"there is no run in {folder}", path=str(path))
    return Database(f"sqlite:///{path.absolute()}")


def _common(databases: Sequence[Database], folders: Sequence[Path]) -> dict[str, Any]:
    """Return the parameters that all runs have."""
    found: list[dict[tuple[str, str], str]] = []
    for database in databases:
        with database.read() as connection:
            rows = connection.execute(sa.select(t.project.c.name, t.project.c.cfg_hash, t.project.c.config))
            found.append({(name, cfg_hash): config for name, cfg_hash, config in rows})
    common = set(found[0]).intersection(*found[1:])
    if len(common) != 1:
        names = ", ".join(map(str, folders))
        raise ResourceError(f"{names} have {len(common)} sets of parameters in common, not one")
    parameters: dict[str, Any] = json.loads(found[0][common.pop()])
    return parameters


def _write_key(project: Project, key: bytes) -> None:
    if not project.key_file.exists():
        descriptor = os.open(project.key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w") as file:
            file.write(key.hex() + "\n")
    elif detection.read_key(project.key_file) != key:
        raise ResourceError(f"{project.key_file} is of another run", path=str(project.key_file))


def _add(store: Store, database: Database, run: Project) -> None:
    """Add the sources of a run, each whole."""
    project = sa.select(t.project.c.id).where(t.project.c.cfg_hash == store.parameters.cfg_hash).scalar_subquery()
    with database.read() as connection, store.database.write() as target:
        match = sa.select(t.source.c.name, t.source.c.id).where(t.source.c.project == store.project)
        there = dict(target.execute(match).all())
        for row in connection.execute(sa.select(t.source).where(t.source.c.project == project)).mappings().all():
            rows = {table.name: _rows(connection, table, row["id"]) for table in TABLES}
            for each in rows["dataset"]:
                each["path"] = _moved(each, run, store)
            number = there.get(row["name"])
            if number is not None and _is_analysed(rows["task"]):
                held = {table.name: _rows(target, table, number) for table in TABLES}
                if _is_analysed(held["task"]):
                    _check_same(row["name"], rows, held)
                    continue
                target.execute(sa.delete(t.source).where(t.source.c.id == number))
            elif number is not None:
                continue
            values = {key: value for key, value in row.items() if key != "id"} | {"project": store.project}
            number = target.execute(sa.insert(t.source).values(values).returning(t.source.c.id)).scalar_one()
            for table in TABLES:
                if rows[table.name]:
                    target.execute(sa.insert(table), [{**each, "source": number} for each in rows[table.name]])


def _rows(connection: Any, table: sa.Table, source: int) -> list[dict[str, Any]]:
    query = sa.select(*(c for c in table.c if c.name not in ("id", "source"))).where(table.c.source == source)
    return [dict(row) for row in connection.execute(query.order_by(table.c.id)).mappings()]


def _is_analysed(tasks: Sequence[dict[str, Any]]) -> bool:
    return any(row["step"] == ANALYSE and row["state"] == DONE for row in tasks)


def _check_same(name: str, rows: dict[str, Any], held: dict[str, Any]) -> None:
    for table in RESULTS:
        if sorted(map(repr, rows[table.name])) != sorted(map(repr, held[table.name])):
            raise ResourceError(f"the runs have different results of {name}: {table.name}")


def _moved(row: dict[str, Any], run: Project, store: Store) -> str:
    """Return the path of a file of ``run``, relative to where the merged run looks for it."""
    folder = Path(store.database.url.removeprefix("sqlite:///")).parent
    merged = Project(Parameters.load(None, {**store.parameters.as_dict(), "output": str(folder)}))
    here, there = ("data_folder", "data_folder") if row["level"] == RAW else ("reduced_folder", "reduced_folder")
    return os.path.relpath(Path(getattr(run, here), row["path"]), getattr(merged, there))
