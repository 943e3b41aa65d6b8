"""Time and memory of whole runs of the observatory: ten thousand demo sources, a hundred sources seen by ELVIS.

All stars are constant, so that detections which are not of injected events are false. A Gaussian is beyond 5 sigma
once in 1.7 million epochs.

python -m tests.bench.observatory [demo|elvis] [sources] [epochs]
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import yaml

ELVIS = str(Path(sys.executable).with_name("elvis"))
KINDS = {
    "demo": (10_000, 100, {"demo": {}}),
    "elvis": (100, 100, {"elvis": {"instrument": "hawki", "cadence": {"n": 100}}}),
}


GAUSSIAN = math.erfc(5.0 / math.sqrt(2.0))
"""Part of Gaussian noise that is further than 5 sigma from its mean."""


def false_detections(path: Path) -> int:
    """Return the number of detections of a run that are not of injected events."""
    argv = [ELVIS, "observatory", "detections", str(path), "--unblind", "--json"]
    lines = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout.splitlines()
    return sum(not json.loads(line)["injected"] for line in lines)


def resident(pid: int) -> int:
    """Return the resident bytes of a process and those it started."""
    total = 0
    try:
        for child in Path(f"/proc/{pid}/task").glob("*/children"):
            total += sum(map(resident, map(int, child.read_text().split())))
        total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    return total


def measure(kind: str, sources: int | None = None, epochs: int | None = None) -> None:
    """Run, and print what it took."""
    rows, n, observatories = KINDS[kind]
    rows, n = sources or rows, epochs or n
    observatories = yaml.safe_load(yaml.safe_dump(observatories))
    (observatories["elvis"]["cadence"] if kind == "elvis" else observatories["demo"]).update(
        {"n": n} if kind == "elvis" else {"epochs": n}
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.yaml")
        path.write_text(yaml.safe_dump({"catalog": {"rows": rows}, "observatories": observatories}))
        begin, before, peak = time.monotonic(), os.times(), 0
        with subprocess.Popen([ELVIS, "observatory", "run", str(path), "-j", "2"], stdout=subprocess.PIPE) as child:
            threading.Thread(target=child.stdout.read, daemon=True).start()
            while child.poll() is None:
                peak = max(peak, resident(child.pid))
                time.sleep(0.2)
        after, database = os.times(), Path(folder, "run", "observatory.sqlite")
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        size = database.stat().st_size / 2**20
        false = false_detections(path)
        print(
            f"{kind}: {rows} sources x {n} epochs: {time.monotonic() - begin:.0f} s, {cpu:.0f} s of processor, "
            f"{peak / 2**20:.0f} MiB at most, database {size:.0f} MiB, exit code {child.returncode}; "
            f"{false} false detections, {rows * n * GAUSSIAN:.2g} expected of Gaussian noise"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        for each in KINDS:
            measure(each)
