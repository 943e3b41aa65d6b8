"""`elvis batch --cluster` on a real SLURM of two nodes on this machine: `make slurm`.

Starts munged, slurmctld and two slurmd in a temporary folder (Debian: slurm-wlm; needs root), renders requests through
dask-jobqueue, kills one of the nodes with its job halfway, compares every file with a local run, and ends its daemons.

Usage: python tests/slurm/run.py [REQUESTS] (200)
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from elvis_cli.instrument import registry

ELVIS = str(Path(sys.executable).with_name("elvis"))
NODES = ("elvis1", "elvis2")
NEEDED = ("munged", "mungekey", "slurmctld", "slurmd", "sinfo", "squeue", "sbatch", "scancel")
WINDOW = {"x0": 900, "y0": 900, "nx": 256, "ny": 256}
PATIENCE = 300.0
"""Seconds until a daemon, or a job of the queue, has started."""
CONFIGURATION = """\
ClusterName=elvis
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdPidFile={folder}/%n.pid
SlurmdLogFile={folder}/%n.log
SlurmdSpoolDir={folder}/%n
StateSaveLocation={folder}/state
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
SlurmdTimeout=30
{nodes}
PartitionName=normal Nodes={names} Default=YES MaxTime=INFINITE State=UP
"""


def requests(number: int) -> bytes:
    """Return lines of small requests of HAWK-I, each with its own seed."""
    document = registry.load("hawki").example()
    lines = [{**document, "elvis": {"window": WINDOW, "chips": [1], "seed": seed}} for seed in range(number)]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def ports(number: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [listening.getsockname()[1] for listening in sockets]


def wait(ready: Callable[[], object], what: str) -> None:
    """Return when something is so."""
    end = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"after {PATIENCE:.0f} s: {what}")
        time.sleep(0.3)


def ask(environment: Mapping[str, str], *command: str) -> str:
    """Return what a command of SLURM prints."""
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


@contextmanager
def daemon(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon in the foreground, in a session of its own, and end it."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def slurm(folder: Path) -> Iterator[tuple[dict[str, str], dict[str, subprocess.Popen[bytes]]]]:
    """Start SLURM; yield the environment in which its commands find it, and the daemon of each node."""
    host = socket.gethostname().partition(".")[0]
    controller, *own = ports(1 + len(NODES))
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=1 RealMemory=4000 State=UNKNOWN"
        for name, port in zip(NODES, own, strict=True)
    )
    configuration = folder / "slurm.conf"
    values = {"folder": folder, "host": host, "port": controller, "nodes": nodes, "names": ",".join(NODES)}
    configuration.write_text(CONFIGURATION.format(**values))
    (folder / "state").mkdir()
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    key, place = folder / "munge.key", folder / "munge.socket"
    subprocess.run(["mungekey", "--create", f"--keyfile={key}"], check=True)
    files = {"key-file": key, "socket": place, "pid-file": folder / "munge.pid", "seed-file": folder / "munge.seed"}
    munge = ["munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items())]
    with ExitStack() as stack:
        stack.enter_context(daemon(munge, environment, folder / "munged.out"))
        wait(place.exists, "munged has no socket")
        stack.enter_context(daemon(["slurmctld", "-D"], environment, folder / "slurmctld.out"))
        daemons = {
            name: stack.enter_context(daemon(["slurmd", "-D", "-N", name], environment, folder / f"{name}.out"))
            for name in NODES
        }
        idle = ("sinfo", "-h", "-N", "-t", "idle", "-o", "%N")
        wait(lambda: ask(environment, *idle).split() == [*NODES], "nodes are not idle")
        yield environment, daemons


def processes(name: str) -> list[int]:
    """Return the processes of the jobs on a node, which SLURM gives the node's name in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"SLURMD_NODENAME={name}".encode() in environment.read_bytes():
                found.append(int(environment.parent.name))
        except OSError:  # it has ended
            continue
    return found


def kill(name: str, node: subprocess.Popen[bytes]) -> None:
    """Kill a node: its daemon and all processes of its jobs, as if its power were gone."""
    for process in [node.pid, *processes(name)]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue


def render(folder: Path, lines: bytes, *argv: str, at_half: Callable[[], None] | None = None) -> dict[int, Any]:
    """Return the manifest of a batch by line; ``at_half`` is called when half of the files are there."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1793577600", "ELVIS_THREADS": "1"}
    command = [ELVIS, "batch", "--outdir", str(folder), "--name", "{line}.fits", *argv]
    source = folder.with_suffix(".jsonl")
    source.write_bytes(lines)
    manifest: dict[int, Any] = {}
    with source.open("rb") as stdin:
        process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=subprocess.PIPE)
    assert process.stdout is not None
    half = lines.count(b"\n") // 2
    for line in process.stdout:
        entry = json.loads(line)
        manifest[entry["line"]] = entry
        if at_half and len(manifest) == half:
            at_half()
    process.wait()
    return manifest


def on_cluster(folder: Path, lines: bytes) -> tuple[dict[int, Any], list[str]]:
    """Return the manifest of a batch on SLURM, of which a node is killed halfway, and the jobs' states then."""
    from dask_jobqueue import SLURMCluster

    states: list[str] = []
    with slurm(folder) as (environment, nodes):
        os.environ["SLURM_CONF"] = environment["SLURM_CONF"]
        os.environ["SOURCE_DATE_EPOCH"] = "1793577600"
        with SLURMCluster(
            queue="normal",
            cores=1,
            processes=1,
            memory="2GB",
            walltime="01:00:00",
            python=sys.executable,
            log_directory=str(folder),
            local_directory=str(folder),
            job_script_prologue=["export SOURCE_DATE_EPOCH=1793577600 ELVIS_THREADS=1"],
            scheduler_options={"host": "127.0.0.1", "dashboard_address": None},
            worker_extra_args=["--no-dashboard"],
        ) as cluster:
            cluster.scale(jobs=len(NODES))
            wait(lambda: len(cluster.scheduler_info["workers"]) == len(NODES), "no worker")

            def lose_a_node() -> None:
                kill(NODES[1], nodes[NODES[1]])
                states.append(ask(environment, "squeue", "-h", "-o", "%i %T %N"))

            files = folder / "cluster"
            manifest = render(files, lines, "--cluster", cluster.scheduler_address, at_half=lose_a_node)
            states.append(f"{len(cluster.scheduler_info['workers'])} workers at the end")
    return manifest, states


def compare(local: dict[int, Any], remote: dict[int, Any], number: int) -> list[str]:
    """Return what is wrong: files that are missing or differ."""
    both = (("local", local), ("cluster", remote))
    wrong = [f"{name}: {len(files)} of {number}" for name, files in both if len(files) != number]
    for line, entry in local.items():
        other = remote.get(line, {})
        if entry["status"] != "made" or entry.get("sha256") != other.get("sha256"):
            wrong.append(f"line {line}: {entry['status']} here, {other.get('status')} there: {other.get('message')}")
    return wrong


def main(number: int) -> int:
    """Print what was seen and return the exit code."""
    if missing := [name for name in NEEDED if shutil.which(name) is None] or (os.getuid() != 0):
        print(f"needs root and Debian's slurm-wlm: {missing}")
        return 1
    lines = requests(number)
    folder = Path(tempfile.mkdtemp(prefix="elvis-slurm-"))
    try:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        local = render(folder / "local", lines, "-j", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        begin = time.monotonic()
        remote, states = on_cluster(folder, lines)
        wrong = compare(local, remote, number)
        print(f"local: {spent / number:.3f} s of a processor for a frame of {WINDOW['nx']} x {WINDOW['ny']} pixels")
        seconds = sorted(entry.get("seconds", 0.0) for entry in remote.values())
        print(f"SLURM: {seconds[len(seconds) // 2]:.3f} s for a frame (median, by the worker), ", end="")
        print(f"{time.monotonic() - begin:.0f} s for {number} with start, a node killed halfway")
        print("\n".join(state.strip() for state in states))
        print("\n".join(wrong) or f"{number} files have the same bytes here and there")
        return 1 if wrong else 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200))
