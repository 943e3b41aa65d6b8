"""Whole runs of the demo observatory (scenarios 1, 2, 3, 5; checks A, D)."""

import json
import math
import shutil
import time

import numpy as np
import pytest
import sqlalchemy as sa
from astropy.io import fits
from astropy.table import Table

from elvis_cli.batch import pool as batch_pool
from elvis_cli.batch import work as batch_work
from elvis_cli.errors import IncompleteError
from elvis_cli.observatory import cleaning, results
from elvis_cli.observatory.curves import of_source
from elvis_cli.observatory.efficiency import efficiency, injected_seals
from elvis_cli.observatory.merge import merge
from elvis_cli.observatory.simulator import Event
from tests.conftest import closure_only
from tests.observatory.conftest import content

QUIET = {"analysis": {"num_injections": 0}}


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.fits"))}


def forget(one, what):
    with one.store.database.write() as connection:
        connection.execute(sa.text(f"DELETE FROM {what}"))


def test_a_demo_project(run):
    one = run(patch={"analysis": {"num_injections": 3}})
    done = one.go()
    assert len(done) == 10
    assert all(sorted(each.level for each in result.datasets) == ["raw", "reduced"] for result in done)
    seals = injected_seals(one.project.parameters, one.project.key(), results.sources(one.store))
    found = results.detections(one.store)
    assert 20 < len(seals) < 45
    assert [row for row in found if row["seal"] not in seals] == []
    assert len(found) > 0.8 * len(seals)
    histograms = fits.open(one.folder / "histograms.fits") if one.export() else None
    for score in ("SNR", "DMAG", "OFFSET"):
        assert histograms[f"COVERAGE_{score}"].data["count"].sum() == 1000
        assert histograms[f"SCORES_{score}"].data["count"].sum() == one_good(histograms)
    histograms.close()
    assert one.count("histogram_part") == 2 * 10
    assert one.count("properties") == 10


def one_good(histograms):
    data = histograms["COVERAGE_SNR"].data
    return data["count"][data["quality"] == "good"].sum()


def test_again_adds_nothing_and_what_is_deleted_is_made_again(run):
    one = run()
    one.go()
    before, rows = one.export(), content(one.store.database)
    assert one.go() == []
    assert one.export() == before
    forget(one, "source")
    again = one.go()
    assert sum(each.reused for each in again) == 10
    assert (one.export(), content(one.store.database)) == (before, rows)
    forget(one, "source")
    shutil.rmtree(one.project.data_folder)
    assert sum(each.reused for each in one.go()) == 0
    assert (one.export(), content(one.store.database)) == (before, rows)


@closure_only
def test_five_workers_fetch_five_sources_at_once(run):
    patch = {"observatories": {"demo": {"delay": 1.0, "epochs": 5}}}
    one = run(patch=patch)
    workers = batch_pool.Local(batch_work.Settings(str(one.folder)), 5, 5)
    list(workers.everywhere(Warm()))
    begin = time.monotonic()
    assert len(one.go(pool=workers)) == 10
    taken = time.monotonic() - begin
    workers.close(now=False)
    assert 2.0 <= taken < 7.0  # 10 s with one; other tests share the cores
    forget(one, "source")
    begin = time.monotonic()
    assert all(each.reused for each in one.go())
    assert time.monotonic() - begin < 4.0


class Warm:
    """A task that loads the modules."""

    def do(self, settings, report):
        import elvis_cli.observatory.work  # noqa: F401

    def lost(self, error):
        raise error


def test_data_of_other_parameters_are_fetched_again_once_if_asked(run):
    one = run(patch={"observatories": {"demo": {}}, "data": "shared"})
    one.go()
    other = {"observatories": {"demo": {"mag": 17.0}}, "data": "shared"}
    assert sum(each.reused for each in run("b", other).go()) == 10
    other["observatories"]["demo"]["check_download_pars"] = True
    assert sum(each.reused for each in run("c", other).go()) == 0
    assert sum(each.reused for each in run("d", other).go()) == 10


@pytest.mark.parametrize(("count", "rows"), [(2, 6), pytest.param(8, 24, marks=closure_only)])
def test_several_workers_make_the_same_as_one(run, count, rows):
    patch = {"catalog": {"rows": rows}, "observatories": {"demo": {"flares": 0.5}}}
    first, second = run("a", patch), run("b", patch)
    first.go()
    workers = batch_pool.Local(batch_work.Settings(str(second.folder)), count, count)
    second.go(pool=workers)
    workers.close(now=False)
    assert first.export() == second.export()
    assert files(first.folder) == files(second.folder)
    assert content(first.store.database) == content(second.store.database)


def test_postgresql_makes_the_same_as_sqlite(run, postgres_address, monkeypatch):
    patch = {"catalog": {"rows": 12}, "observatories": {"demo": {"flares": 0.5}}}
    first = run("a", patch)
    first.go()
    second = run("b", {**patch, "database": postgres_address})
    second.go()
    assert first.export() == second.export()
    assert content(first.store.database) == content(second.store.database)


def test_steps_one_by_one_make_the_same(run):
    first, second = run("a"), run("b")
    first.go()
    for step in ("analyse", "fetch", "analyse", "reduce", "analyse"):
        second.go((step,))
    assert first.export() == second.export()


@pytest.mark.parametrize("count", [pytest.param(1, marks=closure_only), 3, pytest.param(8, marks=closure_only)])
def test_parallel_runs_are_merged_in_any_order(run, tmp_path, count):
    patch = {"catalog": {"rows": 16}, "observatories": {"demo": {"flares": 0.5}}}
    whole = run("whole", patch)
    whole.go()
    parts = [run(f"part{n}", patch) for n in range(count)]
    for n, part in enumerate(parts):
        part.go(part=(n, count))
    order = [part.folder for part in parts]
    for name, folders in (("c", order), ("d", order[::-1] + order[:1])):
        project, store = merge(folders, tmp_path / name)
        from elvis_cli.observatory.export import export

        export(project, store)
        for path, content_of in whole.export().items():
            assert (tmp_path / name / path).read_bytes() == content_of, path
        if name == "d":
            assert of_source(project, store, project.sources()[0].name)
        store.database.close()


def test_merging_what_does_not_fit_is_refused(run, tmp_path):
    first, second = run("a"), run("b", key="77" * 32)
    third = run("c", QUIET)
    with pytest.raises(Exception, match="different keys"):
        merge([first.folder, second.folder], tmp_path / "m")
    with pytest.raises(Exception, match="0 sets of parameters in common"):
        merge([first.folder, third.folder], tmp_path / "m")
    with pytest.raises(Exception, match="there is no run"):
        merge([tmp_path / "none"], tmp_path / "m")


def test_sources_without_data_count_as_done(run):
    one = run(patch={"observatories": {"demo": {"max_mag": 10.0}}})
    assert len(one.go()) == 10
    assert [row["has_data"] for row in results.sources(one.store)] == [False] * 10
    assert one.go() == []
    assert "False" in one.export()["sources.ecsv"].decode()


def test_what_is_not_to_be_saved_is_not(run):
    off = {"save_detections": False, "save_histograms": False, "num_injections": 3}
    one = run(patch={"analysis": off})
    one.go()
    assert (one.count("detection"), one.count("histogram_part"), one.count("properties")) == (0, 0, 10)
    more = run("b", {"analysis": {"save_processed": True, "save_injected": True, "num_injections": 0.5}})
    more.go()
    levels = {row["level"] for row in map(json.loads, content(more.store.database)["dataset"])}
    assert levels == {"raw", "reduced", "processed", "injected"}
    sizes = {path.stat().st_size for path in more.folder.rglob("*_injected_*.fits")}
    assert len(list(more.folder.rglob("*_injected_*.fits"))) == 10
    assert len(sizes) == 1  # those with events and those without are alike


def test_reset_takes_the_analysis_away_but_for_the_histograms(run):
    one = run(patch={"analysis": {"save_processed": True, "num_injections": 2}})
    one.go()
    before = one.export()
    cleaning.reset_analysis(one.store, one.project)
    left = {name: one.count(name) for name in ("detection", "properties", "histogram_part", "dataset")}
    assert left == {"detection": 0, "properties": 0, "histogram_part": 20, "dataset": 20}
    assert not list(one.folder.rglob("*_processed_*.fits"))
    assert len(one.go()) == 10
    assert one.export() == before


def test_deleting_a_dataset_deletes_its_file(run):
    one = run()
    one.go()
    dataset = next(each for each in one.store.datasets(1, one.project.settings(()).folders) if each.level == "raw")
    assert dataset.file.is_file()
    cleaning.delete_dataset(one.store, 1, dataset)
    assert not dataset.file.exists()
    assert one.count("dataset") == 19


def test_cleaning_up_leaves_nothing(run):
    one, other = run(), run(patch={"finder": {"snr_threshold": 6}})
    one.go()
    one.export()
    other.go()
    raw, mine = files(one.project.data_folder), one.project.data_folder / "notes.txt"
    mine.write_text("not of the run")
    cleaning.clean(one.store, one.project)
    assert one.count("source") == 10  # those with the other parameters
    left = {path.name for path in one.folder.iterdir()} - {"observatory.sqlite-wal", "observatory.sqlite-shm"}
    assert left == {"observatory.sqlite", "run.key", "data", other.project.reduced_folder.name}
    assert files(one.project.data_folder) == raw
    cleaning.clean(other.store, other.project)
    assert [path.name for path in one.project.data_folder.iterdir()] == ["notes.txt"]
    assert one.count("source") == 0


def test_failures_are_noted_and_the_run_goes_on_up_to_a_limit(run):
    failing = {"files": {"class": "files", "path": "{name}.csv"}}
    one = run(patch={"observatories": failing, "catalog": {"rows": 4}})
    name = one.project.sources()[1].name
    (one.project.config_folder / f"{name}.csv").write_text("a,b\n1,2\n")
    done = one.go()
    assert [bool(each.failure) for each in done].count(True) == 1
    (row,) = [row for row in results.tasks(one.store) if row["state"] == "failed" and "waits" not in row["error"]]
    assert (row["source"], row["step"]) == (name, "fetch")
    assert "without a time" in row["error"]
    (one.project.config_folder / f"{name}.csv").write_text("mjd,mag,magerr,exptime,filter\n57000,18,0.1,30,R\n")
    (again,) = one.go()
    assert again.failure is None
    assert results.counts(one.store)["analyse"] == {"done": 4}
    many = run("b", {"observatories": {"files": {"path": "bad.csv"}}, "catalog": {"rows": 30}})
    (many.project.config_folder / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(IncompleteError, match="10 sources in a row failed"):
        many.go()
    assert 10 <= results.counts(many.store)["fetch"]["failed"] < 10 + 4  # those that a worker had at once


def test_calibration_changes_results_and_no_raw_file(run):
    first = run("a", {"data": "raw"})
    first.go()
    raw = files(first.project.data_folder)
    second = run("b", {"data": "raw", "calibration": {"zero_points": {"R": 0.3}}})
    assert sum(each.reused for each in second.go()) == 10
    second.export()
    assert files(first.project.data_folder) == raw
    mags = [Table.read(each.folder / "sources.ecsv") if each.export() else None for each in (first, second)]
    assert np.allclose(mags[1]["mean_mag"] - mags[0]["mean_mag"], 0.3)
    assert len(second.go(("analyse",))) == 0


def phi(z):
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def test_the_efficiency_is_the_analytic_one(run):
    """An event of one epoch of S/N A is found if A + noise exceeds 5."""
    patch = {
        "catalog": {"rows": 130},
        "observatories": {"demo": {"epochs": 60, "jitter": 0.0}},
        "simulator": {"kinds": ["box"], "snr": [2.0, 9.0], "width": [1e-5, 1e-5]},
        "analysis": {"num_injections": 10},
    }
    one = run(patch=patch)
    one.go()
    p, key = one.project.parameters, one.project.key()
    rows = efficiency(p, key, results.sources(one.store), results.detections(one.store))
    assert sum(row["injected"] for row in rows) == pytest.approx(1300, abs=120)
    for row in rows:
        width = 7.0 / 20
        expected = np.mean(
            [phi(a - 5.0) + phi(-a - 5.0) for a in row["amplitude"] + width * np.linspace(-0.5, 0.5, 11)]
        )
        sigma = math.sqrt(max(expected * (1 - expected), 0.01) / row["injected"])
        assert abs(row["efficiency"] - expected) < 3.0 * sigma, row
    total = sum(row["recovered"] for row in rows) / sum(row["injected"] for row in rows)
    assert total == pytest.approx(np.mean([phi(a - 5.0) for a in np.linspace(2, 9, 200)]), abs=0.03)


@closure_only
def test_nothing_tells_injected_from_real(run):
    """Logistic regression and nearest neighbours on all columns guess half of 2000 detections right."""
    patch = {
        "catalog": {"rows": 350},
        "observatories": {
            "demo": {"epochs": 150, "flares": 3.5, "flare": [6.0, 20.0], "flare_width": [0.1, 8.0], "jitter": 0.0}
        },
        "simulator": {"kinds": ["flare", "dip"], "snr": [6.0, 20.0], "width": [0.1, 8.0]},
        "analysis": {"num_injections": 3.5},
        "finder": {"max_detections": 20},
    }
    one = run(patch=patch)
    one.go()
    seals = injected_seals(one.project.parameters, one.project.key(), results.sources(one.store))
    with one.store.database.read() as connection:
        rows = connection.execute(sa.text("SELECT * FROM detection ORDER BY id")).mappings().all()
    truth = np.array([row["seal"] in seals for row in rows])
    numbers = [
        [row[key] for key in ("id", "source", "snr", "score", "peak_time", "time_start", "time_end", "dmag")]
        + [row["peak_mag"] or 30.0, row["quality_flag"], row["offset"] or 0.0, row["time_end"] - row["time_start"]]
        + [int(row["seal"][n : n + 4], 16) for n in range(0, 32, 4)]
        for row in rows
    ]
    features = np.array(numbers, float)
    features = (features - features.mean(0)) / np.where(features.std(0) > 0, features.std(0), 1.0)
    random = np.random.default_rng(1)
    real, injected = np.flatnonzero(~truth), np.flatnonzero(truth)
    size = min(len(real), len(injected), 1000)
    assert size == 1000
    chosen = random.permutation(np.r_[random.choice(real, size, False), random.choice(injected, size, False)])
    x, y = features[chosen], truth[chosen]
    half = len(y) // 2
    weights = np.linalg.lstsq(np.c_[x[:half], np.ones(half)], 2.0 * y[:half] - 1, rcond=None)[0]
    guess = np.c_[x[half:], np.ones(len(y) - half)] @ weights > 0
    assert np.mean(guess == y[half:]) == pytest.approx(0.5, abs=0.05)
    distance = ((x[half:, None, :] - x[None, :half, :]) ** 2).sum(axis=2)
    nearest = y[:half][np.argsort(distance, axis=1)[:, :15]].mean(axis=1) > 0.5
    assert np.mean(nearest == y[half:]) == pytest.approx(0.5, abs=0.05)


def test_events_are_stored_nowhere(run):
    one = run(patch={"analysis": {"num_injections": 5}})
    one.go()
    one.export()
    assert Event.__name__ not in str(content(one.store.database))
    names = {name for table in content(one.store.database).values() for row in table for name in json.loads(row)}
    assert not [name for name in names if "inj" in name or "sim" in name or "truth" in name]
    assert one.project.key().hex() not in str(content(one.store.database))
    assert (one.folder / "run.key").stat().st_mode & 0o777 == 0o600
