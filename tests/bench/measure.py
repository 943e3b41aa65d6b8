"""Processor seconds and peak memory of a process or a function, their floor, and the environments of peers' programs.

The floor of a process is taken beside it: a process that imports numpy, typer, jsonschema, numba and astropy.io.fits,
and a normal and a Poisson deviate of numpy for each pixel. That of a function is said where its row is made.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ELVIS = str(Path(sys.executable).with_name("elvis"))
PEERS = Path(os.environ.get("ELVIS_PEERS") or Path(sys.prefix) / "peers")
"""Folder of the peers' environments, each with its own libraries."""
WATCHER = """
import json, os, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
os.write(int(sys.argv[1]), json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]).encode())
"""
"""A small process in between: the peak of a process is at least that of the one which starts it."""


class Used(NamedTuple):
    """Processor time and memory of one process, or of a function in it."""

    cpu: float
    """Processor seconds, user and system."""
    memory: float
    """Peak, MiB."""


class Floor(NamedTuple):
    """Processor time of the import of the libraries, and of numpy's noise."""

    imports: float
    """Processor seconds."""
    deviates: float
    """Processor seconds of a pixel's deviates."""

    def of(self, pixels: int) -> float:
        """Return the processor seconds of a process that draws ``pixels``."""
        return self.imports + pixels * self.deviates


class Failed(Exception):
    """A process that ended with an error."""


class Skipped(Exception):
    """A peer that cannot be had here, and why."""


def watch(argv: list[str], environment: Mapping[str, str] | None = None, **streams: Any) -> Used:
    """Return processor time and memory of a process.

    Raises
    ------
    Failed
        It ended with another exit code than 0.
    """
    reading, writing = os.pipe()
    with open(reading, "rb") as report:
        watcher = [sys.executable, "-S", "-E", "-c", WATCHER, str(writing), *argv]
        env = {**os.environ, **(environment or {})}
        process = subprocess.Popen(watcher, env=env, pass_fds=[writing], **streams)
        os.close(writing)
        text = report.read()
    process.wait()
    code, cpu, memory = json.loads(text)
    if code:
        raise Failed(f"{' '.join(argv)[:200]} ended with exit code {code}")
    return Used(cpu, memory)


def elvis(request: Path, output: Path, environment: Mapping[str, str] | None = None, *options: str) -> Used:
    """Return processor time and memory of one `cat request | elvis OPTIONS > output`."""
    with output.open("wb") as out, subprocess.Popen(["cat", str(request)], stdout=subprocess.PIPE) as cat:
        return watch([ELVIS, *options], environment, stdin=cat.stdout, stdout=out, stderr=subprocess.DEVNULL)


def floor() -> Floor:
    """Return the floor of this moment."""
    imports = watch([sys.executable, "-c", "import numpy, typer, jsonschema, numba, astropy.io.fits"])
    random = np.random.Generator(np.random.SFC64(1))
    mean = np.full((1024, 1024), 30.0, np.float32)
    begin = time.process_time()
    random.standard_normal(mean.shape, dtype=np.float32)
    random.poisson(mean)
    return Floor(imports.cpu, (time.process_time() - begin) / mean.size)


def least(draw: Callable[[], object], times: int = 3) -> Used:
    """Return the least processor time of several calls in this process, and the peak of its memory up to now.

    The machine's other work makes none of them faster.
    """
    seconds = []
    for _ in range(times):
        begin = time.process_time()
        draw()
        seconds.append(time.process_time() - begin)
    return used(min(seconds))


def used(seconds: float) -> Used:
    """Return processor seconds of this process, and the peak of its memory up to now."""
    return Used(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peer(name: str, *requirements: str) -> str:
    """Return the Python of an environment that has a peer, made at the first call.

    Raises
    ------
    Skipped
        It cannot be installed.
    """
    folder = PEERS / name
    python = folder / "bin" / "python"
    marker = folder / "requirements"
    wanted = "\n".join(requirements)
    if not marker.exists() or marker.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Skipped(f"pip install {' '.join(requirements)}: {_reason(done.stderr)}")
        marker.write_text(wanted)
    return str(python)


def _reason(said: str) -> str:
    """Return the first error that pip tells of, other than that a program of its own failed."""
    errors = [line.strip() for line in said.splitlines() if "error:" in line.lower()]
    reasons = [line for line in errors if "subprocess-exited" not in line] or errors
    return reasons[0] if reasons else "no reason given"


@contextlib.contextmanager
def skipping(what: str) -> Iterator[None]:
    """Print why a peer has no row."""
    try:
        yield
    except (Skipped, Failed) as reason:
        print(f"{what}: no row: {reason}", flush=True)


def head(text: str) -> None:
    """Print what a table holds and the names of its columns."""
    print(f"\n{text.strip()}\n\n{'':58s} {'CPU s':>9s} {'MiB':>6s} {'floor s':>9s} {'ratio':>7s}", flush=True)


def row(name: str, used: Used, floor: float, remark: str = "") -> None:
    """Print a row: processor seconds, peak memory, the floor (s), ratio to it."""
    numbers = f"{used.cpu:9.4f} {used.memory:6.0f} {floor:9.4f} {used.cpu / floor:7.2f}"
    print(f"{name:58s} {numbers}  {remark}".rstrip(), flush=True)
