"""`elvis batch` as a user runs it: processes, signals, exit codes, the manifest."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from elvis_cli.instrument import registry
from elvis_cli.product.integrity import examine
from elvis_cli.product.sinks import sweep
from tests.conftest import closure_only

ELVIS = [str(Path(sys.executable).with_name("elvis"))]


def request(number, instrument="micado", mode=None, size=64, **elvis_block):
    document = registry.load(instrument).example(mode)
    own = {
        "date": f"2026-11-20T05:{number:02d}:00",
        "seed": number,
        "window": {"x0": 0, "y0": 0, "nx": size, "ny": size},
    }
    document["elvis"] = {**document.get("elvis", {}), **own, **elvis_block}
    return json.dumps(document).encode() + b"\n"


def start(folder, *options, **more):
    argv = [*ELVIS, "batch", "--outdir", str(folder), *options]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.Popen(argv, start_new_session=True, **pipes)


def batch(folder, lines, *options):
    """Return exit code, manifest, stderr."""
    with start(folder, *options) as process:
        out, err = process.communicate(b"".join(lines), timeout=120)
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


def children(process):
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def wait_for_all(group):
    """Wait until no process of the group is left."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("processes are left")


MIXED = [
    request(0),
    request(1, "metis"),
    request(2, "metis", "lss_l_scao"),
    b'{"not": "json"\n',
    request(4, "fors"),
    request(5, product="expected"),
]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process makes of requests of all kinds."""
    folder = tmp_path_factory.mktemp("alone") / "raw"
    return batch(folder, MIXED, "-j", "1"), everything(folder)


def test_files_and_manifest(alone, elvis):
    (code, manifest, err), files = alone
    assert code == 1
    assert [entry["line"] for entry in manifest] == [1, 2, 3, 4, 5, 6]
    assert [entry["status"] for entry in manifest] == ["made"] * 3 + ["failed"] + ["made"] * 2
    assert sorted(Path(entry["file"]).name for entry in manifest if entry["file"]) == sorted(files)
    assert "METIS.2026-11-20T05:01:00.000.fits" in files
    for line, entry in zip(MIXED, manifest, strict=True):
        single = elvis(stdin=line)
        if entry["status"] == "made":
            assert files[Path(entry["file"]).name] == single.out
            assert entry["seconds"] > 0
        else:
            assert single.lines == [f"elvis: {entry['message']}"]
            assert f"line 4: failed: {entry['message']}" in err
    assert "5 made, 0 skipped, 1 failed" in err


def test_several_processes_make_the_same_bytes(alone, tmp_path, monkeypatch):
    monkeypatch.setenv("ELVIS_THREADS", "4")
    code, manifest, _ = batch(tmp_path / "raw", MIXED, "-j", "2")
    assert code == 1
    assert [entry["id"] for entry in manifest] == [entry["id"] for entry in alone[0][1]]
    assert everything(tmp_path / "raw") == alone[1]


def test_a_cluster_makes_the_same_bytes(alone, tmp_path):
    distributed = pytest.importorskip("distributed")
    code = (
        "import sys; from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    with LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as c:\n"
        "        print(c.scheduler_address, flush=True); sys.stdin.read()\n"
    )
    assert distributed
    script = tmp_path / "cluster.py"
    script.write_text(code)
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cluster:
        try:
            address = cluster.stdout.readline().decode().strip()
            code, manifest, err = batch(tmp_path / "raw", MIXED, "--cluster", address)
            again = batch(tmp_path / "raw", MIXED, "--cluster", address)
        finally:
            cluster.stdin.close()
    assert code == 1
    assert [entry["status"] for entry in manifest] == [entry["status"] for entry in alone[0][1]]
    assert everything(tmp_path / "raw") == alone[1]
    assert "5 made, 0 skipped, 1 failed" in err
    assert len(err.splitlines()) < 20
    assert "0 made, 5 skipped, 1 failed" in again[2]


def test_killed_halfway_and_started_again(tmp_path):
    lines = [request(n) for n in range(12)]
    folder = tmp_path / "raw"
    with start(folder, "-j", "2") as process:
        process.stdin.writelines(lines[:8])
        process.stdin.flush()  # and stays open: four are never asked for
        for _ in range(4):
            assert json.loads(process.stdout.readline())["status"] == "made"
        process.kill()
    wait_for_all(process.pid)
    found = {path: path.stat() for path in folder.glob("*.fits")}
    assert 4 <= len(found) < 12
    assert all(examine(path) for path in found)
    code, manifest, err = batch(folder, lines, "-j", "2")
    assert code == 0, err
    assert {Path(entry["file"]) for entry in manifest if entry["status"] == "skipped"} == set(found)
    assert len(everything(folder)) == 12, "no unfinished file is left"
    assert all(examine(path) for path in folder.iterdir())
    for path, before in found.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=closure_only)]
)
def test_ended_by_a_signal_it_leaves_whole_files_and_no_process(tmp_path, number, code):
    with start(tmp_path, "-j", "2") as process:
        process.stdin.writelines(request(n, size=1024) for n in range(8))
        process.stdin.flush()  # and stays open: it would wait for more
        process.stdout.readline()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert b"Traceback" not in err
    wait_for_all(process.pid)
    assert [path.suffix for path in tmp_path.iterdir()] == [".fits"] * len(list(tmp_path.iterdir()))
    assert all(examine(path) for path in tmp_path.iterdir())


def test_a_process_that_dies_takes_only_its_own_request_along(tmp_path):
    with start(tmp_path, "-j", "1") as process:
        process.stdin.write(request(0))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["status"] == "made"
        (child,) = children(process)
        process.stdin.writelines([request(1, size=1024), request(2)])
        process.stdin.flush()
        while not list(tmp_path.glob("*.part")):
            time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    died, made = map(json.loads, out.splitlines())
    assert process.returncode == 1, err
    assert (died["line"], died["status"], died["exit_code"]) == (2, "failed", 137)
    assert "signal 9: not enough memory?" in died["message"]
    assert made["status"] == "made"
    assert all(path.suffix == ".fits" for path in tmp_path.iterdir())


def test_a_request_that_takes_longer_than_the_timeout_fails(tmp_path):
    code, (entry,), err = batch(tmp_path, [request(0)], "--timeout", "0.05")
    assert (code, entry["status"], entry["exit_code"]) == (1, "failed", 137)
    assert entry["message"] == "took more than 0.05 s (--timeout)"
    assert "line 1: failed: took more than 0.05 s (--timeout)" in err


def test_a_timeout_cannot_hold_on_a_cluster(tmp_path, elvis):
    refused = elvis("batch", "--outdir", str(tmp_path), "--timeout", "5", "--cluster", "tcp://nowhere:1", stdin=b"{}")
    assert refused.code == 2
    assert "--timeout cannot be combined with --cluster" in refused.err


def test_limits_and_strictness_hold_in_the_processes(tmp_path):
    lines = [request(0, chips="all", window="full", keep=["all"]), request(1, unknown_key=1), request(2)]
    code, manifest, _ = batch(tmp_path, lines, "-j", "1", "--strict", "--limit", "output=1MB")
    assert code == 1
    assert [entry["exit_code"] for entry in manifest] == [65, 65, 0]
    assert "the limit output" in manifest[0]["message"]
    assert "unknown key" in manifest[1]["message"]


def test_a_reader_that_goes_ends_it(tmp_path):
    with start(tmp_path, "-j", "1") as process:
        process.stdout.close()
        process.stdin.write(request(0))
        process.stdin.close()
        assert process.wait(30) == 141
    wait_for_all(process.pid)


def test_unfinished_files_of_the_dead_go(tmp_path):
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    host = os.uname().nodename
    names = [
        f".elvis-{host}-{dead.pid}-00.part",
        f".elvis-{host}-{os.getpid()}-00.part",
        f".elvis-else-{dead.pid}-00.part",
    ]
    for name in names:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert sorted(everything(tmp_path)) == sorted(names[1:])


def test_a_person_sees_a_bar_and_the_manifest_stays_pure(tmp_path):
    ours, theirs = pty.openpty()
    shown = bytearray()

    def watch():
        with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
            while piece := os.read(ours, 4096):
                shown.extend(piece)

    watcher = threading.Thread(target=watch)
    watcher.start()
    (tmp_path / "night.jsonl").write_bytes(request(0) + request(1) + b"[]\n")
    with (tmp_path / "night.jsonl").open("rb") as night, start(tmp_path, stdin=night, stderr=theirs) as process:
        os.close(theirs)
        out, _ = process.communicate(timeout=60)
    watcher.join(10)
    os.close(ours)
    assert [json.loads(line)["status"] for line in out.splitlines()] == ["made", "made", "failed"]
    assert "3/3" in shown.decode()
    assert "1 failed, 2 made" in shown.decode()


def test_pretty_printed_requests_and_options_for_all(tmp_path):
    pretty = [json.dumps(json.loads(request(n)), indent=2).encode() + b"\n" for n in range(2)]
    code, manifest, err = batch(
        tmp_path, pretty, "-j", "1", "--product", "expected", "--name", "{INSTRUME}_{SIM SEED}.fits"
    )
    assert code == 0, err
    assert sorted(everything(tmp_path)) == ["MICADO_0.fits", "MICADO_1.fits"]
    assert manifest[1]["line"] > 10


def test_wrong_command_lines(tmp_path, elvis):
    (tmp_path / "file").touch()
    assert elvis("batch").code == 2
    for options in (["--outdir", str(tmp_path / "file")], ["--outdir", str(tmp_path), "--name", "{"], ["-j", "-1"]):
        assert elvis("batch", *options).code == 2
    assert elvis("batch", "--outdir", str(tmp_path / "file" / "raw")).code == 74
    assert elvis("batch", "--outdir", "/proc/raw").code == 74


def test_the_error_as_json(tmp_path, elvis):
    done = elvis("batch", "--outdir", str(tmp_path), "--errors", "json", stdin=b"[]\n")
    told = json.loads(done.err)
    assert (done.code, told["exit_code"], told["error"]) == (1, 1, "IncompleteError")
    assert "1 failed" in told["message"]
    assert "line 1: failed" in told["notes"][0]


def test_no_cluster_there(tmp_path, elvis, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = elvis("batch", "--outdir", str(tmp_path), "--cluster", "tcp://127.0.0.1:1")
    assert done.code == 69
    assert "elvis-cli[dask]" in done.err
