"""`elvis observatory`: a catalogue observed, stored, calibrated and analysed; each step resumes."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from elvis_cli.base import parallel
from elvis_cli.commands.console import note, table, write
from elvis_cli.commands.options import OutputFile
from elvis_cli.commands.standard_streams import check_stdout, sink
from elvis_cli.errors import IncompleteError, UsageError

if TYPE_CHECKING:
    from elvis_cli.observatory.project import Pool, Project
    from elvis_cli.observatory.steps import SourceResult
    from elvis_cli.observatory.store import Store

Config = Annotated[Path, typer.Argument(metavar="RUN.YAML", help="Parameters of the run; `init` writes an example.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A parameter in place of the file's: finder.snr_threshold=6."),
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", min=0, help="Processes, or tasks sent to a cluster at once; 0 = all cores."),
]
ClusterAddress = Annotated[
    str | None, typer.Option("--cluster", metavar="ADDRESS|FILE", help="Dask scheduler, or its file.")
]
Part = Annotated[
    str | None, typer.Option("--part", metavar="K/N", help="Only each N-th source, from the K-th on: parallel runs.")
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print the epochs as CSV in place of a picture.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    commands = typer.Typer(help="Observe a catalogue and search it for events.")
    for command in (init, run, fetch, reduce, analyse, merge, export, status, lightcurve, sql, detections, reset):
        commands.command()(command)
    app.add_typer(commands, name="observatory")


def _project(config: Path, changes: list[str] | None) -> Project:
    from elvis_cli.base.merge import merge as merged
    from elvis_cli.observatory import database
    from elvis_cli.observatory.parameters import option
    from elvis_cli.observatory.project import Project

    database.needs()
    patch: dict[str, Any] = {}
    for text in changes or []:
        patch = merged(patch, option(text))
    return Project.load(config, patch)


@contextmanager
def _store(config: Path, changes: list[str] | None) -> Iterator[tuple[Project, Store]]:
    """Yield the project and the rows of a run that has begun."""
    from elvis_cli.observatory.store import Store

    project = _project(config, changes)
    database = project.existing_database()
    try:
        yield project, Store(database, project.parameters)
    finally:
        database.close()


def init(
    config: Config,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
) -> None:
    """Write a commented example of all parameters, which runs as it is."""
    from elvis_cli.observatory.example import example
    from elvis_cli.product.sinks import file_sink

    if config.exists() and not overwrite:
        raise UsageError(f"{config} exists: --overwrite would replace it")
    with file_sink(config) as out:
        out.write(example(config.name).encode())
    note([f"next: elvis observatory run {config}"])


def run(
    config: Config, changes: Changes = None, jobs: Jobs = 0, cluster: ClusterAddress = None, part: Part = None
) -> None:
    """Fetch, reduce and analyse all sources, and write the products.

    Start it again after anything: what is done stays. Prints a JSON line for each source. Exit code 1 if any failed.
    """
    from elvis_cli.observatory.steps import STEPS

    _run(config, changes, jobs, cluster, part, STEPS)


def fetch(
    config: Config, changes: Changes = None, jobs: Jobs = 0, cluster: ClusterAddress = None, part: Part = None
) -> None:
    """Fetch the raw data of all sources."""
    _run(config, changes, jobs, cluster, part, ("fetch",))


def reduce(
    config: Config, changes: Changes = None, jobs: Jobs = 0, cluster: ClusterAddress = None, part: Part = None
) -> None:
    """Reduce what is fetched to light curves."""
    _run(config, changes, jobs, cluster, part, ("reduce",))


def analyse(
    config: Config, changes: Changes = None, jobs: Jobs = 0, cluster: ClusterAddress = None, part: Part = None
) -> None:
    """Search the light curves, with and without injected events."""
    _run(config, changes, jobs, cluster, part, ("analyse",))


def _run(
    config: Path, changes: list[str] | None, jobs: int, cluster: str | None, part: str | None, steps: tuple[str, ...]
) -> None:
    from elvis_cli.observatory.export import export as export_all
    from elvis_cli.observatory.store import Store

    project, which = _project(config, changes), _part(part)
    project.sources()  # what is wrong with the catalogue or an observatory is told before anything is made
    _ = project.observatories
    database = project.database()
    counts, now = Counter[str](), True
    try:
        store = Store(database, project.parameters)
        pool = _pool(project, jobs, cluster)
        try:
            with _progress() as (begin, step):
                for result in project.run(pool, store, steps, which, begin):
                    write(json.dumps(_line(result)))
                    counts["failed" if result.failure else "done"] += 1
                    step(counts)
            now = False
        finally:
            pool.close(now=now)
        if "analyse" in steps:
            export_all(project, store)
    finally:
        database.close()
    summary = f"{counts['done']} done, {counts['failed']} failed"
    if counts["failed"]:
        raise IncompleteError(f"{summary}: elvis observatory status tells why")
    note([summary])


def _part(text: str | None) -> tuple[int, int]:
    if text is None:
        return 0, 1
    first, _, number = text.partition("/")
    if not (first.isdigit() and number.isdigit() and 1 <= int(first) <= int(number)):
        raise UsageError(f"--part: {text!r} is not K/N with K from 1 to N")
    return int(first) - 1, int(number)


def _pool(project: Project, jobs: int, cluster: str | None) -> Pool:
    from elvis_cli.batch import cluster as dask_cluster
    from elvis_cli.batch import pool, work
    from elvis_cli.observatory.project import InProcess

    settings = work.Settings(str(project.folder))
    if cluster is not None:
        return dask_cluster.Cluster(settings, cluster, jobs)
    cores = parallel.threads()
    if (jobs or cores) == 1:
        return InProcess()
    return pool.Local(settings, jobs or cores, cores)


def _line(result: SourceResult) -> dict[str, Any]:
    line: dict[str, Any] = {"source": result.source.name, "steps": sorted({step for _, step in result.done})}
    raw = [each for each in result.datasets if each.level == "raw"]
    if raw:
        line |= {"epochs": sum(each.number for each in raw), "reused": result.reused}
    if result.analysis is not None:
        line["detections"] = len(result.analysis.detections)
    if result.failure is not None:
        observatory, step, error = result.failure
        line |= {"observatory": observatory, "failed": step, "error": error}
    return line


@contextmanager
def _progress() -> Iterator[tuple[Callable[[int], None], Callable[[Counter[str]], None]]]:
    """Yield what takes the number of all and what moves a bar, if stderr is a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda count: None, lambda counts: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    to_terminal = sys.stdout is not None and sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=to_terminal) as bars:
        bar = bars.add_task("", total=None)

        def step(counts: Counter[str]) -> None:
            failed = f"{counts['failed']} failed" if counts["failed"] else ""
            bars.update(bar, completed=counts.total(), description=failed)

        yield lambda count: bars.update(bar, total=count), step


def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs over parts of a catalogue.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the run of all.")],
) -> None:
    """Put runs over parts of a catalogue together, in any order, and write the products of all."""
    from elvis_cli.observatory import database
    from elvis_cli.observatory import merge as merging
    from elvis_cli.observatory.export import export as export_all

    database.needs()
    project, store = merging.merge(folders, output)
    for path in export_all(project, store):
        write(json.dumps({"file": str(path)}))
    store.database.close()


def export(
    config: Config,
    changes: Changes = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="Folder; by default that of the run.")
    ] = None,
) -> None:
    """Write the products anew from the database: tables, histograms, efficiency, parameters, log."""
    from elvis_cli.observatory.export import export as export_all

    with _store(config, changes) as (project, store):
        for path in export_all(project, store, output):
            write(json.dumps({"file": str(path)}))


def status(config: Config, changes: Changes = None) -> None:
    """Print the sources by state, the time left, and the failures with their reasons: JSON lines."""
    from elvis_cli.observatory import progress, results

    with _store(config, changes) as (project, store):
        counts = results.counts(store)
        for step in ("fetch", "reduce", "analyse"):
            if step in counts:
                write(json.dumps({"step": step, **{key: counts[step][key] for key in sorted(counts[step])}}))
        told = progress.running(project.folder)
        if told:
            left = store.open_count(sorted({step for each in told for step in each["steps"]}))
            seconds = progress.seconds_left(told, left)
            write(json.dumps({"sources_left": left, "seconds_left": seconds and round(seconds, 1)}))
        for row in results.tasks(store):
            if row["state"] == "failed" and not str(row["error"]).startswith("waits for"):
                write(json.dumps({key: row[key] for key in ("source", "observatory", "step", "error")}))


def reset(
    config: Config,
    changes: Changes = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Delete raw and reduced data, products and all rows too; the key stays."),
    ] = False,
) -> None:
    """Delete the analysis of a run: detections, properties, processed data. The next run makes them again.

    Histograms stay until then; so do raw data that runs with other parameters use.
    """
    from elvis_cli.observatory import cleaning

    with _store(config, changes) as (project, store):
        cleaning.check_idle(store)
        if everything:
            cleaning.clean(store, project)
        else:
            cleaning.reset_analysis(store, project)


def lightcurve(
    config: Config,
    name: Annotated[str, typer.Argument(help="Source: its name, an alias, or its name at an observatory.")],
    output: OutputFile = None,
    changes: Changes = None,
    csv: AsCsv = False,
    skyportal: Annotated[
        Path | None, typer.Option("--skyportal", metavar="FILE", help="Write HDF5 as SkyPortal reads it.")
    ] = None,
) -> None:
    """Draw the calibrated light curves of a source with its detections, as PNG; or print its epochs."""
    from elvis_cli.observatory import curves, results

    with _store(config, changes) as (project, store):
        found = curves.of_source(project, store, name)
        marks = [row for row in results.detections(store) if row["source"] == found[0].source_name]
    if skyportal is not None:
        from elvis_cli.observatory.export import skyportal as write_skyportal

        write_skyportal(found, skyportal)
        return
    if csv:
        with sink(output) as out:
            out.write(curves.as_csv(found).encode())
        return
    check_stdout(output)
    from elvis_cli.observatory.picture import draw

    with sink(output) as out:
        draw(found, [row["peak_time"] for row in marks], out)


def sql(
    config: Config,
    query: Annotated[str, typer.Argument(help="A query; nothing can be changed.")],
    changes: Changes = None,
) -> None:
    """Print the rows of an SQL query as JSON lines."""
    query = query.strip().removesuffix(";")
    if ";" in query:  # a second one could end the transaction that only reads
        raise UsageError("sql: one query, without a semicolon")
    with _store(config, changes) as (_, store), store.database.read() as connection:
        import sqlalchemy as sa

        if store.database.is_sqlite:
            connection.exec_driver_sql("PRAGMA query_only=ON")
        answer = connection.execute(sa.text(query.replace(":", "\\:")))
        if not answer.returns_rows:
            raise UsageError("sql: the query has no rows")
        for row in answer.mappings():
            write(json.dumps(dict(row), default=lambda value: value.hex() if isinstance(value, bytes) else str(value)))


def detections(
    config: Config,
    changes: Changes = None,
    unblind: Annotated[
        bool, typer.Option("--unblind", help="Tell which detections are of injected events: this needs the key.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines with all columns.")] = False,
) -> None:
    """Print the detections; which of them were injected only the key tells."""
    from elvis_cli.observatory import detection, results
    from elvis_cli.observatory.efficiency import injected_seals

    with _store(config, changes) as (project, store):
        rows = results.detections(store)
        if unblind:
            key = detection.read_key(project.key_file)
            seals = injected_seals(project.parameters, key, results.sources(store))
            for row in rows:
                row["injected"] = row["seal"] in seals
    if as_json:
        for row in rows:
            write(json.dumps(row))
        return
    names = ["source", "peak_time", "snr", "dmag", "filter", "quality_flag", *(["injected"] if unblind else ["seal"])]
    table(tuple(names), [tuple(_shown(row[name]) for name in names) for row in rows])


def _shown(value: Any) -> str:
    return f"{value:.5f}" if isinstance(value, float) and abs(value) > 1000 else _brief(value)


def _brief(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
