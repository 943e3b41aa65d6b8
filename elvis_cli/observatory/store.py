"""Rows of a run: sources and their tasks, leases, and the result of a source as one transaction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from elvis_cli import __version__
from elvis_cli.observatory import tables as t
from elvis_cli.observatory.database import Database, is_alive, now, worker_name
from elvis_cli.observatory.dataset import RAW, Dataset
from elvis_cli.observatory.detection import Detection
from elvis_cli.observatory.parameters import Parameters, canonical
from elvis_cli.observatory.source import Source, legal
from elvis_cli.observatory.steps import ANALYSE, DONE, FAILED, FETCH, LEASED, OPEN, REDUCE, STEPS, SourceResult

ROWS_AT_ONCE = 5000


class Store:
    """The rows of one project with one set of parameters."""

    def __init__(self, database: Database, parameters: Parameters) -> None:
        self.database = database
        self.parameters = parameters
        self.worker = worker_name()
        self.analysis = parameters.analysis.name
        self.project = self._project()

    def _project(self) -> int:
        name, cfg_hash = legal(self.parameters.project), self.parameters.cfg_hash
        match = sa.select(t.project.c.id).where(t.project.c.name == name, t.project.c.cfg_hash == cfg_hash)
        with self.database.read() as connection:
            found = connection.execute(match).scalar()
        if found is not None:
            return int(found)
        config = canonical(self.parameters.science)
        with self.database.write() as connection:
            if not self.database.is_sqlite:  # of two that begin at once one waits
                connection.execute(sa.text("LOCK TABLE project IN EXCLUSIVE MODE"))
            found = connection.execute(match).scalar()
            if found is None:
                row = {"name": name, "cfg_hash": cfg_hash, "config": config, "version": __version__}
                found = connection.execute(sa.insert(t.project).values(row).returning(t.project.c.id)).scalar_one()
        return int(found)

    def prepare(self, sources: Sequence[Source], observatories: Sequence[tuple[str, Sequence[bool]]]) -> int:
        """Add the sources that are not there, with their tasks; return how many.

        ``observatories`` are names and which of the sources each observes.
        """
        with self.database.write() as connection:
            if not self.database.is_sqlite:
                connection.execute(sa.text("SELECT id FROM project WHERE id = :id FOR UPDATE"), {"id": self.project})
            there = set(
                connection.execute(sa.select(t.source.c.name).where(t.source.c.project == self.project)).scalars()
            )
            added = [n for n, one in enumerate(sources) if one.name not in there]
            for first in range(0, len(added), ROWS_AT_ONCE):
                part = added[first : first + ROWS_AT_ONCE]
                connection.execute(sa.insert(t.source), [self._row(sources[n]) for n in part])
            match = sa.select(t.source.c.name, t.source.c.id).where(t.source.c.project == self.project)
            ids = dict(connection.execute(match).all())
            aliases = [
                {"source": ids[sources[n].name], "observatory": "CATALOG", "name": alias}
                for n in added
                for alias in sources[n].aliases
            ]
            tasks = []
            for n in added:
                pairs = [(name, step) for name, seen in observatories if seen[n] for step in (FETCH, REDUCE)]
                for name, step in (*pairs, ("", ANALYSE)):
                    row = {"source": ids[sources[n].name], "observatory": name, "step": step, "state": OPEN, "tries": 0}
                    tasks.append(row)
            for table, rows in ((t.alias, aliases), (t.task, tasks)):
                for first in range(0, len(rows), ROWS_AT_ONCE):
                    connection.execute(sa.insert(table), rows[first : first + ROWS_AT_ONCE])
        return len(added)

    def _row(self, one: Source) -> dict[str, Any]:
        def known(value: float) -> float | None:
            return None if math.isnan(value) else value

        return {
            "project": self.project,
            "name": one.name,
            "ra": one.ra,
            "dec": one.dec,
            "mag": known(one.mag),
            "magerr": known(one.magerr),
            "filter": one.filter,
        }

    def _of_steps(self, steps: Sequence[str]) -> Any:
        mine = sa.select(t.source.c.id).where(t.source.c.project == self.project)
        return sa.and_(t.task.c.source.in_(mine), t.task.c.step.in_(steps))

    def reopen(self, steps: Sequence[str]) -> None:
        """Open again what failed, and what processes of this machine held that have gone."""
        which = sa.and_(self._of_steps(steps), t.task.c.state == FAILED)
        with self.database.write() as connection:
            connection.execute(sa.update(t.task).where(which).values(state=OPEN, error=None))
        self.reopen_abandoned(steps)

    def reopen_abandoned(self, steps: Sequence[str]) -> None:
        """Open again what processes of this machine held that have gone."""
        leased = sa.and_(self._of_steps(steps), t.task.c.state == LEASED)
        with self.database.write() as connection:
            workers = connection.execute(sa.select(t.task.c.worker).where(leased).distinct()).scalars().all()
            gone = [worker for worker in workers if not is_alive(worker)]
            if gone:
                change = sa.and_(leased, t.task.c.worker.in_(gone))
                free = {"state": OPEN, "worker": None, "lease_until": None}
                connection.execute(sa.update(t.task).where(change).values(**free))

    def held_by_others(self, steps: Sequence[str]) -> bool:
        """Return whether other processes hold leases of ``steps``."""
        held = sa.exists().where(self._of_steps(steps), t.task.c.state == LEASED, t.task.c.worker != self.worker)
        with self.database.read() as connection:
            return bool(connection.execute(sa.select(held)).scalar())

    def claim(self, steps: Sequence[str], most: int) -> list[tuple[int, Source]]:
        """Take a lease of at most ``most`` sources that have something to do in ``steps``; return them with their ids.

        A source is taken whole, and not before the steps that come earlier are done.
        """
        time = now()
        with self.database.write() as connection:
            free = sa.or_(t.task.c.state == OPEN, sa.and_(t.task.c.state == LEASED, t.task.c.lease_until < time))
            own = t.task.c.source == t.source.c.id
            ready = sa.exists().where(own, t.task.c.step.in_(steps), free)
            busy = sa.exists().where(own, t.task.c.state == LEASED, t.task.c.lease_until >= time)
            earlier = [step for step in STEPS[: max(map(STEPS.index, steps))] if step not in steps]
            waits = sa.exists().where(own, t.task.c.step.in_(earlier), t.task.c.state != DONE)
            chosen = sa.select(t.source).where(t.source.c.project == self.project, ready, ~busy)
            if earlier:
                chosen = chosen.where(~waits)
            chosen = chosen.order_by(t.source.c.id).limit(most).with_for_update(skip_locked=True)
            rows = connection.execute(chosen).mappings().all()
            ids = [row["id"] for row in rows]
            if not ids:
                return []
            # looked at once more: another process may have taken one between its row and its lock
            taken = connection.execute(
                sa.update(t.task)
                .where(t.task.c.source.in_(ids), t.task.c.step.in_(steps), free)
                .values(state=LEASED, worker=self.worker, lease_until=time + self.parameters.lease)
                .returning(t.task.c.source)
            )
            mine = set(taken.scalars())
            return [(row["id"], self._source(connection, row)) for row in rows if row["id"] in mine]

    def _source(self, connection: Any, row: Any) -> Source:
        names = connection.execute(
            sa.select(t.alias.c.observatory, t.alias.c.name).where(t.alias.c.source == row["id"]).order_by(t.alias.c.id)
        )
        aliases, local = [], {}
        for observatory, name in names:
            if observatory == "CATALOG":
                aliases.append(name)
            else:
                local[observatory] = name
        mag, magerr = (float("nan") if row[key] is None else row[key] for key in ("mag", "magerr"))
        return Source(row["name"], row["ra"], row["dec"], mag, magerr, row["filter"], tuple(aliases), local)

    def renew(self) -> None:
        """Renew all leases of this process."""
        with self.database.write() as connection:
            connection.execute(
                sa.update(t.task)
                .where(t.task.c.worker == self.worker, t.task.c.state == LEASED)
                .values(lease_until=now() + self.parameters.lease)
            )

    def release(self) -> None:
        """Give back all leases of this process."""
        with self.database.write() as connection:
            connection.execute(
                sa.update(t.task)
                .where(t.task.c.worker == self.worker, t.task.c.state == LEASED)
                .values(state=OPEN, worker=None, lease_until=None)
            )

    def open_count(self, steps: Sequence[str]) -> int:
        """Return the number of tasks of ``steps`` that are not done and have not failed."""
        query = sa.select(sa.func.count()).where(self._of_steps(steps), t.task.c.state.in_((OPEN, LEASED)))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def datasets(self, source: int, folders: dict[str, str]) -> list[Dataset]:
        """Return the datasets of a source; ``folders`` by level."""
        from elvis_cli.observatory import dataset as kinds

        classes = {each.kind: each for each in (kinds.PhotometricDataset, kinds.SpectralDataset, kinds.ImageDataset)}
        query = sa.select(t.dataset).where(t.dataset.c.source == source).order_by(t.dataset.c.path)
        with self.database.read() as connection:
            name = connection.execute(sa.select(t.source.c.name).where(t.source.c.id == source)).scalar_one()
            rows = connection.execute(query).mappings().all()
        keys = ("observatory", "level", "filter", "series", "path", "sha256", "t_start", "t_end", "calibration")
        return [
            classes[row["kind"]](
                source_name=name, folder=folders[row["level"]], number=row["n"], **{key: row[key] for key in keys}
            )
            for row in rows
        ]

    def commit(self, source: int, result: SourceResult) -> bool:
        """Write the result of a source in one transaction; False, and nothing, if the lease is another's by now."""
        with self.database.write() as connection:
            held = sa.select(t.task.c.observatory, t.task.c.step).where(
                t.task.c.source == source, t.task.c.state == LEASED, t.task.c.worker == self.worker
            )
            mine = {tuple(row) for row in connection.execute(held)}
            if not mine:
                return False
            self._write_datasets(connection, source, result)
            if result.analysis is not None:
                self._write_analysis(connection, source, result)
            for pairs, state in ((mine & set(result.done), DONE), (mine - set(result.done), OPEN)):
                for observatory, step in pairs:
                    self._finish(connection, source, observatory, step, state, None)
            if result.failure is not None:
                observatory, step, error = result.failure
                later = [pair for pair in mine - set(result.done) if pair != (observatory, step)]
                for late, later_step in later:
                    self._finish(connection, source, late, later_step, FAILED, f"waits for {step}")
                self._finish(connection, source, observatory, step, FAILED, error)
        return True

    def _finish(self, connection: Any, source: int, observatory: str, step: str, state: str, error: str | None) -> None:
        which = (t.task.c.source == source, t.task.c.observatory == observatory, t.task.c.step == step)
        values = {"state": state, "worker": None, "lease_until": None, "error": error, "tries": t.task.c.tries + 1}
        connection.execute(sa.update(t.task).where(*which).values(**values))

    def _write_datasets(self, connection: Any, source: int, result: SourceResult) -> None:
        for observatory, level in result.replaced:
            which = (t.dataset.c.source == source, t.dataset.c.observatory == observatory, t.dataset.c.level == level)
            connection.execute(sa.delete(t.dataset).where(*which))
        rows = [
            {
                "source": source,
                "kind": each.kind,
                "n": each.number,
                "state": "empty" if each.is_empty else "saved",
                **{key: getattr(each, key) for key in ("observatory", "level", "filter", "series", "path", "sha256")},
                **{key: getattr(each, key) for key in ("t_start", "t_end", "calibration")},
            }
            for each in result.datasets
        ]
        if rows:
            connection.execute(sa.insert(t.dataset), rows)
        for each in result.datasets:
            name = each.meta.get("local_name")
            if name and each.level == RAW:
                own = sa.and_(t.alias.c.source == source, t.alias.c.observatory == each.observatory)
                connection.execute(sa.delete(t.alias).where(own))
                row = {"source": source, "observatory": each.observatory, "name": str(name)}
                connection.execute(sa.insert(t.alias).values(row))

    def _write_analysis(self, connection: Any, source: int, result: SourceResult) -> None:
        found, name, save = result.analysis, self.analysis, self.parameters.analysis
        for table in (t.detection, t.properties, t.histogram_part):
            connection.execute(sa.delete(table).where(table.c.source == source, table.c.analysis == name))
        row = {"source": source, "analysis": name, "json": canonical(found.properties), "has_data": found.has_data}
        connection.execute(sa.insert(t.properties).values(row))
        if save.save_detections and found.detections:
            connection.execute(sa.insert(t.detection), [self._detection(source, each) for each in found.detections])
        if save.save_histograms and found.histograms:
            parts = [
                {"source": source, "analysis": name, "name": key, "blob": blob}
                for key, blob in found.histograms.items()
            ]
            connection.execute(sa.insert(t.histogram_part), parts)

    def _detection(self, source: int, each: Detection) -> dict[str, Any]:
        return {**asdict(each), "source": source, "cfg_hash": self.parameters.cfg_hash}
