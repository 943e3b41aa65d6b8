"""Results and data of a run taken away again: rows, and with them their files."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from elvis_cli.errors import ResourceError
from elvis_cli.observatory import tables as t
from elvis_cli.observatory.dataset import INJECTED, PROCESSED, RAW, Dataset
from elvis_cli.observatory.export import FILES
from elvis_cli.observatory.project import Project
from elvis_cli.observatory.steps import ANALYSE, OPEN, STEPS
from elvis_cli.observatory.store import Store


def reset_analysis(store: Store, project: Project) -> None:
    """Take away detections, properties and processed data of all sources; histograms stay until the next analysis."""
    mine = sa.select(t.source.c.id).where(t.source.c.project == store.project)
    derived = sa.and_(t.dataset.c.source.in_(mine), t.dataset.c.level.in_((PROCESSED, INJECTED)))
    with store.database.write() as connection:
        paths = connection.execute(sa.select(t.dataset.c.path).where(derived)).scalars().all()
        connection.execute(sa.delete(t.dataset).where(derived))
        for table in (t.detection, t.properties):
            connection.execute(sa.delete(table).where(table.c.source.in_(mine), table.c.analysis == store.analysis))
        again = sa.update(t.task).where(t.task.c.source.in_(mine), t.task.c.step == ANALYSE)
        connection.execute(again.values(state=OPEN, worker=None, lease_until=None, error=None))
    for path in paths:
        (project.reduced_folder / path).unlink(missing_ok=True)


def delete_dataset(store: Store, source: int, dataset: Dataset) -> None:
    """Delete a dataset of a source: its row, and its file."""
    which = t.dataset.c.source == source, t.dataset.c.level == dataset.level, t.dataset.c.path == dataset.path
    with store.database.write() as connection:
        connection.execute(sa.delete(t.dataset).where(*which))
    dataset.delete()


def clean(store: Store, project: Project) -> None:
    """Take away all of a run with these parameters: rows, raw and reduced data, products; the key stays.

    Raw data that runs with other parameters have in the database stay too, as do files that are not of the run.
    """
    named = sa.select(t.dataset.c.path).join(t.source, t.source.c.id == t.dataset.c.source)
    raw = named.where(t.dataset.c.level == RAW)
    with store.database.write() as connection:
        mine = set(connection.execute(raw.where(t.source.c.project == store.project)).scalars())
        others = set(connection.execute(raw.where(t.source.c.project != store.project)).scalars())
        connection.execute(sa.delete(t.project).where(t.project.c.id == store.project))
    for path in mine - others:
        (project.data_folder / path).unlink(missing_ok=True)
    shutil.rmtree(project.reduced_folder, ignore_errors=True)
    for folder in sorted({parent for path in mine for parent in Path(path).parents}, key=lambda each: -len(each.parts)):
        with suppress(OSError):  # others have files there
            (project.data_folder / folder).rmdir()
    for name in (*FILES, f"config_{project.parameters.cfg_hash[:8]}.yaml"):
        with suppress(FileNotFoundError):
            (project.folder / name).unlink()


def check_idle(store: Store) -> None:
    """Raise if processes work on a run.

    Raises
    ------
    ResourceError
        They do.
    """
    store.reopen_abandoned(STEPS)
    if store.held_by_others(STEPS):
        raise ResourceError("a process works on this run: end it first, or wait for it")
