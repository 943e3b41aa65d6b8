"""Results of a run read from the database, ordered by name: nothing in them depends on how the run went."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from elvis_cli.observatory import tables as t
from elvis_cli.observatory.store import Store

DETECTION_COLUMNS = (
    "seal",
    "snr",
    "score",
    "peak_time",
    "time_start",
    "time_end",
    "peak_mag",
    "dmag",
    "quality_flag",
    "offset",
    "observatory",
    "filter",
    "dataset",
    "analysis",
    "cfg_hash",
)
SOURCE_COLUMNS = ("ra", "dec", "mag", "magerr", "filter")


def detections(store: Store) -> list[dict[str, Any]]:
    """Return the detections by source and seal."""
    columns = [t.detection.c[key] for key in DETECTION_COLUMNS]
    query = sa.select(t.source.c.name.label("source"), *columns).join(t.source, t.source.c.id == t.detection.c.source)
    query = query.where(t.source.c.project == store.project, t.detection.c.analysis == store.analysis)
    return sorted(_rows(store, query), key=lambda row: (row["source"], row["seal"]))


def sources(store: Store) -> list[dict[str, Any]]:
    """Return the sources by name, with the properties of those that were analysed."""
    p = t.properties
    query = sa.select(t.source.c.name, *(t.source.c[key] for key in SOURCE_COLUMNS), p.c.json, p.c.has_data)
    query = query.outerjoin(p, sa.and_(p.c.source == t.source.c.id, p.c.analysis == store.analysis))
    rows = _rows(store, query.where(t.source.c.project == store.project))
    return sorted(rows, key=lambda row: row["name"])


def light_curves(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the properties of the light curves of a row of `sources`."""
    found: list[dict[str, Any]] = [] if row["json"] is None else json.loads(row["json"])["lightcurves"]
    return found


def histogram_parts(store: Store, name: str) -> Iterator[bytes]:
    """Yield the parts of a histogram, a source at a time."""
    part = t.histogram_part
    query = sa.select(part.c.blob).join(t.source, t.source.c.id == part.c.source)
    query = query.where(t.source.c.project == store.project, part.c.analysis == store.analysis, part.c.name == name)
    with store.database.read() as connection:
        for row in connection.execution_options(yield_per=500).execute(query):
            yield bytes(row[0])


def tasks(store: Store) -> list[dict[str, Any]]:
    """Return the tasks by source, observatory and step."""
    columns = (t.task.c.observatory, t.task.c.step, t.task.c.state, t.task.c.error)
    query = sa.select(t.source.c.name.label("source"), *columns).join(t.source, t.source.c.id == t.task.c.source)
    rows = _rows(store, query.where(t.source.c.project == store.project))
    order = {"fetch": 0, "reduce": 1, "analyse": 2}
    return sorted(
        rows, key=lambda row: (row["source"], row["observatory"] == "", row["observatory"], order[row["step"]])
    )


def counts(store: Store) -> dict[str, dict[str, int]]:
    """Return the number of tasks by step and state."""
    query = sa.select(t.task.c.step, t.task.c.state, sa.func.count()).join(t.source, t.source.c.id == t.task.c.source)
    query = query.where(t.source.c.project == store.project).group_by(t.task.c.step, t.task.c.state)
    found: dict[str, dict[str, int]] = {}
    with store.database.read() as connection:
        for step, state, count in connection.execute(query):
            found.setdefault(step, {})[state] = count
    return found


def _rows(store: Store, query: Any) -> list[dict[str, Any]]:
    with store.database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
