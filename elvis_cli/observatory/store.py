"""Rows of a run: sources and their tasks, leases, and the result of a source as one transaction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from elvis_cli import __version__
from elvis_cli.observatory import tables as t
from elvis_cli.observatory.database import Database, is_alive, now, worker_name
from elvis_cli.observatory.dataset import RAW, Dataset
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
        self._last_claimed = 0
        """Id of the last source that was claimed, 0 to begin with the first."""

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

        A source is taken whole, and not before the steps that come earlier are done. The search goes on behind the last
        source that was taken, and begins anew at the end: what is done would else be looked through each time.
        """
        claimed = self._claim_behind(self._last_claimed, steps, most)
        if not claimed and self._last_claimed:
            claimed = self._claim_behind(0, steps, most)
        self._last_claimed = max((number for number, _ in claimed), default=0)
        return claimed

    def _claim_behind(self, last: int, steps: Sequence[str], most: int) -> list[tuple[int, Source]]:
        """Return sources whose id is above ``last``, and take a lease of them."""
        time = now()
        with self.database.write() as connection:
            # not the columns themselves: SQLite would look through the index of all open tasks for each source, and
            # sort all sources of the project by their ids
            state, project = sa.func.coalesce(t.task.c.state, ""), sa.func.coalesce(t.source.c.project, 0)
            free = sa.or_(state == OPEN, sa.and_(state == LEASED, t.task.c.lease_until < time))
            own = t.task.c.source == t.source.c.id
            ready = sa.exists().where(own, t.task.c.step.in_(steps), free)
            busy = sa.exists().where(own, state == LEASED, t.task.c.lease_until >= time)
            earlier = [step for step in STEPS[: max(map(STEPS.index, steps))] if step not in steps]
            waits = sa.exists().where(own, t.task.c.step.in_(earlier), state != DONE)
            chosen = sa.select(t.source).where(project == self.project, t.source.c.id > last, ready, ~busy)
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
            return self._sources(connection, [row for row in rows if row["id"] in mine])

    def _sources(self, connection: Any, rows: Sequence[Any]) -> list[tuple[int, Source]]:
        """Return the sources of rows, with their names."""
        names: dict[int, list[tuple[str, str]]] = {row["id"]: [] for row in rows}
        query = sa.select(t.alias.c.source, t.alias.c.observatory, t.alias.c.name).where(t.alias.c.source.in_(names))
        for number, observatory, name in connection.execute(query.order_by(t.alias.c.id)):
            names[number].append((observatory, name))
        made = []
        for row in rows:
            aliases = tuple(name for observatory, name in names[row["id"]] if observatory == "CATALOG")
            local = {observatory: name for observatory, name in names[row["id"]] if observatory != "CATALOG"}
            mag, magerr = (float("nan") if row[key] is None else row[key] for key in ("mag", "magerr"))
            one = Source(row["name"], row["ra"], row["dec"], mag, magerr, row["filter"], aliases, local)
            made.append((row["id"], one))
        return made

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
        """Return the number of sources that have tasks of ``steps`` which are not done and have not failed."""
        count = sa.func.count(t.task.c.source.distinct())
        query = sa.select(count).where(self._of_steps(steps), t.task.c.state.in_((OPEN, LEASED)))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def datasets(self, source: int, folders: Mapping[str, str]) -> list[Dataset]:
        """Return the datasets of a source; ``folders`` by level."""
        return self.datasets_of([source], folders)[source]

    def datasets_of(self, sources: Sequence[int], folders: Mapping[str, str]) -> dict[int, list[Dataset]]:
        """Return the datasets of sources by their ids."""
        from elvis_cli.observatory import dataset as kinds

        classes = {each.kind: each for each in (kinds.PhotometricDataset, kinds.SpectralDataset, kinds.ImageDataset)}
        query = sa.select(t.dataset, t.source.c.name).join(t.source, t.source.c.id == t.dataset.c.source)
        query = query.where(t.dataset.c.source.in_(sources)).order_by(t.dataset.c.path)
        found: dict[int, list[Dataset]] = {source: [] for source in sources}
        keys = ("observatory", "level", "filter", "series", "path", "sha256", "t_start", "t_end", "calibration")
        with self.database.read() as connection:
            for row in connection.execute(query).mappings():
                about = {key: row[key] for key in keys}
                made = classes[row["kind"]](
                    source_name=row["name"], folder=folders[row["level"]], number=row["n"], **about
                )
                found[row["source"]].append(made)
        return found

    def commit(self, results: Sequence[tuple[int, SourceResult]]) -> list[bool]:
        """Write results of sources, by their ids, in one transaction; return which are written.

        Those are not whose lease is another's by now.
        """
        with self.database.write() as connection:
            ids = [source for source, _ in results]
            held = sa.select(t.task.c.source, t.task.c.observatory, t.task.c.step).where(
                t.task.c.source.in_(ids), t.task.c.state == LEASED, t.task.c.worker == self.worker
            )
            mine: dict[int, set[tuple[str, str]]] = {}
            for source, observatory, step in connection.execute(held):
                mine.setdefault(source, set()).add((observatory, step))
            ours = [(source, result) for source, result in results if source in mine]
            self._write_datasets(connection, ours)
            self._write_analyses(connection, [(source, each) for source, each in ours if each.analysis is not None])
            finished: dict[tuple[str, str, str, str | None], list[int]] = {}
            for source, result in ours:
                for pair, (state, error) in _states(result, mine[source]).items():
                    finished.setdefault((*pair, state, error), []).append(source)
            for (observatory, step, state, error), sources in sorted(finished.items(), key=repr):
                which = t.task.c.source.in_(sources), t.task.c.observatory == observatory, t.task.c.step == step
                values = {"state": state, "worker": None, "lease_until": None, "error": error}
                connection.execute(sa.update(t.task).where(*which).values(**values, tries=t.task.c.tries + 1))
        return [source in mine for source in ids]

    def _write_datasets(self, connection: Any, results: Sequence[tuple[int, SourceResult]]) -> None:
        replaced: dict[tuple[str, str], list[int]] = {}
        names: dict[str, dict[int, str]] = {}
        rows = []
        for source, result in results:
            for pair in result.replaced:
                replaced.setdefault(pair, []).append(source)
            for each in result.datasets:
                rows.append({"source": source, **_dataset(each)})
                if each.level == RAW and each.meta.get("local_name"):
                    names.setdefault(each.observatory, {})[source] = str(each.meta["local_name"])
        for (observatory, level), sources in replaced.items():
            own = sa.and_(t.dataset.c.observatory == observatory, t.dataset.c.level == level)
            connection.execute(sa.delete(t.dataset).where(t.dataset.c.source.in_(sources), own))
        if rows:
            connection.execute(sa.insert(t.dataset), rows)
        for observatory, by_source in names.items():
            mine = t.alias.c.source.in_(list(by_source))
            connection.execute(sa.delete(t.alias).where(mine, t.alias.c.observatory == observatory))
            aliases = [{"source": n, "observatory": observatory, "name": name} for n, name in by_source.items()]
            connection.execute(sa.insert(t.alias), aliases)

    def _write_analyses(self, connection: Any, results: Sequence[tuple[int, SourceResult]]) -> None:
        name, save, cfg_hash = self.analysis, self.parameters.analysis, self.parameters.cfg_hash
        ids = [source for source, _ in results]
        rows: dict[Any, list[dict[str, Any]]] = {t.detection: [], t.properties: [], t.histogram_part: []}
        for source, result in results:
            found, own = result.analysis, {"source": source, "analysis": name}
            rows[t.properties].append({**own, "json": canonical(found.properties), "has_data": found.has_data})
            if save.save_detections:
                rows[t.detection] += [{**asdict(each), **own, "cfg_hash": cfg_hash} for each in found.detections]
            if save.save_histograms:
                rows[t.histogram_part] += [{**own, "name": key, "blob": blob} for key, blob in found.histograms.items()]
        for table, values in rows.items():
            if ids:
                connection.execute(sa.delete(table).where(table.c.source.in_(ids), table.c.analysis == name))
            if values:
                connection.execute(sa.insert(table), values)


def _states(result: SourceResult, held: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Return state and error of the tasks that were held; those after a failure wait for it."""
    left: tuple[str, str | None] = (OPEN, None)
    if result.failure is not None:
        left = FAILED, f"waits for {result.failure[1]}"
    states: dict[tuple[str, str], tuple[str, str | None]] = {
        pair: (DONE, None) if pair in result.done else left for pair in held
    }
    if result.failure is not None:
        observatory, step, error = result.failure
        states[observatory, step] = (FAILED, error)
    return states


def _dataset(each: Dataset) -> dict[str, Any]:
    keys = ("observatory", "level", "filter", "series", "path", "sha256", "t_start", "t_end", "calibration")
    state = "empty" if each.is_empty else "saved"
    return {"kind": each.kind, "n": each.number, "state": state, **{key: getattr(each, key) for key in keys}}
