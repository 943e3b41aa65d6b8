"""`elvis observatory` as a user runs it."""

import contextlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

pytest.importorskip("sqlalchemy")

from elvis_cli.observatory.export import FILES
from tests.conftest import closure_only
from tests.observatory.conftest import KEY, content, postgres_address

__all__ = ["postgres_address"]
ELVIS = [str(Path(sys.executable).with_name("elvis"))]


@pytest.fixture(scope="module")
def example(elvis, tmp_path_factory):
    """Return the parameters of a run that is done."""
    path = tmp_path_factory.mktemp("example") / "run.yaml"
    assert elvis("observatory", "init", str(path)).code == 0
    done = elvis("observatory", "run", str(path), "-j", "1")
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == 10
    assert {"source", "steps", "epochs", "reused", "detections"} == set(json.loads(done.out.splitlines()[0]))
    return path


def test_the_example_runs_and_leaves_its_products(example, elvis):
    folder = example.parent / "run"
    assert {path.name for path in folder.iterdir()} >= {*FILES, "run.key", "observatory.sqlite"}
    assert stat.S_IMODE((folder / "run.key").stat().st_mode) == 0o600
    assert "cfg_hash" in (folder / "config.yaml").read_text().splitlines()[0]
    yaml.safe_load((folder / "config.yaml").read_text())
    again = elvis("observatory", "run", str(example), "-j", "1")
    assert (again.code, again.out) == (0, b"")
    before = {name: (folder / name).read_bytes() for name in FILES}
    assert elvis("observatory", "export", str(example)).code == 0
    assert {name: (folder / name).read_bytes() for name in FILES} == before


def test_init_does_not_replace_a_file(example, elvis):
    assert elvis("observatory", "init", str(example)).code == 2


def test_detections_and_their_light_curve(example, elvis, tmp_path):
    blind = elvis("observatory", "detections", str(example)).out.decode().splitlines()
    assert "injected" not in blind[0]
    rows = [
        json.loads(line)
        for line in elvis("observatory", "detections", str(example), "--unblind", "--json").out.splitlines()
    ]
    assert {row["injected"] for row in rows} <= {True, False}
    assert len(rows) == len(blind) - 1 > 0
    name = rows[0]["source"]
    picture = tmp_path / "lc.png"
    assert elvis("observatory", "lightcurve", str(example), name, "-o", str(picture)).code == 0
    with Image.open(picture) as image:
        assert image.size == (900, 480)
    epochs = elvis("observatory", "lightcurve", str(example), name, "--csv").out.decode().splitlines()
    assert len(epochs) == 101
    assert epochs[0].startswith("observatory,filter,series,mjd")
    wrong = elvis("observatory", "lightcurve", str(example), name[:-1], "--csv")
    assert wrong.code == 69
    assert f"did you mean '{name}'" in wrong.err


def test_the_names_of_the_catalogue_and_the_observatory_find_a_source(example, elvis):
    rows = elvis(
        "observatory", "sql", str(example), "SELECT name, observatory FROM alias WHERE source = 1"
    ).out.splitlines()
    assert {json.loads(row)["observatory"] for row in rows} == {"CATALOG", "DEMO"}
    for row in rows:
        name = json.loads(row)["name"]
        assert elvis("observatory", "lightcurve", str(example), name, "--csv").code == 0, name


def test_skyportal(example, elvis, tmp_path):
    h5py = pytest.importorskip("h5py")
    name = json.loads(elvis("observatory", "sql", str(example), "SELECT name FROM source").out.splitlines()[0])["name"]
    path = tmp_path / "sky.h5"
    assert elvis("observatory", "lightcurve", str(example), name, "--skyportal", str(path)).code == 0
    with h5py.File(path) as file:
        group = file["photometry"]
        assert set(group) == {"mjd", "flux", "fluxerr"}
        names = ("series_name", "series_obj_id", "exp_time", "ra", "dec", "filter", "time_stamp_alignment")
        assert set(group.attrs) == set(names)
        assert group.attrs["series_obj_id"] == name


def test_status_and_sql(example, elvis):
    lines = [json.loads(line) for line in elvis("observatory", "status", str(example)).out.splitlines()]
    assert lines == [{"step": step, "done": 10} for step in ("fetch", "reduce", "analyse")]
    changed = elvis("observatory", "sql", str(example), "DELETE FROM source RETURNING name")
    assert changed.code != 0
    count = elvis("observatory", "sql", str(example), "SELECT count(*) AS n FROM source WHERE name LIKE 'J%'")
    assert json.loads(count.out) == {"n": 10}


def test_status_tells_the_time_left(tmp_path, elvis):
    path = prepare(tmp_path, "run", 40)
    path.write_text(path.read_text().replace("epochs: 60", "epochs: 60\n    delay: 0.5"))
    with subprocess.Popen([*ELVIS, "observatory", "run", str(path), "-j", "1"], stdout=subprocess.PIPE) as child:
        for _ in range(6):
            child.stdout.readline()
        lines = elvis("observatory", "status", str(path)).out.splitlines()
        refused = elvis("observatory", "reset", str(path))
        child.kill()
    (told,) = [line for line in map(json.loads, lines) if "seconds_left" in line]
    assert told["sources_left"] in range(20, 35)
    assert 0.5 <= told["seconds_left"] / told["sources_left"] < 5.0  # a source takes 0.5 s; the machine may be busy
    assert refused.code == 69
    assert "a process works on this run" in refused.err
    assert b"seconds_left" not in elvis("observatory", "status", str(path)).out
    assert not list(tmp_path.glob("run/progress*"))


def test_reset(tmp_path, elvis):
    path = prepare(tmp_path, "run", 4)
    assert elvis("observatory", "run", str(path), "-j", "1").code == 0
    before = products(tmp_path / "run")
    assert elvis("observatory", "reset", str(path)).code == 0
    lines = [json.loads(line) for line in elvis("observatory", "status", str(path)).out.splitlines()]
    assert {"step": "analyse", "open": 4} in lines
    assert elvis("observatory", "detections", str(path), "--json").out == b""
    assert elvis("observatory", "run", str(path), "-j", "1").code == 0
    assert products(tmp_path / "run") == before
    assert elvis("observatory", "reset", str(path), "--all").code == 0
    assert {each.name for each in (tmp_path / "run").iterdir()} == {"observatory.sqlite", "run.key"}


def test_wrong_command_lines(example, elvis, tmp_path):
    for arguments, code, words in (
        (["run", str(example), "--set", "finder.snr=5"], 65, "/finder/snr"),
        (["run", str(example), "--part", "3/2"], 2, "K/N"),
        (["run", str(tmp_path / "no.yaml")], 69, "cannot read"),
        (["status", str(example), "--set", "output=elsewhere"], 69, "there is no run"),
        (["merge", str(tmp_path), "-o", str(tmp_path / "m")], 69, "there is no run"),
    ):
        done = elvis("observatory", *arguments)
        assert (done.code, done.out) == (code, b""), done.err
        assert words in done.err


def test_starting_elvis_loads_no_database():
    heavy = ("sqlalchemy", "alembic", "elvis_cli.observatory")
    words = f"import sys, elvis_cli.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_it_says_what_to_install(example, elvis, monkeypatch):
    monkeypatch.setitem(sys.modules, "alembic", None)
    done = elvis("observatory", "run", str(example))
    assert done.code == 69
    assert "elvis-cli[observatory]" in done.err


def prepare(folder, name, rows=24, **more):
    path = folder / f"{name}.yaml"
    demo = {"flares": 0.5, "epochs": 60}
    path.write_text(
        yaml.safe_dump({"output": name, "catalog": {"rows": rows}, "observatories": {"demo": demo}, **more})
    )
    (folder / name).mkdir()
    key = folder / name / "run.key"
    key.write_text(KEY)
    key.chmod(0o600)
    return path


def products(folder):
    return {name: (folder / name).read_bytes() for name in FILES}


START_SECONDS = 3.0
"""A run that is killed before its first source may be loading modules, making the key or the tables."""


def killed(path, jobs, kills, longest, seed=1, environment=None):
    """Run and kill the whole group of processes at random times, then run to the end."""
    draw = random.Random(seed)
    argv = [*ELVIS, "observatory", "run", str(path), "-j", str(jobs)]
    environment = {**os.environ, **(environment or {})}
    hits = 0
    for _ in range(kills):
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env=environment
        ) as child:
            wanted = draw.randrange(0, longest)  # sources that are told before the end
            for _ in range(wanted):
                if not child.stdout.readline():
                    break
            time.sleep(draw.random() * (0.05 if wanted else START_SECONDS))
            hits += child.poll() is None
            with contextlib.suppress(ProcessLookupError):  # all is done
                os.killpg(child.pid, signal.SIGKILL)
    done = subprocess.run(argv, capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return hits


KILLS = int(os.environ.get("ELVIS_KILLS", "2"))


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=closure_only)])
def test_a_run_that_is_killed_ends_as_one_that_is_not(tmp_path, elvis, jobs):
    from elvis_cli.observatory.database import Database

    whole, broken = prepare(tmp_path, "whole"), prepare(tmp_path, "broken")
    assert elvis("observatory", "run", str(whole), "-j", "1").code == 0
    assert killed(broken, jobs, KILLS, 6, jobs) > 0
    assert products(tmp_path / "broken") == products(tmp_path / "whole")
    both = [Database(f"sqlite:///{tmp_path / name / 'observatory.sqlite'}") for name in ("whole", "broken")]
    assert content(both[0]) == content(both[1])
    for each in both:
        each.close()
    names = [
        {str(path.relative_to(tmp_path / one)) for path in (tmp_path / one).rglob("*.fits")}
        for one in ("whole", "broken")
    ]
    assert names[0] == names[1]


@closure_only
def test_a_run_on_postgresql_that_is_killed_ends_as_one_that_is_not(tmp_path, elvis, postgres_address):
    whole, broken = prepare(tmp_path, "whole"), prepare(tmp_path, "broken", database=postgres_address)
    assert elvis("observatory", "run", str(whole), "-j", "1").code == 0
    killed(broken, 2, KILLS, 6, 5)
    assert products(tmp_path / "broken") == products(tmp_path / "whole")


def test_a_cluster_makes_the_same(tmp_path, elvis):
    pytest.importorskip("distributed")
    whole, other = prepare(tmp_path, "whole", 6), prepare(tmp_path, "other", 6)
    assert elvis("observatory", "run", str(whole), "-j", "1").code == 0
    program = (
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True); sys.stdin.read()\n"
    )
    (tmp_path / "cluster.py").write_text(program)
    argv = [sys.executable, str(tmp_path / "cluster.py")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as scheduler:
        address = scheduler.stdout.readline().strip()
        done = subprocess.run(
            [*ELVIS, "observatory", "run", str(other), "--cluster", address],
            capture_output=True,
            check=False,
            timeout=120,
        )
        scheduler.stdin.close()
    assert done.returncode == 0, done.stderr
    assert products(tmp_path / "other") == products(tmp_path / "whole")
