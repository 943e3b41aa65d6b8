"""A SLURM of two nodes on this machine, for as long as a `with` lasts, and Dask's workers as its jobs.

Debian's slurm-wlm has munged, slurmctld and slurmd. They run in the foreground with all their files in one folder.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

NODES = ("elvis1", "elvis2")
NEEDED = ("munged", "mungekey", "slurmctld", "slurmd", "sinfo", "squeue", "sbatch", "scancel")
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


def ports(number: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(number)]
        return [listening.getsockname()[1] for listening in sockets]


def wait(ready: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Return when something is so."""
    end = time.monotonic() + patience
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"after {patience:.0f} s: {what}")
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


@contextmanager
def workers(folder: Path, environment: Mapping[str, str], settings: str) -> Iterator[Any]:
    """Yield a Dask cluster with a job of SLURM, of one worker, on each node; ``settings`` are exported to them."""
    from dask_jobqueue import SLURMCluster

    os.environ["SLURM_CONF"] = environment["SLURM_CONF"]
    with SLURMCluster(
        queue="normal",
        cores=1,
        processes=1,
        memory="2GB",
        walltime="01:00:00",
        python=sys.executable,
        log_directory=str(folder),
        local_directory=str(folder),
        job_script_prologue=[f"export {settings}"],
        scheduler_options={"host": "127.0.0.1", "dashboard_address": None},
        worker_extra_args=["--no-dashboard"],
    ) as cluster:
        cluster.scale(jobs=len(NODES))
        wait(lambda: len(cluster.scheduler_info["workers"]) == len(NODES), "no worker")
        yield cluster


def with_variable(variable: str) -> list[int]:
    """Return the processes that have ``NAME=value`` in their environment, without this one."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if variable.encode() in environment.read_bytes().split(b"\0"):
                found.append(int(environment.parent.name))
        except OSError:  # it has ended
            continue
    return [process for process in found if process != os.getpid()]


def kill(name: str, node: subprocess.Popen[bytes]) -> None:
    """Kill a node: its daemon and all processes of its jobs, as if its power were gone."""
    for process in [node.pid, *with_variable(f"SLURMD_NODENAME={name}")]:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
