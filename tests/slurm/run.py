"""`elvis batch`, `elvis reduce` and `elvis observatory`, each on a SLURM of two nodes on this machine: `make slurm`.

Needs root and Debian's slurm-wlm. Each program runs here and, through dask-jobqueue, on a SLURM of its own, of which
one node is killed with its job halfway. The bytes of all files are compared, and no process of a SLURM may be left.

Usage: python -m tests.slurm.run [REQUESTS] (200) [batch] [reduce] [observatory] (all, and what frames cost)
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from elvis_cli.instrument import registry
from tests.bench import measure
from tests.slurm.daemons import NEEDED, NODES, ask, kill, slurm, wait, with_variable, workers

ELVIS = str(Path(sys.executable).with_name("elvis"))
SMALL = {"x0": 900, "y0": 900, "nx": 256, "ny": 256}
WHOLE = {"x0": 0, "y0": 0, "nx": 2048, "ny": 2048}
FILTERS = ("J", "H", "Ks")
SURVEY = {
    "catalog": {"rows": 8},
    "observatories": {"elvis": {"instrument": "hawki", "keep": "raw", "cadence": {"n": 10, "span": 20}}},
}
"""Epochs of hawki; the frames are kept, so that they are compared too."""
SETTINGS = {"SOURCE_DATE_EPOCH": "1793577600", "ELVIS_THREADS": "1"}
PATIENCE = 60.0
"""Seconds until the last process of a SLURM has ended."""


class Program(NamedTuple):
    """A program that runs here and on a cluster."""

    name: str
    prepare: Callable[[Path], None]
    """Writes its input into a folder."""
    argv: Callable[[Path], list[str]]
    """Its command line, for such a folder."""
    lines: int
    """Lines of its output."""
    output: Path
    """Folder of its files."""
    ignored: tuple[str, ...] = ()
    """Names of files that depend on the order of the work."""


def request(window: dict[str, int], **changes: Any) -> dict[str, Any]:
    """Return a request of HAWK-I for one chip."""
    return {**registry.load("hawki").example(), "elvis": {"window": window, "chips": [1], **changes}}


def requests(number: int, window: dict[str, int]) -> bytes:
    """Return lines of requests, each with its own seed."""
    return "".join(json.dumps(request(window, seed=seed)) + "\n" for seed in range(number)).encode()


def local(argv: list[str], stdin: bytes = b"") -> tuple[bytes, float]:
    """Return what a command of ELVIS prints, and the processor seconds it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, **SETTINGS}
    done = subprocess.run([ELVIS, *argv], input=stdin, env=environment, stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def batch(number: int) -> Program:
    """Return a batch of small requests."""

    def prepare(folder: Path) -> None:
        (folder / "night.jsonl").write_bytes(requests(number, SMALL))

    def argv(folder: Path) -> list[str]:
        return ["batch", "--outdir", str(folder / "raw"), "--name", "{line}.fits"]

    return Program("batch", prepare, argv, number, Path("raw"))


def reduce(raw: Path) -> Program:
    """Return the reduction of a small night, in ``raw``: an image, its weights and its sources in each filter."""

    def prepare(folder: Path) -> None:
        if not raw.exists():
            night(raw)
        (folder / "raw").symlink_to(raw)

    def argv(folder: Path) -> list[str]:
        files = sorted(str(path) for path in (folder / "raw").iterdir())
        return ["reduce", *files, "-o", str(folder / "products")]

    return Program("reduce", prepare, argv, 3 * len(FILTERS), Path("products"))


def observatory() -> Program:
    """Return a small survey; its events are hidden with a key that both runs share."""

    def prepare(folder: Path) -> None:
        (folder / "survey.yaml").write_text(yaml.safe_dump(SURVEY))
        (folder / "run").mkdir()
        key = folder / "run" / "run.key"
        key.write_text(bytes(range(32)).hex())
        key.chmod(0o600)

    def argv(folder: Path) -> list[str]:
        return ["observatory", "run", str(folder / "survey.yaml")]

    # SQLite's pages depend on the order in which sources came back; all rows are in the products
    own = "observatory.sqlite", "observatory.sqlite-wal", "observatory.sqlite-shm"
    return Program("observatory", prepare, argv, SURVEY["catalog"]["rows"], Path("run"), own)


def night(folder: Path) -> None:
    """Render the raw frames of an image in each filter: exposures, darks, flats, linearity, a standard star."""
    lines = b""
    for day, name in enumerate(FILTERS, 1):
        one = request(SMALL, date=f"2026-01-{day:02d}T04:00:00")
        one["instrument"]["INS.FILT.NAME"] = name
        lines += local(["reduce", "--requests"], json.dumps(one).encode())[0]
    local(["batch", "--outdir", str(folder), "-j", "1"], lines)


def begun(top: Path) -> list[Path]:
    """Return the files that are not whole: they have no name of their own yet."""
    return [*top.rglob(".elvis-*.part")]


def hashes(program: Program, folder: Path) -> dict[str, str]:
    """Return the SHA-256 of all files of a program, without what a killed process had begun."""
    top = folder / program.output
    ignored = {*program.ignored, *(path.name for path in begun(top))}
    files = [path for path in top.rglob("*") if path.is_file() and path.name not in ignored]
    return {str(path.relative_to(top)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def run(program: Program, folder: Path, *more: str, at_half: Callable[[], None] | None = None) -> list[bytes]:
    """Return the lines that a program prints; ``at_half`` is called when half of them are there."""
    source, lines = folder / "night.jsonl", []
    with source.open("rb") if source.exists() else open(os.devnull, "rb") as stdin:
        process = subprocess.Popen(
            [ELVIS, *program.argv(folder), *more],
            env={**os.environ, **SETTINGS},
            stdin=stdin,
            stdout=subprocess.PIPE,
        )
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if at_half and len(lines) == program.lines // 2:
            at_half()
    if process.wait():
        raise SystemExit(f"elvis {program.name} has ended with exit code {process.returncode}")
    return lines


def on_slurm(program: Program, folder: Path) -> tuple[list[bytes], list[str]]:
    """Return the lines of a program on SLURM, of which a node is killed halfway, and the jobs' states then."""
    states: list[str] = []
    place = folder / "slurm"
    place.mkdir()
    exported = " ".join(f"{name}={value}" for name, value in SETTINGS.items())
    with slurm(place) as (environment, nodes), workers(place, environment, exported) as cluster:

        def lose_a_node() -> None:
            kill(NODES[1], nodes[NODES[1]])
            states.append(f"jobs then running: {len(ask(environment, 'squeue', '-h', '-t', 'R').splitlines())}")

        lines = run(program, folder, "--cluster", cluster.scheduler_address, at_half=lose_a_node)
        states.append(f"workers at the end: {len(cluster.scheduler_info['workers'])}")
    variable = f"SLURM_CONF={environment['SLURM_CONF']}"
    wait(lambda: not with_variable(variable), f"processes of SLURM are left: {with_variable(variable)}", PATIENCE)
    return lines, states


def compare(program: Program, folder: Path) -> list[str]:
    """Run a program here and on SLURM, print what was seen, and return what differs."""
    here, there = folder / "here", folder / "there"
    for each in (here, there):
        each.mkdir(parents=True)
        program.prepare(each)
    alone = [] if program.name == "reduce" else ["-j", "1"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(program, here, *alone)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    begin = time.monotonic()
    lines, states = on_slurm(program, there)
    seconds = time.monotonic() - begin
    own, other = hashes(program, here), hashes(program, there)
    wrong = [name for name in sorted(own.keys() | other.keys()) if own.get(name) != other.get(name)]
    if len(lines) != program.lines:
        wrong.append(f"{len(lines)} lines in place of {program.lines}")
    states.append(f"files begun there and left: {len(begun(there / program.output))}")
    result = f"WRONG: {wrong[:9]}" if wrong else "the same bytes here and there, no process is left"
    print(
        f"{program.name}: {len(own)} files, {spent:.1f} s of a processor here; {seconds:.0f} s on SLURM with its start,"
    )
    print(f"    a node was killed after {program.lines // 2} of {program.lines} lines: {'; '.join(states)}; {result}")
    return wrong


def cost(folder: Path, window: dict[str, int], number: int) -> float:
    """Return the processor seconds of a further frame of a batch here, and print those of a million."""
    first, all_of_them = (
        local([*batch(n).argv(folder / str(n)), "-j", "1"], requests(n, window))[1] for n in (1, 1 + number)
    )
    seconds = (all_of_them - first) / number
    deviates = window["nx"] * window["ny"] * measure.floor().deviates
    print(f"a frame of {window['nx']} x {window['ny']}: {seconds:.4f} s of a processor, a million ", end="")
    print(
        f"{seconds * 1e6 / 3600:.0f} hours; {seconds / deviates:.1f} times numpy's deviates of as many pixels",
        flush=True,
    )
    return seconds


def costs(folder: Path) -> None:
    """Print what frames cost here."""
    small, whole = cost(folder / "small", SMALL, 50), cost(folder / "whole", WHOLE, 10)
    pixels = WHOLE["nx"] * WHOLE["ny"] - SMALL["nx"] * SMALL["ny"]
    print(f"a further pixel: {(whole - small) / pixels * 1e9:.0f} ns", flush=True)


def main(number: int, names: list[str]) -> int:
    """Print what was seen and return the exit code."""
    if missing := [name for name in NEEDED if shutil.which(name) is None] or (os.getuid() != 0):
        print(f"needs root and Debian's slurm-wlm: {missing}")
        return 1
    folder = Path(tempfile.mkdtemp(prefix="elvis-slurm-"))
    programs = batch(number), reduce(folder / "raw"), observatory()
    chosen = [program for program in programs if not names or program.name in names]
    try:
        if not names:
            costs(folder)
        wrong = [name for program in chosen for name in compare(program, folder / program.name)]
        return int(bool(wrong))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, sys.argv[2:]))
